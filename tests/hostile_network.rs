//! Two whole nodes, with their real link tasks, real TLS and real journals, over a network that delays, cuts, stalls,
//! loses a direction, refuses and flips bits while both send in all lanes. When it is in order again both ends agree:
//! everything that was confirmed is there, once, each lane in its order.
//!
//! `ALDIS_NETWORK_SEEDS` says how many runs there are (4), `ALDIS_NETWORK_SEED` repeats one.

use aldis_core::record::{Record, Standing};
use aldis_node::clock;
use aldis_node::event_loop::LinkStatus;
use aldis_node::link::LinkTimes;
use aldis_tests::bad_network::{BadNetwork, Fault};
use aldis_tests::certs::{Cert, eventually};
use aldis_tests::panics;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How many notices each side sends while one fault lasts.
const NOTICES: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn i5_i8_no_network_loses_repeats_or_reorders_what_was_confirmed() {
    let setting = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match setting("ALDIS_NETWORK_SEED") {
        Some(seed) => vec![seed],
        None => (0..setting("ALDIS_NETWORK_SEEDS").unwrap_or(4)).map(|_| u64::from_be_bytes(clock::random())).collect(),
    };
    let panics = panics::counted();
    let mut done = BTreeMap::new();
    for seed in seeds {
        println!("ALDIS_NETWORK_SEED={seed} cargo test -p aldis-node -p aldis-tests --test hostile_network");
        for (fault, times) in run(seed).await {
            *done.entry(fault).or_insert(0) += times;
        }
    }
    println!("{done:?}");
    assert_eq!(panics.load(Ordering::Relaxed), 0, "a task of a node panicked");
    for fault in Fault::ALL {
        assert!(done.get(&fault).is_some_and(|times| *times > 0), "{fault:?} never happened: {done:?}");
    }
}

/// One pair of nodes through every fault, in an order and at places that follow from the seed.
async fn run(seed: u64) -> BTreeMap<Fault, u64> {
    let mut random = seed;
    let network = BadNetwork::new();
    let nodes = pair(&network).await;
    let [br, cl] = &nodes;
    let mut faults = Fault::ALL.to_vec();
    for last in (1..faults.len()).rev() {
        faults.swap(last, usize::try_from(next(&mut random) % (last as u64 + 1)).expect("small"));
    }
    let mut confirmed: Vec<EnvelopeId> = Vec::new();
    for fault in faults {
        // Two of three strike a link that stands, the others one that may be in its handshake.
        if !next(&mut random).is_multiple_of(3) {
            tokio::join!(br.linked(cl), cl.linked(br));
        }
        let before = network.done().get(&fault).copied().unwrap_or(0);
        network.strike(fault, next(&mut random));
        for number in 0..NOTICES {
            let lane = Lane::ALL[usize::try_from(next(&mut random) % 4).expect("small")];
            let subject = format!("{number} under {fault:?}");
            confirmed.push(br.send(cl, lane, &subject).await);
            confirmed.push(cl.send(br, lane, &subject).await);
        }
        eventually(&format!("{fault:?} strikes"), || async {
            network.done().get(&fault).copied().unwrap_or(0) > before
        })
        .await;
        noticed(&nodes, fault).await;
        network.heal();
    }
    for (from, to) in [(br, cl), (cl, br)] {
        eventually("everything arrives", || async {
            let peer = from.peer(to).await;
            peer.standing == Standing::Good && peer.lanes.iter().all(|lane| lane.receipted == lane.sent)
        })
        .await;
        assert_eq!(sent(from, &to.id), received(to, &from.id), "{} to {}", from.id, to.id);
        eventually("no alarm lasts", || async { from.view().await.alarms.is_empty() }).await;
    }
    for id in confirmed {
        let to = if id.to == cl.id { cl } else { br };
        let times = to.received().iter().filter(|found| found.header.id() == id).count();
        assert_eq!(times, 1, "{id}");
    }
    network.done()
}

/// Two nodes that reach each other only through the network, and notice soon that it does not carry them.
async fn pair(network: &BadNetwork) -> [Cert; 2] {
    let mut nodes = [Cert::new("cert.br"), Cert::new("cert.cl")];
    network.lead_to([nodes[0].setup().listen[0], nodes[1].setup().listen[0]]);
    for (node, address) in nodes.iter_mut().zip(network.addresses()) {
        node.reached_at(&[address]);
        let mut setup = node.setup();
        (setup.limits.retry_initial_ms, setup.limits.retry_max_ms) = (20, 80);
        setup.limits.receipt_wait_ms = 1_000;
        setup.times = LinkTimes {
            heartbeat: Duration::from_millis(150),
            silence: Duration::from_millis(600),
            connect: Duration::from_secs(1),
            write: Duration::from_millis(600),
            ..setup.times
        };
        node.start_with(setup).await;
    }
    let [br, cl] = &nodes;
    br.enrol(cl).await;
    cl.enrol(br).await;
    tokio::join!(br.linked(cl), cl.linked(br));
    nodes
}

/// What lasts and lets nothing through is noticed by both nodes, by themselves; what refuses them is named by one.
async fn noticed([br, cl]: &[Cert; 2], fault: Fault) {
    match fault {
        Fault::Stall | Fault::LostThere | Fault::LostBack => {
            eventually(&format!("{fault:?} is noticed"), || async {
                br.peer(cl).await.link != LinkStatus::Up && cl.peer(br).await.link != LinkStatus::Up
            })
            .await;
        }
        Fault::Refuse => {
            eventually("it is said that nobody listens", || async {
                let said = |node: &Cert, peer: &Cert| {
                    node.node().notes.of(&peer.id).last_error.is_some_and(|(code, ..)| code == "unreachable")
                };
                said(br, cl) || said(cl, br)
            })
            .await;
        }
        _ => {}
    }
}

/// What a node has signed for another, lane by lane.
fn sent(node: &Cert, to: &NodeId) -> [Vec<Digest>; 4] {
    let mut lanes: [Vec<Digest>; 4] = Default::default();
    for (record, _) in node.records() {
        if let Record::Sent(sent) = record
            && sent.draft.header.to == *to
        {
            lanes[sent.draft.header.lane.index()].push(sent.draft.header.digest());
        }
    }
    lanes
}

/// What a node has stored of another, lane by lane, in the order in which it was stored.
fn received(node: &Cert, from: &NodeId) -> [Vec<Digest>; 4] {
    let mut lanes: [Vec<Digest>; 4] = Default::default();
    for found in node.received().into_iter().filter(|found| found.header.from == *from) {
        lanes[found.header.lane.index()].push(found.header.digest());
    }
    lanes
}

/// The next number of a small generator (`SplitMix64`): the seed tells all of it.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
