//! Sealing key files that are not, and sealing them anew: `aldisd key seal` and `aldisd key reseal`. All new texts are
//! made before the first file is replaced, and each file is replaced whole or not at all.

use super::armour::{self, Content, Kind, Unfit};
use super::{KeyError, Keyring, Opened, Sealer, Source, Stretch, files, open, siblings};
use crate::config::Config;
use crate::tls;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is done just before a file is replaced; tests fail there.
type BeforeMove<'a> = &'a mut dyn FnMut(&Path) -> io::Result<()>;

/// Seals every key file of this node that is not sealed yet, and returns which. If others are sealed already, `source`
/// must open them and the new ones go under the same secret; otherwise it is asked for a new secret.
pub fn seal(config: &Config, source: Source, stretch: Stretch) -> Result<Vec<PathBuf>, KeyError> {
    let (mut plain, mut first_sealed) = (Vec::new(), None);
    for (path, kind) in own_files(config)? {
        if let Some(key) = plain_key(&path, kind)? {
            plain.push((path, kind, key));
        } else if first_sealed.is_none() {
            first_sealed = Some((path, kind));
        }
    }
    if plain.is_empty() {
        return Ok(Vec::new());
    }
    let sealer = match first_sealed {
        None => Arc::new(Sealer::new(&source.ask_new()?, stretch)?),
        Some((path, kind)) => {
            let mut keyring = Keyring::new(source);
            open(&path, kind, &config.node.id, &mut keyring)?;
            keyring.sealer().expect("it has just opened a file")
        }
    };
    replace_all(config, &sealer, plain, &mut |_| Ok(()))
}

/// Seals every key file of this node anew: `old` opens them, `new` is asked for the secret from now on. Returns the
/// files. If it is interrupted, the same command finishes it.
pub fn reseal(config: &Config, old: Source, new: Source, stretch: Stretch) -> Result<Vec<PathBuf>, KeyError> {
    reseal_until(config, &mut Keyring::new(old), new, stretch, &mut |_| Ok(()))
}

fn reseal_until(
    config: &Config,
    old: &mut Keyring,
    new: Source,
    stretch: Stretch,
    before_move: BeforeMove,
) -> Result<Vec<PathBuf>, KeyError> {
    let mut own = own_files(config)?;
    // The configured identity key first: it alone decides whether the old secret is right.
    let (path, kind) = own.remove(0);
    let mut keys = vec![opened(config, path, kind, old)?];
    let secret = new.ask_new()?;
    let mut already = Keyring::new(Source::Given(secret.again()));
    for (path, kind) in own {
        let key = match opened(config, path.clone(), kind, old) {
            // An interrupted run sealed it under the new secret.
            Err(KeyError::WrongSecret { .. }) => opened(config, path, kind, &mut already)?,
            outcome => outcome?,
        };
        keys.push(key);
    }
    let sealer = Sealer::new(&secret, stretch)?;
    // It is replaced last, so that until then the old secret opens it.
    keys.rotate_left(1);
    replace_all(config, &sealer, keys, before_move)
}

type Key = (PathBuf, Kind, Zeroizing<Vec<u8>>);

fn opened(config: &Config, path: PathBuf, kind: Kind, keyring: &mut Keyring) -> Result<Key, KeyError> {
    match open(&path, kind, &config.node.id, keyring)? {
        Opened::Sealed(key, _) => Ok((path, kind, key)),
        Opened::Plain(_) => Err(KeyError::NotSealed { path }),
    }
}

/// What is copied with a backup, so that keys and certificates come back with it: the key files, every one of them sealed,
/// and the certificates. A key that is not sealed is refused.
pub fn files_to_copy(config: &Config) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = Vec::new();
    for (path, kind) in own_files(config)? {
        if plain_key(&path, kind)?.is_some() {
            return Err(KeyError::NotSealed { path });
        }
        files.push(path);
    }
    files.push(config.keys.tls_certificate.clone());
    files.extend(config.keys.tls_authority.iter().map(|authority| authority.path.clone()));
    files.extend(siblings::pair_files(&config.keys)?.into_iter().map(|(certificate, _)| certificate));
    Ok(files)
}

/// All key files of this node, the configured identity key first.
fn own_files(config: &Config) -> Result<Vec<(PathBuf, Kind)>, KeyError> {
    let identities = [config.keys.identity.clone()].into_iter().chain(siblings::identity_files(&config.keys)?);
    let pairs = siblings::pair_files(&config.keys)?.into_iter().map(|(_, key)| key);
    let tls = [config.keys.tls_key.clone()].into_iter().chain(pairs);
    Ok(identities.map(|path| (path, Kind::Identity)).chain(tls.map(|path| (path, Kind::Tls))).collect())
}

/// The key in a file that is not sealed; none if it is.
fn plain_key(path: &Path, kind: Kind) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let content = files::read_guarded(path)?;
    let damaged = |problem| KeyError::Damaged { path: path.to_owned(), problem };
    let text = std::str::from_utf8(&content).map_err(|_| damaged("it is not text"))?;
    match armour::read(kind, text) {
        Ok(Content::Sealed(_)) => Ok(None),
        Ok(Content::Plain(key)) if kind == Kind::Tls && !tls::is_one_private_key(&key) => {
            Err(damaged("it does not hold one private key in PEM"))
        }
        Ok(Content::Plain(key)) => Ok(Some(key)),
        Err(Unfit::Scheme) => Err(KeyError::UnknownScheme { path: path.to_owned() }),
        Err(Unfit::Damaged(problem)) => Err(damaged(problem)),
    }
}

fn replace_all(
    config: &Config,
    sealer: &Sealer,
    keys: Vec<Key>,
    before_move: BeforeMove,
) -> Result<Vec<PathBuf>, KeyError> {
    let sealed = keys.into_iter().map(|(path, kind, key)| (path, sealer.seal(kind, &config.node.id, &key)));
    let sealed: Vec<(PathBuf, String)> = sealed.collect();
    for (path, text) in &sealed {
        files::replace(path, text.as_bytes(), before_move)?;
    }
    Ok(sealed.into_iter().map(|(path, _)| path).collect())
}

#[cfg(test)]
#[path = "reseal_tests.rs"]
mod tests;
