//! A new node for tests of its files: as `aldisd init` makes it, its keys sealed with a passphrase.

use aldis_node::clock::Clock;
use aldis_node::config::SealedBy;
use aldis_node::init::{NewNode, Sealing};
use aldis_node::keys::{Secret, Source, Stretch};
use aldis_wire::ids::NodeId;
use std::path::Path;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Makes a node in a directory that does not exist yet.
pub(crate) fn make(dir: &Path) {
    let node = NewNode {
        dir: dir.to_owned(),
        id: NodeId::new("cert.br").unwrap(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    };
    let source = Source::Given(Secret::new(PASSPHRASE.into()));
    let sealing = Sealing { by: SealedBy::Passphrase, source, stretch: Stretch::THROWAWAY };
    aldis_node::init::init(&node, &sealing, &Clock::system()).unwrap();
}
