//! A region: 35 nodes, each linked with every other. Several send one FLASH to all; people answer after a while, or not at
//! all; channels fail, nodes are down. Every sender must know where it stands with every other within the deadline (I8).

use crate::ladder::{climbs, ladder};
use crate::pair::{Channels, World, answer, incident, submission};
use aldis_core::effect::Happening;
use aldis_core::ladder::{Ladder, Silence};
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_wire::digest::Digest;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;
use std::sync::Arc;

const NODES: usize = 35;
const SENDERS: usize = 4;
const SECOND_MS: u64 = 1_000;
/// The time to acknowledge, the grace for the way, and the time an alert may take.
const DEADLINE_S: u64 = (10 + 2 + 1) * 60;

/// How a node's people are this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum People {
    Answer { after_s: u64, state: &'static str },
    Never,
}

#[test]
fn i8_one_flash_to_all_and_every_sender_knows_the_state_of_every_node_within_the_deadline() {
    let limits = Limits { ladder: Arc::new(Ladder { on_arrival: [true; 4], ..ladder() }), ..Limits::default() };
    let mut world = World::with(NODES, 35, &limits);
    for node in &mut world.nodes {
        // Replaying every commit of so many nodes would test nothing more, and take minutes.
        node.replays = false;
    }
    for place in 0..NODES {
        for other in 0..place {
            world.connect(place, other);
        }
    }
    world.run();
    let people: Vec<People> = (0..NODES).map(people_of).collect();
    for place in SENDERS..NODES {
        world.nodes[place].channels = [Channels::Work, Channels::Work, Channels::Fail, Channels::Hang][place % 4];
    }
    // Three nodes do not run.
    for place in [11, 22, 33] {
        world.crash(place);
    }
    world.run();
    let sent: Vec<Vec<(EnvelopeId, Digest)>> = (0..SENDERS).map(|sender| flash_to_all(&mut world, sender)).collect();
    for second in 1..=DEADLINE_S {
        world.monotonic_ms += SECOND_MS;
        world.wall_ms += SECOND_MS;
        for (place, one) in people.iter().enumerate() {
            if let People::Answer { after_s, state } = one
                && *after_s == second
                && world.nodes[place].up
            {
                answer_all(&mut world, place, state, &sent);
            }
        }
        if world.nodes.iter().any(|node| node.up && !node.inbox.is_empty()) || second % 10 == 0 {
            world.tick();
        }
    }
    for (sender, sent) in sent.iter().enumerate() {
        assert_eq!(sent.len(), NODES - 1);
        for (id, _) in sent {
            let place = world.place(&id.to);
            let (known, people) = (knows(&world, sender, id), people[place]);
            let up = world.nodes[place].up;
            assert!(known.is_some(), "{id} ({people:?}, up: {up}): its sender does not know where it stands");
            let answered = matches!(people, People::Answer { after_s, .. } if after_s <= DEADLINE_S) && up;
            assert_eq!(known == Some(Known::Answered), answered, "{id} ({people:?}, up: {up}): {known:?}");
            assert_eq!(known == Some(Known::NoReceipt), !up, "{id}: {known:?}");
        }
    }
}

/// What a sender knows about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Answered,
    StepsTold,
    NoReceipt,
}

fn knows(world: &World, sender: usize, id: &EnvelopeId) -> Option<Known> {
    let peer = world.nodes[sender].core.peer(&id.to).unwrap();
    let open = peer.durable.out[id.lane.index()].open.get(&id.seq.get());
    let told = |happening: &Happening| matches!(happening, Happening::StepTold(about, _) if about == id);
    let silent = climbs(world, sender).into_iter();
    let mut silent = silent.filter(|climbed| climbed.silence == Silence::Undelivered && climbed.peer == id.to);
    match open.map(|open| open.state) {
        None | Some(OutState::Acknowledged | OutState::Pending) => Some(Known::Answered),
        _ if world.nodes[sender].told.iter().any(told) => Some(Known::StepsTold),
        _ => silent.next().map(|_| Known::NoReceipt),
    }
}

fn people_of(place: usize) -> People {
    let random = Digest::of(&[b"people", &place.to_be_bytes()]);
    let [kind, high, low, ..] = random.as_bytes();
    let after_s = u64::from(u16::from_be_bytes([*high, *low])) % (2 * DEADLINE_S) + 1;
    match kind % 4 {
        0 => People::Never,
        1 => People::Answer { after_s, state: "acknowledged" },
        2 => People::Answer { after_s, state: "denied" },
        _ => People::Answer { after_s, state: "approved" },
    }
}

fn flash_to_all(world: &mut World, sender: usize) -> Vec<(EnvelopeId, Digest)> {
    let to: Vec<_> = (0..NODES).filter(|place| *place != sender).map(|place| world.id(place)).collect();
    let token = world.submit(sender, submission(&to, Lane::Flash, "incident", &incident("one flash to all")));
    world.run();
    world.nodes[sender].submitted(token)
}

fn answer_all(world: &mut World, place: usize, state: &str, sent: &[Vec<(EnvelopeId, Digest)>]) {
    let own = world.id(place);
    let mine: Vec<_> = sent.iter().flatten().filter(|(id, _)| id.to == own).cloned().collect();
    for message in mine {
        world.submit(place, answer(&message, state));
    }
}
