//! The directory of verified peers as links need it: their keys, endpoints and TLS pins. It follows the core; nothing is
//! decided here. A peer that is not verified is not in it, so no handshake with it can succeed.

use crate::clock::Clock;
use crate::own_card;
use crate::tls::{
    self, Certificate, ClientConfig, Crls, OwnIdentity, Pins, Presented, ServerConfig, SetupError, TlsError, TlsName,
};
use aldis_core::peer::Peer;
use aldis_wire::card::{Card, VerifiedCard};
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use aldis_wire::keyring::KeyRing;
use aldis_wire::signing::PublicKey;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// The verified peers; clones share them.
#[derive(Clone)]
pub struct Directory {
    own: Arc<RwLock<Pairs>>,
    known: Arc<RwLock<Known>>,
    clock: Clock,
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
    /// A directory that shows `shown`, with the verified ones of `peers`, under these revocation lists; `clock` judges what
    /// has expired. A peer whose certificate cannot be used is left out, with the reason.
    pub fn new<'a>(
        shown: OwnIdentity,
        others: Vec<OwnIdentity>,
        peers: impl Iterator<Item = &'a Peer>,
        crls: Crls,
        clock: Clock,
    ) -> Result<(Self, Vec<(NodeId, SetupError)>), SetupError> {
        let server = tls::server_config(&shown, &Pins::new(), &clock)?;
        let mut known = Known { peers: BTreeMap::new(), pins: Pins::new(), server };
        known.pins.set_crls(Arc::new(crls))?;
        let mut left_out = Vec::new();
        for peer in peers {
            if let Err(error) = known.follow(peer) {
                left_out.push((peer.card().card().id.clone(), error));
            }
        }
        known.server = tls::server_config(&shown, &known.pins, &clock)?;
        let own = Arc::new(RwLock::new(Pairs { shown, others }));
        Ok((Self { own, known: Arc::new(RwLock::new(known)), clock }, left_out))
    }

    /// Whether a peer with this card could be followed; ask before the card is journalled.
    pub fn check(&self, card: &VerifiedCard) -> Result<(), SetupError> {
        let mut pins = self.known.read().unwrap_or_else(PoisonError::into_inner).pins.clone();
        pins.remove(card.card().id.as_str());
        pin(&mut pins, card.card())
    }

    /// Takes in what the core now knows of a peer: connections from now on go by it. On an error nothing has changed.
    pub fn follow(&self, peer: &Peer) -> Result<(), SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.follow(peer)?;
        known.server = tls::server_config(&self.shown(), &known.pins, &self.clock)?;
        Ok(())
    }

    /// Replaces all our certificates, as a reload does; connections from now on show the first.
    pub fn replace_own(&self, shown: OwnIdentity, others: Vec<OwnIdentity>) -> Result<(), SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.server = tls::server_config(&shown, &known.pins, &self.clock)?;
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = Pairs { shown, others };
        Ok(())
    }

    /// Adds a certificate of ours that is not shown yet.
    pub fn add_own(&self, pair: OwnIdentity) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).others.push(pair);
    }

    /// Shows the certificate that this card of ours tells of from now on, if we have it and do not show it already. Says
    /// whether it changed.
    pub fn show(&self, card: &Card) -> Result<bool, SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let fits = |pair: &OwnIdentity| own_card::tells_of(card, pair);
        let Some(at) = own.others.iter().position(fits).filter(|_| !fits(&own.shown)) else { return Ok(false) };
        known.server = tls::server_config(&own.others[at], &known.pins, &self.clock)?;
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

    /// How to dial a peer now: the ways to try one after the other, never none, what its card in force says first. A
    /// way that cannot be used stands there as its error.
    pub fn clients(&self, peer: &NodeId) -> Vec<Result<Arc<ClientConfig>, SetupError>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut clients = tls::client_configs(&self.shown(), &known.pins, peer.as_str(), &self.clock);
        // Exact certificates come last.
        if known.peers.get(peer).is_some_and(|known| !known.has_authority()) {
            clients.rotate_right(1);
        }
        clients
    }

    /// Puts these revocation lists in force; connections from now on are judged by them. Links that are up stay up: ask
    /// [`Self::recheck`] about each. On an error nothing has changed.
    pub fn replace_crls(&self, crls: Crls) -> Result<(), SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut pins = known.pins.clone();
        pins.set_crls(Arc::new(crls))?;
        known.server = tls::server_config(&self.shown(), &pins, &self.clock)?;
        known.pins = pins;
        Ok(())
    }

    /// The revocation lists in force.
    pub fn crls(&self) -> Arc<Crls> {
        Arc::clone(self.known.read().unwrap_or_else(PoisonError::into_inner).pins.crls())
    }

    /// Whether what a peer presented when its link began would be taken at `now`.
    pub fn recheck(&self, peer: &NodeId, presented: &Presented, now: SystemTime) -> Result<(), TlsError> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).pins.recheck(peer.as_str(), presented, now)
    }

    /// What keeps peers of authorities out at `now`, in one sentence each; empty if nothing does.
    pub fn revocation_faults(&self, now: SystemTime) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        // One that has left its authority connects without it.
        let has_authority = |(peer, _): &(&str, _)| {
            NodeId::new(peer).is_ok_and(|peer| known.peers.get(&peer).is_some_and(|known| known.has_authority()))
        };
        let shut_out = known.pins.shut_out(now).filter(has_authority);
        let mut faults: Vec<String> = shut_out.map(|(peer, why)| format!("{peer} cannot connect: {why}")).collect();
        if known.pins.has_authorities() {
            let crls = known.pins.crls();
            let old = crls.expired(now);
            faults.extend(old.map(|(path, issuer)| format!("{}: the list of {issuer} has expired", path.display())));
            faults.extend(crls.faults().map(|(path, fault)| format!("{} {fault}", path.display())));
        }
        faults
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
            pin(&mut pins, card.card())?;
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

impl KnownPeer {
    /// Whether an authority issues its certificate.
    fn has_authority(&self) -> bool {
        self.card.card().tls_name.is_some()
    }
}

/// Pins what a card says beside what its node has already.
fn pin(pins: &mut Pins, card: &Card) -> Result<(), SetupError> {
    let certificate = Certificate::from_der(&card.tls_certificate)?;
    let id = card.id.as_str();
    match &card.tls_name {
        None => pins.add(id, certificate),
        Some(name) => {
            let bad = |rule| SetupError::BadTlsName { peer: id.to_owned(), rule };
            pins.add_issued(id, certificate, TlsName::new(name).map_err(bad)?)
        }
    }
}
