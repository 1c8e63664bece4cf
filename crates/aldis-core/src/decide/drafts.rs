//! Drafts: what one person composed waits until another releases it, and is signed only then. The core keeps everything
//! but the bodies, which lie beside the draft's record and are erased when it ends, however it ends.

use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::input::{Composed, DraftBodies, Submission, Token};
use crate::ladder::{AlertId, Cause, Silence};
use crate::limits::DRAFTS_MAX;
use crate::moment::Moment;
use crate::record::{
    Climbed, DraftBody, DraftEnd, DraftEnded, DraftId, DraftOpened, Drafted, Long, LongFlash, Record, StoredBearing,
};
use crate::state::Core;
use crate::trust::Person;
use aldis_wire::codec::{List, Text};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, commitment};
use aldis_wire::ids::{EnvelopeId, Seq, UnixMillis};

impl Core {
    /// Signs what a person composed, or has it wait for another person.
    pub(super) fn compose(&mut self, moment: Moment, token: Token, composed: Composed, batch: &mut Batch) {
        let result = self.try_compose(moment, composed, batch);
        reply(batch, token, result);
    }

    fn try_compose(&mut self, moment: Moment, composed: Composed, batch: &mut Batch) -> Result<Done, Declined> {
        let Composed { submission, by, words, long } = composed;
        let long = self.check_words(&submission, words, long)?;
        if !self.takes_release(&submission) {
            let signed = self.sign(moment, &submission, None, batch)?;
            self.note_long(moment, &signed, long, &submission.by, batch);
            return Ok(Done::Submitted(signed));
        }
        // Whoever composes learns now what would keep it from being sent, and not from whoever releases it.
        self.letters(moment, &submission, None)?;
        if self.drafts.len() >= DRAFTS_MAX {
            return Err(Declined::TooManyDrafts);
        }
        let bytes = DraftBody::encode(&submission.bodies).ok_or_else(too_long)?;
        let salt = moment.salt(b"draft");
        let drafted = self.drafted(moment, &submission, by, long, commitment(&salt, &bytes))?;
        let (id, expires_at) = (DraftId(self.next_record), drafted.expires_at);
        self.decided_with_body(batch, Record::Drafted(drafted.clone()), Some(Body::Present { salt, bytes }));
        tell(batch, Happening::Drafted(id, Box::new(drafted)));
        self.sent_after_all(moment, &submission, batch);
        Ok(Done::Drafted(id, expires_at))
    }

    fn drafted(
        &self,
        moment: Moment,
        submission: &Submission,
        by: Person,
        long: Option<Long>,
        commitment: Digest,
    ) -> Result<Drafted, Declined> {
        let to = List::new(submission.to.clone());
        Ok(Drafted {
            by,
            to: to.ok_or_else(|| Declined::Message("more than 256 recipients".into()))?,
            desk: submission.desk,
            lane: submission.lane,
            case: submission.case,
            references: submission.references.clone(),
            author: submission.author.clone(),
            on_behalf_of: submission.on_behalf_of.clone(),
            tlp: submission.tlp,
            exercise: submission.exercise.clone(),
            kind: submission.kind.clone(),
            bearing: StoredBearing::naming(submission.bearing.clone(), &submission.attachments),
            lifetime_ms: submission.lifetime_ms,
            acknowledge_within_s: submission.acknowledge_within_s,
            long,
            commitment,
            at: moment.wall,
            expires_at: moment.wall.plus_ms(self.limits.discipline.release_within_ms),
        })
    }

    /// Another person releases a draft: everything is checked again, and then it is signed.
    pub(super) fn release(
        &mut self,
        moment: Moment,
        token: Token,
        draft: DraftId,
        bodies: DraftBodies,
        by: Person,
        batch: &mut Batch,
    ) {
        let result = self.try_release(moment, draft, bodies, by, batch);
        reply(batch, token, result);
    }

