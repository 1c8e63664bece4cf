//! Files that messages name: which are taken, which are asked for now, which are served, and what follows when one is
//! here, cannot be had, or is not named any more.

use super::tell;
use crate::agreement::Breach;
use crate::attachments::{BAD_MAX, FileState, OBTAINING_MAX};
use crate::batch::Batch;
use crate::effect::{AttachmentNews, Declined, Effect, Happening};
use crate::moment::Moment;
use crate::peer::{Link, LinkId, Peer};
use crate::record::{AttachmentHeld, AttachmentLost, AttachmentTaken, Drafted, LostReason, Named, Record};
use crate::state::Core;
use aldis_wire::attachment::Attachment;
use aldis_wire::digest::Digest;
use aldis_wire::frame::Want;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::RefusalCode;
use aldis_wire::lane::Lane;

/// The alarm about files that were given up.
const LOST: &str = "attachment-lost";

/// The offset of a want of no bytes that says: given up.
const GIVEN_UP: u64 = u64::MAX;

impl Core {
    /// Why the files that a peer's message names are not taken, if they are not.
    pub(super) fn attachments_fault(&self, peer: &Peer, attachments: &[Attachment]) -> Option<(RefusalCode, String)> {
        if attachments.is_empty() {
            return None;
        }
        let allowed = peer.durable.agreement.attachment_max_bytes();
        if let Some(large) = attachments.iter().find(|one| one.size > allowed) {
            let text = format!("{} bytes where {allowed} are agreed", large.size);
            return Some((RefusalCode::AttachmentTooLarge, text));
        }
        let theirs = &peer.durable.attachments.theirs;
        let differs = |one: &&Attachment| {
            let known = theirs.get(&one.digest).filter(|file| file.state != FileState::Lost);
            known.is_some_and(|file| file.size != one.size)
        };
        if let Some(other) = attachments.iter().find(differs) {
            let text = format!("attachment {} has another size in a message before", other.digest);
            return Some((RefusalCode::MalformedBody, text));
        }
        let (files_max, bytes_max) = (self.limits.attachments_per_peer, self.limits.attachment_quota_bytes);
        if theirs.has_room(&Named::all(attachments), files_max, bytes_max) {
            return None;
        }
        let text = format!("{} files of {} bytes are here; {bytes_max} bytes are taken", theirs.len(), theirs.bytes());
        Some((RefusalCode::AttachmentQuota, text))
    }

    /// Whether files may be sent to a peer.
    pub(super) fn check_attachments(&self, to: &NodeId, named: &[Named]) -> Result<(), Declined> {
        let Some(peer) = self.peers.get(to).filter(|_| !named.is_empty()) else { return Ok(()) };
        let both = [(&self.own, &peer.durable.agreement.ours), (to, &peer.durable.agreement.theirs)];
        for (whose, terms) in both {
            let Some(terms) = terms else { continue };
            let allowed = terms.attachment_max_bytes();
            if let Some(large) = named.iter().find(|one| one.size > allowed) {
                let what = Breach::Attachment(large.size, allowed);
                let (peer, whose, sequence) = (to.clone(), whose.clone(), terms.sequence);
                return Err(Declined::NotAgreed { peer, whose, sequence, what });
            }
        }
        if !peer.durable.attachments.ours.has_room(named, self.limits.attachments_per_peer, u64::MAX) {
            let text = format!("{to} was sent as many files as are kept; take some messages back, and it erases them");
            return Err(Declined::Message(text));
        }
        Ok(())
    }

    /// Asks for what is still to come from a peer, as far as the window goes.
    pub(super) fn obtain(&mut self, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let Link::Up(up) = &mut known.link else { return };
        let theirs = &known.durable.attachments.theirs;
        // What is more urgent than all that is asked for already is asked for beside it (I14).
        for (lane, attachment) in theirs.open().take(OBTAINING_MAX) {
            if up.obtaining.insert(*attachment) {
                let (attachment, size) = (*attachment, theirs.get(attachment).map_or(0, |file| file.size));
                batch.effect(Effect::Obtain { peer: peer.clone(), link: up.id, attachment, size, lane });
            }
        }
    }

    /// On a new link: what was said of the latest files is said again, for the link before may have broken on it.
    pub(super) fn say_attachments_again(&self, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        let said: Vec<Digest> = known.durable.attachments.said.iter().copied().collect();
        for attachment in said {
            self.say(peer, attachment, batch);
        }
    }

