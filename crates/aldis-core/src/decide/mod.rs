//! Deciding: from one input to records (applied at once) and effects (held back by the batch). Each file decides one kind
//! of thing; nothing here can fail, for what a peer or operator does wrong is itself a decision.

mod administer;
mod agreement;
mod alarms;
mod answers;
mod attachments;
mod checks;
mod deadlines;
mod discipline;
mod drafts;
mod duties;
mod envelopes;
mod erasures;
mod exports;
mod hellos;
mod hotline;
mod intake;
mod ladder;
mod links;
mod openings;
mod own_cards;
mod peer_cards;
mod peers;
mod recalls;
mod receipts;
mod recovery;
mod refusals;
mod silences;
mod submit;
mod transmit;

pub use administer::Order;
pub(crate) use administer::not_verified;
pub use silences::{Climbing, NextOnLadder, OnLadder};

use crate::batch::Batch;
use crate::effect::{Declined, Done, Effect, Happening};
use crate::input::{Input, Token};
use crate::moment::Moment;
use crate::record::{Record, SentDraft, Started};
use crate::recovery::Stream;
use crate::state::{Core, words};
use aldis_wire::envelope::Body;
use aldis_wire::ids::Incarnation;

impl Core {
    /// Begins a run: journals its incarnation. The first thing to do with a new or recovered core.
    pub fn start(&mut self, moment: Moment, incarnation: Incarnation, version: &str, batch: &mut Batch) {
        let started = Started { incarnation, at: moment.wall, version: words(version) };
        let latest = self.latest_at;
        self.decided(batch, Record::Started(started));
        self.tell_rule(moment, batch);
        self.plan_all(moment, latest, batch);
        self.alert_again(moment, batch);
        self.find_untold();
    }

    /// Decides one input.
    pub fn handle(&mut self, moment: Moment, input: Input, batch: &mut Batch) {
        match input {
            Input::Tick => self.deadlines(moment, batch),
            Input::Submit(token, submission) => self.submit(moment, token, &submission, batch),
            Input::AddPeer { token, card, by } => self.add_peer(moment, token, &card, by, batch),
            Input::OwnCard { token, card, usable, by } => self.own_card_came(moment, token, &card, &usable, by, batch),
            Input::DeclineKey { token, peer, by } => self.decline_key(moment, token, &peer, &by, batch),
            Input::Administer { token, order } => self.administer(moment, token, *order, batch),
            Input::Approve { token, request, by } => self.approve(moment, token, request, by, batch),
            Input::Withdraw { token, request, by } => self.withdraw(moment, token, request, by, batch),
            Input::Unblock { token, peer, lane, by } => self.unblock(moment, token, peer, lane, by, batch),
            Input::SetAgreement { token, peer, terms, by } => {
                self.set_agreement(moment, token, &peer, *terms, by, batch);
            }
            Input::DialFailed { peer } => self.dial_failed(moment, &peer),
            Input::LinkUp { peer, link, dialled_by_us, hello } => {
                self.link_up(moment, &peer, link, dialled_by_us, &hello, batch);
            }
            Input::LinkDown { peer, link, cause } => self.link_down(moment, &peer, link, &cause, batch),
            Input::Envelope { link, envelope, reading } => self.envelope(moment, link, &envelope, reading, batch),
            Input::Unverifiable { peer, link, lane, what } => {
                self.unverifiable(moment, &peer, link, lane, &what, batch);
            }
            Input::Receipt { link, receipt } => self.receipt_came(moment, link, &receipt, batch),
            Input::Credit { peer, link, credit } => self.credit(moment, &peer, link, credit, batch),
            Input::Goodbye { peer, link, goodbye } => self.goodbye(moment, &peer, link, &goodbye, batch),
            Input::ClockDifference { peer, difference_ms } => {
                self.clock_difference(moment, &peer, difference_ms, batch);
            }
            Input::NodeAlarm { code, peer, text } => self.node_alarm(moment, code, peer.as_ref(), text, batch),
            Input::Stop => self.decided(batch, Record::Stopped(moment.wall)),
            Input::Opened { token, message, by } => self.opened(moment, token, message, by, batch),
            Input::Alerted { alert, outcome } => self.alerted(moment, alert, *outcome, batch),
            Input::EraseRecalled { token, acceptance } => self.erase_recalled(moment, token, &acceptance, batch),
            Input::Compose { token, composed } => self.compose(moment, token, *composed, batch),
            Input::Release { token, draft, bodies, by } => self.release(moment, token, draft, *bodies, by, batch),
            Input::Discard { token, draft, by, is_releaser } => {
                self.discard(moment, token, draft, by, is_releaser, batch);
            }
            Input::OpenDraft { token, draft, by } => self.open_draft(moment, token, draft, by, batch),
            Input::Check { token, order } => self.check_peer(moment, token, &order, batch),
            Input::CertificateShown { valid_until } => self.certificate_valid_until = Some(valid_until),
            Input::Export { token, messages, bodies, by } => {
                self.export(moment, token, messages, bodies, by, batch);
            }
            Input::Hotline { token, order } => self.take_turn(moment, token, &order, batch),
            Input::HelloNotTaken { peer } => self.hello_not_taken(moment, &peer, batch),
            Input::History { peer, link, ours, lane, seq, found } => {
                self.history_came(moment, &peer, link, (Stream { ours, lane }, seq), found.map(|found| *found), batch);
            }
            Input::HistoryUnread { peer, link, ours, lane, seq, key } => {
                self.history_unread(moment, &peer, link, (Stream { ours, lane }, seq), key, batch);
            }
            Input::AttachmentWanted { peer, link, want } => self.attachment_wanted(moment, &peer, link, want, batch),
            Input::AttachmentHeld { peer, attachment } => self.attachment_held(moment, &peer, attachment, batch),
            Input::AttachmentNotHeld { peer, attachment } => self.attachment_not_held(moment, &peer, attachment, batch),
            Input::AttachmentBad { peer, attachment } => self.attachment_bad(moment, &peer, attachment, batch),
            Input::AttachmentGone { peer, attachment } => self.attachment_gone(moment, &peer, attachment, batch),
            Input::Restored { by, at } => self.note_restored(moment, by, at, batch),
        }
    }

    /// Applies a decision and puts it into the batch.
    fn decided(&mut self, batch: &mut Batch, record: Record) {
        self.apply(&record);
        batch.push(record, None);
    }

    /// Applies a decision with a body beside it.
    fn decided_with_body(&mut self, batch: &mut Batch, record: Record, body: Option<Body>) {
        self.apply(&record);
        batch.push(record, body);
    }

    /// Applies a decision to send and puts it into the batch, which will sign it.
    fn decided_to_send(&mut self, moment: Moment, batch: &mut Batch, draft: SentDraft, body: Body) {
        self.apply_sent(&draft);
        self.plan_sent(moment, &draft.header);
        batch.push_outgoing(draft, body);
    }
}

fn reply(batch: &mut Batch, token: Token, result: Result<Done, Declined>) {
    batch.effect(Effect::Reply { token, result });
}

fn tell(batch: &mut Batch, happening: Happening) {
    batch.effect(Effect::Tell(happening));
}
