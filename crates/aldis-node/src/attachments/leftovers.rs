//! What a crash may leave: files that nothing names any more. They are looked for at a start, and only then.

use super::{Attachments, FROM_DIR, PART_SUFFIX, StoreError};
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use std::fs;
use std::path::{Path, PathBuf};

impl Attachments {
    /// Removes every file that is not named: of ours by `names_ours`, of a peer's by `names_theirs`. Says how many. Call it
    /// before anybody uses the store. What has another sort of name stays, for nobody knows whose it is.
    pub fn keep_only(
        &self,
        names_ours: impl Fn(&Digest) -> bool,
        names_theirs: impl Fn(&NodeId, &Digest) -> bool,
    ) -> Result<usize, StoreError> {
        let mut removed = 0;
        for (path, digest) in files_in(&self.ours_dir())?.into_iter().filter(|(_, digest)| !names_ours(digest)) {
            tracing::info!(%digest, "a file that no message of ours names any more goes");
            self.remove(&path)?;
            removed += 1;
        }
        for dir in entries(&self.0.dir.join(FROM_DIR))? {
            let Some(peer) = dir.file_name().and_then(|name| NodeId::new(name.to_str()?).ok()) else { continue };
            let unnamed = files_in(&dir)?.into_iter().filter(|(_, digest)| !names_theirs(&peer, digest));
            for (path, digest) in unnamed {
                tracing::info!(%peer, %digest, "a file that no message of the peer's names any more goes");
                self.remove(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The files of a directory that have a digest for a name, complete or not.
fn files_in(dir: &Path) -> Result<Vec<(PathBuf, Digest)>, StoreError> {
    let digest = |path: &Path| {
        let is_ours = path.extension().is_none_or(|suffix| suffix == PART_SUFFIX);
        Digest::from_hex(path.file_stem()?.to_str()?).filter(|_| is_ours)
    };
    Ok(entries(dir)?.into_iter().filter_map(|path| digest(&path).map(|digest| (path, digest))).collect())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let paths = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    paths.map_err(StoreError::io("list", dir))
}
