//! Every way to make an evidence file say something else: by whoever passes it on, and by the node that makes it, which
//! can sign whatever it likes with its own key.

use crate::chance::Chance;
use crate::export::Export;
use crate::world::{World, card};
use aldis_verify::container::{Entries, pack, unpack};
use aldis_verify::evidence::Signed;
use aldis_verify::index::Index;
use aldis_wire::checkpoint::Checkpoint;
use aldis_wire::codec::{List, Text};
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, Header};
use aldis_wire::ids::{EnvelopeId, Incarnation};
use aldis_wire::keyring::KeyRing;
use aldis_wire::proof::sign_batch;
use aldis_wire::signing::IdentityKey;

/// What must come of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Good,
    Bad,
    /// Less is proven, or what was changed is the maker's own word: whatever it is, both programs say the same.
    Either,
}

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    // By whoever passes it on.
    FlipFile,
    CutFile,
    AppendToFile,
    EntryTwice,
    EntriesReordered,
    FlipEntry,
    RemoveEntry,
    SwapEntries,
    EntryOfAnother,
    AddEntry,
    CheckpointOfAnother,
    LessWithoutSigning,
    // By the node that makes it.
    FlipEntryAndSign,
    LessOfIt,
    KeysMissing,
    CardMissing,
    CardOfNoUse,
    ProofOfAnother,
    ReceiptOfAnother,
    ReceiptChanged,
    BodyOfAnother,
    RecordElsewhere,
    RecordOfAnother,
    WitnessElsewhere,
    RootElsewhere,
    KeyEndsEarlier,
    ForgedMessage,
    Backdated,
    ForgedContradiction,
    ContradictionWithItself,
    TrueContradiction,
    TrueRestore,
    LinkReplaced,
    ReceiptContradicted,
}

impl Way {
    pub(crate) const ALL: [Self; 34] = [
        Self::FlipFile,
        Self::CutFile,
        Self::AppendToFile,
        Self::EntryTwice,
        Self::EntriesReordered,
        Self::FlipEntry,
        Self::RemoveEntry,
        Self::SwapEntries,
        Self::EntryOfAnother,
        Self::AddEntry,
        Self::CheckpointOfAnother,
        Self::LessWithoutSigning,
        Self::FlipEntryAndSign,
        Self::LessOfIt,
        Self::KeysMissing,
        Self::CardMissing,
        Self::CardOfNoUse,
        Self::ProofOfAnother,
        Self::ReceiptOfAnother,
        Self::ReceiptChanged,
        Self::BodyOfAnother,
        Self::RecordElsewhere,
        Self::RecordOfAnother,
        Self::WitnessElsewhere,
        Self::RootElsewhere,
        Self::KeyEndsEarlier,
        Self::ForgedMessage,
        Self::Backdated,
        Self::ForgedContradiction,
        Self::ContradictionWithItself,
        Self::TrueContradiction,
        Self::TrueRestore,
        Self::LinkReplaced,
        Self::ReceiptContradicted,
    ];
}

/// The file made in this way and what must come of it; `None` if there is nothing in it to change so.
pub(crate) fn tampered(
    chance: &mut Chance,
    way: Way,
    (world, export, who): (&mut World, &Export, usize),
    other: &[u8],
) -> Option<(Vec<u8>, Expected)> {
    let file = export.seal(world, who);
    let passed_on = |file: Option<Vec<u8>>| file.map(|file| (file, Expected::Bad));
    match way {
        Way::FlipFile => passed_on(Some(flipped(chance, file))),
        Way::CutFile => passed_on(Some(file[..chance.below(file.len())].to_vec())),
        Way::AppendToFile => passed_on(Some([file, vec![0]].concat())),
        Way::EntryTwice | Way::EntriesReordered => passed_on(Some(moved(chance, &file, way == Way::EntryTwice))),
        Way::FlipEntry
        | Way::RemoveEntry
        | Way::SwapEntries
        | Way::EntryOfAnother
        | Way::AddEntry
        | Way::CheckpointOfAnother => passed_on(repacked(chance, way, &file, other)),
        Way::LessWithoutSigning => passed_on(less(chance, world, export, who, &file)),
        Way::FlipEntryAndSign => signed_anew(chance, world, export, who, &file),
        _ => by_the_maker(chance, way, world, export.clone(), who),
    }
}

