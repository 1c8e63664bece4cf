//! What happened to the node or a peer, for review by time: one row per record that is not about a message.

use aldis_core::agreement::difference;
use aldis_core::checks::CheckEnd;
use aldis_core::record::{Alerted, CardBytes, Checked, Exported, PeerAdded, Record, RecoveryEnd, Standing};
use aldis_core::trust::{Person, TrustChanged};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds::Terms;

use super::rows::NodeEvent;
use super::silences::outcome_text;

/// The row of such a record, and its time; `None` for records about messages.
pub(super) fn node_event(record: &Record) -> Option<(UnixMillis, NodeEvent)> {
    let found = match record {
        Record::Started(started) => {
            let text = format!("version {}, incarnation {}", started.version, started.incarnation);
            (started.at, event("started", None, &text))
        }
        Record::Stopped(at) => (*at, event("stopped", None, "in good order")),
        Record::PeerAdded(added) => (added.at, peer_added(added)),
        Record::Strike(strike) => {
            let text = format!("{} in a row in lane {}: {}", strike.count, strike.lane.name(), strike.text);
            (strike.at, event("does-not-verify", Some(&strike.peer), &text))
        }
        Record::LaneUnblocked(unblocked) => {
            let row = event("lane-unblocked", Some(&unblocked.peer), unblocked.lane.name());
            (unblocked.at, NodeEvent { by: Some(unblocked.by.clone()), ..row })
        }
        Record::LaneBlockedByPeer(blocked) => {
            (blocked.at, event("lane-blocked-by-peer", Some(&blocked.peer), blocked.lane.name()))
        }
        Record::Standing(changed) => {
            let what = match changed.standing {
                Standing::Good => "records-agree",
                Standing::WeLostHistory => "we-lost-history",
                Standing::PeerLostHistory => "peer-lost-history",
                Standing::Quarantined => "quarantined",
                Standing::NotCompared => "not-compared",
            };
            (changed.at, event(what, Some(&changed.peer), &changed.text))
        }
        Record::AlarmRaised(alarm) => {
            let text = format!("{}: {}", alarm.code, alarm.text);
            (alarm.at, event("alarm-raised", alarm.peer.as_ref(), &text))
        }
        Record::AlarmCleared(cleared) => {
            (cleared.at, event("alarm-cleared", cleared.peer.as_ref(), cleared.code.as_str()))
        }
        Record::Requested(request) => {
            let text = format!("{} asked for: {}", request.act.name(), request.why);
            (request.at, by(&request.by, event("requested", Some(&request.peer), &text)))
        }
        Record::RequestEnded(ended) => {
            let row = event("request-ended", None, &format!("request {}: {}", ended.request, ended.end.name()));
            (ended.at, ended.by.iter().fold(row, |row, person| by(person, row)))
        }
        Record::TrustChanged(changed) => (changed.at, trust_changed(changed)),
        Record::OwnCardMade(made) => {
            let row = event("own-card", None, "this node has a new card");
            (made.at, NodeEvent { by: Some(made.by.clone()), ..row })
        }
        Record::OwnCardKnown(known) => (known.at, event("own-card-known", None, "every peer not revoked has it")),
        Record::OwnKeySwitched(switched) => {
            let text = format!("our key {} ended at {:?}, {} follows", switched.ended, switched.last, switched.key);
            (switched.at, event("own-key-switched", Some(&switched.peer), &text))
        }
        Record::CardTaken(taken) => (taken.at, of_card(&taken.card, "card-taken", "it sent its new card")),
        Record::KeyOffered(offered) => {
            let text = match offered.announced {
                Some(_) => "it announced its next identity key",
                None => "a card with another identity key was brought by hand",
            };
            (offered.at, of_card(&offered.card, "key-offered", text))
        }
        Record::OfferEnded(ended) => {
            let text =
                if ended.taken { "its next identity key was taken" } else { "its next identity key was declined" };
            let row = event("offer-ended", Some(&ended.peer), text);
            (ended.at, ended.by.iter().fold(row, |row, person| by(person, row)))
        }
        Record::PeerKeySwitched(switched) => {
            let text = format!("its key before ended at {:?}", switched.last);
            (switched.at, event("peer-key-switched", Some(&switched.peer), &text))
        }
        Record::AgreementSet(set) => {
            let row = event("agreement-set", Some(&set.peer), &terms_text("our", &set.terms));
            (set.at, by(&set.by, row))
        }
        Record::AgreementTaken(taken) => {
            (taken.at, event("agreement-taken", Some(&taken.peer), &terms_text("its", &taken.terms)))
        }
        Record::Climbed(climbed) => {
            let (step, of, name, count) = (climbed.step, climbed.of, climbed.name.as_str(), climbed.count);
            let (lane, silence, cause) = (climbed.lane.name(), climbed.silence.name(), climbed.cause.name());
            let text = format!("step {step} of {of}, {name}: {count} message(s), {lane}, {silence}, {cause}");
            (climbed.at, event("climbed", Some(&climbed.peer), &text))
        }
        Record::Checked(checked) => (checked.at, event("comm-check", Some(&checked.peer), &checked_text(checked))),
        Record::Alerted(alerted) => (alerted.at, event("alerted", None, &alerted_text(alerted))),
        Record::BodyErased(erased) => {
            (erased.at, event("body-erased", None, &format!("the body beside record {}", erased.record.0)))
        }
        Record::Drafted(draft) => {
            let to: Vec<&str> = draft.to.iter().map(NodeId::as_str).collect();
            let text = format!("{} {} to {} waits to be released", draft.lane.name(), draft.kind, to.join(", "));
            (draft.at, by(&draft.by, event("drafted", None, &text)))
        }
        Record::DraftEnded(ended) => {
            let row = event("draft-ended", None, &format!("draft {}: {}", ended.draft, ended.end.name()));
            (ended.at, ended.by.iter().fold(row, |row, person| by(person, row)))
        }
        Record::DraftOpened(opened) => {
            (opened.at, by(&opened.by, event("draft-opened", None, &format!("draft {}", opened.draft))))
        }
        Record::Exported(exported) => {
            let text = exported_text(exported);
            (exported.at, NodeEvent { by: Some(exported.by.clone()), ..event("exported", None, &text) })
        }
        Record::RecoveryEnded(ended) => {
            let what = match ended.end {
                RecoveryEnd::Complete => "recovered",
                RecoveryEnd::NotHeld(_) | RecoveryEnd::Contradicts(_) | RecoveryEnd::UnknownKey(_) => "not-recovered",
            };
            (ended.at, event(what, Some(&ended.peer), &ended.words()))
        }
        Record::Restored(restored) => {
            let lost = restored.gap.map(|gap| format!("; what was done {gap} is not in it")).unwrap_or_default();
            let row = event("restored", None, &format!("the journal was put back from a backup{lost}"));
            (restored.at, NodeEvent { by: Some(restored.by.clone()), ..row })
        }
        Record::Claimed(claimed) => {
            let text = "it says that it holds more of what was exchanged than is here";
            (claimed.at, event("claimed", Some(&claimed.peer), text))
        }
        Record::AttachmentLost(lost) => {
            let text = format!("attachment {}: {}", lost.attachment, lost.reason.explanation());
            (lost.at, event("attachment-lost", Some(&lost.peer), &text))
        }
        Record::Sent(_)
        | Record::AttachmentHeld(_)
        | Record::AttachmentTaken(_)
        | Record::GivenBare(_)
        | Record::Recovered(_)
        | Record::Recalled(_)
        | Record::LongFlash(_)
        | Record::OwnCardAnnounced(_)
        | Record::Received(_)
        | Record::Receipted(_)
        | Record::Relayed(_)
        | Record::Expired(_)
        | Record::HeldGivenUp(_)
        | Record::Opened(_) => return None,
    };
    Some(found)
}

