//! This node's own keys: which there are, and new ones.

use aldis_control::KeyRotateRequest;

use super::Session;
use crate::args::{KeyCommand, WhichKey};
use crate::ask::Person;
use crate::failure::Failure;
use crate::{render, screen};

pub(crate) async fn run(session: &Session, command: &KeyCommand) -> Result<(), Failure> {
    match *command {
        KeyCommand::List => session.show(&session.client.keys().await?, render::keys),
        KeyCommand::Rotate { key, yes } => rotate(session, key, yes).await,
    }
}

async fn rotate(session: &Session, key: WhichKey, yes: bool) -> Result<(), Failure> {
    let node = session.client.status().await?.node;
    if !yes {
        let what = "without a terminal nobody can be asked whether to make a new key";
        let mut person = Person::here().ok_or_else(|| Failure::usage(what, "add --yes"))?;
        let node = screen::cell(&node);
        let (what, follows) = match key {
            WhichKey::Identity => ("identity key", "the administrators of every peer must take it, two at each"),
            WhichKey::Tls => ("TLS key and certificate", "the peers learn of it by themselves"),
        };
        person.confirm(&format!("{node} gets a new {what}; {follows}. Go on?"))?;
    }
    let keys = session.client.keys_rotate(&KeyRotateRequest { key: key.into() }).await?;
    session.show(&keys, |keys, page| match key {
        WhichKey::Identity => render::identity_rotated(keys, &node, page),
        WhichKey::Tls => render::tls_rotated(keys, page),
    })
}
