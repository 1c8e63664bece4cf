//! Opening key files: asks for the secret when the first sealed file is met, derives a sealing key once per salt, and
//! keeps those keys. After [`Keyring::forget_secret`] the passphrase is gone from memory.

use super::armour::Sealed;
use super::secret::{Secret, Source};
use super::{KeyError, Sealer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often a person is asked.
pub const TRIES: u32 = 3;
/// How long a person waits after the first wrong passphrase; it doubles each time.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// What opens this node's key files.
pub struct Keyring {
    sealers: Vec<Arc<Sealer>>,
    asking: Option<Asking>,
}

struct Asking {
    source: Source,
    secret: Option<Secret>,
    pause: Box<dyn FnMut(Duration) + Send>,
}

impl Keyring {
    /// A keyring that asks `source` when it has to.
    pub fn new(source: Source) -> Self {
        Self::with_pause(source, Box::new(std::thread::sleep))
    }

    /// The same, with another way to wait after a wrong passphrase.
    pub fn with_pause(source: Source, pause: Box<dyn FnMut(Duration) + Send>) -> Self {
        Self { sealers: Vec::new(), asking: Some(Asking { source, secret: None, pause }) }
    }

    /// Wipes the secret. What was opened so far can be opened again, and new keys can be sealed.
    pub fn forget_secret(&mut self) {
        self.asking = None;
    }

    /// What seals new keys: the sealer of the first file that was opened. None as long as nothing was sealed, as with
    /// the published example.
    pub fn sealer(&self) -> Option<Arc<Sealer>> {
        self.sealers.first().cloned()
    }

    /// Opens a file. Only the tag of the cipher decides; a wrong secret and a changed file are one error.
    pub(super) fn open(&mut self, path: &Path, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let wrong = || KeyError::WrongSecret { path: path.to_owned() };
        if let Some(sealer) = self.sealers.iter().find(|sealer| sealer.fits(sealed)) {
            return sealer.open(sealed).ok_or_else(wrong);
        }
        let Some(asking) = &mut self.asking else { return Err(KeyError::SealedAnew { path: path.to_owned() }) };
        // A secret that has opened one file is the right one: what it does not open is not asked about.
        let tries = if asking.source.is_a_person() && self.sealers.is_empty() { TRIES } else { 1 };
        let mut wait = FIRST_WAIT;
        for attempt in 1..=tries {
            let secret = match asking.secret.take() {
                Some(secret) => secret,
                None => asking.source.ask(attempt > 1)?,
            };
            let sealer = Sealer::of(&secret, sealed.salt, sealed.stretch)?;
            if let Some(content) = sealer.open(sealed) {
                asking.secret = Some(secret);
                self.sealers.push(Arc::new(sealer));
                return Ok(content);
            }
            if !self.sealers.is_empty() {
                asking.secret = Some(secret);
            }
            if attempt < tries {
                (asking.pause)(wait);
                wait *= 2;
            }
        }
        Err(wrong())
    }
}
