//! Making a new identity key in the place of one that was lost: `aldisd key new`. The node keeps its name and its journal;
//! its peers' administrators must take the new key by voice, for nothing else vouches for it.

use super::{KeyError, Keyring, PairFiles, Source, load_pair};
use crate::clock;
use crate::config::Config;
use aldis_wire::ids::KeyId;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Writes a new identity key to the configured place, which must be empty, under the secret that opens the TLS key.
pub fn replace_lost(config: &Config, source: Source, now: SystemTime) -> Result<KeyId, KeyError> {
    if config.keys.identity.exists() {
        return Err(KeyError::Exists { path: config.keys.identity.clone() });
    }
    let mut keyring = Keyring::new(source);
    load_pair(&PairFiles::configured(&config.keys), &config.node.id, &mut keyring, now)?;
    let sealer = keyring.sealer().ok_or_else(|| KeyError::NotSealed { path: config.keys.tls_key.clone() })?;
    let seed = Zeroizing::new(clock::random::<32>());
    Ok(sealer.create_identity(&config.keys.identity, &config.node.id, &seed)?.id())
}
