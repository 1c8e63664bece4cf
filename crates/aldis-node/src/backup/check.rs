//! Verifying a backup: every file against the manifest, nothing there that it does not name, and the journal in it walked
//! from its first record to its last. Nothing is changed.

use super::error::RestoreError;
use super::generations;
use super::manifest::{JOURNAL_DIR, Kept, MANIFEST_NAME, Manifest, NODE_DIR, SUM_NAME, open_plain};
use crate::journal::TreeHead;
use crate::verification;
use aldis_wire::digest::Digest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much is read at a time; progress is told after each piece.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// The most places that are named.
const FINDINGS_MAX: usize = 1_000;

/// Told how many bytes are done, how many there are, and of what. It may unwind to end the work.
pub(super) type Tell<'a> = dyn FnMut(u64, u64, &str) + 'a;

#[derive(Serialize)]
struct Shown<'a> {
    ok: bool,
    generation: &'a Path,
    manifest: &'a Manifest,
    findings: &'a [String],
}

/// A backup that was looked through.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Which generation.
    pub generation: PathBuf,
    /// What it should hold.
    pub manifest: Manifest,
    /// Every place that is not as it was written.
    pub findings: Vec<String>,
}

impl Checked {
    /// For people.
    pub fn text(&self) -> String {
        let (manifest, head) = (&self.manifest, self.manifest.head());
        let mut text: String = self.findings.iter().map(|finding| format!("{finding}\n")).collect();
        text.push_str(&format!(
            "{}: {}, {head}, made at {}\n",
            self.generation.display(),
            manifest.node,
            manifest.made_at
        ));
        text.push_str(&format!("{} files, {} bytes\n", manifest.files.len(), manifest.bytes()));
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let shown = Shown {
            ok: self.findings.is_empty(),
            generation: &self.generation,
            manifest: &self.manifest,
            findings: &self.findings,
        };
        let text = serde_json::to_string_pretty(&shown).expect("it is made of strings and numbers");
        format!("{text}\n")
    }

    /// The error that it is not whole, if it is not.
    pub fn refuse_damage(&self) -> Result<(), RestoreError> {
        match self.findings.first() {
            None => Ok(()),
            Some(first) => Err(RestoreError::Damaged { count: self.findings.len(), first: first.clone() }),
        }
    }
}

/// Verifies the newest backup in `dir`, or the one that `dir` is. Only one that cannot be read at all, or has no good
/// manifest, is an error; damage is a finding.
pub fn check(dir: &Path, tell: &mut Tell<'_>) -> Result<Checked, RestoreError> {
    let generation = generations::find(dir)?;
    let manifest = Manifest::read(&generation)?;
    let mut findings = unnamed(&generation, &manifest)?;
    let (total, mut done) = (manifest.bytes(), 0);
    let mut is_walkable = findings.is_empty();
    for kept in &manifest.files {
        let what = match digest_of(&generation.join(kept.name.as_str()), kept.bytes, &mut |bytes| {
            tell(done + bytes, total, "files");
        }) {
            Ok(digest) if digest == kept.sha256.0 => None,
            Ok(_) => Some("it does not have the digest in the manifest".to_owned()),
            Err(error) => {
                is_walkable = false;
                Some(error.to_string())
            }
        };
        findings.extend(what.map(|what| format!("{}: {what}", kept.name.as_str())));
        done += kept.bytes;
    }
    // Damage has a place in the journal too, and that says which record it is. Only plain files are walked.
    if is_walkable {
        findings.extend(walked(&generation.join(JOURNAL_DIR), &manifest.head(), tell));
    }
    findings.truncate(FINDINGS_MAX);
    Ok(Checked { generation, manifest, findings })
}

/// What does not verify in the journal in `dir`, which must end with `head`.
pub(super) fn walked(dir: &Path, head: &TreeHead, tell: &mut Tell<'_>) -> Vec<String> {
    let walked = verification::of_journal(dir, Some(*head), &mut |done, total, _| tell(done, total, "journal"));
    let report = match walked {
        Ok(report) => report,
        Err(error) => return vec![format!("{JOURNAL_DIR}: {error}")],
    };
    let mut findings: Vec<String> = report.findings.iter().map(|finding| format!("{JOURNAL_DIR}/{finding}")).collect();
    if report.head != *head && findings.is_empty() {
        findings.push(format!("{JOURNAL_DIR}: it ends with {}, the manifest says {head}", report.head));
    }
    findings
}

/// The digest of the file at `path`, which must be `bytes` long; `tell` gets how much of it is read.
pub(super) fn digest_of(path: &Path, bytes: u64, tell: &mut dyn FnMut(u64)) -> io::Result<Digest> {
    let mut file = open_plain(path)?;
    let length = file.metadata()?.len();
    if length != bytes {
        return Err(io::Error::other(format!("it is {length} bytes long and should be {bytes}")));
    }
    digest_pieces(&mut file, bytes, &mut |done, _| {
        tell(done);
        Ok(())
    })
}

/// Reads `bytes` from `file` and hands each piece, with how much was read by its end, to `take`.
pub(super) fn digest_pieces(
    file: &mut File,
    bytes: u64,
    take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<Digest> {
    let (mut hash, mut done, mut piece) = (Sha256::new(), 0, vec![0; PIECE_BYTES]);
    while done < bytes {
        let length = PIECE_BYTES.min(usize::try_from(bytes - done).unwrap_or(PIECE_BYTES));
        file.read_exact(&mut piece[..length])?;
        hash.update(&piece[..length]);
        done += length as u64;
        take(done, &piece[..length])?;
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

/// What stands in the generation and not in its manifest.
fn unnamed(generation: &Path, manifest: &Manifest) -> Result<Vec<String>, RestoreError> {
    let named: BTreeSet<&str> = manifest.files.iter().map(|kept: &Kept| kept.name.as_str()).collect();
    let mut found = Vec::new();
    for dir in ["", JOURNAL_DIR, NODE_DIR] {
        let path = generation.join(dir);
        let is_dir = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if !is_dir {
            found.push(format!("{}: it is not there, or is no directory", path.display()));
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(RestoreError::io("list", &path))? {
            let name = entry.map_err(RestoreError::io("list", &path))?.file_name();
            let name =
                if dir.is_empty() { name.to_string_lossy().into_owned() } else { format!("{dir}/{}", name.display()) };
            let known = [MANIFEST_NAME, SUM_NAME, JOURNAL_DIR, NODE_DIR].contains(&name.as_str());
            if !known && !named.contains(name.as_str()) && found.len() < FINDINGS_MAX {
                found.push(format!("{name:?}: the manifest does not name it"));
            }
        }
    }
    Ok(found)
}
