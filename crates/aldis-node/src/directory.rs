//! The directory of verified peers as links need it: their keys, endpoints and TLS pins. It follows the core; nothing is
//! decided here. A peer that is not verified is not in it, so no handshake with it can succeed.

use crate::tls::{self, Certificate, ClientConfig, OwnIdentity, Pins, ServerConfig, SetupError};
use aldis_core::peer::Peer;
use aldis_wire::card::VerifiedCard;
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use aldis_wire::keyring::KeyRing;
use aldis_wire::signing::PublicKey;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The verified peers; clones share them.
#[derive(Clone)]
pub struct Directory {
    own: Arc<RwLock<Pairs>>,
    known: Arc<RwLock<Known>>,
}

/// A verified peer, as links need it.
#[derive(Debug)]
pub struct KnownPeer {
    /// Its card in force.
    pub card: VerifiedCard,
    /// The digest of its newest card that this node has taken.
    pub newest_card: Digest,
    /// The keys that may sign its Hellos.
    pub hello_keys: Vec<PublicKey>,
    /// The keys that signed and sign its envelopes.
    pub keys: KeyRing,
}

/// Our own certificates with their keys: the one that is shown, and others that were or will be.
struct Pairs {
    shown: OwnIdentity,
    others: Vec<OwnIdentity>,
}

struct Known {
    peers: BTreeMap<NodeId, Arc<KnownPeer>>,
    pins: Pins,
    server: Arc<ServerConfig>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    /// A directory that shows the first of `own`, with the verified ones of `peers`. A peer whose certificate cannot be
    /// used is left out, with the reason.
    pub fn new<'a>(
        shown: OwnIdentity,
        others: Vec<OwnIdentity>,
        peers: impl Iterator<Item = &'a Peer>,
    ) -> Result<(Self, Vec<(NodeId, SetupError)>), SetupError> {
        let server = tls::server_config(&shown, &Pins::new())?;
        let mut known = Known { peers: BTreeMap::new(), pins: Pins::new(), server };
        let mut left_out = Vec::new();
        for peer in peers {
            if let Err(error) = known.follow(peer) {
                left_out.push((peer.card().card().id.clone(), error));
            }
        }
        known.server = tls::server_config(&shown, &known.pins)?;
        let own = Arc::new(RwLock::new(Pairs { shown, others }));
        Ok((Self { own, known: Arc::new(RwLock::new(known)) }, left_out))
    }

    /// Whether a peer with this card could be followed; ask before the card is journalled.
    pub fn check(&self, card: &VerifiedCard) -> Result<(), SetupError> {
        let mut pins = self.known.read().unwrap_or_else(PoisonError::into_inner).pins.clone();
        let id = card.card().id.as_str();
        pins.remove(id);
        pins.add(id, Certificate::from_der(&card.card().tls_certificate)?)
    }

    /// Takes in what the core now knows of a peer: connections from now on go by it. On an error nothing has changed.
    pub fn follow(&self, peer: &Peer) -> Result<(), SetupError> {
        let own = self.shown();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.follow(peer)?;
        known.server = tls::server_config(&own, &known.pins)?;
        Ok(())
    }

    /// Replaces all our certificates, as a reload does; connections from now on show the first.
    pub fn replace_own(&self, shown: OwnIdentity, others: Vec<OwnIdentity>) -> Result<(), SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.server = tls::server_config(&shown, &known.pins)?;
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = Pairs { shown, others };
        Ok(())
    }

    /// Adds a certificate of ours that is not shown yet.
    pub fn add_own(&self, pair: OwnIdentity) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).others.push(pair);
    }

    /// Shows the certificate with this DER from now on, if we have it and do not show it already. Says whether it changed.
    pub fn show(&self, certificate: &[u8]) -> Result<bool, SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let fits = |pair: &OwnIdentity| pair.certificate().der() == certificate;
        let Some(at) = own.others.iter().position(fits).filter(|_| !fits(&own.shown)) else { return Ok(false) };
        known.server = tls::server_config(&own.others[at], &known.pins)?;
        let Pairs { shown, others } = &mut *own;
        std::mem::swap(shown, &mut others[at]);
        Ok(true)
    }

    /// Our certificate that is shown.
    pub fn shown(&self) -> OwnIdentity {
        self.own.read().unwrap_or_else(PoisonError::into_inner).shown.clone()
    }

    /// A verified peer.
    pub fn peer(&self, peer: &NodeId) -> Option<Arc<KnownPeer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).peers.get(peer).cloned()
    }

    /// How to answer a connection that comes now.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).server)
    }

    /// How to dial a peer now.
    pub fn client(&self, peer: &NodeId) -> Result<Arc<ClientConfig>, SetupError> {
        let own = self.shown();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        tls::client_config(&own, &known.pins, peer.as_str())
    }
}

impl Known {
    fn follow(&mut self, peer: &Peer) -> Result<(), SetupError> {
        let id = &peer.card().card().id;
        let mut pins = self.pins.clone();
        pins.remove(id.as_str());
        if !peer.is_verified() {
            self.pins = pins;
            self.peers.remove(id);
            return Ok(());
        }
        for card in peer.cards() {
            pins.add(id.as_str(), Certificate::from_der(&card.card().tls_certificate)?)?;
        }
        let known = KnownPeer {
            card: peer.card().clone(),
            newest_card: peer.newest_card().digest(),
            hello_keys: peer.hello_keys(),
            keys: peer.durable.keys.clone(),
        };
        self.pins = pins;
        self.peers.insert(id.clone(), Arc::new(known));
        Ok(())
    }
}
