//! The files that messages name, as the signed bodies say, with where they are: the file store knows what is here, the
//! rows what became of it.

use crate::attachments::Outcome;
use aldis_control::{AttachmentState, AttachmentView, MessageRow};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, NodeId};
use serde_json::Value;

use super::red::is_red;
use super::{Found, Order, Query, QueryError, Red, SEARCH_ROWS_MAX, Way, peer};
use crate::log::rows::{End, peer_prefix};

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

/// A file as a body names it.
struct Attached {
    digest: Digest,
    size: u64,
    name: String,
    media_type: String,
}

impl Query {
    /// One file of a message, for whoever opens it.
    pub fn file_of(&self, id: &EnvelopeId, number: u32) -> Result<NamedFile, QueryError> {
        let found = self.find(id)?;
        let no_file = || QueryError::NoFile { message: id.clone(), number };
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(no_file)?;
        let Attached { digest, size, .. } = self.attached(&found)?.into_iter().nth(place).ok_or_else(no_file)?;
        let from = (found.message.way == Way::In).then(|| id.from.clone());
        let (state, _, _) = self.whereabouts(&found, digest);
        Ok(NamedFile { message: id.clone(), is_red: is_red(&found), number, from, digest, size, state })
    }

    /// The latest message of a peer that names a file, and the file's place in it; `None` if none that is read here does.
    pub fn naming(&self, peer: &NodeId, digest: Digest) -> Result<Option<(MessageRow, u32)>, QueryError> {
        let (mut naming, mut looked) = (None, 0);
        self.walk(&peer_prefix(peer), None, Order::Descending, |key, name| {
            looked += 1;
            if let Some(found) = self.found(key, name)?.filter(|found| found.message.way == Way::In) {
                let place = self.attached(&found)?.iter().position(|file| file.digest == digest);
                naming = place.and_then(|place| Some((found, u32::try_from(place + 1).ok()?)));
            }
            Ok(naming.is_none() && looked < NAMING_LOOK_MAX)
        })?;
        naming.map(|(found, number)| Ok((self.row_of(&found, Red::Withheld)?, number))).transpose()
    }

    /// The files of a message. Of one that is TLP:RED a list shows only how large they are and where.
    pub(super) fn files(&self, found: &Found, red: Red) -> Result<Vec<AttachmentView>, QueryError> {
        let withheld = red.withholds(found);
        let shown = |text: String| if withheld { String::new() } else { text };
        let files = self.attached(found)?.into_iter().zip(1..).map(|(file, number)| {
            let (state, bytes, reason) = self.whereabouts(found, file.digest);
            AttachmentView {
                number,
                name: shown(file.name),
                media_type: shown(file.media_type),
                digest: shown(file.digest.to_hex()),
                size: file.size,
                state,
                bytes,
                reason,
            }
        });
        Ok(files.collect())
    }

    /// What a body names. Nothing where the body is gone or not understood.
    fn attached(&self, found: &Found) -> Result<Vec<Attached>, QueryError> {
        let Ok(body) = self.json(found, Red::Shown)? else { return Ok(Vec::new()) };
        let files = body.get("attachments").and_then(Value::as_array);
        let text = |file: &Value, field: &str| Some(file.get(field)?.as_str()?.to_owned());
        let attached = |file: &Value| {
            let digest = data_encoding::HEXLOWER.decode(file.get("digest")?.as_str()?.as_bytes()).ok()?;
            let digest = Digest::from_bytes(digest.try_into().ok()?);
            let size = file.get("size")?.as_u64()?;
            Some(Attached { digest, size, name: text(file, "name")?, media_type: text(file, "media_type")? })
        };
        Ok(files.into_iter().flatten().filter_map(attached).collect())
    }

    /// Where a file is, how much of it, and why it will not come.
    fn whereabouts(&self, found: &Found, digest: Digest) -> (AttachmentState, Option<u64>, Option<String>) {
        let message = &found.message;
        let lost = |why: &str| (AttachmentState::Lost, None, Some(why.to_owned()));
        let held = message.way == Way::In && self.attachments.holds_from(peer(found), digest);
        match &message.end {
            _ if held => (AttachmentState::Held, None, None),
            Some(End::Refused(_)) => lost("the message that names it was refused"),
            Some(End::Expired) => lost("the message that names it expired"),
            Some(End::Recalled) => lost("the message that names it was taken back"),
            None if message.way == Way::In => {
                if let Some(Outcome::Lost(why)) = self.attachments.outcome_of_theirs(peer(found), digest) {
                    return lost(why);
                }
                let bytes = self.attachments.progress(peer(found), digest).unwrap_or(0);
                (AttachmentState::Arriving, Some(bytes), None)
            }
            None => match self.attachments.outcome_of_ours(peer(found), digest) {
                Some(Outcome::Taken) => (AttachmentState::Held, None, None),
                Some(Outcome::Lost(why)) => lost(why),
                None => (AttachmentState::Waiting, self.attachments.sent(peer(found), digest), None),
            },
        }
    }
}
