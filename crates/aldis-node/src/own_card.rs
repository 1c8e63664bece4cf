//! The node's own card: made from configuration and keys, kept in a file, and signed again only when it says something new
//! or grows old. A card that says the same is the same bytes after a restart, so peers see no change where none is.

use crate::card_text::{self, CardFileError};
use crate::config::Config;
use crate::keys::OwnKeys;
use crate::tls::{OwnIdentity, TlsName};
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds;
use aldis_wire::signing::IdentityKey;
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
    /// The running node does not take the new card.
    #[error("the new card is not in force: {0}")]
    NotInForce(String),
    /// The certificate is too large for a card.
    #[error("the TLS certificate has {bytes} bytes and a card carries at most 4096: make a smaller one")]
    Certificate {
        /// Its size.
        bytes: usize,
    },
}

/// What a card says of TLS: the node's own certificate, or its authority's and the name.
#[derive(Clone, Debug)]
pub struct CardTls {
    certificate: Blob<4096>,
    name: Option<Text<253>>,
}

impl CardTls {
    /// What the card of a node with this certificate says.
    pub fn of_pair(pair: &OwnIdentity) -> Result<Self, OwnCardError> {
        let der = pair.card_certificate().der();
        let certificate = Blob::new(der.to_vec()).ok_or(OwnCardError::Certificate { bytes: der.len() })?;
        let name = pair.card_name().map(|name| Text::new(name.as_str()).expect("a TLS name has at most 253 bytes"));
        Ok(Self { certificate, name })
    }

    /// The same as another card.
    pub fn of_card(card: &Card) -> Self {
        Self { certificate: card.tls_certificate.clone(), name: card.tls_name.clone() }
    }
}

/// Whether whoever goes by this card takes the certificate of `pair`.
pub fn tells_of(card: &Card, pair: &OwnIdentity) -> bool {
    let name = pair.card_name().map(TlsName::as_str);
    *card.tls_certificate == *pair.card_certificate().der() && card.tls_name.as_deref() == name
}

/// Signs the card of the node at `now` with `key`. A higher `sequence` replaces a lower one at the peers.
pub fn sign(config: &Config, key: &IdentityKey, tls: CardTls, now: UnixMillis, sequence: u64) -> VerifiedCard {
    let endpoints = config.network.endpoints.iter().map(|endpoint| endpoint.text().clone()).collect();
    let card = Card {
        version: CARD_VERSION,
        id: config.node.id.clone(),
        name: config.node.name.clone(),
        country: config.node.country.text().clone(),
        identity_key: *key.public().as_bytes(),
        tls_certificate: tls.certificate,
        tls_name: tls.name,
        endpoints: List::new(endpoints).expect("the configuration has at most 8 endpoints"),
        contacts: List::new(config.contacts.clone()).expect("the configuration has at most 16 contacts"),
        kinds: kinds::kind_versions(),
        issued_at: now,
        valid_until: now.plus_ms(VALID_MS),
        sequence,
        extensions: Card::extensions_with(!config.limits.core.two_persons),
    };
    card.sign(key)
}

/// The card in the file `node.card` if it still says what configuration and keys say; otherwise a new one, written there.
pub fn refresh(config: &Config, keys: &OwnKeys, now: UnixMillis) -> Result<VerifiedCard, OwnCardError> {
    let path = &config.node.card;
    let kept = kept(config, keys)?;
    let sequence = next_sequence(kept.as_ref(), now);
    let key = current_key(keys, kept.as_ref());
    let fresh = sign(config, key, CardTls::of_pair(newest_pair(keys))?, now, sequence);
    match kept {
        Some(kept) if says_the_same(kept.card(), fresh.card()) && is_fresh(kept.card(), now) => Ok(kept),
        _ => {
            write(path, &fresh)?;
            Ok(fresh)
        }
    }
}

/// The number of the next card: seconds since 1970, which is higher than any earlier card's even if the file was lost.
pub fn next_sequence(kept: Option<&VerifiedCard>, now: UnixMillis) -> u64 {
    kept.map_or(0, |kept| kept.card().sequence.saturating_add(1)).max(now.get() / 1_000)
}

/// The key of the card in the file: a rotation writes the card, and with it says which key is the newest. Without a card
/// it is the configured one.
pub fn current_key<'a>(keys: &'a OwnKeys, kept: Option<&VerifiedCard>) -> &'a IdentityKey {
    let kept = kept.and_then(|kept| keys.identities.get(kept.key().id()));
    kept.unwrap_or_else(|| keys.identities.newest_configured())
}

/// The certificate of the configured authority, or else the one that was made last.
fn newest_pair(keys: &OwnKeys) -> &OwnIdentity {
    if keys.configured_tls().card_name().is_some() {
        return keys.configured_tls();
    }
    let newest = keys.tls.iter().max_by_key(|pair| pair.certificate().not_before());
    newest.expect("there is always the configured pair")
}

/// The card in the file, if there is one. `Err` if it is none, or not this node's.
pub fn kept(config: &Config, keys: &OwnKeys) -> Result<Option<VerifiedCard>, OwnCardError> {
    let path = &config.node.card;
    let card = match card_text::load(path) {
        Ok(card) => card,
        Err(CardFileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OwnCardError::NotACard(error)),
    };
    if card.card().id != config.node.id || keys.identities.get(card.key().id()).is_none() {
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
