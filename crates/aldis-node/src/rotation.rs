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
use aldis_core::trust::Trust;
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::signing::IdentityKey;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
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
    files: KeyFiles,
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
    /// An earlier rotation is under way.
    #[error("the administrators of {0} have not taken the identity key of the rotation before; ask them first")]
    UnderWay(NodeId),
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
        Self { files, own, directory, clock, node, one_at_a_time: tokio::sync::Mutex::new(()) }
    }

    /// Makes the next identity key, and a card with it. Each peer's administrators must take it; until they have, the key
    /// before goes on signing for that peer.
    pub async fn rotate_identity(self: &Arc<Self>, by: Text<128>) -> Result<KeyId, RotationError> {
        let _only = self.one_at_a_time.lock().await;
        let view = self.node.view().await?;
        let newest = self.own.card().key().id();
        let waiting = view.peers.iter().find(|peer| peer.trust == Trust::Verified && peer.own_key != newest);
        if let Some(peer) = waiting {
            return Err(RotationError::UnderWay(peer.card.card().id.clone()));
        }
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
            let keys = &self.files.config.keys;
            let (certificate, key) = (keys.tls_certificate.clone(), keys.tls_key.clone());
            return Err(RotationError::OfAuthority { certificate, key });
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
        let path = self.files.config.keys.identity.with_file_name(keys::identity_name(id));
        let key = self.sealer()?.create_identity(&path, self.own.id(), &seed)?;
        let card = self.signed(&key, CardTls::of_card(self.own.card().card()))?;
        self.own.add_key(key);
        Ok(card)
    }

    fn make_tls(&self) -> Result<VerifiedCard, RotationError> {
        let now = self.clock.system_time();
        let (certificate, key) = tls::generate(self.own.id().as_str(), tls::DEFAULT_VALID_DAYS, now)?;
        let (certificate_name, key_name) = keys::tls_names(Certificate::from_pem(&certificate)?.fingerprint());
        let key_path = self.files.config.keys.tls_key.with_file_name(key_name);
        let certificate_path = self.files.config.keys.tls_certificate.with_file_name(certificate_name);
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
        let card = own_card::sign(&self.files.config, key, tls, now, sequence);
        own_card::write(&self.files.config.node.card, &card)?;
        Ok(card)
    }

    fn sealer(&self) -> Result<&Sealer, RotationError> {
        self.files.sealer.as_deref().ok_or(RotationError::NotSealed)
    }
}
