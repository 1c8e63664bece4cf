//! A node that lost its disk, or got an old one back, and its peers' copies of the record: whole nodes over real TLS.

use aldis_core::effect::{Declined, Delivery};
use aldis_core::record::{Record, RecoveryEnd, RecoveryEnded, Standing};
use aldis_core::trust::Act;
use aldis_node::event_loop::RequestError;
use aldis_node::evidence::{self, Wanted};
use aldis_node::journal;
use aldis_node::restored::{self, Marker};
use aldis_tests::certs::{Cert, eventually, two_certs};
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::lane::Lane;
use serde_json::json;
use std::collections::BTreeMap;

/// Enough that several windows are asked for in each lane.
const MESSAGES: usize = 160;

type Kept = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_backup_that_is_put_back_is_recovered_from_the_peer() {
    let (mut br, cl) = two_certs().await;
    talk(&br, &cl, 20).await;
    br.stop().await;
    let backup = br.twin();
    br.start().await;
    br.linked(&cl).await;
    talk(&br, &cl, MESSAGES).await;
    let before = envelopes(&br, &cl.id);
    br.stop().await;
    br.restore(&backup);
    br.start().await;
    eventually("an alarm at the restored node", || has_alarm(&br, "we-lost-history")).await;
    let signed = br.sent_digests().len();
    br.decide(&cl, Act::Recover).await;
    agreed(&br, &cl).await;
    assert_eq!(br.sent_digests().len(), signed, "nothing is signed meanwhile");
    let after = envelopes(&br, &cl.id);
    assert!(before == after, "not what it was: {} and {}", before.len(), after.len());
    assert!(after == envelopes(&cl, &br.id), "not what the peer has");
    let ended = ended(&br);
    assert_eq!(ended.end, RecoveryEnd::Complete);
    assert!(ended.gap.is_some_and(|gap| gap.after < gap.until), "{ended:?}");
    // The log shows it as it was, and says whence it came.
    let log = &br.node().log;
    log.caught_up(br.node().journal.committed(), std::time::Duration::from_secs(20)).await.expect("the log follows");
    let query = log.query().expect("the log is there");
    assert!(query.verify(&mut |_, _| true).expect("it verifies").findings.is_empty());
    // What came back, of both sides, is provable as before.
    for from in [&br.id, &cl.id] {
        let one = br.records().into_iter().find_map(|(record, _)| match record {
            Record::Recovered(found) if found.header.from == *from => Some(found.header.id()),
            _ => None,
        });
        let one = one.expect("something of each side came back");
        let wanted = Wanted { messages: vec![one.clone()], bodies: [one].into(), ..Wanted::default() };
        let (node, view) = (br.node(), br.view().await);
        let file = evidence::make(&query, &node.journal, (&node.own, &view), &wanted, br.clock.wall());
        assert!(!file.expect("it is made and verifies").is_empty());
    }
    // Everything goes on.
    for (from, to) in [(&br, &cl), (&cl, &br)] {
        let id = from.send(to, Lane::Flash, "and on").await;
        from.delivered(&id, &Delivery::Stored).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_node_without_a_journal_and_with_its_old_keys_is_built_again() {
    let (mut br, cl) = two_certs().await;
    talk(&br, &cl, MESSAGES).await;
    let before = envelopes(&br, &cl.id);
    br.stop().await;
    for dir in ["journal", "log"] {
        std::fs::remove_dir_all(br.dir().join(dir)).expect("removes");
    }
    std::fs::remove_file(br.dir().join("log.position")).expect("removes");
    let marker = Marker { by: "ana".to_owned(), at: br.clock.wall().get(), backup_of: None };
    restored::write(br.dir(), &marker).expect("writes");
    br.start().await;
    assert!(!br.dir().join(restored::MARKER_FILE).exists(), "it is on record now");
    br.enrol(&cl).await;
    let declined = br.try_send(&cl, Lane::Flash, "too early").await;
    assert!(matches!(declined, Err(RequestError::Declined(Declined::RecordsDisagree(..)))), "{declined:?}");
    eventually("it learns what the peer holds", || async { br.peer(&cl).await.standing == Standing::WeLostHistory })
        .await;
    br.decide(&cl, Act::Recover).await;
    agreed(&br, &cl).await;
    assert!(before == envelopes(&br, &cl.id) && before == envelopes(&cl, &br.id));
    let id = br.send(&cl, Lane::Flash, "and on").await;
    br.delivered(&id, &Delivery::Stored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_recovery_that_is_stopped_in_the_middle_goes_on() {
    let (mut br, mut cl) = two_certs().await;
    br.stop().await;
    let backup = br.twin();
    br.start().await;
    br.linked(&cl).await;
    talk(&br, &cl, 4 * MESSAGES).await;
    br.stop().await;
    br.restore(&backup);
    br.start().await;
    eventually("it learns what the peer holds", || async { br.peer(&cl).await.standing == Standing::WeLostHistory })
        .await;
    br.decide(&cl, Act::Recover).await;
    eventually("some of it came", || async { recovered(&br) > 20 || is_good(&br, &cl).await }).await;
    br.stop().await;
    br.start().await;
    cl.stop().await;
    cl.start().await;
    agreed(&br, &cl).await;
    assert!(envelopes(&br, &cl.id) == envelopes(&cl, &br.id));
}

/// Notices in all lanes both ways, and answers to them, until all of it is receipted.
async fn talk(br: &Cert, cl: &Cert, messages: usize) {
    for number in 0..messages {
        let (from, to) = if number % 3 == 0 { (cl, br) } else { (br, cl) };
        let id = from.send(to, Lane::ALL[number % 4], &format!("notice {number}")).await;
        if number % 4 == 0 {
            from.delivered(&id, &Delivery::Stored).await;
            let found = to.received().into_iter().find(|found| found.header.id() == id).expect("it was receipted");
            to.answer(&id, found.header.digest(), json!({"state": "acknowledged"})).await;
        }
    }
    eventually("all of it is receipted", || async {
        let whole =
            |lanes: [aldis_node::event_loop::LaneStatus; 4]| lanes.iter().all(|lane| lane.sent == lane.receipted);
        whole(br.peer(cl).await.lanes) && whole(cl.peer(br).await.lanes)
    })
    .await;
}

/// Waits until both ends have found that their records agree, and no alarm says otherwise.
async fn agreed(br: &Cert, cl: &Cert) {
    eventually("the records agree", || async { is_good(br, cl).await && is_good(cl, br).await }).await;
    for (cert, code) in [(br, "we-lost-history"), (cl, "peer-lost-history")] {
        eventually("the alarm ends", || async { !has_alarm(cert, code).await }).await;
    }
    eventually("a receipt is exchanged", || async {
        br.peer(cl).await.lanes.iter().all(|lane| lane.sent == lane.receipted)
    })
    .await;
}

async fn is_good(cert: &Cert, other: &Cert) -> bool {
    cert.peer(other).await.standing == Standing::Good
}

async fn has_alarm(cert: &Cert, code: &str) -> bool {
    cert.view().await.alarms.iter().any(|alarm| alarm.code.as_str() == code)
}

fn recovered(cert: &Cert) -> usize {
    cert.records().iter().filter(|(record, _)| matches!(record, Record::Recovered(_))).count()
}

fn ended(cert: &Cert) -> RecoveryEnded {
    let ended = cert.records().into_iter().filter_map(|(record, _)| match record {
        Record::RecoveryEnded(ended) => Some(ended),
        _ => None,
    });
    ended.last().expect("it ended")
}

/// Every envelope between a node and a peer, byte for byte.
fn envelopes(cert: &Cert, peer: &NodeId) -> BTreeMap<String, Kept> {
    let mut found = BTreeMap::new();
    for (record, body) in cert.records() {
        let (header, proof) = match record {
            Record::Sent(sent) => (sent.draft.header, sent.proof),
            Record::Received(found) | Record::Recovered(found) => (found.header, found.proof),
            _ => continue,
        };
        let id: EnvelopeId = header.id();
        if id.from == *peer || id.to == *peer {
            let body = match body {
                journal::Body::Present(bytes) => Some(bytes.to_vec()),
                journal::Body::Erased | journal::Body::None => None,
            };
            let twice = found.insert(id.to_string(), (header.bytes().to_vec(), proof.to_vec(), body));
            assert!(twice.is_none(), "{id} stands twice in the journal of {}", cert.id);
        }
    }
    found
}
