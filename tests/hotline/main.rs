//! A hotline between two nodes over real TLS, each with a person at a real terminal: the network is cut in the middle, a
//! terminal and a daemon go away and come back, and nothing that was said is lost, repeated or out of order.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test itself")]

mod desk;
mod wire;

use aldis_control::{
    Client, ClientError, HotlineCloseRequest, HotlineLineRequest, HotlineQuery, HotlineRequest, HotlineView, Tlp,
};
use aldis_core::record::{Outcome, Record};
use aldis_node::event_loop::LinkStatus;
use aldis_tests::certs::{Cert, eventually, held_port};
use aldis_wire::kinds;
use aldis_wire::lane::Lane;
use desk::Desk;
use serde_json::Value;
use std::io::Write;
use wire::Wire;

/// Two CERTs whose only network is a wire that can be cut; `None` where there is no command to run.
async fn two_desks() -> Option<(Cert, Cert, Wire)> {
    if desk::aldis().is_none() {
        let line = b"SKIPPED, nothing was tried: there is no `aldis` beside the tests: cargo build -p aldis-cli\n";
        std::io::stderr().write_all(line).unwrap();
        return None;
    }
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    let listens = cl.setup().listen[0];
    let wire = Wire::to(listens).await;
    cl.reached_at(&[wire.address()]);
    // Only one side dials, so that there is one way and it can be cut.
    br.reached_at(&[held_port().for_good()]);
    br.start().await;
    cl.start().await;
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    br.linked(&cl).await;
    Some((br, cl, wire))
}

fn sits_at(cert: &Cert, words: &[&str]) -> Desk {
    Desk::at(&cert.dir().join("aldis.sock"), words)
}

/// Waits until a call has come, with this many envelopes in FLASH.
async fn rings(cert: &Cert, from: &Cert, envelopes: u64) {
    eventually(&format!("it rings at {}", cert.id), || async {
        let peer = cert.peer(from).await;
        peer.hotline.is_some() && peer.lanes[Lane::Flash.index()].received >= envelopes
    })
    .await;
}

