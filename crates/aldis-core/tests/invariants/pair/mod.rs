//! Nodes without a network: real cores with real keys and signatures, virtual time, seeded entropy, virtual links and a
//! journal in memory. What travels is verified exactly as the node verifies it; what is decided is replayed after every
//! commit and must give the same state (I11).

mod history;
mod keys;
mod letters;
mod network;
mod node;
mod puppet;
mod scene;
mod tap;

pub(crate) use history::{Held, Kept};
pub(crate) use keys::card;
pub(crate) use letters::{answer, file, incident, name_files, notice, notice_of, notice_with, recall, submission};
pub(crate) use network::Wired;
pub(crate) use node::{Channels, Failing, Fault, Node};
pub(crate) use puppet::Forged;
pub(crate) use scene::Scene;
pub(crate) use tap::{Tap, Tapped};

use aldis_core::effect::{Effect, Outgoing};
use aldis_core::input::{Input, Submission, Token};
use aldis_core::ladder::Ladder;
use aldis_core::limits::Limits;
use aldis_core::trust::{Act, Person, RequestId};
use aldis_core::{Moment, Order};
use aldis_wire::codec::Text;
use aldis_wire::digest::Digest;
use aldis_wire::frame::{Fetch, Want};
use aldis_wire::hello::Hello;
use aldis_wire::ids::{NodeId, UnixMillis};
use network::Network;
use std::sync::Arc;

/// 2026-11-22T03:00:00Z.
pub(crate) const START_MS: u64 = 1_795_316_400_000;

/// Some nodes, every one enrolled with every other, and the network between them.
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) monotonic_ms: u64,
    pub(crate) wall_ms: u64,
    /// What wants of files were answered with: the size, or that it is not the peer's.
    pub(crate) served: Vec<Option<u64>>,
    /// Whether a dial reaches the other side; otherwise it fails at once.
    pub(crate) reachable: bool,
    /// Whether dials are carried out at all; otherwise they are only noted.
    pub(crate) dials: bool,
    /// Everything that was done, in order.
    pub(crate) trace: Vec<String>,
    pub(crate) tracing: bool,
    /// What a hostile peer makes of the history it is asked for.
    pub(crate) falsify: Option<fn(Vec<Held>) -> Vec<Held>>,
    /// What a hostile node 1 makes of its Hellos.
    pub(crate) falsify_hello: Option<fn(&mut Hello)>,
    /// What was asked of anybody's history, in order.
    pub(crate) fetched: Vec<Fetch>,
    /// What left the nodes and what became of them, if anybody wants to know.
    pub(crate) taps: Option<Vec<Tap>>,
    /// Whether each start tells a node of its own card, as the program around the core does.
    pub(crate) own_cards: bool,
    seed: u64,
    drawn: u64,
    tokens: u64,
}

impl World {
    /// Nodes `cert.br`, `cert.cl`, ... with default limits.
    pub(crate) fn new(count: usize) -> Self {
        Self::with(count, 0, &calm())
    }

    /// Two nodes, linked.
    pub(crate) fn linked() -> Self {
        let mut world = Self::new(2);
        world.connect(0, 1);
        world.run();
        world
    }

    /// Nodes that have verified each other.
    pub(crate) fn with(count: usize, seed: u64, limits: &Limits) -> Self {
        let mut world = Self::unverified(count, seed, limits);
        for place in 0..count {
            for other in (0..count).filter(|other| *other != place) {
                world.order(place, Act::Verify, other);
            }
        }
        world.run();
        for place in 0..count {
            world.approve_all(place);
        }
        world.run();
        world
    }

    /// Nodes that have added each other's cards, and no more.
    pub(crate) fn unverified(count: usize, seed: u64, limits: &Limits) -> Self {
        let nodes = (0..count).map(|place| Node::new(place, limits)).collect();
        let mut world = Self {
            nodes,
            network: Network::default(),
            monotonic_ms: 0,
            wall_ms: START_MS,
            reachable: true,
            dials: false,
            trace: Vec::new(),
            tracing: false,
            falsify: None,
            falsify_hello: None,
            fetched: Vec::new(),
            served: Vec::new(),
            taps: None,
            own_cards: false,
            seed,
            drawn: 0,
            tokens: 0,
        };
        for place in 0..count {
            world.start(place);
            for other in (0..count).filter(|other| *other != place) {
                let token = world.token();
                let card = Box::new(world.nodes[other].card.clone());
                world.nodes[place].inbox.push_back(Input::AddPeer { token, card, by: text("admin") });
            }
        }
        world.run();
        world
    }

    /// The first administrator of a node orders something.
    pub(crate) fn order(&mut self, place: usize, act: Act, other: usize) -> Token {
        let token = self.token();
        let order = Order { act, peer: self.id(other), key: None, by: person(1), why: text("a test") };
        self.nodes[place].inbox.push_back(Input::Administer { token, order: Box::new(order) });
        token
    }