    fn try_release(
        &mut self,
        moment: Moment,
        id: DraftId,
        bodies: DraftBodies,
        by: Person,
        batch: &mut Batch,
    ) -> Result<Done, Declined> {
        let drafted = self.drafts.get(&id).cloned().ok_or(Declined::NoSuchDraft(id))?;
        if drafted.by.uid == by.uid {
            return Err(Declined::OwnDraft(id));
        }
        if drafted.expires_at <= moment.wall {
            self.drafts_due(moment, batch);
            return Err(Declined::NoSuchDraft(id));
        }
        let submission = submission(&drafted, bodies)?;
        let signed = self.sign(moment, &submission, Some(&by.by()), batch)?;
        self.note_long(moment, &signed, drafted.long, &drafted.by.by(), batch);
        self.end_draft(moment, id, DraftEnd::Released, Some(by), batch);
        self.sent_after_all(moment, &submission, batch);
        Ok(Done::Submitted(signed))
    }

    /// The drafter takes a draft back, or a releaser will not have it.
    pub(super) fn discard(
        &mut self,
        moment: Moment,
        token: Token,
        id: DraftId,
        by: Person,
        is_releaser: bool,
        batch: &mut Batch,
    ) {
        let result = match self.drafts.get(&id) {
            None => Err(Declined::NoSuchDraft(id)),
            Some(drafted) if drafted.by.uid != by.uid && !is_releaser => Err(Declined::OthersDraft(id)),
            Some(_) => {
                self.end_draft(moment, id, DraftEnd::Discarded, Some(by), batch);
                Ok(Done::Discarded)
            }
        };
        reply(batch, token, result);
    }

    /// Puts on record that somebody opens a TLP:RED draft.
    pub(super) fn open_draft(&mut self, moment: Moment, token: Token, draft: DraftId, by: Person, batch: &mut Batch) {
        let result = if self.drafts.contains_key(&draft) {
            self.decided(batch, Record::DraftOpened(DraftOpened { draft, by, at: moment.wall }));
            Ok(Done::Opened)
        } else {
            Err(Declined::NoSuchDraft(draft))
        };
        reply(batch, token, result);
    }

    /// Drafts that nobody released in time end, and those that have waited for half of it are an alarm.
    pub(super) fn drafts_due(&mut self, moment: Moment, batch: &mut Batch) {
        let over = self.drafts().filter(|(_, draft)| draft.expires_at <= moment.wall);
        let over: Vec<_> = over.map(|(id, draft)| (id, draft.to.clone(), not_released(id, draft))).collect();
        for (id, to, text) in over {
            self.end_draft(moment, id, DraftEnd::Expired, None, batch);
            for peer in to.iter() {
                self.clear(moment, "draft-not-released", Some(peer), batch);
                self.raise(moment, "draft-not-released", Some(peer), &text, batch);
            }
        }
        self.tell_of_drafts(moment, batch);
        let waits = self.drafts().find(|(_, draft)| half(draft) <= moment.wall);
        let waits = waits.map(|(id, draft)| {
            let (lane, until) = (draft.lane.name(), draft.expires_at);
            format!("draft {id} ({lane}) still waits for a second person, until {until}: `aldis release {id}`")
        });
        match waits {
            Some(text) => self.raise(moment, "draft-waits", None, &text, batch),
            None => self.clear(moment, "draft-waits", None, batch),
        }
    }

    /// Somebody writes to these peers again: whoever was to hear of a draft that was not released in time does so.
    fn sent_after_all(&mut self, moment: Moment, submission: &Submission, batch: &mut Batch) {
        for peer in &submission.to {
            self.clear(moment, "draft-not-released", Some(peer), batch);
        }
    }

    /// Alerts people, once for each draft that has waited for half of its time: those on the ladder's first step on which
    /// somebody is on duty. Who of them may release, only the node's access rules know; whoever is alerted finds one.
    fn tell_of_drafts(&mut self, moment: Moment, batch: &mut Batch) {
        let late = self.drafts().filter(|(id, draft)| half(draft) <= moment.wall && !self.drafts_told.contains(id));
        let late: Vec<(DraftId, Drafted)> = late.map(|(id, draft)| (id, draft.clone())).collect();
        for (id, draft) in late {
            let Some(climbed) = self.draft_step(moment, id, &draft) else { continue };
            let alert = AlertId(self.next_record);
            self.decided(batch, Record::Climbed(climbed.clone()));
            tell(batch, Happening::Climbed(Box::new(climbed.clone())));
            if !climbed.people.is_empty() {
                self.alert(moment, alert, &climbed, false, batch);
            }
        }
    }

