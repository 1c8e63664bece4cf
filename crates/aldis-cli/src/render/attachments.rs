//! The files that messages name: what they are and where. Name and type are their sender's words, and shown as such.

use std::path::Path;

use aldis_control::{AttachmentState, AttachmentView, Direction, MessageRow, UploadedAttachment};

use super::{Page, bytes};
use crate::paint::Tone;
use crate::screen;

/// One file: what it is, and what to do about it.
pub(crate) fn attachment(id: &str, file: &AttachmentView, page: Page) -> String {
    let mut shown = page.field("File", &format!("{} of {id}", file.number));
    shown.push_str(&page.field("Name", &file.name));
    shown.push_str(&page.field("Type", &format!("{} (as its sender says)", file.media_type)));
    shown.push_str(&page.field("Size", &size(file)));
    shown.push_str(&page.field("SHA-256", &file.digest));
    let (state, tone) = state(file);
    shown.push_str(&page.toned_field("State", &state, tone));
    if file.state == AttachmentState::Held {
        let save = format!("`aldis attachment {id} {} --save FILE`", file.number);
        shown.push_str(&page.field("Save it", &save));
        shown.push_str(&page.field("", "It is untrusted: open it only where malware can do no harm."));
    }
    shown
}

/// The files of a message, one or two lines each.
pub(super) fn files(row: &MessageRow, page: Page) -> String {
    let mut shown = String::new();
    for file in &row.attachments {
        let (state, tone) = state(file);
        let name = if file.name.is_empty() { "(not shown)" } else { &file.name };
        let line = format!("{name}  {}, {}", size(file), file.media_type);
        shown.push_str(&page.field(&format!("File {}", file.number), line.trim_end_matches([' ', ','])));
        shown.push_str(&page.toned_field(" ", &state, tone));
        shown.push_str(&page.field(" ", &file.digest));
    }
    shown
}

/// How many of the files of a received message are here, as long as that is not all: `files 1/2`.
pub(super) fn missing(row: &MessageRow) -> Option<String> {
    let held = row.attachments.iter().filter(|file| file.state == AttachmentState::Held).count();
    let all = row.attachments.len();
    (row.direction == Direction::In && held < all).then(|| format!("files {held}/{all}"))
}

/// A file that was handed in.
pub(crate) fn uploaded(file: &UploadedAttachment, page: Page) -> String {
    let size = page.field("Size", &format!("{} bytes", file.size));
    format!("{}{size}{}", page.field("SHA-256", &file.digest), page.field("Until", "a message has an hour to name it"))
}

/// A file that was saved.
pub(crate) fn saved(file: &UploadedAttachment, path: &Path, page: Page) -> String {
    let mut shown = page.field("Saved", &path.display().to_string());
    shown.push_str(&page.field("Size", &format!("{} bytes", file.size)));
    shown.push_str(&page.field("SHA-256", &format!("{}, as its sender signed it", file.digest)));
    shown.push_str(&page.field("", "It is untrusted: open it only where malware can do no harm."));
    shown
}

/// How many bytes of the files of a message have come to their recipient, of how many; and the same in words.
pub(crate) fn came(row: &MessageRow) -> Option<((u64, u64), String)> {
    let here = |file: &AttachmentView| match file.state {
        AttachmentState::Held => file.size,
        _ => file.bytes.unwrap_or(0).min(file.size),
    };
    let (done, all) = (row.attachments.iter().map(here).sum(), row.attachments.iter().map(|file| file.size).sum());
    let held = row.attachments.iter().filter(|file| file.state == AttachmentState::Held).count();
    let text = format!("files {held}/{}, {} of {}", row.attachments.len(), bytes(done), bytes(all));
    (!row.attachments.is_empty()).then_some(((done, all), text))
}

/// How many bytes of the files of a message that was sent the recipient has, of how many; none once no more is to come.
pub(crate) fn under_way(row: &MessageRow) -> Option<(u64, u64)> {
    let waits = row.attachments.iter().any(|file| file.state == AttachmentState::Waiting);
    came(row).filter(|_| waits).map(|(bytes, _)| bytes)
}

fn size(file: &AttachmentView) -> String {
    if file.size < 1024 {
        format!("{} bytes", file.size)
    } else {
        format!("{} ({} bytes)", bytes(file.size), file.size)
    }
}

/// Where a file is, in words.
fn state(file: &AttachmentView) -> (String, Tone) {
    let so_far = file.bytes.map(|done| format!(": {} of {}", bytes(done), bytes(file.size))).unwrap_or_default();
    match file.state {
        AttachmentState::Held => ("held, verified".to_owned(), Tone::Good),
        AttachmentState::Arriving => (format!("arriving{so_far}"), Tone::Heading),
        AttachmentState::Waiting => (format!("waiting for the recipient to have it{so_far}"), Tone::Plain),
        AttachmentState::Lost => {
            let why = file.reason.as_deref().map(|reason| format!(": {}", screen::cell(reason))).unwrap_or_default();
            (format!("LOST{why}"), Tone::Bad)
        }
    }
}
