//! Links: when to dial, which of two links stays, what a Hello says about the two records, and what follows when a link
//! comes up or goes down.

use super::envelopes::close;
use super::intake::has_no_room;
use super::receipts::{Agreement, compare};
use super::tell;
use crate::batch::Batch;
use crate::effect::{Effect, Happening};
use crate::limits::{CROSSING_MS, RENEWALS_MAX};
use crate::moment::Moment;
use crate::peer::{FlowIn, FlowOut, Link, LinkId, Peer, UpLink};
use crate::record::{Claimed, LaneBlockedByPeer, Record, Standing};
use crate::state::Core;
use aldis_wire::frame::{Credit, Goodbye, GoodbyeCode};
use aldis_wire::hello::Hello;
use aldis_wire::ids::NodeId;
use aldis_wire::lane::{Lane, Marks};
use std::collections::BTreeSet;

impl Core {
    pub(super) fn link_up(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        dialled_by_us: bool,
        hello: &Hello,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(peer) else {
            return close(batch, link, GoodbyeCode::NOT_ADMITTED, None, "not an enrolled peer");
        };
        if !known.is_verified() {
            return close(batch, link, GoodbyeCode::NOT_ADMITTED, None, "not a verified peer");
        }
        let key_before = known.card().key().id();
        let contradiction = match self.judge_key(moment, peer, hello, batch) {
            Ok(contradiction) => contradiction,
            Err(what) => {
                self.hello_not_taken(moment, peer, batch);
                return close(batch, link, GoodbyeCode::DOES_NOT_VERIFY, None, what);
            }
        };
        self.hello_taken(moment, peer, batch);
        let Some(known) = self.peers.get(peer) else { return };
        let mut replaced = None;
        if let Some(old) = known.up() {
            // A link that a key opened which has ended now never stays.
            let switched = known.card().key().id() != key_before;
            if !switched && !self.newer_stays(moment, peer, old, dialled_by_us) {
                return close(batch, link, GoodbyeCode::REPLACED, None, "another link stays");
            }
            replaced = Some(old.id);
        }
        if let Some(old) = replaced {
            close(batch, old, GoodbyeCode::REPLACED, None, "a newer link takes over");
        }
        self.judge_records(moment, peer, hello, contradiction, batch);
        self.open_link(moment, peer, link, dialled_by_us, hello, batch);
        tell(batch, Happening::LinkUp(peer.clone()));
        // What its Hello says of our card counts at once; what we have to tell waits until it lets us in, with its credit.
        self.announce(moment, peer, batch);
        batch.transmit_to(peer);
        self.say_attachments_again(peer, batch);
        self.obtain(peer, batch);
    }

    /// Whether the key of a Hello is one that may speak. The next key, which our administrators have taken, says where the
    /// key before ended. One that contradicts what we hold is let in all the same, for its administrators have vouched for
    /// it, and a node that lost its key and its journal could else never come back. What contradicts is given, so that
    /// the records speak: it is an alarm, and nothing new is signed over another history.
    fn judge_key(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        hello: &Hello,
        batch: &mut Batch,
    ) -> Result<Option<&'static str>, &'static str> {
        let Some(known) = self.peers.get(peer) else { return Err("not an enrolled peer") };
        if hello.key_id == known.card().key().id() {
            let only = known.durable.accepted.as_ref().is_some_and(|accepted| accepted.only);
            return if only { Err("this key was given up") } else { Ok(None) };
        }
        if known.durable.accepted.as_ref().is_none_or(|accepted| accepted.card.0.key().id() != hello.key_id) {
            return Err("the key is not on record");
        }
        let Ending { last, fault } = ending(known, hello);
        self.switch_peer_key(moment, peer, last, batch);
        self.clear(moment, "peer-key-switch", Some(peer), batch);
        let Some(fault) = fault else { return Ok(None) };
        let text = format!(
            "{peer} speaks with its new identity key, but {fault}. The key before signs nothing more than what is here; \
             ask its administrators what became of it"
        );
        self.raise(moment, "peer-key-switch", Some(peer), &text, batch);
        Ok(Some(fault))
    }

