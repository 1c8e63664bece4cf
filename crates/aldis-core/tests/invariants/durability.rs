//! I1, I2, I3: nothing is said before it is on disk.

use crate::pair::{World, answer, notice};
use aldis_core::effect::Delivery;
use aldis_wire::lane::Lane;

#[test]
fn a_notice_is_delivered_answered_and_closed_at_both_ends() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    let token = world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    let sent = world.nodes[0].submitted(token);
    assert_eq!(sent[0].0.to_string(), "cert.br/cert.cl/P1");
    assert_eq!(world.nodes[1].shown(), [sent[0].0.clone()]);
    for state in ["seen", "acknowledged", "pending", "approved"] {
        let token = world.submit(1, answer(&sent[0], state));
        world.run();
        world.nodes[1].submitted(token);
    }
    let told: Vec<Delivery> = world.nodes[0].deliveries().into_iter().map(|(_, delivery)| delivery).collect();
    let decided = |status| Delivery::Decided(aldis_wire::codes::Code::known(status));
    let expected = [
        Delivery::Submitted,
        Delivery::Relayed,
        Delivery::Stored,
        Delivery::Seen,
        Delivery::Acknowledged,
        decided("pending"),
        decided("approved"),
    ];
    assert_eq!(told, expected);
    assert!(world.nodes[0].core.peer(&cl).unwrap().durable.out.iter().all(|lane| lane.open.is_empty()));
    assert!(world.nodes[1].core.peer(&br).unwrap().durable.inbound.iter().all(|lane| lane.open.is_empty()));
}
