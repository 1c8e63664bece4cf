//! What tests seal with: one passphrase for all nodes, stretched cheaply.

use super::{Keyring, Secret, Source, Stretch};
use crate::config::SealedBy;
use crate::init::Sealing;

/// The passphrase.
pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// The passphrase, known already.
pub(crate) fn given() -> Source {
    Source::Given(Secret::new(PASSPHRASE.into()))
}

/// What opens the keys of a node made with [`sealing`].
pub(crate) fn keyring() -> Keyring {
    Keyring::new(given())
}

/// How a test's node is sealed.
pub(crate) fn sealing() -> Sealing {
    Sealing { by: SealedBy::Passphrase, source: given(), stretch: Stretch::THROWAWAY }
}
