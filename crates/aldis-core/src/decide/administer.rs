//! What administrators do to a peer: verify, suspend, resume, revoke. What lets a peer in takes two distinct persons,
//! unless the site has turned that rule off; what keeps one out takes one, because it must be fast.

use super::envelopes::close;
use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::input::Token;
use crate::moment::Moment;
use crate::peer::Peer;
use crate::record::{Record, Standing};
use crate::state::Core;
use crate::trust::{Act, ApprovalRequest, Person, RequestEnd, RequestEnded, RequestId, Trust, TrustChanged};
use aldis_wire::codec::Text;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::lane::Lane;

/// The most requests that may wait for a second person at once.
const REQUESTS_MAX: usize = 64;

/// Who does what to whom.
#[derive(Clone, Debug)]
pub struct Order {
    /// What.
    pub act: Act,
    /// To which peer.
    pub peer: NodeId,
    /// The peer's key as the person saw it; `None` where no key is looked at (suspend, revoke).
    pub key: Option<KeyId>,
    /// Who.
    pub by: Person,
    /// Why.
    pub why: Text<200>,
}

impl Core {
    /// Carries an act out, or asks for a second person.
    pub(super) fn administer(&mut self, moment: Moment, token: Token, order: Order, batch: &mut Batch) {
        let result = self.try_administer(moment, order, batch);
        reply(batch, token, result);
    }

    fn try_administer(&mut self, moment: Moment, order: Order, batch: &mut Batch) -> Result<Done, Declined> {
        let Order { act, peer, key, by, why } = order;
        let key = self.check_act(act, &peer, key)?;
        if !act.takes_two() || !self.limits.two_persons {
            return Ok(self.carry_out(moment, act, &peer, key, (by, None), why, batch));
        }
        if let Some((id, _)) = self.requests.iter().find(|(_, open)| open.act == act && open.peer == peer) {
            return Err(Declined::RequestOpen(*id));
        }
        if self.requests.len() >= REQUESTS_MAX {
            return Err(Declined::TooManyRequests);
        }
        let id = RequestId(self.next_record);
        let expires_at = moment.wall.plus_ms(self.limits.request_lifetime_ms);
        let request = ApprovalRequest { act, peer, key, by, why, at: moment.wall, expires_at };
        self.decided(batch, Record::Requested(request.clone()));
        tell(batch, Happening::Requested(id, request));
        Ok(Done::Requested(id))
    }

    /// A second person approves a request.
    pub(super) fn approve(&mut self, moment: Moment, token: Token, request: RequestId, by: Person, batch: &mut Batch) {
        let result = self.try_approve(moment, request, by, batch);
        reply(batch, token, result);
    }

    fn try_approve(&mut self, moment: Moment, id: RequestId, by: Person, batch: &mut Batch) -> Result<Done, Declined> {
        let Some(request) = self.requests.get(&id).cloned() else { return Err(Declined::NoSuchRequest(id)) };
        if request.by.uid == by.uid {
            return Err(Declined::SamePerson(id));
        }
        if request.expires_at <= moment.wall {
            self.end_request(moment, id, RequestEnd::Expired, None, batch);
            return Err(Declined::NoSuchRequest(id));
        }
        if let Err(declined) = self.check_act(request.act, &request.peer, Some(request.key)) {
            self.end_request(moment, id, RequestEnd::Overtaken, None, batch);
            return Err(declined);
        }
        self.end_request(moment, id, RequestEnd::Approved, Some(by.clone()), batch);
        let ApprovalRequest { act, peer, key, by: first, why, .. } = request;
        Ok(self.carry_out(moment, act, &peer, key, (first, Some(by)), why, batch))
    }

    /// An administrator takes a request back; anyone's, for declining is not letting in.
    pub(super) fn withdraw(&mut self, moment: Moment, token: Token, request: RequestId, by: Person, batch: &mut Batch) {
        let result = if self.requests.contains_key(&request) {
            self.end_request(moment, request, RequestEnd::Withdrawn, Some(by), batch);
            Ok(Done::Withdrawn)
        } else {
            Err(Declined::NoSuchRequest(request))
        };
        reply(batch, token, result);
    }

