//! What became of files, as the records say, for whoever looks at messages; and at a start, what of the store the records
//! know.

use super::{Attachments, PART_SUFFIX, StoreError, locked};
use aldis_core::Core;
use aldis_core::attachments::FileState;
use aldis_core::effect::AttachmentNews;
use aldis_core::record::LostReason;
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What became of a file that does not follow from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer says that it has it.
    Taken,
    /// It was given up, for this reason.
    Lost(&'static str),
}

/// The outcomes; there is one at most for each file that the core knows.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    ours: BTreeMap<(Digest, NodeId), Outcome>,
    theirs: BTreeMap<(Digest, NodeId), Outcome>,
}

impl Attachments {
    /// Takes in what the records say of a file.
    pub fn note_outcome(&self, peer: &NodeId, attachment: Digest, news: AttachmentNews) {
        let key = (attachment, peer.clone());
        let mut outcomes = locked(&self.0.outcomes);
        match news {
            AttachmentNews::Held => drop(outcomes.theirs.remove(&key)),
            AttachmentNews::Taken => drop(outcomes.ours.insert(key, Outcome::Taken)),
            AttachmentNews::Lost(LostReason::Gone) => {}
            AttachmentNews::Lost(reason @ LostReason::ByPeer) => {
                outcomes.ours.insert(key, Outcome::Lost(reason.explanation()));
            }
            AttachmentNews::Lost(reason) => drop(outcomes.theirs.insert(key, Outcome::Lost(reason.explanation()))),
        }
        if matches!(news, AttachmentNews::Taken | AttachmentNews::Lost(LostReason::ByPeer)) {
            self.forget_sent(peer, attachment);
        }
    }

    /// A peer's file is fetched once more.
    pub fn note_fetched(&self, peer: &NodeId, attachment: Digest) {
        locked(&self.0.outcomes).theirs.remove(&(attachment, peer.clone()));
    }

    /// Nothing names a file any more: of this peer's, or of ours.
    pub fn forget_outcome(&self, peer: Option<&NodeId>, attachment: Digest) {
        let mut outcomes = locked(&self.0.outcomes);
        match peer {
            Some(peer) => drop(outcomes.theirs.remove(&(attachment, peer.clone()))),
            None => outcomes.ours.retain(|(digest, _), _| *digest != attachment),
        }
    }

    /// What a peer said of a file of ours.
    pub fn outcome_of_ours(&self, peer: &NodeId, attachment: Digest) -> Option<Outcome> {
        locked(&self.0.outcomes).ours.get(&(attachment, peer.clone())).copied()
    }

    /// What became of a peer's file, if it was given up.
    pub fn outcome_of_theirs(&self, peer: &NodeId, attachment: Digest) -> Option<Outcome> {
        locked(&self.0.outcomes).theirs.get(&(attachment, peer.clone())).copied()
    }

    /// At a start: removes what no message names, takes in what became of the rest, and says which files are held by the
    /// records and are not here.
    pub fn settle(&self, core: &Core) -> Result<Vec<(NodeId, Digest)>, StoreError> {
        for (path, attachment) in self.list(&self.ours_dir())? {
            if !core.names_ours(&attachment) {
                self.remove(&path)?;
            }
        }
        let mut gone = Vec::new();
        for (peer, known) in core.peers() {
            self.note_known(peer, known);
            let mut here = BTreeSet::new();
            for (path, attachment) in self.list(&self.peer_dir(peer))? {
                match core.names_theirs(peer, &attachment) {
                    None | Some(FileState::Lost) => self.remove(&path)?,
                    Some(FileState::Open | FileState::Held) => {
                        if path.extension().is_none() {
                            here.insert(attachment);
                        }
                    }
                }
            }
            let held = known.durable.attachments.theirs.iter().filter(|(_, file)| file.state == FileState::Held);
            let missing = held.filter(|(attachment, _)| !here.contains(*attachment));
            gone.extend(missing.map(|(attachment, _)| (peer.clone(), *attachment)));
        }
        Ok(gone)
    }

    fn note_known(&self, peer: &NodeId, known: &aldis_core::peer::Peer) {
        let attachments = &known.durable.attachments;
        for (attachment, file) in attachments.ours.iter() {
            match file.state {
                FileState::Open => {}
                FileState::Held => self.note_outcome(peer, *attachment, AttachmentNews::Taken),
                FileState::Lost => self.note_outcome(peer, *attachment, AttachmentNews::Lost(LostReason::ByPeer)),
            }
        }
        for (attachment, _) in attachments.theirs.iter().filter(|(_, file)| file.state == FileState::Lost) {
            self.note_outcome(peer, *attachment, AttachmentNews::Lost(LostReason::NotHeld));
        }
    }

    /// The files of a directory, complete or on their way, by their digests; what has another name is left alone.
    fn list(&self, dir: &Path) -> Result<Vec<(PathBuf, Digest)>, StoreError> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("list", dir)(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("list", dir))?.path();
            let named = path.extension().is_none_or(|suffix| suffix == PART_SUFFIX);
            let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| named);
            if let Some(attachment) = stem.and_then(Digest::from_hex) {
                files.push((path, attachment));
            }
        }
        Ok(files)
    }
}