    /// The rule for a second link: the newer one stays, unless the two crossed each other; then the one dialled by the
    /// node whose id sorts first stays. Both sides come to the same.
    fn newer_stays(&self, moment: Moment, peer: &NodeId, old: &UpLink, dialled_by_us: bool) -> bool {
        let crossed = moment.monotonic_ms.saturating_sub(old.since_ms) < CROSSING_MS;
        if !crossed || old.dialled_by_us == dialled_by_us {
            return true;
        }
        let ours_preferred = self.own < *peer;
        dialled_by_us == ours_preferred
    }

    /// Compares both sides' marks; a record that went back is found here, before anything new is signed.
    fn judge_records(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        hello: &Hello,
        contradiction: Option<&'static str>,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(peer) else { return };
        if known.durable.standing == Standing::Quarantined {
            return;
        }
        // A Hello is signed before its link is up; meanwhile an older link may have carried both sides further. So one of
        // the run that we know may lag behind without harm; a node that lost history is another run.
        // A thief of a lost key may have used the run's number, so it excuses nothing where the keys contradict.
        let same_run = known.run == Some(hello.incarnation) && contradiction.is_none();
        let may_lag = known.durable.standing == Standing::Good && same_run;
        let lags = |lane: Lane| hello.sent.seq(lane) < known.durable.inbound[lane.index()].last_seq();
        let peer_forgot_own = !may_lag && Lane::ALL.into_iter().any(lags);
        let signed_another = hello.sent.iter().any(|mark| {
            let ours = known.durable.inbound[mark.lane.index()].remembered(mark.seq);
            ours.is_some_and(|ours| ours.digest != mark.digest)
        });
        // The peer has our receipts for what is not here: we had it.
        let receipted = hello.receipted().unwrap_or_default();
        let we_forgot =
            Lane::ALL.into_iter().any(|lane| receipted.seq(lane) > known.durable.inbound[lane.index()].last_seq());
        // What leaves is on record as relayed before a byte of it does, so that record is lost.
        let we_forgot_relaying =
            Lane::ALL.into_iter().any(|lane| hello.received.seq(lane) > known.durable.out[lane.index()].relayed);
        let (standing, text) = match compare(known, &hello.received) {
            Agreement::PeerHoldsMore => (
                Standing::WeLostHistory,
                format!(
                    "{peer} holds messages of ours that our journal does not have: were we restored from a backup?"
                ),
            ),
            Agreement::Contradicts => (
                Standing::WeLostHistory,
                format!("{peer} holds another message than the one in our journal: were we restored from a backup?"),
            ),
            _ if we_forgot => (
                Standing::WeLostHistory,
                format!(
                    "{peer} holds our receipts for messages that our journal does not have: were we restored from a backup?"
                ),
            ),
            _ if we_forgot_relaying => (
                Standing::WeLostHistory,
                format!("{peer} holds messages that our journal says never left: were we restored from a backup?"),
            ),
            _ if signed_another => (
                Standing::PeerLostHistory,
                format!(
                    "{peer} names another message as its latest than the one we hold: it was restored from a backup"
                ),
            ),
            Agreement::PeerHoldsLess if !may_lag => (
                Standing::PeerLostHistory,
                format!("{peer} has lost messages it had receipted: it was restored from a backup"),
            ),
            _ if peer_forgot_own => (
                Standing::PeerLostHistory,
                format!("{peer} has lost messages it had sent: it was restored from a backup"),
            ),
            // It said that it holds more. If that was true, what we sign next would be a second message in a place taken.
            Agreement::PeerHoldsLess | Agreement::Agrees if known.durable.is_short() => (
                Standing::WeLostHistory,
                format!(
                    "{peer} said that it holds more of what we exchanged than it says now, and than is here: ask its \
                     administrators. Nothing is signed for it; `aldis peer recover {peer}` takes what it holds, and said \
                     once more after that goes on without the rest"
                ),
            ),
            Agreement::PeerHoldsLess | Agreement::Agrees => (Standing::Good, "both records agree".to_owned()),
        };
        // Both records agree and nobody's key contradicts any more.
        if standing == Standing::Good && contradiction.is_none() {
            self.clear(moment, "peer-key-switch", Some(peer), batch);
        }
        self.change_standing(moment, peer, standing, &text, None, batch);
        if standing == Standing::WeLostHistory {
            self.note_claim(moment, peer, &hello.received, &receipted, batch);
            // The text of an alarm is that of the link of the moment.
            if self
                .peers
                .get(peer)
                .is_some_and(|known| known.durable.recovery.ended.is_some() && known.durable.is_short())
            {
                self.clear(moment, "we-lost-history", Some(peer), batch);
                self.raise(moment, "we-lost-history", Some(peer), &text, batch);
            }
        }
    }

