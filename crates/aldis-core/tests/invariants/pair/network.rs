//! Virtual links: frames in order per direction, lost when the link breaks.

use super::{Held, World};
use aldis_core::input::Input;
use aldis_core::peer::LinkId;
use aldis_wire::codec::List;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, EnvelopeVerifier, claimed_lane};
use aldis_wire::frame::{Credit, Fetch, Goodbye, Want};
use aldis_wire::hello::{Expected, Hello, Role};
use aldis_wire::kinds::{self, Reading};
use aldis_wire::receipt::VerifiedReceipt;
use aldis_wire::signing::PublicKey;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What travels on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wired {
    Envelope(Bytes),
    Receipt(Vec<u8>),
    Credit(Credit),
    Goodbye(Goodbye),
    Fetch(Fetch),
    History(Held),
    Want(Want),
    /// A whole file, or what there is in its place. Its chunks are the links' business.
    File(Digest, FileSent),
}

/// What a node hands out for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSent {
    Whole,
    OtherBytes,
    NotHeld,
}

/// One link. Side 0 dialled.
struct Wire {
    ends: [usize; 2],
    /// What is on its way to each side.
    towards: [VecDeque<Wired>; 2],
    open: [bool; 2],
    /// What each end verifies envelopes with, from its first one on.
    verifiers: [Option<EnvelopeVerifier>; 2],
    /// The key each end said Hello with, as the other end knows it.
    keys: [PublicKey; 2],
}

#[derive(Default)]
pub(crate) struct Network {
    wires: BTreeMap<LinkId, Wire>,
    latest: u64,
    /// Directions (sender) in which frames wait instead of arriving.
    pub(crate) held_from: Option<usize>,
    /// The same, from one node to another.
    pub(crate) held: BTreeSet<(usize, usize)>,
    /// Directions in which receipts are lost, and nothing else.
    pub(crate) unreceipted: BTreeSet<(usize, usize)>,
    /// How many receipts were lost like that.
    pub(crate) receipts_lost: u64,
    /// Pairs of nodes, the lower place first, between which no link comes up.
    pub(crate) cut: BTreeSet<(usize, usize)>,
}

impl Network {
    /// Whether a frame or an end of a link waits for a node.
    pub(crate) fn waits_for(&self, place: usize) -> bool {
        self.wires.values().any(|wire| {
            (0..2).any(|side| {
                wire.ends[side] == place
                    && wire.open[side]
                    && !self.is_held(wire.ends[1 - side], place)
                    && (!wire.towards[side].is_empty() || !wire.open[1 - side])
            })
        })
    }

    fn is_held(&self, from: usize, to: usize) -> bool {
        self.held_from == Some(from) || self.held.contains(&(from, to))
    }

    /// Whether no link comes up between two nodes.
    pub(crate) fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cut.contains(&(one.min(other), one.max(other)))
    }

    /// The links between two nodes that are open at either end.
    pub(crate) fn between(&self, one: usize, other: usize) -> Vec<LinkId> {
        let joins = |wire: &Wire| wire.ends == [one, other] || wire.ends == [other, one];
        let wires = self.wires.iter().filter(|(_, wire)| joins(wire) && wire.open.contains(&true));
        wires.map(|(link, _)| *link).collect()
    }

    /// How many frames are on their way from one node to another.
    pub(crate) fn in_flight(&self, from: usize, to: usize) -> usize {
        let queues = self.wires.values().flat_map(|wire| (0..2).map(move |side| (wire, side)));
        let queues = queues.filter(|(wire, side)| wire.ends[*side] == to && wire.ends[1 - side] == from);
        queues.map(|(wire, side)| wire.towards[side].len()).sum()
    }

    /// Frames on their way to a node come twice; how many do.
    pub(crate) fn double(&mut self, to: usize) -> usize {
        let mut doubled = 0;
        for wire in self.wires.values_mut() {
            for side in (0..2).filter(|side| wire.ends[*side] == to) {
                let twice =
                    wire.towards[side].iter().filter(|frame| matches!(frame, Wired::Envelope(_) | Wired::Receipt(_)));
                let twice: Vec<Wired> = twice.cloned().collect();
                doubled += twice.len();
                wire.towards[side].extend(twice);
            }
        }
        doubled
    }

    /// Forgets the links that are closed at both ends.
    pub(crate) fn tidy(&mut self) {
        self.wires.retain(|_, wire| wire.open.contains(&true));
    }

    /// Puts a frame on its way; false if the sender's end is closed.
    pub(crate) fn send(&mut self, link: LinkId, from: usize, frame: Wired) -> bool {
        let Some(wire) = self.wires.get_mut(&link) else { return false };
        let Some(side) = (0..2).find(|side| wire.ends[*side] == from && wire.open[*side]) else { return false };
        if matches!(frame, Wired::Receipt(_)) && self.unreceipted.contains(&(from, wire.ends[1 - side])) {
            self.receipts_lost += 1;
            return true;
        }
        wire.towards[1 - side].push_back(frame);
        true
    }

    /// The links whose end at the node is open.
    pub(crate) fn open_at(&self, place: usize) -> Vec<LinkId> {
        let open = self.wires.iter().filter(|(_, wire)| (0..2).any(|side| wire.ends[side] == place && wire.open[side]));
        open.map(|(link, _)| *link).collect()
    }

    /// Takes what is on its way to a puppet.
    pub(crate) fn take_for(&mut self, place: usize) -> Vec<Wired> {
        let wires = self.wires.values_mut();
        let queues = wires.filter_map(|wire| (0..2).find(|s| wire.ends[*s] == place).map(|s| &mut wire.towards[s]));
        queues.flat_map(|queue| queue.drain(..).collect::<Vec<_>>()).collect()
    }
}