fn flipped(chance: &mut Chance, mut bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.is_empty() {
        let at = chance.below(bytes.len());
        bytes[at] ^= 1 << chance.below(8);
    }
    bytes
}

/// A local entry written once more, or the first two exchanged; the directory is not told.
fn moved(chance: &mut Chance, file: &[u8], twice: bool) -> Vec<u8> {
    let entries = unpack(file).unwrap();
    let mut locals: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    for (name, bytes) in &entries {
        let end = at + 30 + name.len() + bytes.len();
        locals.push(&file[at..end]);
        at = end;
    }
    let which = chance.below(locals.len() - 1);
    if twice {
        locals.insert(which, locals[which]);
    } else {
        locals.swap(which, which + 1);
    }
    [&locals.concat(), &file[at..]].concat()
}

fn repacked(chance: &mut Chance, way: Way, file: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let (mut entries, others) = (unpack(file).unwrap(), unpack(other).unwrap());
    let names: Vec<&str> = entries.keys().copied().collect();
    let (one, two) = (chance.one_of(&names), chance.one_of(&names));
    let changed;
    match way {
        Way::FlipEntry => {
            changed = flipped(chance, entries[one].to_vec());
            entries.insert(one, &changed);
        }
        Way::RemoveEntry => drop(entries.remove(one)),
        Way::SwapEntries => {
            let (first, second) = (entries[one], entries[two]);
            entries.insert(one, second);
            entries.insert(two, first);
        }
        Way::EntryOfAnother => {
            let (name, bytes) = others.iter().nth(chance.below(others.len()))?;
            entries.insert(name, bytes);
        }
        Way::AddEntry => drop(entries.insert(chance.one_of(&["a", "cards/x", "../up", "index.json/"]), b"x")),
        _ => drop(entries.insert("openings/checkpoint", others["openings/checkpoint"])),
    }
    let file_again = pack(&entries).unwrap();
    (file_again != file).then_some(file_again)
}

/// Entries taken out, and the index made anew to fit; the checkpoint is the one that was signed over the old one.
fn less(chance: &mut Chance, world: &mut World, export: &Export, who: usize, file: &[u8]) -> Option<Vec<u8>> {
    let (less, _) = by_the_maker(chance, Way::LessOfIt, world, export.clone(), who)?;
    let (mut entries, signed) = (unpack(&less).unwrap(), unpack(file).unwrap());
    entries.insert("openings/checkpoint", signed["openings/checkpoint"]);
    (entries != signed).then(|| pack(&entries).unwrap())
}

/// Any byte of any entry changed by the maker, who then signs a new index. Where its keys ended is its own word.
fn signed_anew(
    chance: &mut Chance,
    world: &World,
    export: &Export,
    who: usize,
    file: &[u8],
) -> Option<(Vec<u8>, Expected)> {
    let mut entries: Entries<'_> = unpack(file).unwrap();
    let names: Vec<&str> =
        entries.keys().copied().filter(|name| !["index.json", "openings/checkpoint"].contains(name)).collect();
    let name = chance.one_of(&names);
    let changed = flipped(chance, entries[name].to_vec());
    let mut index = Index::read(entries["index.json"]).unwrap();
    for listed in index.files.iter_mut().filter(|listed| listed.name == name) {
        listed.sha256 = Digest::of(&[&changed]).to_hex();
    }
    if changed == entries[name] {
        return None;
    }
    let index = index.write();
    let node = world.nodes[who].id.clone();
    let made_for = Index::digest(&index);
    let checkpoint = Checkpoint { node, size: export.size, root: export.root, made_for };
    let checkpoint = checkpoint.sign(world.nodes[who].keys.last().unwrap());
    entries.extend([(name, &changed[..]), ("index.json", &index), ("openings/checkpoint", checkpoint.as_bytes())]);
    let expected =
        if name.starts_with("keys/") || name.starts_with("links/") { Expected::Either } else { Expected::Bad };
    Some((pack(&entries).unwrap(), expected))
}

