//! The files that messages name, as the signed bodies say, with where they are: the file store knows what is here, the
//! rows what became of it.

use aldis_control::{AttachmentState, AttachmentView, Direction, MessageRow};
use aldis_wire::attachment::Attachment;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, NodeId};

use super::red::is_red;
use super::{Found, Order, Query, QueryError, Red, SEARCH_ROWS_MAX, Way, peer};
use crate::log::rows::{End, Fate, FateOf, fate_key, peer_prefix};

/// The most messages of a peer that are looked at for the one that names a file: the latest.
const NAMING_LOOK_MAX: usize = SEARCH_ROWS_MAX / 10;

/// A file that a message names.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// The message.
    pub message: EnvelopeId,
    /// Whether it is TLP:RED, so that its opening is on record first.
    pub is_red: bool,
    /// Its place there, from 1.
    pub number: u32,
    /// Whose it is; none for one of ours.
    pub from: Option<NodeId>,
    /// What it is known by.
    pub digest: Digest,
    /// Its length, in bytes.
    pub size: u64,
    /// Where it is.
    pub state: AttachmentState,
}

impl Query {
    /// One file of a message, for whoever opens it.
    pub fn file_of(&self, id: &EnvelopeId, number: u32) -> Result<NamedFile, QueryError> {
        let found = self.find(id)?;
        let no_file = || QueryError::NoFile { message: id.clone(), number };
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(no_file)?;
        let attachments = self.summary(&found, Red::Shown)?.attachments;
        let Attachment { digest, size, .. } = *attachments.get(place).ok_or_else(no_file)?;
        let from = (found.message.way == Way::In).then(|| id.from.clone());
        let (state, _, _) = self.whereabouts(&found, digest)?;
        Ok(NamedFile { message: id.clone(), is_red: is_red(&found), number, from, digest, size, state })
    }

    /// The latest message from a peer, or to it, that names a file, and the file's place in it; `None` if none that is read
    /// here does.
    pub fn naming(
        &self,
        direction: Direction,
        peer: &NodeId,
        digest: Digest,
    ) -> Result<Option<(MessageRow, u32)>, QueryError> {
        let way = if direction == Direction::In { Way::In } else { Way::Out };
        let (mut naming, mut looked) = (None, 0);
        self.walk(&peer_prefix(peer), None, Order::Descending, |key, name| {
            looked += 1;
            if let Some(found) = self.found(key, name)?.filter(|found| found.message.way == way) {
                let attachments = self.summary(&found, Red::Withheld)?.attachments;
                let place = attachments.iter().position(|file| file.digest == digest);
                naming = place.and_then(|place| Some((found, u32::try_from(place + 1).ok()?)));
            }
            Ok(naming.is_none() && looked < NAMING_LOOK_MAX)
        })?;
        naming.map(|(found, number)| Ok((self.row_of(&found, Red::Withheld)?, number))).transpose()
    }

    /// The files of a message. Of one that is TLP:RED a list shows only how large they are and where.
    pub(super) fn files(
        &self,
        found: &Found,
        attachments: &[Attachment],
        red: Red,
    ) -> Result<Vec<AttachmentView>, QueryError> {
        let withheld = red.withholds(found);
        let shown = |text: &str| if withheld { String::new() } else { text.to_owned() };
        let files = attachments.iter().zip(1..).map(|(file, number)| {
            let (state, bytes, reason) = self.whereabouts(found, file.digest)?;
            Ok(AttachmentView {
                number,
                name: shown(&file.name),
                media_type: shown(&file.media_type),
                digest: shown(&file.digest.to_hex()),
                size: file.size,
                state,
                bytes,
                reason,
            })
        });
        files.collect()
    }

    /// Where a file is, how much of it, and why it will not come.
    fn whereabouts(
        &self,
        found: &Found,
        digest: Digest,
    ) -> Result<(AttachmentState, Option<u64>, Option<String>), QueryError> {
        let Found { message, .. } = found;
        let lost = |why: &str| Ok((AttachmentState::Lost, None, Some(why.to_owned())));
        if message.way == Way::In && self.attachments.holds_from(peer(found), digest) {
            return Ok((AttachmentState::Held, None, None));
        }
        match &message.end {
            Some(End::Refused(_)) => return lost("the message that names it was refused"),
            Some(End::Expired) => return lost("the message that names it expired"),
            Some(End::Recalled) => return lost("the message that names it was taken back"),
            None => {}
        }
        let fate: Option<Fate> = self.get(&fate_key(message.way, peer(found), digest))?;
        match (fate.map(|fate| (fate.to, fate.record > message.record)), message.way) {
            (Some((FateOf::Taken, _)), Way::Out) => Ok((AttachmentState::Held, None, None)),
            // A later message that names it has it asked for anew.
            (Some((FateOf::Lost(why), true)), _) => lost(&why),
            (_, Way::In) => {
                let bytes = self.attachments.progress(peer(found), digest).unwrap_or(0);
                Ok((AttachmentState::Arriving, Some(bytes), None))
            }
            (_, Way::Out) => Ok((AttachmentState::Waiting, self.attachments.sent(peer(found), digest), None)),
        }
    }
}