impl World {
    /// A new link: the Hellos are exchanged and verified, both nodes will be told.
    pub(crate) fn connect(&mut self, dialler: usize, listener: usize) -> LinkId {
        let hellos = self.hellos(dialler, listener);
        let link = self.open_wire(dialler, listener);
        let [from_dialler, from_listener] = hellos;
        self.link_up_at(listener, dialler, link, from_dialler);
        self.link_up_at(dialler, listener, link, from_listener);
        link
    }

    /// What both sides say as of now: the dialler's Hello, then the listener's.
    pub(crate) fn hellos(&self, dialler: usize, listener: usize) -> [Hello; 2] {
        [self.hello(dialler, listener, Role::DIALLER), self.hello(listener, dialler, Role::LISTENER)]
    }

    /// Opens a link of which nobody was told yet.
    pub(crate) fn open_wire(&mut self, dialler: usize, listener: usize) -> LinkId {
        self.network.latest += 1;
        let link = LinkId(self.network.latest);
        let keys = [listener, dialler].map(|from| self.nodes[from].key.public());
        let verifiers = Default::default();
        let wire = Wire { ends: [dialler, listener], towards: Default::default(), open: [true; 2], verifiers, keys };
        self.network.wires.insert(link, wire);
        link
    }

    /// Tells `place` of a link to `other`, which said `hello`.
    pub(crate) fn link_up_at(&mut self, place: usize, other: usize, link: LinkId, hello: Hello) {
        self.expect_key(place, other, link, &hello);
        let dialled_by_us = self.network.wires[&link].ends[0] == place;
        let input = Input::LinkUp { peer: self.id(other), link, dialled_by_us, hello: Box::new(hello) };
        self.nodes[place].inbox.push_back(input);
    }

    /// What `place` verifies the receipts of `other` with, once it has taken the Hello.
    fn expect_key(&mut self, place: usize, other: usize, link: LinkId, hello: &Hello) {
        let Some(known) = self.nodes[place].core.peer(&self.nodes[other].id) else { return };
        let key = known.hello_keys().into_iter().find(|key| key.id() == hello.key_id);
        let wire = self.network.wires.get_mut(&link).expect("the link was opened");
        let side = usize::from(wire.ends[1] == place);
        wire.keys[side] = key.unwrap_or_else(|| wire.keys[side].clone());
    }

    /// A signed and verified Hello.
    pub(crate) fn hello(&self, from: usize, to: usize, role: Role) -> Hello {
        let node = &self.nodes[from];
        let peer = node.core.peer(&self.nodes[to].id).expect("the peer is enrolled");
        let mut hello = Hello {
            versions: List::new(vec![1]).expect("short"),
            role,
            from: node.id.clone(),
            to: self.id(to),
            exporter: [0; 32],
            key_id: peer.durable.own_key,
            incarnation: node.core.incarnation(),
            card: node.card.digest(),
            peer_card: peer.newest_card().digest(),
            received: peer.received_marks(),
            sent: peer.sent_marks(),
            sent_at: self.wall_of(from),
            extensions: Hello::extensions_with(peer.durable.own_switch, &peer.receipted_marks()),
        };
        if let Some(falsify) = self.falsify_hello.filter(|_| from == 1) {
            falsify(&mut hello);
        }
        let key = node.identities.get(hello.key_id).expect("the core signs with keys it has");
        let (own, keys) = (self.id(to), [key.public()]);
        let expected = Expected { role, from: &node.id, to: &own, exporter: &[0; 32], keys: &keys };
        Hello::verify(&hello.sign(key), &expected).expect("a Hello verifies")
    }

    /// The link breaks: what is on its way is lost, both ends learn it.
    pub(crate) fn break_link(&mut self, link: LinkId) {
        let Some(wire) = self.network.wires.get_mut(&link) else { return };
        wire.towards = Default::default();
        let (ends, open) = (wire.ends, std::mem::take(&mut wire.open));
        for side in 0..2 {
            if open[side] {
                let (place, other) = (ends[side], ends[1 - side]);
                let cause = super::text("the link broke");
                let down = Input::LinkDown { peer: self.id(other), link, cause };
                self.nodes[place].inbox.push_back(down);
            }
        }
    }