    /// The second administrator of a node approves whatever waits.
    pub(crate) fn approve_all(&mut self, place: usize) {
        let requests: Vec<RequestId> = self.nodes[place].core.requests().map(|(id, _)| id).collect();
        for request in requests {
            let token = self.token();
            self.nodes[place].inbox.push_back(Input::Approve { token, request, by: person(2) });
        }
    }

    pub(crate) fn moment(&mut self) -> Moment {
        self.drawn += 1;
        let entropy = *Digest::of(&[&self.seed.to_be_bytes(), &self.drawn.to_be_bytes()]).as_bytes();
        Moment { wall: UnixMillis::new(self.wall_ms), monotonic_ms: self.monotonic_ms, entropy }
    }

    /// The moment as a node's own clocks show it.
    pub(crate) fn moment_of(&mut self, place: usize) -> Moment {
        let wall = self.wall_of(place);
        Moment { wall, ..self.moment() }
    }

    /// A node's wall clock.
    pub(crate) fn wall_of(&self, place: usize) -> UnixMillis {
        if let Some(frozen) = self.nodes[place].frozen {
            return frozen;
        }
        UnixMillis::new(self.wall_ms.saturating_add_signed(self.nodes[place].shift_ms))
    }

    pub(crate) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// The id of a node.
    pub(crate) fn id(&self, place: usize) -> NodeId {
        self.nodes[place].id.clone()
    }

    pub(crate) fn place(&self, id: &NodeId) -> usize {
        self.nodes.iter().position(|node| node.id == *id).expect("a node of this world")
    }

    /// Lets time pass for all.
    pub(crate) fn advance(&mut self, millis: u64) {
        self.monotonic_ms += millis;
        self.wall_ms += millis;
        self.tick();
    }

    /// Lets every node look at the clock, then runs until all is quiet.
    pub(crate) fn tick(&mut self) {
        for place in 0..self.nodes.len() {
            self.step(place, Vec::new());
        }
        self.run();
    }

    /// Jumps to the next deadline of any node; the time that passed in milliseconds, or `None` if nothing is due.
    pub(crate) fn jump(&mut self) -> Option<u64> {
        let wait = self.first_deadline_ms()?.saturating_sub(self.monotonic_ms);
        self.advance(wait);
        Some(wait)
    }

    /// The first deadline of any node.
    pub(crate) fn first_deadline_ms(&mut self) -> Option<u64> {
        let places = (0..self.nodes.len()).filter(|place| self.nodes[*place].up && !self.nodes[*place].puppet);
        let places: Vec<usize> = places.collect();
        let due = places.into_iter().filter_map(|place| {
            let moment = self.moment_of(place);
            self.nodes[place].core.next_deadline(moment)
        });
        due.min()
    }

    /// Submits; the reply is in `nodes[place].replies` once the commit succeeded.
    pub(crate) fn submit(&mut self, place: usize, submission: Submission) -> Token {
        let token = self.token();
        self.nodes[place].inbox.push_back(Input::Submit(token, Box::new(submission)));
        token
    }

