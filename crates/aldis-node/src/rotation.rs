//! Makes new keys while the node runs: the next identity key, the next TLS certificate, and the card that tells of them.
//! Files first, durably, then the core, which journals the card and announces it; a crash in between leaves a card file that
//! the next start hands to the core. Nothing is ever overwritten or removed here.

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::directory::Directory;
use crate::event_loop::{LoopHandle, Request, RequestError};
use crate::keys::{self, KeyError, Sealer};
use crate::own::Own;
use crate::own_card::{self, CardTls, OwnCardError};
use crate::tls::{self, Certificate, OwnIdentity, SetupError};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::ids::KeyId;
use aldis_wire::signing::IdentityKey;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use zeroize::Zeroizing;

/// What new keys are made from.
pub struct KeyFiles {
    /// Where the files are, and what the card says.
    pub config: Config,
    /// What seals new files; none for the published example, whose keys are never replaced.
    pub sealer: Option<Arc<Sealer>>,
}

/// Makes keys and cards for a running node.
pub struct KeyMaker {
    config: RwLock<Config>,
    sealer: Option<Arc<Sealer>>,
    own: Own,
    directory: Directory,
    clock: Clock,
    node: LoopHandle,
    one_at_a_time: tokio::sync::Mutex<()>,
}

/// Why no new key or card was put in force.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The node's keys are the published example's.
    #[error(
        "the keys of this node are not sealed, so it makes no new ones: make a node of your own with `aldisd init`"
    )]
    NotSealed,
    /// The certificate made before is not shown yet.
    #[error(
        "the certificate that was made last is not shown yet, because not every peer has it: see `aldis key list`; reach the \
         peers that wait, or revoke them"
    )]
    NotShownYet,
    /// There are as many key files as a node reads.
    #[error("there are {limit} key files beside {}, as many as a node reads: move away those that `aldis key list` does not name", path.display())]
    TooMany {
        /// The configured one.
        path: PathBuf,
        /// How many there may be.
        limit: usize,
    },
    /// An authority issues the certificate.
    #[error("an authority issues the TLS certificate of this node, so the next one is the authority's to make: have it \
        issued, put it in place of {} and its key of {}, run `aldisd key seal` and send SIGHUP", certificate.display(),
        key.display())]
    OfAuthority {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] SetupError),
    /// The card.
    #[error(transparent)]
    Card(#[from] OwnCardError),
    /// The system refuses.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The core does not take the card, or the node stops.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl std::fmt::Debug for KeyMaker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyMaker").field("own", &self.own).finish_non_exhaustive()
    }
}

impl KeyMaker {
    pub(crate) fn new(files: KeyFiles, own: Own, directory: Directory, clock: Clock, node: LoopHandle) -> Self {
        let KeyFiles { config, sealer } = files;
        Self {
            config: RwLock::new(config),
            sealer,
            own,
            directory,
            clock,
            node,
            one_at_a_time: tokio::sync::Mutex::new(()),
        }
    }

