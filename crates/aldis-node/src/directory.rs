//! The directory of enrolled peers as links need it: their keys, endpoints and TLS pins. It follows the core; nothing is
//! decided here.

use crate::tls::{
    self, Certificate, ClientConfig, Crls, OwnIdentity, Pins, Presented, ServerConfig, SetupError, TlsError, TlsName,
};
use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::NodeId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// The enrolled peers; clones share them.
#[derive(Clone)]
pub struct Directory {
    own: Arc<RwLock<OwnIdentity>>,
    known: Arc<RwLock<Known>>,
}

struct Known {
    cards: BTreeMap<NodeId, Arc<VerifiedCard>>,
    pins: Pins,
    server: Arc<ServerConfig>,
}

impl Directory {
    /// A directory of the peers with these cards, under these revocation lists. A peer whose certificate cannot be used is
    /// left out, with the reason.
    pub fn new<'a>(
        own: OwnIdentity,
        cards: impl Iterator<Item = &'a VerifiedCard>,
        crls: Crls,
    ) -> Result<(Self, Vec<(NodeId, SetupError)>), SetupError> {
        let mut known =
            Known { cards: BTreeMap::new(), pins: Pins::new(), server: tls::server_config(&own, &Pins::new())? };
        known.pins.set_crls(Arc::new(crls))?;
        let mut left_out = Vec::new();
        for card in cards {
            if let Err(error) = known.add(card) {
                left_out.push((card.card().id.clone(), error));
            }
        }
        known.server = tls::server_config(&own, &known.pins)?;
        Ok((Self { own: Arc::new(RwLock::new(own)), known: Arc::new(RwLock::new(known)) }, left_out))
    }

    /// Whether [`Self::enrol`] would succeed; ask before a card is journalled.
    pub fn check(&self, card: &VerifiedCard) -> Result<(), SetupError> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).pins_with(card).map(|_| ())
    }

    /// Takes in a peer, or its new card; connections from now on know it. On an error nothing has changed.
    pub fn enrol(&self, card: &VerifiedCard) -> Result<(), SetupError> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.add(card)?;
        known.server = tls::server_config(&own, &known.pins)?;
        Ok(())
    }

    /// Replaces our own certificate, as a reload does; connections from now on show it.
    pub fn replace_own(&self, own: OwnIdentity) -> Result<(), SetupError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.server = tls::server_config(&own, &known.pins)?;
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
        Ok(())
    }

    /// A peer's card.
    pub fn card(&self, peer: &NodeId) -> Option<Arc<VerifiedCard>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).cards.get(peer).cloned()
    }

    /// How to answer a connection that comes now.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).server)
    }

    /// How to dial a peer at `now`.
    pub fn client(&self, peer: &NodeId, now: SystemTime) -> Result<Arc<ClientConfig>, SetupError> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).clone();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        tls::client_config(&own, &known.pins, peer.as_str(), now)
    }

    /// Puts these revocation lists in force; connections from now on are judged by them. Links that are up stay up: ask
    /// [`Self::recheck`] about each. On an error nothing has changed.
    pub fn replace_crls(&self, crls: Crls) -> Result<(), SetupError> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut pins = known.pins.clone();
        pins.set_crls(Arc::new(crls))?;
        known.server = tls::server_config(&own, &pins)?;
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
        let mut faults: Vec<String> =
            known.pins.shut_out(now).map(|(peer, why)| format!("{peer} cannot connect: {why}")).collect();
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
    fn add(&mut self, card: &VerifiedCard) -> Result<(), SetupError> {
        self.pins = self.pins_with(card)?;
        self.cards.insert(card.card().id.clone(), Arc::new(card.clone()));
        Ok(())
    }

    /// The pins with this card's certificate in the place of what its node had before.
    fn pins_with(&self, card: &VerifiedCard) -> Result<Pins, SetupError> {
        let certificate = Certificate::from_der(&card.card().tls_certificate)?;
        let id = card.card().id.as_str();
        let mut pins = self.pins.clone();
        pins.remove(id);
        match &card.card().tls_name {
            None => pins.add(id, certificate)?,
            Some(name) => {
                let bad = |rule| SetupError::BadTlsName { peer: id.to_owned(), rule };
                pins.add_issued(id, certificate, TlsName::new(name).map_err(bad)?)?;
            }
        }
        Ok(pins)
    }
}
