//! Cards: showing one, exporting our own, and enrolling a peer from its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use aldis_control::PeerAddRequest;

use super::{Session, daemon};
use crate::args::CardCommand;
use crate::failure::Failure;
use crate::render;

/// A card is a few kilobytes; anything far beyond is not a card.
const MAX_CARD_BYTES: u64 = 256 * 1024;

pub(crate) async fn run(session: &Session, command: CardCommand) -> Result<(), Failure> {
    match command {
        CardCommand::Show { file } => daemon::card_show(&file, session.json).await,
        CardCommand::Export { output } => export(session, output.as_deref()).await,
    }
}

/// Enrols a peer from its card file.
pub(crate) async fn enrol(session: &Session, file: &Path) -> Result<(), Failure> {
    let card = read_text(file, MAX_CARD_BYTES)?;
    let peer = session.client.peer_add(&PeerAddRequest { card }).await?;
    session.show(&peer, render::peer_added)
}

/// Writes our own card. An existing file is never overwritten: it may be somebody else's card.
async fn export(session: &Session, output: Option<&Path>) -> Result<(), Failure> {
    let card = session.client.card().await?;
    let Some(path) = output else {
        // Armoured text is plain by definition; JSON only where it was asked for.
        return session.show(&card, |card, _| crate::screen::block(&card.text, "", usize::MAX));
    };
    let failed = |source| Failure::File { doing: "create", path: path.to_owned(), source };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(card.text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Reads a text file, or standard input for `-`, up to a limit.
pub(crate) fn read_text(path: &Path, limit_bytes: u64) -> Result<String, Failure> {
    let failed = |source| Failure::File { doing: "read", path: path.to_owned(), source };
    let source: Box<dyn Read> =
        if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    let mut bytes = Vec::new();
    source.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        let what = format!("{} is larger than {limit_bytes} bytes", path.display());
        return Err(Failure::usage(what, "check that it is the right file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let what = format!("{} is not UTF-8 text: byte {}", path.display(), error.utf8_error().valid_up_to());
        Failure::usage(what, "save it as UTF-8 and try again")
    })
}