/// The lines in a journal, ours and theirs, in order: who said what.
fn journalled(cert: &Cert) -> (Vec<String>, Vec<String>, Vec<Value>) {
    let (mut ours, mut theirs, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (record, body) in cert.records() {
        let (header, lines) = match &record {
            Record::Sent(sent) => (&sent.draft.header, &mut ours),
            Record::Received(received) if received.outcome == Outcome::Accepted => (&received.header, &mut theirs),
            _ => continue,
        };
        let aldis_node::journal::Body::Present(bytes) = body else { continue };
        // The salt of the commitment stands in front of each body.
        let Some(json) = kinds::to_json(&header.kind, header.kind_version, &bytes[16..]) else { continue };
        match json["part"].as_str() {
            Some("line") => lines.push(json["text"].as_str().unwrap().to_owned()),
            Some("closed") => ends.push(json["summary"].clone()),
            _ => {}
        }
    }
    (ours, theirs, ends)
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_conversation_outlives_a_cut_network_and_both_journals_hold_the_same() {
    let Some((br, cl, wire)) = two_desks().await else { return };
    let mut ana = sits_at(&br, &["cert.cl", "--tlp", "amber", "--subject", "a worm", "--author", "ana"]);
    ana.sees("It rings at cert.cl");
    ana.says("is anybody there?");
    rings(&cl, &br, 1).await;
    let mut rui = sits_at(&cl, &["cert.br", "--author", "rui"]);
    rui.sees("ana of cert.br opened it: a worm");
    rui.sees("ana of cert.br: is anybody there?");
    ana.sees("rui of cert.cl came to the desk");
    ana.sees("seen there up to F");
    rui.says("yes, \u{202e}here");
    ana.sees("rui of cert.cl: yes, \\u{202e}here");

    // What is being typed stays as it is while a line comes in.
    ana.types("half a li");
    ana.sees("> half a li");
    rui.says("a line in between");
    ana.sees("rui of cert.cl: a line in between\r\n> half a li");
    ana.types("ne\r");
    rui.sees("ana of cert.br: half a line");

    wire.cut();
    for (cert, other) in [(&br, &cl), (&cl, &br)] {
        eventually("the link is down", || async { cert.peer(other).await.link != LinkStatus::Up }).await;
    }
    ana.sees("the link with cert.cl is down");
    for number in 0..5 {
        ana.says(&format!("ana while cut {number}"));
        rui.says(&format!("rui while cut {number}"));
    }
    ana.sees("ana while cut 4\r\n");
    rui.sees("rui while cut 4\r\n");
    assert!(!ana.shown.contains("rui while cut") && !rui.shown.contains("ana while cut"), "the wire is cut");
    wire.mend();
    ana.sees("rui of cert.cl: rui while cut 4");
    rui.sees("ana of cert.br: ana while cut 4");
    rui.says("/who");
    rui.sees("At the desks: here rui; at cert.br ana.");
    ana.says("/quit");
    for desk in [&mut ana, &mut rui] {
        desk.sees("is over (ended): ended by cert.br after");
        assert_eq!(desk.ends(), Some(0), "{}", desk.shown);
    }
    assert!(ana.shown.contains("lines here 7, there 7; case"), "{}", ana.shown);
    assert!(rui.shown.contains("lines here 7, there 7; case"), "{}", rui.shown);

    let (ours, theirs, ends) = journalled(&br);
    let (theirs_there, ours_there, ends_there) = journalled(&cl);
    assert_eq!((&ours, &theirs, &ends), (&ours_there, &theirs_there, &ends_there), "the journals do not agree");
    assert_eq!((ours.len(), theirs.len(), ends.len()), (7, 7, 1));
    for (desk, other, said) in [(&ana, "rui of cert.cl", &theirs), (&rui, "ana of cert.br", &ours)] {
        let lines = desk.lines();
        let shown: Vec<&str> =
            lines.iter().filter_map(|line| line.split_once(&format!("{other}: "))).map(|(_, words)| words).collect();
        let said: Vec<String> = said.iter().map(|words| words.replace('\u{202e}', "\\u{202e}")).collect();
        assert_eq!(shown, said, "a line was lost, repeated, or out of order: {}", desk.shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_outlives_a_terminal_and_a_daemon() {
    let Some((br, mut cl, _wire)) = two_desks().await else { return };
    let blue = ["--exercise", "BLUE", "--tlp", "green", "--author"];
    let words = |peer, author| [[peer].as_slice(), blue.as_slice(), [author].as_slice()].concat();
    let mut ana = sits_at(&br, &words("cert.cl", "ana"));
    ana.sees("It rings");
    rings(&cl, &br, 1).await;
    let mut rui = sits_at(&cl, &words("cert.br", "rui"));
    ana.sees("EXERCISE BLUE > ");
    ana.says("one");
    rui.sees("EXERCISE BLUE ");
    rui.sees("ana of cert.br: one");
    ana.tear_away();
    rui.says("are you still there?");

    cl.stop().await;
    rui.sees("the connection to the daemon is lost");
    rui.says("said while my daemon was away");
    rui.sees("the line waits here");
    let mut ana = sits_at(&br, &words("cert.cl", "ana"));
    ana.sees("ana: one");
    ana.says("back again");
    cl.start().await;
    rui.sees("connected to the daemon again");
    rui.sees("ana of cert.br: back again");
    ana.sees("rui of cert.cl: said while my daemon was away");

    ana.types("\u{4}");
    assert_eq!(ana.ends(), Some(0));
    rui.sees("ana of cert.br left the desk");
    rui.says("/quit");
    assert_eq!(rui.ends(), Some(0), "{}", rui.shown);
    for line in rui.lines() {
        assert!(line.starts_with("EXERCISE BLUE "), "{line:?} could pass for real");
    }
    eventually("both ends hold the end", || async { journalled(&br).2.len() == 1 }).await;
    assert_eq!(journalled(&br).2, journalled(&cl).2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_terminal_speaks_too_and_marks_nothing_as_seen() {
    let Some((br, cl, _wire)) = two_desks().await else { return };
    let mut ana = sits_at(&br, &["cert.cl", "--tlp", "clear", "--author", "ana"]);
    ana.says("anybody?");
    ana.sees("ana: anybody?");
    rings(&cl, &br, 2).await;
    let said =
        desk::pipes(&cl.dir().join("aldis.sock"), &["--json", "hotline", "cert.br"], "first\n//second\n/dance\n");
    ana.sees(": first");
    ana.sees(": /second");
    ana.sees("left the desk");
    assert!(!ana.shown.contains("seen there"), "no person was shown anything: {}", ana.shown);
    let objects: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entries = objects.iter().filter(|object| object["entry"]["part"] == "line");
    let words: Vec<&str> = entries.map(|object| object["entry"]["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["anybody?", "first", "/second"], "{said}");
    assert!(objects.iter().any(|object| object["notice"].as_str().is_some_and(|text| text.contains("no /dance"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hotline_cannot_be_is_said_before_anything_is_signed() {
    let (br, _cl) = aldis_tests::certs::two_certs().await;
    let client = Client::new(br.dir().join("aldis.sock"));
    let asked = |tlp, exercise: Option<&str>| HotlineRequest {
        peer: "cert.cl".to_owned(),
        tlp,
        subject: None,
        text: None,
        desk: None,
        exercise: exercise.map(str::to_owned),
        author: None,
    };
    let code = |result: Result<HotlineView, ClientError>| match result {
        Err(ClientError::Api(error)) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(client.hotline_come(&asked(None, None)).await), "no-marking");
    assert_eq!(code(client.hotline_come(&asked(Some(Tlp::Red), None)).await), "bad-field");
    let line =
        HotlineLineRequest { peer: "cert.cl".to_owned(), case: "a".repeat(26), text: "hello".to_owned(), author: None };
    assert_eq!(code(client.hotline_line(&line).await.map(|_| unreachable!())), "no-hotline");
    assert_eq!(client.hotline(&HotlineQuery { peer: "cert.cl".to_owned(), limit: None }).await.unwrap().session, None);
    let view = client.hotline_come(&asked(Some(Tlp::Amber), Some("BLUE"))).await.unwrap();
    assert_eq!(view.session.unwrap().exercise.as_deref(), Some("BLUE"));
    assert_eq!(code(client.hotline_come(&asked(None, None)).await), "exercise-mismatch");
    assert_eq!(code(client.hotline(&HotlineQuery { peer: "cert.uy".to_owned(), limit: None }).await), "no-such-peer");
    let close = HotlineCloseRequest { peer: "cert.cl".to_owned(), leave: false, author: None };
    let summary = client.hotline_close(&close).await.unwrap().session.unwrap().summary.unwrap();
    assert_eq!((summary.reason.as_str(), summary.closed_by.as_str()), ("not-answered", "cert.br"));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_both_open_at_once_both_people_land_in_one_conversation() {
    let Some((br, cl, wire)) = two_desks().await else { return };
    wire.cut();
    eventually("the link is down", || async { br.peer(&cl).await.link != LinkStatus::Up }).await;
    let mut ana = sits_at(&br, &["cert.cl", "--tlp", "amber", "--subject", "from br", "--author", "ana"]);
    let mut rui = sits_at(&cl, &["cert.br", "--tlp", "amber", "--subject", "from cl", "--author", "rui"]);
    ana.sees("It rings at cert.cl");
    rui.sees("It rings at cert.br");
    wire.mend();
    rui.sees("both sides opened a hotline at once");
    rui.sees("ana of cert.br opened it: from br");
    ana.sees("rui of cert.cl came to the desk");
    ana.says("one line");
    rui.sees("ana of cert.br: one line");
    rui.says("/quit");
    for desk in [&mut ana, &mut rui] {
        desk.sees("is over (ended): ended by cert.cl");
        assert_eq!(desk.ends(), Some(0), "{}", desk.shown);
    }
}
