//! The manifest of a backup: what it holds, to the byte. It is read as something a stranger may have written: names are
//! parsed, lengths are claims, and a second file holds its digest, so that a flipped bit in it is found too.

use super::error::RestoreError;
use crate::journal;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use data_encoding::HEXLOWER;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The manifest's file in a generation.
pub const MANIFEST_NAME: &str = "manifest.json";
/// The file beside it that holds its digest, as `sha256sum` writes it.
pub(super) const SUM_NAME: &str = "manifest.sha256";
/// The form this program writes and reads.
const FORMAT: u32 = 1;
/// The longest manifest that is read, in bytes: some 200,000 files.
const MANIFEST_MAX_BYTES: u64 = 64 << 20;
/// The directory of the journal in a generation.
pub(super) const JOURNAL_DIR: &str = "journal";
/// The directory of everything else in it.
pub(super) const NODE_DIR: &str = "node";
/// The longest name of a file, in bytes.
const NAME_MAX_BYTES: usize = 120;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of this file and of what stands beside it.
    pub format: u32,
    /// Whose backup it is.
    pub node: NodeId,
    /// How many records the journal has in it.
    pub records: u64,
    /// The Merkle root over them.
    pub root: Sum,
    /// When it was made.
    pub made_at: UnixMillis,
    /// By which version of the program.
    pub made_by: String,
    /// Every file but this one and its digest.
    pub files: Vec<Kept>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its name in the generation.
    pub name: FileName,
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sum,
    /// Where it was copied from, for whoever puts it back by hand; absent for the journal's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<String>,
}

/// What every form of a manifest says of itself.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// A digest, in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sum(pub Digest);

impl TryFrom<String> for Sum {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(Digest::from_bytes(bytes))).ok_or("a digest has 64 hexadecimal digits")
    }
}

impl From<Sum> for String {
    fn from(sum: Sum) -> Self {
        sum.0.to_hex()
    }
}

/// The name of a file in a generation: `journal/` and a file of a journal, or `node/` and a plain name. It leads nowhere
/// else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

impl FileName {
    /// The name of a file of the journal.
    pub(super) fn of_journal(name: &str) -> Self {
        Self(format!("{JOURNAL_DIR}/{name}"))
    }

    /// The name of the file number `index` of the others, which was at `path`.
    pub(super) fn of_node(index: usize, path: &Path) -> Self {
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        let plain: String = own.chars().map(|c| if is_plain(c) { c } else { '_' }).take(NAME_MAX_BYTES - 8).collect();
        Self(format!("{NODE_DIR}/{index:02}-{plain}"))
    }

    /// The name, from the generation's directory on.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a file of the journal.
    pub fn is_of_journal(&self) -> bool {
        self.0.starts_with(JOURNAL_DIR)
    }
}

impl TryFrom<String> for FileName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let good = text.split_once('/').is_some_and(|(dir, name)| match dir {
            JOURNAL_DIR => journal::is_part(name),
            NODE_DIR => {
                name.len() <= NAME_MAX_BYTES
                    && name.starts_with(|c: char| c.is_ascii_digit())
                    && name.chars().all(is_plain)
            }
            _ => false,
        });
        if good { Ok(Self(text)) } else { Err(format!("{text:?} is no name of a file in a backup")) }
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c)
}

impl Manifest {
    /// The manifest of what was just written.
    pub(super) fn new(node: NodeId, head: &journal::TreeHead, made_at: UnixMillis, files: Vec<Kept>) -> Self {
        let made_by = concat!("aldisd ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { format: FORMAT, node, records: head.size, root: Sum(head.root), made_at, made_by, files }
    }

    /// Where the journal in it ends.
    pub fn head(&self) -> journal::TreeHead {
        journal::TreeHead { size: self.records, root: self.root.0 }
    }

    /// The length of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|kept| kept.bytes).sum()
    }

    /// The file's text, and that of the file that holds its digest.
    pub(super) fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let text = serde_json::to_vec_pretty(self).expect("a manifest is made of strings and numbers");
        let sum = sum_line(&text);
        (text, sum)
    }

    /// Reads and checks the manifest of the generation in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, RestoreError> {
        let path = dir.join(MANIFEST_NAME);
        let unfit = |problem: String| RestoreError::Manifest { path: path.clone(), problem };
        let text =
            read_bounded(&path, MANIFEST_MAX_BYTES).map_err(|error| unfit(format!("cannot be read: {error}")))?;
        let sum = read_bounded(&dir.join(SUM_NAME), 256).map_err(|error| unfit(format!("{SUM_NAME}: {error}")))?;
        if sum != sum_line(&text) {
            return Err(unfit(format!("its digest is not the one in {SUM_NAME}, so one of the two was changed")));
        }
        let form: Form = serde_json::from_slice(&text).map_err(|error| unfit(error.to_string()))?;
        if form.format != FORMAT {
            return Err(unfit(format!("its form is {} and this program reads {FORMAT}: use a newer one", form.format)));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| unfit(error.to_string()))?;
        let names: BTreeSet<&FileName> = manifest.files.iter().map(|kept| &kept.name).collect();
        if names.len() != manifest.files.len() {
            return Err(unfit("it names a file twice".to_owned()));
        }
        if manifest.files.iter().try_fold(0_u64, |sum, kept| sum.checked_add(kept.bytes)).is_none() {
            return Err(unfit("it names more bytes than can be counted".to_owned()));
        }
        if !names.contains(&FileName::of_journal(journal::ANCHOR_FILE)) {
            return Err(unfit("it names no whole journal".to_owned()));
        }
        Ok(manifest)
    }
}

fn sum_line(text: &[u8]) -> Vec<u8> {
    format!("{}  {MANIFEST_NAME}\n", Digest::of(&[text]).to_hex()).into_bytes()
}

/// Opens a file to read it: a regular one, and no link to one.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).expect("open flags are small");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

fn read_bounded(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes { Err(io::Error::other("it is far too long")) } else { Ok(bytes) }
}
