//! Files of this machine on their way to the daemon: looked at before anything is sent, then handed in piece by piece.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use aldis_control::{ATTACHMENT_MAX_BYTES, ATTACHMENTS_MAX, AttachmentToSend, UploadedAttachment};
use bytes::Bytes;
use futures_util::{Stream, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;

use super::Session;
use crate::failure::Failure;
use crate::screen;

/// How much of a file is read at once, and how many such pieces wait for the daemon.
const PIECE_BYTES: usize = 1024 * 1024;
const PIECES_WAITING_MAX: usize = 4;

/// The longest name of a file that a message can hold, in bytes.
const NAME_MAX_BYTES: usize = 255;

/// What a file is when its name does not say: nobody looks into it.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What the end of a name says about a file.
const TYPES: [(&str, &str); 24] = [
    ("7z", "application/x-7z-compressed"),
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eml", "message/rfc822"),
    ("gz", "application/gzip"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pcap", "application/vnd.tcpdump.pcap"),
    ("pcapng", "application/x-pcapng"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("txt", "text/plain"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// A file that can be handed in: it is there, readable, and neither empty nor too long.
#[derive(Debug)]
pub(crate) struct Attachable {
    path: PathBuf,
    file: File,
    name: String,
    media_type: &'static str,
    bytes: u64,
}

impl Attachable {
    /// Looks at every file, before anything is sent.
    pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<Self>, Failure> {
        if paths.len() > ATTACHMENTS_MAX {
            let what = format!("{} files are to be attached, and {ATTACHMENTS_MAX} are allowed", paths.len());
            return Err(Failure::usage(what, "pack them into one archive, or send several messages"));
        }
        paths.iter().map(|path| Self::open(path)).collect()
    }

    fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |what: &str, advice: &str| {
            Err(Failure::usage(format!("{} {what}", screen::cell(&path.display().to_string())), advice))
        };
        let failed = |source| Failure::File { doing: "read", path: path.to_owned(), source };
        // Asked before it is opened: opening a pipe would wait for somebody to write.
        let metadata = path.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return wrong("is a directory", "pack it into one archive, such as with `tar` or `zip`, and attach that");
        }
        if !metadata.is_file() {
            return wrong("is not a file", "write what it holds to a file, and attach that");
        }
        if metadata.len() == 0 {
            return wrong("is empty", "attach it when something stands in it, or leave it out");
        }
        if metadata.len() > ATTACHMENT_MAX_BYTES {
            return wrong("is larger than 4 GiB", "compress it, or split it with `split -b 4G`");
        }
        let file = File::open(path).map_err(failed)?;
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        if name.is_empty() || name.len() > NAME_MAX_BYTES || name.chars().any(|one| one.is_control() || one == '\\') {
            return wrong("has a name that cannot be sent", "rename it: at most 255 bytes of UTF-8 on one line");
        }
        let media_type = media_type(&name);
        Ok(Self { path: path.to_owned(), file, name, media_type, bytes: metadata.len() })
    }
}

/// Hands the files in, one after the other. Nothing is sent by it: what no message names is gone after an hour.
pub(crate) async fn hand_in(session: &Session, files: Vec<Attachable>) -> Result<Vec<AttachmentToSend>, Failure> {
    let total = files.iter().map(|file| file.bytes).sum();
    let bar = bar(session, total);
    let mut named: Vec<(PathBuf, AttachmentToSend)> = Vec::with_capacity(files.len());
    for Attachable { path, file, name, media_type, bytes } in files {
        bar.set_message(screen::cut(&screen::cell(&name), 20));
        let uploaded = upload(session, &path, file, bytes, &bar).await?;
        if let Some((other, _)) = named.iter().find(|(_, one)| one.digest == uploaded.digest) {
            let what = format!("{} and {} are the same bytes", other.display(), path.display());
            return Err(Failure::usage(what, "attach one of them; nothing was sent"));
        }
        named.push((path, AttachmentToSend { digest: uploaded.digest, name, media_type: media_type.to_owned() }));
    }
    bar.finish_and_clear();
    Ok(named.into_iter().map(|(_, file)| file).collect())
}

/// Hands in one file by itself, for a message that a program sends.
pub(crate) async fn hand_in_one(session: &Session, path: &Path) -> Result<UploadedAttachment, Failure> {
    let Attachable { path, file, bytes, .. } = Attachable::open(path)?;
    let bar = bar(session, bytes);
    let uploaded = upload(session, &path, file, bytes, &bar).await?;
    bar.finish_and_clear();
    Ok(uploaded)
}

/// A bar in bytes. It goes to standard error and draws nothing unless that is a terminal.
pub(super) fn bar(session: &Session, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    if session.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg:20} {wide_bar} {bytes:>11} {bytes_per_sec:>13} {eta:>4}");
    bar.set_style(style.expect("the template is well formed"));
    bar
}

async fn upload(
    session: &Session,
    path: &Path,
    file: File,
    bytes: u64,
    bar: &ProgressBar,
) -> Result<UploadedAttachment, Failure> {
    let failed = |source| Failure::File { doing: "read", path: path.to_owned(), source };
    let (pieces, reading) = pieces(file, bytes, bar.clone());
    let uploaded = session.client.attachment_upload(bytes, pieces).await;
    match uploaded {
        Ok(uploaded) => Ok(uploaded),
        // What broke off the reading here broke off the request.
        Err(error) if reading.is_finished() => {
            reading.join().unwrap_or_else(|_| Err(io::Error::other("the reader broke off"))).map_err(failed)?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// As much of the file as was announced, read by a thread of its own. What was appended meanwhile is left out.
fn pieces(
    file: File,
    bytes: u64,
    bar: ProgressBar,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, thread::JoinHandle<io::Result<()>>) {
    let (to, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    let reading = thread::spawn(move || {
        let mut source = file.take(bytes);
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = source.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            if read == 0 {
                return if source.limit() == 0 { Ok(()) } else { Err(io::Error::other("it became shorter meanwhile")) };
            }
            bar.inc(read as u64);
            if to.blocking_send(Bytes::from(piece)).is_err() {
                return Ok(());
            }
        }
    });
    let pieces = stream::unfold(pieces, async |mut pieces: mpsc::Receiver<Bytes>| {
        pieces.recv().await.map(|piece| (Ok(piece), pieces))
    });
    (pieces, reading)
}

fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
    known.map_or(UNKNOWN_TYPE, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_attached_says_what_to_do_instead() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("empty"), "").unwrap();
        std::fs::write(path("good.pdf"), "x").unwrap();
        std::fs::write(path("bad\nname"), "x").unwrap();
        File::create(path("huge")).unwrap().set_len(ATTACHMENT_MAX_BYTES + 1).unwrap();
        File::create(path("largest")).unwrap().set_len(ATTACHMENT_MAX_BYTES).unwrap();
        let complaint = |name: &str| Attachable::all(&[path(name)]).unwrap_err().to_string();
        assert!(complaint("").contains("is a directory"));
        assert!(complaint("empty").contains("is empty"));
        assert!(complaint("huge").contains("larger than 4 GiB"));
        assert!(complaint("bad\nname").contains("name that cannot be sent"));
        assert!(complaint("absent").contains("cannot read"));
        assert!(Attachable::all(&vec![path("good.pdf"); 17]).unwrap_err().to_string().contains("17 files"));
        let good = Attachable::all(&[path("good.pdf"), path("largest")]).unwrap();
        assert_eq!((good[0].name.as_str(), good[0].media_type, good[0].bytes), ("good.pdf", "application/pdf", 1));
        assert_eq!(good[1].media_type, UNKNOWN_TYPE);
    }

    #[test]
    fn the_end_of_a_name_says_what_a_file_is() {
        for (name, expected) in [("a.PDF", "application/pdf"), ("a.tar.gz", "application/gzip"), ("pdf", UNKNOWN_TYPE)]
        {
            assert_eq!(media_type(name), expected, "{name}");
        }
    }
}