    /// Puts on record what a peer says that it holds, as far as that is more than it ever said and than is here.
    pub(super) fn note_claim(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        ours: &Marks,
        theirs: &Marks,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(peer) else { return };
        let (ours, theirs) = (Lane::ALL.map(|lane| ours.seq(lane)), Lane::ALL.map(|lane| theirs.seq(lane)));
        let (recovery, durable) = (&known.durable.recovery, &known.durable);
        let is_news = Lane::ALL.map(Lane::index).into_iter().any(|lane| {
            let (sent, received) = (durable.out[lane].last_seq(), durable.inbound[lane].last_seq());
            ours[lane] > recovery.claimed_ours[lane].max(sent)
                || theirs[lane] > recovery.claimed_theirs[lane].max(received)
        });
        if is_news {
            let claimed = Claimed { peer: peer.clone(), ours, theirs, at: moment.wall };
            self.decided(batch, Record::Claimed(claimed));
        }
    }

    fn open_link(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        dialled_by_us: bool,
        hello: &Hello,
        batch: &mut Batch,
    ) {
        let (window, intake) = (self.limits.credit_window, self.limits.intake);
        let Some(known) = self.peers.get_mut(peer) else { return };
        // Never none, for only credit tells the peer that it is let in. The rest follows when there is room for it.
        let is_over = Lane::ALL.map(|lane| known.buckets.is_over(&intake, lane, moment.monotonic_ms));
        let is_full = Lane::ALL.map(|lane| has_no_room(&self.limits, known, lane));
        let first = Lane::ALL.map(|lane| if is_over[lane.index()] || is_full[lane.index()] { 1 } else { window });
        known.buckets.withheld |= is_over.contains(&true);
        known.waits_for_room |= is_full.contains(&true);
        let held = |lane: Lane| hello.received.seq(lane).max(known.durable.out[lane.index()].receipted_seq());
        let towards = Lane::ALL.map(|lane| FlowOut { next: held(lane) + 1, sent: 0, credit: 0 });
        known.link = Link::Up(Box::new(UpLink {
            id: link,
            dialled_by_us,
            since_ms: moment.monotonic_ms,
            failures: known.link.failures(),
            receipt_due_since_ms: None,
            own_card: hello.peer_card,
            card_sent: false,
            comes_back: false,
            peer_received: hello.received.clone(),
            peer_receipted: hello.receipted().unwrap_or_default(),
            obtaining: BTreeSet::new(),
            fetching: None,
            history_over: false,
            towards,
            from: first.map(|first| FlowIn { came: 0, granted: first, promised: first, promised_in: 0 }),
        }));
        known.run = Some(hello.incarnation);
        // The peer owes a receipt at once for what it says it holds beyond its last one.
        let waiting = known.durable.standing == Standing::Good && awaiting_receipt(known);
        if let Link::Up(up) = &mut known.link {
            up.receipt_due_since_ms = waiting.then_some(moment.monotonic_ms);
        }
        // A blocked lane too: a peer that does not know it is blocked would wait for credit and never learn why (I8).
        for (lane, total) in Lane::ALL.into_iter().zip(first) {
            batch.effect(Effect::Grant { link, credit: Credit { lane, total } });
        }
        if known.durable.latest_received.is_some() {
            batch.owe_receipt(peer, link);
        }
    }

