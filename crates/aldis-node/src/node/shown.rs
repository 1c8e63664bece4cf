//! Which peers links know when a node starts, and which certificate of ours they are shown first.

use super::StartError;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::own::Own;
use crate::own_card;
use crate::revocation::CrlFiles;
use crate::tls::{Crls, OwnIdentity};
use aldis_core::Core;

/// What of the verified peers links go by, and the certificate of ours that they are shown first.
pub(super) fn directory(
    tls: Vec<OwnIdentity>,
    crls: &CrlFiles,
    own: &Own,
    core: &Core,
    clock: &Clock,
) -> Result<Directory, StartError> {
    let (shown, others) = shown_first(tls, core, own);
    let crls = Crls::load(&crls.paths, &Crls::default());
    let peers = core.peers().map(|(_, peer)| peer);
    let (directory, left_out) = Directory::new(shown, others, peers, crls, clock.clone())?;
    for (peer, error) in left_out {
        tracing::error!(%peer, %error, "the peer's certificate cannot be used; no link will come up");
    }
    Ok(directory)
}

/// The certificate to show first: the card's if every peer has that card, and otherwise the newest other one, which the
/// peers know; and the rest.
fn shown_first(mut pairs: Vec<OwnIdentity>, core: &Core, own: &Own) -> (OwnIdentity, Vec<OwnIdentity>) {
    let card = own.card();
    let is_cards = |pair: &OwnIdentity| own_card::tells_of(card.card(), pair);
    let known = core.own_card().is_some_and(|(_, known)| known) || core.own_card_is_everywhere();
    let newest = |(_, pair): &(usize, &OwnIdentity)| pair.certificate().not_before();
    let wanted = pairs.iter().enumerate().filter(|(_, pair)| is_cards(pair) == known).max_by_key(newest);
    let at = wanted.map_or(0, |(at, _)| at);
    let shown = pairs.swap_remove(at);
    (shown, pairs)
}
