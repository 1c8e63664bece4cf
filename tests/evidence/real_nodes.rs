//! Evidence that whole nodes make of what they exchanged over real TLS.

use crate::{judge, judge_independently};
use aldis_core::record::Standing;
use aldis_node::evidence::{self, Wanted};
use aldis_tests::certs::{Cert, Scene, eventually, two_certs};
use aldis_tests::raw_peer::RawPeer;
use aldis_verify::Opened;
use aldis_verify::compare::compare;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;
use serde_json::{Value, json};

/// What a node makes of these messages.
async fn made(cert: &Cert, wanted: Wanted) -> Vec<u8> {
    let node = cert.node();
    node.log.wake();
    node.log.caught_up(node.journal.committed(), std::time::Duration::from_secs(20)).await.expect("the log follows");
    let view = cert.view().await;
    let log = node.log.query().expect("the log can be searched");
    let wanted = wanted.with_answers(&log).expect("they are there");
    evidence::make(&log, &node.journal, (&node.own, &view), &wanted, node.clock.wall()).expect("evidence")
}

fn of(messages: &[EnvelopeId]) -> Wanted {
    Wanted { messages: messages.to_vec(), ..Wanted::default() }
}

/// The verdict both programs come to.
fn agreed(files: &[&[u8]]) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a directory");
    let theirs = judge_independently(directory.path(), files);
    for (file, verdict) in files.iter().zip(&theirs) {
        assert_eq!(judge(file), *verdict);
        assert_eq!(verdict["verdict"], "good");
    }
    theirs
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_prove_the_same_exchange_and_each_is_the_others_witness() {
    let (br, cl) = two_certs().await;
    let first = br.send(&cl, Lane::Priority, "C2 at a provider").await;
    eventually("it is there", || async { cl.received().iter().any(|received| received.header.id() == first) }).await;
    let digest = br.peer(&cl).await.lanes[Lane::Priority.index()].sent_digest.expect("it was sent");
    let answer = cl.answer(&first, digest, json!({ "state": "acknowledged" })).await;
    // Each further exchange carries a newer commitment to the other side and its name back.
    let mut verdicts = Vec::new();
    for number in 0..6 {
        let more = br.send(&cl, Lane::Priority, &format!("more {number}")).await;
        br.delivered(&more, &aldis_core::effect::Delivery::Stored).await;
        let back = cl.send(&br, Lane::Routine, &format!("back {number}")).await;
        cl.delivered(&back, &aldis_core::effect::Delivery::Stored).await;
        let everything = Wanted { bodies: [first.clone()].into(), links: true, ..of(std::slice::from_ref(&first)) };
        let (mine, bare) = (made(&br, everything).await, made(&br, of(std::slice::from_ref(&first))).await);
        let theirs = made(&cl, of(&[first.clone(), answer.clone()])).await;
        verdicts = agreed(&[&mine, &bare, &theirs]);
        let opened = [&mine, &theirs].map(|file| Opened::read(file).expect("it was read before"));
        assert_eq!(compare(&opened[0], &opened[1]), []);
    }
    let message = |verdict: &Value| {
        let messages = verdict["facts"]["messages"].as_array().expect("messages").clone();
        messages.into_iter().find(|message| message["id"] == first.to_string()).expect("it is shown")
    };
    let [mine, bare, theirs] = [0, 1, 2].map(|at| message(&verdicts[at]));
    assert_eq!(
        (&mine["body"], &bare["body"], &theirs["body"]),
        (&json!("given"), &json!("withheld"), &json!("withheld"))
    );
    assert!(!mine["receipt"].is_null(), "{mine}");
    assert_eq!(mine["named_by"][0]["id"], answer.to_string());
    assert!(mine["record"].is_u64() && theirs["record"].is_u64());
    assert!(!mine["witness"].is_null(), "{mine}");
    assert_eq!(verdicts[1]["facts"]["messages"].as_array().expect("messages").len(), 2, "nothing else is shown");
    assert_eq!(mine["digest"], theirs["digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_what_a_peer_signed_twice_is_shown_to_others() {
    for wrong_previous in [false, true] {
        let mut scene = Scene::new().await;
        let first = scene.raw.notice(&scene.node.id, Lane::Priority, "the truth");
        let mut fork = RawPeer::fork(&scene.raw, wrong_previous);
        let second = fork.notice(&scene.node.id, Lane::Priority, "another truth");
        let mut link = scene.raw.link(&scene.node).await;
        link.envelope(&first).await;
        link.receipted(Lane::Priority, 1).await;
        link.envelope(&second).await;
        link.goodbye().await.expect("a goodbye");
        let raw = scene.raw.cert.id.clone();
        eventually("it is quarantined", || async {
            scene.node.peer(&scene.raw.cert).await.standing == Standing::Quarantined
        })
        .await;
        let file = made(&scene.node, Wanted { contradictions_of: Some(raw.clone()), ..Wanted::default() }).await;
        let verdict = agreed(&[&file]).remove(0);
        let expected = json!([{ "id": format!("{raw}/{}/P1", scene.node.id), "how": "equivocation" }]);
        assert_eq!(verdict["facts"]["contradictions"], expected);
    }
}