    /// Tells a peer that a file of its is held here, or given up.
    fn say(&self, peer: &NodeId, attachment: Digest, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        let (Some(up), Some(file)) = (known.up(), known.durable.attachments.theirs.get(&attachment)) else { return };
        let offset = match file.state {
            FileState::Held => file.size,
            FileState::Lost => GIVEN_UP,
            FileState::Open => return,
        };
        batch.effect(Effect::Want { link: up.id, want: Want { attachment, offset, bytes: 0 } });
    }

    /// A peer wants a piece of a file of ours, or says what became of one.
    pub(super) fn attachment_wanted(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        want: Want,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get_mut(peer).filter(|known| known.is_verified()) else { return };
        if known.up_as(link).is_none() {
            return;
        }
        let file = known.durable.attachments.ours.get(&want.attachment).copied();
        if want.bytes != 0 {
            return batch.effect(Effect::Serve { link, want, size: file.map(|file| file.size) });
        }
        // Each file goes forward only, so that a peer cannot fill our journal with its changes of mind (I7).
        let (peer, attachment, at) = (peer.clone(), want.attachment, moment.wall);
        match file {
            Some(file) if file.state != FileState::Held && want.offset == file.size => {
                let taken = AttachmentTaken { peer: peer.clone(), attachment, at };
                self.decided(batch, Record::AttachmentTaken(taken));
                self.attachment_told(moment, &peer, attachment, AttachmentNews::Taken, batch);
            }
            Some(file) if file.state == FileState::Open && want.offset == GIVEN_UP => {
                self.lose(moment, &peer, attachment, LostReason::ByPeer, batch);
            }
            _ => {}
        }
    }

    /// A file of a peer's is here, verified and on stable storage.
    pub(super) fn attachment_held(&mut self, moment: Moment, peer: &NodeId, attachment: Digest, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        stop_obtaining(known, &attachment);
        match known.durable.attachments.theirs.get(&attachment).map(|file| file.state) {
            // Nobody names it any more: what came after it was erased is erased too.
            None => batch.effect(Effect::EraseAttachment { peer: Some(peer.clone()), attachment }),
            Some(FileState::Held) => {}
            Some(FileState::Open | FileState::Lost) => {
                known.bad_attachments.remove(&attachment);
                let held = AttachmentHeld { peer: peer.clone(), attachment, at: moment.wall };
                self.decided(batch, Record::AttachmentHeld(held));
                self.say(peer, attachment, batch);
                self.attachment_told(moment, peer, attachment, AttachmentNews::Held, batch);
            }
        }
        self.obtain(peer, batch);
    }

    /// A peer does not hold what its message names.
    pub(super) fn attachment_not_held(&mut self, moment: Moment, peer: &NodeId, attachment: Digest, batch: &mut Batch) {
        self.give_up(moment, peer, attachment, LostReason::NotHeld, batch);
    }

    /// What a peer sent has another digest than its message names.
    pub(super) fn attachment_bad(&mut self, moment: Moment, peer: &NodeId, attachment: Digest, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        stop_obtaining(known, &attachment);
        let count = known.bad_attachments.entry(attachment).or_default();
        *count += 1;
        if *count >= BAD_MAX {
            return self.give_up(moment, peer, attachment, LostReason::Mismatch, batch);
        }
        self.obtain(peer, batch);
    }

    /// The file of what is held, by the records, is not there: the disk lost it, or it was in no backup.
    pub(super) fn attachment_gone(&mut self, moment: Moment, peer: &NodeId, attachment: Digest, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        let file = known.durable.attachments.theirs.get(&attachment);
        if file.is_some_and(|file| file.state == FileState::Held) {
            let (peer, reason) = (peer.clone(), LostReason::Gone);
            let lost = AttachmentLost { peer: peer.clone(), attachment, reason, at: moment.wall };
            self.decided(batch, Record::AttachmentLost(lost));
            self.obtain(&peer, batch);
        }
    }

    fn give_up(&mut self, moment: Moment, peer: &NodeId, attachment: Digest, reason: LostReason, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        stop_obtaining(known, &attachment);
        known.bad_attachments.remove(&attachment);
        let file = known.durable.attachments.theirs.get(&attachment);
        if file.is_some_and(|file| file.state == FileState::Open) {
            self.lose(moment, peer, attachment, reason, batch);
            self.say(peer, attachment, batch);
            batch.effect(Effect::EraseAttachment { peer: Some(peer.clone()), attachment });
        }
        self.obtain(peer, batch);
    }