    fn draft_step(&self, moment: Moment, id: DraftId, draft: &Drafted) -> Option<Climbed> {
        let ladder = &self.limits.ladder;
        let of = ladder.height(Silence::Draft);
        let mut steps = (1..=of).filter_map(|number| Some((number, ladder.step(Silence::Draft, number)?)));
        let manned = steps.clone().find(|(_, step)| ladder.on_duty(step, moment.wall).next().is_some());
        let (number, step) = manned.or(steps.next_back())?;
        let people = ladder.on_duty(step, moment.wall).map(|person| person.name.clone()).collect();
        Some(Climbed {
            silence: Silence::Draft,
            cause: Cause::Unreleased,
            step: number,
            of,
            name: step.name.clone(),
            peer: draft.to.first()?.clone(),
            lane: draft.lane,
            exercise: draft.exercise.clone(),
            messages: List::new(vec![Seq::new(id.0.0)?]).expect("one number fits"),
            count: 1,
            since: draft.at,
            people: List::new(people).expect("a step has few people"),
            at: moment.wall,
        })
    }

    fn end_draft(&mut self, moment: Moment, id: DraftId, end: DraftEnd, by: Option<Person>, batch: &mut Batch) {
        let Some(drafted) = self.drafts.get(&id).cloned() else { return };
        self.decided(batch, Record::DraftEnded(DraftEnded { draft: id, end, by: by.clone(), at: moment.wall }));
        self.erase(moment, id.0, batch);
        self.undrafted(&drafted, batch);
        tell(batch, Happening::DraftEnded(id, end, Box::new(drafted), by));
    }

    /// Puts on record why a FLASH is longer than it should be.
    fn note_long(
        &mut self,
        moment: Moment,
        signed: &[(EnvelopeId, Digest)],
        long: Option<Long>,
        by: &Text<128>,
        batch: &mut Batch,
    ) {
        let Some(long) = long else { return };
        for (message, _) in signed {
            let (message, long, by) = (message.clone(), long.clone(), by.clone());
            self.decided(batch, Record::LongFlash(LongFlash { message, long, by, at: moment.wall }));
        }
    }
}

/// When something is to be done about a draft next.
pub(super) fn draft_due(moment: Moment, draft: &Drafted) -> UnixMillis {
    let half = half(draft);
    if half > moment.wall { half } else { draft.expires_at }
}

fn half(draft: &Drafted) -> UnixMillis {
    UnixMillis::new(draft.at.get().midpoint(draft.expires_at.get()))
}

fn not_released(id: DraftId, draft: &Drafted) -> String {
    let to: Vec<&str> = draft.to.iter().map(aldis_wire::ids::NodeId::as_str).collect();
    let (by, lane, to) = (&draft.by, draft.lane.name(), to.join(", "));
    format!(
        "draft {id} of {by} ({lane} to {to}) was not released in time and was not sent: send it again, and have another \
         person release it"
    )
}

fn too_long() -> Declined {
    Declined::Message("the body is too long".into())
}

/// The message as it was composed.
fn submission(drafted: &Drafted, bodies: DraftBodies) -> Result<Submission, Declined> {
    let damaged =
        || Declined::Message("the draft's body is not the one that was composed; throw the draft away".into());
    if commitment(&bodies.salt, &bodies.bytes) != drafted.commitment {
        return Err(damaged());
    }
    Ok(Submission {
        by: drafted.by.by(),
        to: drafted.to.iter().cloned().collect(),
        salts: bodies.salts,
        desk: drafted.desk,
        lane: drafted.lane,
        case: drafted.case,
        references: drafted.references.clone(),
        author: drafted.author.clone(),
        on_behalf_of: drafted.on_behalf_of.clone(),
        tlp: drafted.tlp,
        exercise: drafted.exercise.clone(),
        kind: drafted.kind.clone(),
        bodies: DraftBody::decode(&bodies.bytes).ok_or_else(damaged)?,
        bearing: drafted.bearing.get(),
        attachments: drafted.bearing.attachments().to_vec(),
        lifetime_ms: drafted.lifetime_ms,
        acknowledge_within_s: drafted.acknowledge_within_s,
    })
}