    /// Breaks every link.
    pub(crate) fn break_all(&mut self) {
        let links: Vec<LinkId> = self.network.wires.keys().copied().collect();
        for link in links {
            self.break_link(link);
        }
    }

    pub(super) fn break_links_of(&mut self, place: usize) {
        for link in self.network.open_at(place) {
            self.break_link(link);
        }
        self.nodes[place].inbox.clear();
    }

    /// A node closed its end: it is told at once, the other end when it has read the rest.
    pub(super) fn close_own_end(&mut self, place: usize, link: LinkId) {
        let Some(wire) = self.network.wires.get_mut(&link) else { return };
        let Some(side) = (0..2).find(|side| wire.ends[*side] == place && wire.open[*side]) else { return };
        wire.open[side] = false;
        wire.towards[side].clear();
        let down = Input::LinkDown {
            peer: self.id(self.network.wires[&link].ends[1 - side]),
            link,
            cause: super::text("closed here"),
        };
        self.nodes[place].inbox.push_back(down);
    }

    /// What has arrived for a node, verified as its link tasks would.
    pub(crate) fn arrived(&mut self, place: usize) -> Vec<Input> {
        let mut inputs = Vec::new();
        let links: Vec<LinkId> = self.network.open_at(place);
        for link in links {
            let wire = self.network.wires.get_mut(&link).expect("an open link exists");
            let side = (0..2).find(|side| wire.ends[*side] == place).expect("the node is an end");
            let other = wire.ends[1 - side];
            let held = self.network.held_from == Some(other) || self.network.held.contains(&(other, place));
            if held {
                continue;
            }
            let (frames, ended) = (std::mem::take(&mut wire.towards[side]), !wire.open[1 - side]);
            if ended {
                wire.open[side] = false;
            }
            for frame in frames {
                if let Wired::Fetch(fetch) = frame {
                    self.serve(place, other, link, &fetch);
                    continue;
                }
                let input = self.read(place, other, link, frame);
                inputs.push(input);
            }
            if ended {
                let cause = super::text("the other side closed");
                inputs.push(Input::LinkDown { peer: self.id(other), link, cause });
            }
        }
        inputs
    }

    /// One frame from `other` as an input of `place`.
    pub(crate) fn read(&mut self, place: usize, other: usize, link: LinkId, frame: Wired) -> Input {
        let peer = self.id(other);
        match frame {
            Wired::Envelope(bytes) => {
                let wire = self.network.wires.get_mut(&link).expect("frames come over links");
                let side = (0..2).find(|side| wire.ends[*side] == place).expect("the node is an end");
                // As the node does: by the keys the core knows once it has taken the Hello, for credit comes only then.
                let (own, nodes) = (&self.nodes[place], &self.nodes);
                let verifier = wire.verifiers[side].get_or_insert_with(|| {
                    let known = own.core.peer(&nodes[other].id).expect("the peer is enrolled");
                    EnvelopeVerifier::new(nodes[other].id.clone(), own.id.clone(), known.durable.keys.clone())
                });
                match verifier.verify(&bytes) {
                    Ok(envelope) => {
                        let header = envelope.header();
                        let reading = match envelope.body() {
                            Body::Present { bytes, .. } => kinds::read(&header.kind, header.kind_version, bytes),
                            Body::Withheld(_) => Reading::Malformed("no body".into()),
                        };
                        Input::Envelope { link, envelope: Box::new(envelope), reading }
                    }
                    Err(error) => {
                        let what = super::text(&error.to_string());
                        Input::Unverifiable { peer, link, lane: claimed_lane(&bytes), what }
                    }
                }
            }
            Wired::Receipt(bytes) => {
                let wire = &self.network.wires[&link];
                let key = wire.keys[usize::from(wire.ends[1] == place)].clone();
                let receipt = VerifiedReceipt::verify(&bytes, &peer, &self.nodes[place].id, &key);
                match receipt {
                    Ok(receipt) => Input::Receipt { link, receipt: Box::new(receipt) },
                    Err(error) => {
                        let what = super::text(&error.to_string());
                        Input::Unverifiable { peer, link, lane: None, what }
                    }
                }
            }
            Wired::History(held) => self.read_history(place, other, link, held),
            Wired::Fetch(_) => panic!("a fetch is answered by the link, not by the core"),
            Wired::Want(want) => Input::AttachmentWanted { peer, link, want },
            Wired::File(attachment, FileSent::Whole) => {
                self.nodes[place].files.insert((peer.clone(), attachment));
                Input::AttachmentHeld { peer, attachment }
            }
            Wired::File(attachment, FileSent::OtherBytes) => Input::AttachmentBad { peer, attachment },
            Wired::File(attachment, FileSent::NotHeld) => Input::AttachmentNotHeld { peer, attachment },
            Wired::Credit(credit) => Input::Credit { peer, link, credit },
            Wired::Goodbye(goodbye) => Input::Goodbye { peer, link, goodbye },
        }
    }
}