    fn lose(&mut self, moment: Moment, peer: &NodeId, attachment: Digest, reason: LostReason, batch: &mut Batch) {
        let lost = AttachmentLost { peer: peer.clone(), attachment, reason, at: moment.wall };
        self.decided(batch, Record::AttachmentLost(lost));
        let why = reason.explanation();
        let (message, whose) = match reason {
            LostReason::ByPeer => (self.message_naming(peer, attachment, true), "ours"),
            _ => (self.message_naming(peer, attachment, false), "theirs"),
        };
        let text = format!(
            "attachment {attachment} of {message} ({whose}) was given up: {why}. Telephone {peer}; the message is sent \
             again, with the file, or taken back"
        );
        self.clear(moment, LOST, Some(peer), batch);
        self.raise(moment, LOST, Some(peer), &text, batch);
        tell(batch, Happening::Attachment(peer.clone(), attachment, AttachmentNews::Lost(reason)));
    }

    /// Files that nobody names any more go, and with them the alarm about them.
    pub(super) fn unnamed(&mut self, moment: Moment, peer: &NodeId, ours: bool, named: &[Digest], batch: &mut Batch) {
        for attachment in named {
            if ours && !self.names_ours(attachment) {
                batch.effect(Effect::EraseAttachment { peer: None, attachment: *attachment });
            } else if !ours && self.names_theirs(peer, attachment).is_none() {
                if let Some(known) = self.peers.get_mut(peer) {
                    stop_obtaining(known, attachment);
                    known.bad_attachments.remove(attachment);
                }
                batch.effect(Effect::EraseAttachment { peer: Some(peer.clone()), attachment: *attachment });
            }
        }
        if !named.is_empty() {
            self.end_lost(moment, peer, batch);
            self.obtain(peer, batch);
        }
    }

    /// A draft names nothing any more.
    pub(super) fn undrafted(&self, drafted: &Drafted, batch: &mut Batch) {
        for one in drafted.bearing.attachments().iter().filter(|one| !self.names_ours(&one.digest)) {
            batch.effect(Effect::EraseAttachment { peer: None, attachment: one.digest });
        }
    }

    /// What a message names, before it names nothing any more.
    pub(super) fn named_by(&self, peer: &NodeId, ours: bool, lane: Lane, seq: Seq) -> Vec<Digest> {
        let Some(attachments) = self.peers.get(peer).map(|known| &known.durable.attachments) else { return Vec::new() };
        let files = if ours { &attachments.ours } else { &attachments.theirs };
        files.named_by(lane, seq).to_vec()
    }

    /// Whether a message of ours, or a draft, names a file.
    pub fn names_ours(&self, attachment: &Digest) -> bool {
        let drafted = |draft: &Drafted| draft.bearing.attachments().iter().any(|one| one.digest == *attachment);
        let sent = |peer: &Peer| peer.durable.attachments.ours.get(attachment).is_some();
        self.peers.values().any(sent) || self.drafts.values().any(drafted)
    }

    /// Where a file is that a message of this peer's names.
    pub fn names_theirs(&self, peer: &NodeId, attachment: &Digest) -> Option<FileState> {
        let file = self.peers.get(peer)?.durable.attachments.theirs.get(attachment)?;
        Some(file.state)
    }

    fn message_naming(&self, peer: &NodeId, attachment: Digest, ours: bool) -> String {
        let Some(attachments) = self.peers.get(peer).map(|known| &known.durable.attachments) else {
            return String::new();
        };
        let files = if ours { &attachments.ours } else { &attachments.theirs };
        let (from, to) = if ours { (&self.own, peer) } else { (peer, &self.own) };
        let id = files.message_of(&attachment);
        let id = id.map(|(lane, seq)| EnvelopeId { from: from.clone(), to: to.clone(), lane, seq });
        id.map_or_else(String::new, |id| id.to_string())
    }

    fn attachment_told(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        attachment: Digest,
        news: AttachmentNews,
        batch: &mut Batch,
    ) {
        tell(batch, Happening::Attachment(peer.clone(), attachment, news));
        self.end_lost(moment, peer, batch);
    }

    /// The alarm lasts for as long as something that was given up is named.
    pub(super) fn end_lost(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        if self.peers.get(peer).is_some_and(|known| known.durable.attachments.lost() == 0) {
            self.clear(moment, LOST, Some(peer), batch);
        }
    }
}

fn stop_obtaining(known: &mut Peer, attachment: &Digest) {
    if let Link::Up(up) = &mut known.link {
        up.obtaining.remove(attachment);
    }
}