fn peer_added(added: &PeerAdded) -> NodeEvent {
    // A card in the journal verified when it was written; one that does not is damage that a walk over it reports.
    let card = VerifiedCard::from_signed_bytes(&added.card);
    let peer = card.as_ref().ok().map(|card| card.card().id.clone());
    let text = match &card {
        Ok(_) => "its card was enrolled",
        Err(_) => "a card was enrolled that cannot be read any more",
    };
    NodeEvent { by: Some(added.by.clone()), ..event("peer-added", peer.as_ref(), text) }
}

fn trust_changed(changed: &TrustChanged) -> NodeEvent {
    let second = changed.approved_by.as_ref().map(|person| format!(", approved by {person}")).unwrap_or_default();
    let text = format!("{}{second}: {}", changed.act.name(), changed.why);
    by(&changed.by, event(changed.trust.name(), Some(&changed.peer), &text))
}

fn of_card(card: &CardBytes, what: &'static str, text: &str) -> NodeEvent {
    let peer = VerifiedCard::from_signed_bytes(card).ok().map(|card| card.card().id.clone());
    event(what, peer.as_ref(), text)
}

fn terms_text(whose: &str, terms: &Terms) -> String {
    let fields = difference(Some(terms), None).into_iter();
    let said = fields.map(|row| format!("{} {}", row.field, row.ours.unwrap_or_default()));
    format!("{whose} terms {}: {}", terms.sequence, said.collect::<Vec<_>>().join("; "))
}

fn checked_text(checked: &Checked) -> String {
    let sort = if checked.human { "human" } else { "machine" };
    let took = checked.round_trip_ms.map_or(String::new(), |ms| format!(" after {ms} ms"));
    let end = match &checked.end {
        CheckEnd::Replied => "replied to",
        CheckEnd::Answered => "answered",
        CheckEnd::Refused(code) => return format!("our {sort} check {} was refused: {code}", checked.seq),
        CheckEnd::Missed => "missed",
    };
    format!("our {sort} check {} was {end}{took}", checked.seq)
}

fn exported_text(exported: &Exported) -> String {
    let what = if exported.bodies { "with bodies" } else { "without bodies" };
    let names: Vec<String> = exported.messages.iter().map(ToString::to_string).collect();
    let count = if names.len() == 1 { "1 message".to_owned() } else { format!("{} messages", names.len()) };
    format!("{count} {what}: {}", names.join(", "))
}

fn alerted_text(alerted: &Alerted) -> String {
    format!("alert {}: {}", alerted.alert, outcome_text(&alerted.outcome))
}

fn by(person: &Person, row: NodeEvent) -> NodeEvent {
    NodeEvent { by: Some(person.by()), ..row }
}

fn event(what: &'static str, peer: Option<&NodeId>, text: &str) -> NodeEvent {
    NodeEvent { what: Code::known(what), peer: peer.cloned(), text: Text::cut(text), by: None }
}
