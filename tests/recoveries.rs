//! A node that lost its disk, or got an old one back, and its peers' copies of the record: whole nodes over real TLS.

use aldis_control::{
    AnswerRequest, AnswerState, AnswerStatus, BackupLine, Client, RecallRequest, VerifyLine, VerifyReport,
};
use aldis_core::effect::{Declined, Delivery};
use aldis_core::record::{Record, RecoveryEnd, RecoveryEnded, Standing};
use aldis_core::trust::Act;
use aldis_node::backup::{self, Restore, Settings};
use aldis_node::event_loop::RequestError;
use aldis_node::evidence::{self, Wanted};
use aldis_node::journal;
use aldis_node::restored::{self, Marker};
use aldis_tests::certs::{Cert, PATIENCE, eventually, two_certs};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::lane::Lane;
use futures_util::StreamExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Enough that several windows are asked for in each lane.
const MESSAGES: usize = 160;

const DAY_MS: i64 = 24 * 3_600_000;

type Kept = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// Whether everything is there as it was, and nothing new but words about alerts: once the records agree, people are told of
/// what is open, and the peer is told of that.
fn is_whole(before: &BTreeMap<String, Kept>, now: &BTreeMap<String, Kept>) -> bool {
    let is_word = |kept: &Kept| ExactHeader::parse(kept.0.clone().into()).unwrap().kind.as_str() == "ladder-step";
    let mut new = now.iter().filter(|(id, _)| !before.contains_key(*id));
    before.iter().all(|(id, kept)| now.get(id) == Some(kept)) && new.all(|(_, kept)| is_word(kept))
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_between_two_nodes_a_day_old_backup_is_restored_and_the_history_is_complete_again() {
    let (mut br, cl) = two_certs().await;
    let backups = private_dir();
    with_backups(&mut br, backups.path()).await;
    br.linked(&cl).await;
    talk(&br, &cl, 20).await;
    back_up(&br).await;
    let made_at = br.clock.wall();
    for cert in [&br, &cl] {
        cert.clock.shift(DAY_MS);
    }
    talk(&br, &cl, MESSAGES).await;
    let before = envelopes(&br, &cl.id);
    br.stop().await;
    restore(&br, backups.path());
    assert!(br.dir().join(restored::MARKER_FILE).exists());
    br.start().await;
    assert!(!br.dir().join(restored::MARKER_FILE).exists(), "it is on record now");
    let declined = br.try_send(&cl, Lane::Flash, "too early").await;
    assert!(matches!(declined, Err(RequestError::Declined(Declined::RecordsDisagree(..)))), "{declined:?}");
    recover(&br, &cl).await;
    assert!(is_whole(&before, &envelopes(&br, &cl.id)), "not what it was");
    assert!(is_whole(&before, &envelopes(&cl, &br.id)), "not what the peer has");
    let ended = ended(&br);
    assert_eq!(ended.end, RecoveryEnd::Complete);
    let gap = ended.gap.expect("the time that is lost is named");
    assert!(gap.after <= made_at && gap.until.get() - made_at.get() >= DAY_MS.cast_unsigned(), "{gap:?}");
    assert!(ended.words().contains(&format!("between {} and {}", gap.after, gap.until)), "{}", ended.words());
    // What the peer held of the part that is lost opens nowhere. That it was lost is on record, so it is no finding.
    goes_on(&br, &cl).await;
    assert_eq!(verified(&br).await.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_of_five_nodes_one_restores_a_day_old_backup_and_gets_its_history_back_from_all_the_others() {
    let mut certs: Vec<Cert> = ["br", "cl", "ar", "uy", "pe"].map(|name| Cert::new(&format!("cert.{name}"))).into();
    for cert in &mut certs {
        cert.start().await;
    }
    for (place, cert) in certs.iter().enumerate() {
        for (_, other) in certs.iter().enumerate().filter(|(other, _)| *other != place) {
            cert.enrol(other).await;
        }
    }
    let backups = private_dir();
    let mut br = certs.remove(0);
    with_backups(&mut br, backups.path()).await;
    for other in &certs {
        br.linked(other).await;
        talk(&br, other, 10).await;
    }
    back_up(&br).await;
    for cert in certs.iter().chain([&br]) {
        cert.clock.shift(DAY_MS);
    }
    for other in &certs {
        talk(&br, other, 40).await;
    }
    talk(&certs[0], &certs[1], 10).await;
    let before: Vec<_> = certs.iter().map(|other| envelopes(&br, &other.id)).collect();
    br.stop().await;
    restore(&br, backups.path());
    br.start().await;
    for other in &certs {
        recover(&br, other).await;
    }
    for (other, before) in certs.iter().zip(before) {
        let now = [envelopes(&br, &other.id), envelopes(other, &br.id)];
        assert!(now.iter().all(|now| is_whole(&before, now)), "{}", other.id);
        let of_it = |record: &Record| match record {
            Record::RecoveryEnded(ended) if ended.peer == other.id => Some(ended.clone()),
            _ => None,
        };
        let ended = br.records().iter().find_map(|(record, _)| of_it(record)).expect("it ended");
        assert_eq!(ended.end, RecoveryEnd::Complete);
        assert!(ended.gap.is_some_and(|gap| gap.until.get() - gap.after.get() >= DAY_MS.cast_unsigned()), "{ended:?}");
        goes_on(&br, other).await;
    }
    assert_eq!(verified(&br).await.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_disk_that_was_put_back_without_a_word_is_an_alarm_at_both_ends_with_every_peer() {
    let (mut br, cl) = two_certs().await;
    let mut uy = Cert::new("cert.uy");
    uy.start().await;
    uy.enrol(&br).await;
    br.enrol(&uy).await;
    for other in [&cl, &uy] {
        br.linked(other).await;
        talk(&br, other, 10).await;
    }
    br.stop().await;
    let copy = br.twin();
    br.start().await;
    // With one peer both ways; of the other something was only received.
    br.linked(&cl).await;
    talk(&br, &cl, 20).await;
    let id = uy.send(&br, Lane::Routine, "the last one").await;
    uy.delivered(&id, &Delivery::Stored).await;
    br.stop().await;
    br.restore(&copy);
    br.start().await;
    let signed = br.sent_digests().len();
    for other in [&cl, &uy] {
        eventually("an alarm here", || has_alarm_about(&br, "we-lost-history", &other.id)).await;
        eventually("an alarm there", || has_alarm_about(other, "peer-lost-history", &br.id)).await;
        for (from, to) in [(&br, other), (other, &br)] {
            let declined = from.try_send(to, Lane::Flash, "nothing new").await;
            assert!(matches!(declined, Err(RequestError::Declined(Declined::RecordsDisagree(..)))), "{declined:?}");
        }
    }
    assert_eq!(br.sent_digests().len(), signed);
    for other in [&cl, &uy] {
        recover(&br, other).await;
        assert!(envelopes(&br, &other.id) == envelopes(other, &br.id));
        goes_on(&br, other).await;
    }
    assert_eq!(verified(&br).await.findings, []);
}

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
    goes_on(&br, &cl).await;
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
    recover(&br, &cl).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_tombstone_of_long_ago_erases_again_what_the_backup_brought_back() {
    let (mut br, cl) = two_certs().await;
    let sent = cl.send(&br, Lane::Routine, "sent in error").await;
    cl.delivered(&sent, &Delivery::Stored).await;
    let client = |cert: &Cert| Client::new(cert.dir().join("aldis.sock"));
    let (id, reason) = (sent.to_string(), "sent-in-error".to_owned());
    let asked = RecallRequest { id, to: Vec::new(), reason, text: None, author: None };
    let asked = client(&cl).recall(&asked).await.expect("it can be recalled");
    let recall = asked.recipients[0].request.clone().expect("the peer is asked");
    // More than the core remembers of a lane.
    let mut last = sent.clone();
    for number in 0..1_030 {
        last = cl.send(&br, Lane::Routine, &format!("notice {number}")).await;
    }
    cl.delivered(&last, &Delivery::Stored).await;
    br.stop().await;
    let backup = br.twin();
    br.start().await;
    br.linked(&cl).await;
    let (id, state, status) = (recall.to_string(), AnswerState::Decided, Some(AnswerStatus::Approved));
    let approval = AnswerRequest { id, state, status, justification: None, until: None, text: None, author: None };
    client(&br).answer(&approval).await.expect("it is accepted");
    cl.delivered(&sent, &Delivery::Recalled).await;
    assert_eq!(body_of(&br, &sent), journal::Body::Erased);
    br.stop().await;
    br.restore(&backup);
    br.start().await;
    assert!(matches!(body_of(&br, &sent), journal::Body::Present(_)), "the backup brings it back");
    recover(&br, &cl).await;
    assert_eq!(body_of(&br, &sent), journal::Body::Erased);
    goes_on(&br, &cl).await;
    assert_eq!(verified(&br).await.findings, []);
}

/// The body beside the record of a message that was received.
fn body_of(cert: &Cert, message: &EnvelopeId) -> journal::Body {
    let found = cert.records().into_iter().find_map(|(record, body)| match record {
        Record::Received(found) if found.header.id() == *message => Some(body),
        _ => None,
    });
    found.expect("it was received")
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

/// A place for backups, which nobody else may look into.
fn private_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    make_private(dir.path());
    dir
}

fn make_private(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).expect("sets the mode");
}

/// Starts a node anew, with a place for its backups.
async fn with_backups(cert: &mut Cert, backups: &Path) {
    cert.stop().await;
    let mut setup = cert.setup();
    setup.backup = Settings { directory: Some(backups.to_owned()), ..Settings::default() };
    cert.start_with(setup).await;
}

/// Has the running daemon make a backup, as `aldis backup` does.
async fn back_up(cert: &Cert) {
    let mut lines = Client::new(cert.dir().join("aldis.sock")).backup().await.expect("the daemon answers");
    while let Some(line) = lines.next().await {
        match line.expect("a line") {
            BackupLine::Progress(_) => {}
            BackupLine::Report(_) => return,
            BackupLine::Error(error) => panic!("{error:?}"),
        }
    }
    panic!("no report came");
}

/// Puts the newest backup back, as `aldis restore` does.
fn restore(cert: &Cert, backups: &Path) {
    make_private(cert.dir());
    let wanted = Restore {
        from: backups.to_owned(),
        to: cert.dir().to_owned(),
        node: cert.id.clone(),
        set_aside: true,
        by: "ana (uid 7)".to_owned(),
        now: cert.clock.wall(),
    };
    let restored = backup::restore(&wanted, &mut |_, _, _| {}).unwrap_or_else(|error| panic!("{error}"));
    assert!(restored.text().contains("aldis peer recover PEER"));
}

/// Two administrators have the history fetched from a peer, until both ends agree.
async fn recover(cert: &Cert, from: &Cert) {
    eventually("it learns what the peer holds", || async { cert.peer(from).await.standing == Standing::WeLostHistory })
        .await;
    cert.decide(from, Act::Recover).await;
    agreed(cert, from).await;
}

/// Something new goes both ways.
async fn goes_on(br: &Cert, cl: &Cert) {
    for (from, to) in [(br, cl), (cl, br)] {
        let id = from.send(to, Lane::Flash, "and on").await;
        from.delivered(&id, &Delivery::Stored).await;
    }
}

/// What the running daemon says of its journal and log, as `aldis verify` asks it.
async fn verified(cert: &Cert) -> VerifyReport {
    let log = &cert.node().log;
    log.caught_up(cert.node().journal.committed(), PATIENCE).await.expect("the log follows");
    let mut lines = Client::new(cert.dir().join("aldis.sock")).verify().await.expect("the daemon answers");
    while let Some(line) = lines.next().await {
        match line.expect("a line") {
            VerifyLine::Progress(_) => {}
            VerifyLine::Report(report) => return report,
            VerifyLine::Error(error) => panic!("{error:?}"),
        }
    }
    panic!("no report came");
}

/// Waits until both ends have found that their records agree, and no alarm says otherwise.
async fn agreed(br: &Cert, cl: &Cert) {
    eventually("the records agree", || async { is_good(br, cl).await && is_good(cl, br).await }).await;
    for (cert, code, about) in [(br, "we-lost-history", cl), (cl, "peer-lost-history", br)] {
        eventually("the alarm ends", || async { !has_alarm_about(cert, code, &about.id).await }).await;
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

async fn has_alarm_about(cert: &Cert, code: &str, peer: &NodeId) -> bool {
    cert.view().await.alarms.iter().any(|alarm| alarm.code.as_str() == code && alarm.peer.as_ref() == Some(peer))
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