    pub(super) fn link_down(&mut self, moment: Moment, peer: &NodeId, link: LinkId, cause: &str, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let Some(up) = known.up_as(link) else { return };
        // A link that had held is dialled again almost at once; one that broke at once counts as a failure.
        let held = moment.monotonic_ms.saturating_sub(up.since_ms) >= self.limits.retry_initial_ms;
        let (before, comes_back) = (up.failures, up.comes_back && known.renewals < RENEWALS_MAX);
        let soon_ms = self.limits.retry_initial_ms.min(1_000);
        let (failures, wait_ms) = match (held, comes_back) {
            (true, _) => (0, moment.jitter(peer.as_str().as_bytes(), soon_ms)),
            // The one whose dial would stay if both crossed goes first, so that they do not.
            (false, true) if self.own < *peer => (before, 0),
            (false, true) => (before, soon_ms / 2 + moment.jitter(peer.as_str().as_bytes(), soon_ms / 2)),
            (false, false) => {
                let failures = before.saturating_add(1);
                (failures, backoff_ms(&self.limits, failures, moment, peer))
            }
        };
        known.renewals = if held { 0 } else { known.renewals + u32::from(comes_back) };
        known.link = Link::Down { failures, dial_at_ms: moment.monotonic_ms + wait_ms };
        // What was on its way and may have expired meanwhile is looked at again.
        self.next_expiry = Some(moment.wall);
        tell(batch, Happening::LinkDown(peer.clone(), cause.to_owned()));
    }

    pub(super) fn dial_failed(&mut self, moment: Moment, peer: &NodeId) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        if let Link::Dialling { failures } = known.link {
            let failures = failures.saturating_add(1);
            let wait_ms = backoff_ms(&self.limits, failures, moment, peer);
            known.link = Link::Down { failures, dial_at_ms: moment.monotonic_ms + wait_ms };
        }
    }

    pub(super) fn goodbye(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        goodbye: &Goodbye,
        batch: &mut Batch,
    ) {
        self.own_hello_answered(moment, peer, link, goodbye, batch);
        let Some(known) = self.peers.get_mut(peer) else { return };
        if let Some(up) = known.up_as(link).filter(|_| goodbye.code == GoodbyeCode::REPLACED) {
            up.comes_back = true;
        }
        let standing = known.durable.standing;
        if let (GoodbyeCode::LANE_BLOCKED, Some(lane)) = (goodbye.code, goodbye.lane)
            && !known.durable.out[lane.index()].blocked_by_peer
        {
            let blocked = LaneBlockedByPeer { peer: peer.clone(), lane, at: moment.wall };
            self.decided(batch, Record::LaneBlockedByPeer(blocked));
            self.lanes_blocked_by_peer(moment, peer, &goodbye.text, batch);
        }
        if goodbye.code == GoodbyeCode::RECORDS_DISAGREE && standing == Standing::Good {
            let text = format!(
                "{peer} ended the link because its records and ours disagree: {}. Run `aldis verify`, and ask {peer}",
                goodbye.text
            );
            self.raise(moment, "peer-finds-records-disagree", Some(peer), &text, batch);
        }
    }

    /// FLASH does not wait for the end of a backoff (I14): a peer that is down is dialled with this batch.
    pub(super) fn dial_soon(&mut self, moment: Moment, peer: &NodeId) {
        if let Some(Link::Down { dial_at_ms, .. }) = self.peers.get_mut(peer).map(|known| &mut known.link) {
            *dial_at_ms = moment.monotonic_ms.min(*dial_at_ms);
        }
    }

    /// Dials every peer whose time has come.
    pub(super) fn dial_due(&mut self, moment: Moment, batch: &mut Batch) {
        for (id, peer) in &mut self.peers {
            if let Link::Down { failures, dial_at_ms } = peer.link
                && dial_at_ms <= moment.monotonic_ms
                && peer.is_dialled()
            {
                peer.link = Link::Dialling { failures };
                batch.effect(Effect::Dial { peer: id.clone() });
            }
        }
    }

    /// Closes every link that has owed a receipt for too long.
    pub(super) fn close_stalled(&mut self, moment: Moment, batch: &mut Batch) {
        for peer in self.peers.values_mut() {
            if let Link::Up(up) = &mut peer.link
                && let Some(since_ms) = waits_since_ms(up)
                && moment.monotonic_ms.saturating_sub(since_ms) >= self.limits.receipt_wait_ms
            {
                let what = if up.receipt_due_since_ms == Some(since_ms) { "no receipt" } else { "no history" };
                (up.receipt_due_since_ms, up.fetching, up.history_over) = (None, None, true);
                close(batch, up.id, GoodbyeCode::SILENT, None, &format!("{what} came in time"));
            }
        }
    }

    /// A receipt came: the next one is due only if something is still on its way.
    pub(super) fn receipt_progress(&mut self, moment: Moment, peer: &NodeId) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let waiting = awaiting_receipt(known);
        if let Link::Up(up) = &mut known.link {
            up.receipt_due_since_ms = waiting.then_some(moment.monotonic_ms);
        }
    }
}