    /// Goes by another configuration from now on, as after a reload.
    pub fn reconfigure(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn config(&self) -> RwLockReadGuard<'_, Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next identity key, and a card with it. Each peer's administrators must take it; until they have, the key
    /// before goes on signing for that peer.
    pub async fn rotate_identity(self: &Arc<Self>, by: Text<128>) -> Result<KeyId, RotationError> {
        let _only = self.one_at_a_time.lock().await;
        let card = self.blocking(Self::make_identity).await?;
        let id = card.key().id();
        self.put_in_force(card, by).await?;
        Ok(id)
    }

    /// Makes the next TLS key and certificate, and a card with it. The certificate is shown as soon as every peer has the
    /// card; until then the one before is. Refused if an authority issues the certificate.
    pub async fn rotate_tls(self: &Arc<Self>, by: Text<128>) -> Result<[u8; 32], RotationError> {
        let _only = self.one_at_a_time.lock().await;
        if self.own.card().card().tls_name.is_some() {
            let keys = &self.config().keys;
            let (certificate, key) = (keys.tls_certificate.clone(), keys.tls_key.clone());
            return Err(RotationError::OfAuthority { certificate, key });
        }
        if !own_card::tells_of(self.own.card().card(), &self.directory.shown()) {
            return Err(RotationError::NotShownYet);
        }
        let card = self.blocking(Self::make_tls).await?;
        let fingerprint = Certificate::from_der(&card.card().tls_certificate)?.fingerprint();
        self.put_in_force(card, by).await?;
        Ok(fingerprint)
    }

    /// Signs the card anew, with the same keys and what the configuration says.
    pub async fn renew_card(self: &Arc<Self>, by: Text<128>) -> Result<(), RotationError> {
        let _only = self.one_at_a_time.lock().await;
        let card = self.blocking(Self::make_card).await?;
        self.put_in_force(card, by).await
    }

    async fn put_in_force(&self, card: VerifiedCard, by: Text<128>) -> Result<(), RotationError> {
        self.node.request(Request::OwnCard { card: Box::new(card), by }).await?;
        Ok(())
    }

    /// Runs a step that writes and syncs files off the runtime.
    async fn blocking(
        self: &Arc<Self>,
        step: fn(&Self) -> Result<VerifiedCard, RotationError>,
    ) -> Result<VerifiedCard, RotationError> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || step(&this)).await;
        done.map_err(|_| RotationError::Request(RequestError::Stopping))?
    }

    fn make_identity(&self) -> Result<VerifiedCard, RotationError> {
        let seed = Zeroizing::new(clock::random::<32>());
        let id = IdentityKey::from_seed(&seed).id();
        let configured = self.config().keys.identity.clone();
        require_room(&configured, keys::count_identities(&self.config().keys)?)?;
        let path = configured.with_file_name(keys::identity_name(id));
        let key = self.sealer()?.create_identity(&path, self.own.id(), &seed)?;
        let card = self.signed(&key, CardTls::of_card(self.own.card().card()))?;
        self.own.add_key(key);
        Ok(card)
    }

    fn make_tls(&self) -> Result<VerifiedCard, RotationError> {
        let now = self.clock.system_time();
        let (certificate, key) = tls::generate(self.own.id().as_str(), tls::DEFAULT_VALID_DAYS, now)?;
        let (certificate_name, key_name) = keys::tls_names(Certificate::from_pem(&certificate)?.fingerprint());
        let paths = self.config().keys.clone();
        require_room(&paths.tls_certificate, keys::count_pairs(&paths)?)?;
        let key_path = paths.tls_key.with_file_name(key_name);
        let certificate_path = paths.tls_certificate.with_file_name(certificate_name);
        self.sealer()?.create_tls_key(&key_path, self.own.id(), key.expose())?;
        keys::create_certificate(&certificate_path, certificate.as_bytes())?;
        let pair = OwnIdentity::from_pem(&certificate_path, &key_path, key.expose().as_bytes(), now)?;
        let newest = self.own.card().key().id();
        let identities = self.own.identities();
        let key = identities.get(newest).expect("the node has the key that signed its card");
        let card = self.signed(key, CardTls::of_pair(&pair)?)?;
        self.directory.add_own(pair);
        Ok(card)
    }

    fn make_card(&self) -> Result<VerifiedCard, RotationError> {
        let card = self.own.card();
        let identities = self.own.identities();
        let key = identities.get(card.key().id()).expect("the node has the key that signed its card");
        self.signed(key, CardTls::of_card(card.card()))
    }

    /// A new card, in its file.
    fn signed(&self, key: &IdentityKey, tls: CardTls) -> Result<VerifiedCard, RotationError> {
        let now = self.clock.wall();
        let sequence = own_card::next_sequence(Some(&self.own.card()), now);
        let card = own_card::sign(&self.config(), key, tls, now, sequence);
        own_card::write(&self.config().node.card, &card)?;
        Ok(card)
    }

    fn sealer(&self) -> Result<&Sealer, RotationError> {
        self.sealer.as_deref().ok_or(RotationError::NotSealed)
    }
}

/// A node reads so many key files and no more: one too many would keep it from starting.
fn require_room(configured: &Path, count: usize) -> Result<(), RotationError> {
    let limit = keys::MAX_KEYS;
    if count + 1 < limit { Ok(()) } else { Err(RotationError::TooMany { path: configured.to_owned(), limit }) }
}