    /// Requests that nobody approved in time.
    pub(super) fn expire_requests(&mut self, moment: Moment, batch: &mut Batch) {
        let over = self.requests.iter().filter(|(_, request)| request.expires_at <= moment.wall);
        let over: Vec<RequestId> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.end_request(moment, id, RequestEnd::Expired, None, batch);
        }
    }

    fn end_request(
        &mut self,
        moment: Moment,
        request: RequestId,
        end: RequestEnd,
        by: Option<Person>,
        batch: &mut Batch,
    ) {
        self.decided(batch, Record::RequestEnded(RequestEnded { request, end, by, at: moment.wall }));
        tell(batch, Happening::RequestEnded(request, end));
    }

    /// Whether the act fits the peer as it is now; gives the key it is about.
    fn check_act(&self, act: Act, peer: &NodeId, seen: Option<KeyId>) -> Result<KeyId, Declined> {
        let known = self.peers.get(peer).ok_or_else(|| Declined::UnknownPeer(peer.clone()))?;
        let key = subject_key(act, known).ok_or_else(|| Declined::NoNewKey(peer.clone()))?;
        if act.takes_two() && seen.is_some_and(|seen| seen != key) {
            return Err(Declined::KeyChanged(peer.clone()));
        }
        // A key that was brought by hand is answered to nobody; and until it is taken no link may come up on which the
        // records could be compared.
        let by_hand = known.durable.offered.as_ref().is_some_and(|offered| offered.announced.is_none());
        if act == Act::AcceptKey && !(by_hand && known.durable.standing != Standing::Quarantined) {
            self.records_agree(peer)?;
        }
        if act == Act::Recover {
            self.check_recovery(peer)?;
        }
        let now = known.durable.trust;
        let fits = match act {
            Act::Verify => now == Trust::Pending,
            Act::Suspend | Act::Recover => now == Trust::Verified,
            Act::AcceptKey => now != Trust::Pending,
            Act::Resume => now == Trust::Suspended,
            Act::Revoke => now != Trust::Revoked,
            Act::UndoRevoke => now == Trust::Revoked,
        };
        if fits { Ok(key) } else { Err(Declined::NotNow { act, peer: peer.clone(), trust: now }) }
    }

    /// An answer to an offered key is signed, and while the records disagree nothing new is (I9).
    pub(super) fn records_agree(&self, peer: &NodeId) -> Result<(), Declined> {
        match self.peers.get(peer).map(|known| known.durable.standing) {
            Some(Standing::Good) | None => Ok(()),
            Some(_) => Err(Declined::RecordsDisagree(peer.clone(), "its records and ours do not agree")),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a field of the record")]
    fn carry_out(
        &mut self,
        moment: Moment,
        act: Act,
        peer: &NodeId,
        key: KeyId,
        (by, approved_by): (Person, Option<Person>),
        why: Text<200>,
        batch: &mut Batch,
    ) -> Done {
        let Some(known) = self.peers.get(peer) else { return Done::Withdrawn };
        let trust = match act {
            Act::Verify | Act::Resume => Trust::Verified,
            Act::AcceptKey | Act::Recover => known.durable.trust,
            Act::Suspend => Trust::Suspended,
            Act::Revoke => Trust::Revoked,
            Act::UndoRevoke => known.durable.before_revocation,
        };
        let received = Lane::ALL.map(|lane| known.durable.inbound[lane.index()].last_seq());
        let changed =
            TrustChanged { peer: peer.clone(), act, key, trust, by, approved_by, why, received, at: moment.wall };
        self.decided(batch, Record::TrustChanged(changed));
        if act == Act::AcceptKey {
            self.answer_offer(moment, peer, None, true, batch);
            self.end_link_of_lost_key(peer, batch);
        }
        self.void_requests(moment, peer, batch);
        if act == Act::Recover {
            tell(batch, Happening::TrustChanged(peer.clone(), act, trust));
            return Done::TrustChanged(peer.clone(), trust);
        }
        self.plan_again(moment, peer);
        tell(batch, Happening::TrustChanged(peer.clone(), act, trust));
        self.follow_trust(moment, peer, trust, batch);
        Done::TrustChanged(peer.clone(), trust)
    }

    /// A link that a lost key opened may be a thief's.
    fn end_link_of_lost_key(&self, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        if known.durable.accepted.as_ref().is_some_and(|accepted| accepted.only)
            && let Some(up) = known.up()
        {
            close(batch, up.id, GoodbyeCode::DOES_NOT_VERIFY, None, "this key was given up");
        }
    }

    /// Requests about the peer that can no longer be carried out as they were made.
    pub(super) fn void_requests(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let void = self.requests.iter().filter(|(_, request)| {
            request.peer == *peer && self.check_act(request.act, &request.peer, Some(request.key)).is_err()
        });
        let void: Vec<RequestId> = void.map(|(id, _)| *id).collect();
        for id in void {
            self.end_request(moment, id, RequestEnd::Overtaken, None, batch);
        }
    }

    /// A peer that is let in is dialled; one that is kept out loses its link with the same batch.
    fn follow_trust(&mut self, moment: Moment, peer: &NodeId, trust: Trust, batch: &mut Batch) {
        let text = match trust {
            Trust::Verified => {
                self.announce(moment, peer, batch);
                self.tell_untold(moment, peer, batch);
                return self.dial_soon(moment, peer);
            }
            Trust::Pending => "an administrator must verify the peer first",
            Trust::Suspended => "an administrator has suspended the peer",
            Trust::Revoked => "an administrator has revoked the peer",
        };
        self.no_hello_wanted(moment, peer, batch);
        if let Some(up) = self.peers.get(peer).and_then(Peer::up) {
            close(batch, up.id, GoodbyeCode::NOT_ADMITTED, None, text);
        }
    }

    /// While one person alone can let a peer in, that is an alarm.
    pub(super) fn tell_rule(&mut self, moment: Moment, batch: &mut Batch) {
        if self.limits.two_persons {
            return self.clear(moment, "single-administrator", None, batch);
        }
        let text = "one administrator alone can let a peer in; that stands in this node's card and its peers see it. Set \
                    `administration.two_persons = true` as soon as there are two";
        self.raise(moment, "single-administrator", None, text, batch);
    }
}

/// The key an act is about: the one in force, or the one that is offered.
fn subject_key(act: Act, peer: &Peer) -> Option<KeyId> {
    match act {
        Act::AcceptKey => peer.durable.offered.as_ref().map(|offered| offered.card.0.key().id()),
        _ => Some(peer.card().key().id()),
    }
}

/// Why nothing is sent to or taken from a peer that is not verified, in words and with what to do.
pub(crate) fn not_verified(peer: &NodeId, trust: Trust) -> String {
    let advice = match trust {
        Trust::Verified => return format!("{peer} is verified"),
        Trust::Pending => format!("compare its key by voice first: `aldis peer verify {peer}`"),
        Trust::Suspended => format!("talk to it again with `aldis peer resume {peer}`"),
        Trust::Revoked => "it was cut off for good; see `aldis peer show` for who and why".to_owned(),
    };
    format!("{peer} is {}: {advice}", trust.name())
}