    /// Runs until nobody has anything to do.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.run_once() {
                return;
            }
        }
        panic!("the nodes never come to rest (seed {})", self.seed);
    }

    /// One turn of everybody who has something to do; whether anybody had.
    pub(crate) fn run_once(&mut self) -> bool {
        let busy = self.busy();
        for place in &busy {
            self.take_turn(*place);
        }
        !busy.is_empty()
    }

    /// The nodes that have something to do.
    pub(crate) fn busy(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|place| self.is_busy(*place)).collect()
    }

    /// A node takes in whatever waits for it.
    pub(crate) fn take_turn(&mut self, place: usize) {
        let mut inputs: Vec<Input> = self.nodes[place].inbox.drain(..).collect();
        inputs.extend(self.arrived(place));
        self.step(place, inputs);
    }

    fn is_busy(&self, place: usize) -> bool {
        let node = &self.nodes[place];
        node.up && !node.puppet && (!node.inbox.is_empty() || self.network.waits_for(place))
    }

    /// One turn of a node's loop: inputs, a tick, the commit, the effects.
    pub(crate) fn step(&mut self, place: usize, inputs: Vec<Input>) {
        if !self.nodes[place].up || self.nodes[place].puppet {
            return;
        }
        let mut rest = inputs.into();
        loop {
            let moment = self.moment_of(place);
            match self.nodes[place].turn(moment, &mut rest) {
                Ok(effects) => self.execute(place, effects),
                Err(Failing) => return self.crash(place),
            }
            if rest.is_empty() || !self.nodes[place].up {
                return;
            }
        }
    }

    /// The process of a node ends, and with it its links.
    pub(crate) fn crash(&mut self, place: usize) {
        self.tap(place, || Tapped::Ended);
        self.nodes[place].up = false;
        self.nodes[place].inbox.clear();
        self.break_links_of(place);
    }

    /// A stopped node starts again from its journal.
    pub(crate) fn restart(&mut self, place: usize) {
        if self.nodes[place].up {
            self.crash(place);
        }
        self.nodes[place].recover();
        self.nodes[place].sweep_files();
        self.start(place);
        if self.own_cards {
            let node = &mut self.nodes[place];
            let (card, usable) = (Box::new(node.card.clone()), node.usable());
            node.inbox.push_front(Input::OwnCard { token: None, card, usable, by: text("node") });
        }
    }

    fn start(&mut self, place: usize) {
        let moment = self.moment_of(place);
        let effects = self.nodes[place].begin(moment);
        self.tap(place, || Tapped::Started);
        self.execute(place, effects);
    }

    fn execute(&mut self, place: usize, effects: Vec<Effect>) {
        for effect in effects {
            if self.nodes[place].stops_now() {
                return self.crash(place);
            }
            if self.tracing {
                self.trace.push(format!("{place} {effect:?}"));
            }
            match effect {
                Effect::Transmit { link, lane, seq, bytes } => {
                    let bytes = match bytes {
                        Outgoing::Fresh { bytes, .. } => bytes,
                        Outgoing::Stored { record, withhold } => self.nodes[place].stored(record, withhold),
                    };
                    self.nodes[place].transmitted.push((lane, seq, bytes.clone()));
                    self.tap(place, || Tapped::Envelope { link, lane, seq, bytes: bytes.clone() });
                    self.network.send(link, place, Wired::Envelope(bytes));
                }
                Effect::Receipt { peer, link } => {
                    let receipt = self.nodes[place].sign_receipt(&peer, self.wall_of(place));
                    self.tap(place, || Tapped::Receipt { peer: peer.clone(), bytes: receipt.clone() });
                    self.network.send(link, place, Wired::Receipt(receipt));
                }
                Effect::Grant { link, credit } => {
                    self.network.send(link, place, Wired::Credit(credit));
                }
                Effect::Fetch { link, fetch } => {
                    self.network.send(link, place, Wired::Fetch(fetch));
                }
                Effect::Obtain { link, attachment, .. } => {
                    self.network.send(link, place, Wired::Want(Want { attachment, offset: 0, bytes: 1 }));
                }
                Effect::Want { link, want } => {
                    self.network.send(link, place, Wired::Want(want));
                }
                Effect::Serve { link, want, size } => {
                    self.served.push(size);
                    let sent = self.nodes[place].hands_out(want.attachment, size);
                    self.network.send(link, place, Wired::File(want.attachment, sent));
                }
                Effect::EraseAttachment { peer, attachment } => {
                    let node = &mut self.nodes[place];
                    if let Some(peer) = peer {
                        node.files.remove(&(peer, attachment));
                    } else {
                        assert!(!node.core.names_ours(&attachment), "i9: {attachment} is erased and still named");
                        node.erased_files.push(attachment);
                    }
                }
                Effect::Dial { peer } => self.dial(place, &peer),
                Effect::Close { link, goodbye } => {
                    self.nodes[place].closed.push((link, goodbye.code));
                    self.network.send(link, place, Wired::Goodbye(goodbye));
                    self.close_own_end(place, link);
                }
                Effect::Reply { token, result } => {
                    self.tap(place, || Tapped::Replied(token, result.clone()));
                    self.nodes[place].replies.insert(token, result);
                }
                Effect::Tell(happening) => {
                    self.tap(place, || Tapped::Told(happening.clone()));
                    self.nodes[place].told.push(happening);
                }
                Effect::Alert(alert) => self.nodes[place].alert(*alert),
                Effect::Erase { record } => self.nodes[place].erase(record),
            }
        }
    }

    /// Has dials carried out; those that were only noted have failed.
    pub(crate) fn dial_from_now_on(&mut self) {
        self.dials = true;
        for node in &mut self.nodes {
            let failed = node.dialled.iter().map(|(peer, _)| Input::DialFailed { peer: peer.clone() });
            node.inbox.extend(failed);
        }
    }

    fn dial(&mut self, place: usize, peer: &NodeId) {
        self.nodes[place].dialled.push((peer.clone(), self.monotonic_ms));
        if !self.dials {
            return;
        }
        let other = self.place(peer);
        if self.reachable && !self.network.is_cut(place, other) && self.nodes[other].up && !self.nodes[other].puppet {
            self.connect(place, other);
        } else {
            self.nodes[place].inbox.push_back(Input::DialFailed { peer: peer.clone() });
        }
    }
}

/// The default limits, with nobody alerted of what comes: most tests count what is sent, and alerts are told.
pub(crate) fn calm() -> Limits {
    Limits { ladder: Arc::new(Ladder { on_arrival: [false; 4], ..Ladder::default() }), ..Limits::default() }
}

/// An administrator of a node.
pub(crate) fn person(uid: u32) -> Person {
    Person { uid, name: text(&format!("admin-{uid}")) }
}

pub(crate) fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::cut(text)
}