/// Since when a link owes us a receipt, or history, on the monotonic clock in milliseconds.
pub(super) fn waits_since_ms(up: &UpLink) -> Option<u64> {
    let history = up.fetching.as_ref().and_then(|fetching| fetching.since_ms);
    up.receipt_due_since_ms.into_iter().chain(history).min()
}

/// Whether something was transmitted on the link of the moment and is not receipted.
fn awaiting_receipt(peer: &Peer) -> bool {
    peer.up().is_some_and(|up| {
        let lanes = Lane::ALL.into_iter();
        lanes
            .map(|lane| (lane.index(), up.towards[lane.index()].next))
            .any(|(lane, next)| next > peer.durable.out[lane].receipted_seq() + 1)
    })
}

/// Where a peer's key before its next one ends.
struct Ending {
    /// Per lane, the last place the ended key signed.
    last: [u64; 4],
    /// What contradicts what we hold.
    fault: Option<&'static str>,
}

/// The old key ends where the Hello says, as far as its signer has sent anything, and never before what we hold: what has
/// its place keeps it. Only the next key opens a link from here on, so nobody else can fill the places up to there.
fn ending(known: &Peer, hello: &Hello) -> Ending {
    let switch = hello.switch().ok().flatten();
    let named = switch.map_or([0; 4], |switch| switch.last);
    let held = Lane::ALL.map(|lane| known.durable.inbound[lane.index()].last_seq());
    let last = Lane::ALL.map(|lane| named[lane.index()].min(hello.sent.seq(lane)).max(held[lane.index()]));
    let fault = match switch {
        None => Some("it does not say where the key before ended"),
        Some(switch) if switch.ended != known.card().key().id() => {
            Some("it names another key as the one before than the one we know")
        }
        Some(_) if last != named => {
            Some("it says that the key before ended before what it signed, or behind what was sent")
        }
        Some(_) => None,
    };
    Ending { last, fault }
}

/// 5 s doubling to 15 min (with the default limits), the upper half drawn at random so that peers do not dial in step.
fn backoff_ms(limits: &crate::limits::Limits, failures: u32, moment: Moment, peer: &NodeId) -> u64 {
    let doubled = limits.retry_initial_ms.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let wait_ms = doubled.min(limits.retry_max_ms);
    wait_ms / 2 + moment.jitter(peer.as_str().as_bytes(), wait_ms / 2 + 1)
}