fn by_the_maker(
    chance: &mut Chance,
    way: Way,
    world: &mut World,
    mut export: Export,
    who: usize,
) -> Option<(Vec<u8>, Expected)> {
    let evidence = &mut export.evidence;
    let ids: Vec<EnvelopeId> = evidence.messages.keys().cloned().collect();
    if ids.is_empty() {
        return None;
    }
    let id = chance.one_of(&ids);
    let another = ids.iter().find(|other| **other != id).cloned();
    let mut expected = Expected::Bad;
    match way {
        Way::LessOfIt => {
            expected = Expected::Good;
            evidence.receipts.retain(|_, _| chance.once_in(2));
            evidence.records.retain(|_, _| chance.once_in(2));
            evidence.witnesses.retain(|name, _| evidence.receipts.keys().any(|(_, _, kept)| kept == name));
            evidence.links.clear();
            evidence.messages.values_mut().for_each(|message| message.body = None);
        }
        Way::KeysMissing => drop(evidence.keys.remove(&(id.from.clone(), id.to.clone()))),
        Way::CardMissing => drop(evidence.cards.pop_first()),
        Way::CardOfNoUse => {
            let key = IdentityKey::from_seed(&chance.bytes());
            evidence.cards.insert((id.from.clone(), 99), card(&id.from, &key, 99));
        }
        Way::ProofOfAnother => {
            let another = evidence.messages[&another?].signed.proof.clone();
            let signed = &mut evidence.messages.get_mut(&id)?.signed;
            if signed.proof == another {
                return None;
            }
            signed.proof = another;
        }
        Way::ReceiptOfAnother => {
            let mut chance = Chance::new(chance.number());
            let stranger = World::new(&mut chance, 30);
            let bytes = stranger.receipts[1 - who].first()?.clone();
            evidence.add_receipt(bytes)?;
        }
        Way::ReceiptChanged => {
            let (name, receipt) = evidence.receipts.pop_first()?;
            evidence.witnesses.remove(&name.2);
            evidence.add_receipt(flipped(chance, receipt.bytes))?;
        }
        Way::BodyOfAnother => {
            let body = (chance.bytes(), chance.some_bytes(90));
            evidence.messages.get_mut(&id)?.body = Some(body);
        }
        Way::RecordElsewhere => {
            let opening = evidence.records.values_mut().next()?;
            if chance.once_in(2) {
                opening.index += 1;
            } else {
                opening.nonce[0] ^= 1;
            }
        }
        Way::RecordOfAnother => {
            let (first, opening) = evidence.records.pop_first()?;
            let another = ids.iter().find(|other| **other != first)?;
            evidence.records.insert(another.clone(), opening);
        }
        Way::WitnessElsewhere => {
            let opening = evidence.witnesses.values_mut().next()?;
            match chance.below(4) {
                0 => opening.size += 1,
                1 => opening.salt[0] ^= 1,
                2 => opening.root = Digest::ZERO,
                _ => {
                    let mut path = opening.path.to_vec();
                    path.push(Digest::ZERO);
                    opening.path = List::new(path)?;
                }
            }
        }
        Way::RootElsewhere => {
            if evidence.records.is_empty() && evidence.witnesses.is_empty() {
                expected = Expected::Good;
            }
            export.root = Digest::ZERO;
        }
        Way::KeyEndsEarlier => {
            let ring = evidence.keys.get_mut(&(id.from.clone(), id.to.clone()))?;
            let mut other = KeyRing::from(ring.ended().first()?.key.clone());
            other.switch([0; 4], ring.current().clone());
            *ring = other;
            expected = Expected::Either;
        }
        Way::ForgedMessage | Way::Backdated => {
            // The maker signs, with its own key, what it says the other node signed; or an earlier time of its own,
            // which no receipt and no record then fits.
            let signed = &mut evidence.messages.get_mut(&id)?.signed;
            let forger = world.nodes[who].keys.last()?;
            let is_own = id.from == world.nodes[who].id;
            if (way == Way::Backdated) != is_own {
                return None;
            }
            let mut header: Header = (*signed.header).clone();
            header.author = Text::new("somebody else").ok()?;
            *signed = sign(header, forger)?;
            evidence.messages.get_mut(&id)?.body = None;
            if is_own {
                let is_shown = evidence.records.contains_key(&id);
                expected = if is_shown { Expected::Bad } else { Expected::Either };
            }
        }
        Way::ForgedContradiction | Way::TrueContradiction | Way::TrueRestore | Way::ContradictionWithItself => {
            let one = evidence.messages[&id].signed.clone();
            let signer = usize::from(world.nodes[1].id == id.from);
            let key_id = one.header.key_id;
            let forger = world.nodes[1 - signer].keys.last()?;
            let key = world.nodes[signer].keys.iter().find(|key| key.id() == key_id)?;
            let mut header: Header = (*one.header).clone();
            header.incarnation = if way == Way::TrueRestore { Incarnation(99) } else { header.incarnation };
            header.author = Text::new("somebody else").ok()?;
            let two = sign(header, if way == Way::ForgedContradiction { forger } else { key })?;
            let two = if way == Way::ContradictionWithItself { one.clone() } else { two };
            let mut pair = [one, two];
            pair.sort_by_key(|signed| signed.header.digest());
            evidence.contradictions.insert(id, pair);
            let is_true = matches!(way, Way::TrueContradiction | Way::TrueRestore);
            expected = if is_true { Expected::Good } else { Expected::Bad };
        }
        Way::LinkReplaced => {
            let (place, header) = evidence.links.pop_first()?;
            let mut header: Header = (*header).clone();
            header.author = Text::new("somebody else").ok()?;
            evidence.links.insert(place, ExactHeader::encode(header).ok()?);
            expected = Expected::Either;
        }
        Way::ReceiptContradicted => {
            // The sender signs another header for a place that a receipt in the file names.
            let mut named = evidence.receipts.values().flat_map(|receipt| {
                let (from, to) = (receipt.said.to.clone(), receipt.said.from.clone());
                receipt.said.stored.iter().map(move |mark| EnvelopeId {
                    from: from.clone(),
                    to: to.clone(),
                    lane: mark.lane,
                    seq: mark.seq,
                })
            });
            let place = named.find(|place| evidence.messages.contains_key(place))?;
            let signed = &mut evidence.messages.get_mut(&place)?.signed;
            *signed = said_otherwise(world, signed)?;
            evidence.messages.get_mut(&place)?.body = None;
            evidence.records.remove(&place);
        }
        _ => return None,
    }
    Some((export.seal(world, who), expected))
}

/// The same message with other words, signed as well as the first.
pub(crate) fn said_otherwise(world: &World, signed: &Signed) -> Option<Signed> {
    said(world, signed, |header| header.author = Text::new("somebody else").expect("it is short"))
}

/// The same message, signed as well as the first in another run of its node.
pub(crate) fn said_in_another_run(world: &World, signed: &Signed) -> Option<Signed> {
    said(world, signed, |header| header.incarnation = Incarnation(99))
}

fn said(world: &World, signed: &Signed, change: impl FnOnce(&mut Header)) -> Option<Signed> {
    let keys = world.nodes.iter().flat_map(|node| &node.keys);
    let key = keys.into_iter().find(|key| key.id() == signed.header.key_id)?;
    let mut header: Header = (*signed.header).clone();
    change(&mut header);
    sign(header, key)
}

fn sign(header: Header, key: &IdentityKey) -> Option<Signed> {
    let header = ExactHeader::encode(header).ok()?;
    let proof = sign_batch(key, &[header.digest()]).remove(0);
    Some(Signed { header, proof })
}
