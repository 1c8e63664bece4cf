//! The keys beside the configured ones: what a rotation or a renewal made, and what it left because peers may still
//! need it. They are found by their names, which say which key is inside; anything else in the directory is not looked
//! at.

use super::{KeyError, Keyring, PairFiles, files, load_identity, load_pair};
use crate::config::KeyPaths;
use crate::tls::{OwnIdentity, SetupError};
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::signing::IdentityKey;
use data_encoding::HEXLOWER;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most identity keys, and the most TLS pairs, the configured one among them.
pub const MAX_KEYS: usize = 8;

/// How many bytes of a key's id stand in a file's name, two digits each.
const NAMED_BYTES: usize = 4;

/// The name of an identity key's file beside the configured one.
pub fn identity_name(id: KeyId) -> String {
    format!("identity-{}.key", HEXLOWER.encode(&id.0[..NAMED_BYTES]))
}

/// The names of a certificate's file and its key's, beside the configured ones. Write the key first: a pair is found by
/// its certificate.
pub fn tls_names(fingerprint: [u8; 32]) -> (String, String) {
    let start = HEXLOWER.encode(&fingerprint[..NAMED_BYTES]);
    (format!("tls-{start}.crt"), format!("tls-{start}.key"))
}

/// The identity keys beside the configured one.
pub(super) fn identities(
    paths: &KeyPaths,
    node: &NodeId,
    keyring: &mut Keyring,
    configured: KeyId,
) -> Result<Vec<IdentityKey>, KeyError> {
    let mut keys: Vec<IdentityKey> = Vec::new();
    for path in identity_files(paths)? {
        let key = load_identity(&path, node, keyring)?;
        if path.file_name() != Some(identity_name(key.id()).as_ref()) {
            return Err(KeyError::Misnamed { path });
        }
        // A copy of the configured key, as a rotation leaves it.
        if key.id() != configured {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Adds the TLS pairs beside the configured one, which is in `pairs` already. One that is not valid at `now` is of no
/// use to anybody and left out.
pub(super) fn add_pairs(
    pairs: &mut Vec<OwnIdentity>,
    paths: &KeyPaths,
    node: &NodeId,
    keyring: &mut Keyring,
    now: SystemTime,
) -> Result<(), KeyError> {
    for (certificate, key) in pair_files(paths)? {
        // This node made them itself, whoever issues the configured one.
        let pair =
            match load_pair(&PairFiles { certificate: &certificate, key: &key, authority: None }, node, keyring, now) {
                Ok(pair) => pair,
                Err(KeyError::Tls(SetupError::OutsideValidity { .. })) => continue,
                Err(error) => return Err(error),
            };
        let fingerprint = pair.certificate().fingerprint();
        if certificate.file_name() != Some(tls_names(fingerprint).0.as_ref()) {
            return Err(KeyError::Misnamed { path: certificate });
        }
        if pairs.iter().all(|other| other.certificate().fingerprint() != fingerprint) {
            pairs.push(pair);
        }
    }
    Ok(())
}

/// How many identity key files lie beside the configured one.
pub fn count_identities(paths: &KeyPaths) -> Result<usize, KeyError> {
    identity_files(paths).map(|files| files.len())
}

/// How many TLS pairs lie beside the configured one.
pub fn count_pairs(paths: &KeyPaths) -> Result<usize, KeyError> {
    pair_files(paths).map(|files| files.len())
}

/// The identity key files beside the configured one, by name.
pub(super) fn identity_files(paths: &KeyPaths) -> Result<BTreeSet<PathBuf>, KeyError> {
    named(&paths.identity, "identity-", ".key")
}

/// The certificate files beside the configured one by name, each with its key's file.
pub(super) fn pair_files(paths: &KeyPaths) -> Result<Vec<(PathBuf, PathBuf)>, KeyError> {
    let certificates = named(&paths.tls_certificate, "tls-", ".crt")?;
    let keys = files::directory(&paths.tls_key);
    let with_key = |certificate: PathBuf| {
        let name = certificate.with_extension("key");
        let key = keys.join(name.file_name().expect("it was listed by its name"));
        (certificate, key)
    };
    Ok(certificates.into_iter().map(with_key).collect())
}

/// The files in the directory of `configured`, without itself, whose names are `start`, eight digits and `end`.
fn named(configured: &Path, start: &str, end: &str) -> Result<BTreeSet<PathBuf>, KeyError> {
    let dir = files::directory(configured);
    let failed = |source| KeyError::Io { action: "list", path: dir.to_owned(), source };
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let digits = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).unwrap_or_default();
        if digits.len() == 2 * NAMED_BYTES && digits.bytes().all(is_digit) && path != configured {
            found.insert(path);
        }
        if found.len() >= MAX_KEYS {
            return Err(KeyError::TooMany { path: configured.to_owned(), limit: MAX_KEYS });
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "siblings_tests.rs"]
mod tests;
