//! The node's own card: made from configuration and keys, kept in a file, and signed again only when it says something new
//! or grows old. A card that says the same is the same bytes after a restart, so peers see no change where none is.

use crate::card_text::{self, CardFileError};
use crate::config::Config;
use crate::keys::OwnKeys;
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::Extensions;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How long a card is good.
const VALID_MS: u64 = 365 * 86_400_000;
/// When less than this is left, the card is signed again.
const RENEW_MS: u64 = VALID_MS / 2;

/// Why there is no card.
#[derive(Debug, thiserror::Error)]
pub enum OwnCardError {
    /// The system refuses.
    #[error("cannot {action} {}: {source}; check `node.card` in the configuration and that this user may write there",
        path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be read or is no card. It could be made anew, but not over something unknown.
    #[error("{0}; or move the file away, and the node makes a new one")]
    NotACard(#[source] CardFileError),
    /// The card in the file is of another node or key: probably the configuration names the wrong files.
    #[error("{} is not the card of {own} with the identity key of this configuration: put the right key back, or move the \
        file away if the change is meant", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Who this node is.
        own: NodeId,
    },
    /// The certificate is too large for a card.
    #[error("the TLS certificate has {bytes} bytes and a card carries at most 4096: make a smaller one")]
    Certificate {
        /// Its size.
        bytes: usize,
    },
}

/// Signs the card of the node at `now`. A higher `sequence` replaces a lower one at the peers.
pub fn sign(config: &Config, keys: &OwnKeys, now: UnixMillis, sequence: u64) -> Result<VerifiedCard, OwnCardError> {
    let certificate = keys.tls.card_certificate().der();
    let endpoints = config.network.endpoints.iter().map(|endpoint| endpoint.text().clone()).collect();
    let card = Card {
        version: CARD_VERSION,
        id: config.node.id.clone(),
        name: config.node.name.clone(),
        country: config.node.country.text().clone(),
        identity_key: *keys.identity.public().as_bytes(),
        tls_certificate: Blob::new(certificate.to_vec())
            .ok_or(OwnCardError::Certificate { bytes: certificate.len() })?,
        tls_name: keys.tls.card_name().map(|name| Text::new(name.as_str()).expect("a TLS name has at most 253 bytes")),
        endpoints: List::new(endpoints).expect("the configuration has at most 8 endpoints"),
        contacts: List::new(config.contacts.clone()).expect("the configuration has at most 16 contacts"),
        kinds: kinds::kind_versions(),
        issued_at: now,
        valid_until: now.plus_ms(VALID_MS),
        sequence,
        extensions: Extensions::default(),
    };
    Ok(card.sign(&keys.identity))
}

/// The card in the file `node.card` if it still says what configuration and keys say; otherwise a new one, written there.
pub fn refresh(config: &Config, keys: &OwnKeys, now: UnixMillis) -> Result<VerifiedCard, OwnCardError> {
    let path = &config.node.card;
    let kept = kept(config, keys)?;
    // Seconds since 1970: higher than any earlier card's even if the file was lost.
    let sequence = kept.as_ref().map_or(0, |kept| kept.card().sequence.saturating_add(1)).max(now.get() / 1_000);
    let fresh = sign(config, keys, now, sequence)?;
    match kept {
        Some(kept) if says_the_same(kept.card(), fresh.card()) && is_fresh(kept.card(), now) => Ok(kept),
        _ => {
            write(path, &fresh)?;
            Ok(fresh)
        }
    }
}

/// The card in the file, if there is one. `Err` if it is none, or not this node's.
pub fn kept(config: &Config, keys: &OwnKeys) -> Result<Option<VerifiedCard>, OwnCardError> {
    let path = &config.node.card;
    let card = match card_text::load(path) {
        Ok(card) => card,
        Err(CardFileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OwnCardError::NotACard(error)),
    };
    if card.card().id != config.node.id || *card.key() != keys.identity.public() {
        return Err(OwnCardError::Foreign { path: path.clone(), own: config.node.id.clone() });
    }
    Ok(Some(card))
}

/// Replaces the card file whole or not at all.
pub(crate) fn write(path: &Path, card: &VerifiedCard) -> Result<(), OwnCardError> {
    let failed = |action| move |source| OwnCardError::Io { action, path: path.to_owned(), source };
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut aside = tempfile::NamedTempFile::new_in(dir).map_err(failed("write"))?;
    aside.write_all(card.to_text().as_bytes()).map_err(failed("write"))?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    aside.as_file().set_permissions(readable).map_err(failed("write"))?;
    aside.as_file().sync_all().map_err(failed("sync"))?;
    aside.persist(path).map_err(|error| failed("replace")(error.error))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync"))
}

fn says_the_same(kept: &Card, fresh: &Card) -> bool {
    let undated = |card: &Card| Card {
        issued_at: UnixMillis::new(0),
        valid_until: UnixMillis::new(0),
        sequence: 0,
        ..card.clone()
    };
    undated(kept) == undated(fresh)
}

fn is_fresh(kept: &Card, now: UnixMillis) -> bool {
    kept.issued_at <= now && now.plus_ms(RENEW_MS) <= kept.valid_until
}

#[cfg(test)]
#[path = "own_card_tests.rs"]
mod tests;
