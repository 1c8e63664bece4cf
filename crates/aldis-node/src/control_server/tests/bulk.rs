//! Sending in bulk: every line has its answer, what is confirmed holds, and nothing that a client does or leaves undone
//! costs the node more than its bound.

use super::support::{Cert, PATIENCE, eventually, failure, notice, two};
use crate::access::Desks;
use crate::control_server::accept::Limits;
use crate::control_server::bulk::UNANSWERED_MAX;
use aldis_control::{
    BulkAnswer, BulkLine, BulkOutcome, BulkProgress, BulkReport, Client, ClientError, DeliveryState, LogQuery,
    PeerQuery, Precedence, RecallRequest, Role, SendRequest, Wait,
};
use futures_util::{Stream, StreamExt, stream};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// A bulk whose lines are written as the test goes.
struct Talk {
    to: Option<mpsc::UnboundedSender<Vec<u8>>>,
    answers: Pin<Box<dyn Stream<Item = Result<BulkLine, ClientError>> + Send>>,
}

impl Talk {
    async fn with(client: &Client) -> Self {
        let (to, pieces) = mpsc::unbounded_channel();
        let pieces = UnboundedReceiverStream::new(pieces).map(Ok);
        Self { to: Some(to), answers: Box::pin(client.send_bulk_lines(pieces).await.unwrap()) }
    }

    fn say(&self, line: &str) {
        self.to.as_ref().unwrap().send(format!("{line}\n").into_bytes()).unwrap();
    }

    fn send(&self, request: &SendRequest) {
        self.say(&serde_json::to_string(request).unwrap());
    }

    async fn next(&mut self) -> BulkLine {
        let line = tokio::time::timeout(PATIENCE, self.answers.next()).await.expect("a line comes");
        line.expect("the stream goes on").unwrap()
    }

    async fn answer(&mut self) -> BulkAnswer {
        match self.next().await {
            BulkLine::Answer(answer) => answer,
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// The answers that are still to come, then the report.
    async fn rest(&mut self) -> (Vec<BulkAnswer>, BulkReport) {
        let rest = async {
            let mut answers = Vec::new();
            loop {
                match self.next().await {
                    BulkLine::Answer(answer) => answers.push(answer),
                    BulkLine::Progress(_) => {}
                    BulkLine::Report(report) => return (answers, report),
                }
            }
        };
        tokio::time::timeout(PATIENCE, rest).await.expect("the stream ends")
    }

    /// Says that nothing more comes.
    async fn end(&mut self) -> (Vec<BulkAnswer>, BulkReport) {
        self.to = None;
        self.rest().await
    }
}

fn numbered(number: usize) -> SendRequest {
    let mut request = notice(&["cert.cl"]);
    request.body["subject"] = format!("number {number}").into();
    request
}

fn waiting(request: SendRequest) -> SendRequest {
    SendRequest { wait: Some(Wait::Stored), wait_ms: Some(600_000), ..request }
}

/// The place in its lane that a message got.
fn place(answer: &BulkAnswer) -> u64 {
    match &answer.outcome {
        BulkOutcome::Sent(sent) => {
            let id = sent.messages[0].id.to_string();
            id.rsplit_once('/').unwrap().1[1..].parse().unwrap()
        }
        BulkOutcome::Error(error) => panic!("line {}: {error:?}", answer.line),
    }
}

/// How many messages stand in the lane of what [`notice`] makes.
async fn signed(cert: &Cert) -> u64 {
    let peer = cert.client.peer(&PeerQuery { id: "cert.cl".to_owned() }).await.unwrap();
    peer.marks.iter().map(|lane| lane.sent).sum()
}

/// A node whose peer has never let it in, so that no message of it is ever stored there.
async fn alone() -> Cert {
    let (br, cl) = (Cert::new("cert.br").await, Cert::new("cert.cl").await);
    br.enrol(&cl).await;
    br
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_every_line_is_answered_and_a_lane_keeps_their_order() {
    const COUNT: usize = 3_000;
    let (br, _cl) = two().await;
    let requests = (0..COUNT).map(|number| match number % 3 {
        0 => SendRequest { precedence: Precedence::Flash, ..numbered(number) },
        1 => waiting(numbered(number)),
        _ => numbered(number),
    });
    let requests: Vec<_> = requests.collect();
    let mut answers = br.client.send_bulk(stream::iter(requests)).await.unwrap();
    let mut places = vec![0; COUNT + 1];
    loop {
        match tokio::time::timeout(PATIENCE, answers.next()).await.unwrap().unwrap().unwrap() {
            BulkLine::Answer(answer) => {
                let line = usize::try_from(answer.line).unwrap();
                assert_eq!(std::mem::replace(&mut places[line], place(&answer)), 0, "line {line} is answered once");
                let BulkOutcome::Sent(sent) = answer.outcome else { unreachable!("it has a place") };
                let stored = sent.messages[0].state == DeliveryState::Stored;
                assert_eq!(
                    stored,
                    (line - 1) % 3 == 1,
                    "who waits is told that it is stored, who does not is not kept"
                );
            }
            BulkLine::Progress(_) => {}
            BulkLine::Report(report) => {
                let (lines, sent) = (COUNT as u64, COUNT as u64);
                assert_eq!(report, BulkReport { lines, sent, failed: 0, stopped: None });
                break;
            }
        }
    }
    assert!(answers.next().await.is_none(), "the report is the last line");
    for is_flash in [true, false] {
        let lane = (1..=COUNT).filter(|line| ((line - 1) % 3 == 0) == is_flash);
        let lane: Vec<u64> = lane.map(|line| places[line]).collect();
        assert!(lane.is_sorted_by(|one, next| one < next), "the order of the lines is that of the lane");
    }
    assert_eq!(signed(&br).await, COUNT as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_flood_of_flash_does_not_bring_a_bulk_to_a_stand() {
    const COUNT: usize = 200;
    let (br, _cl) = two().await;
    let right_of_way = br.context.right_of_way.clone();
    let flood = tokio::spawn(async move {
        let mut each_ms = tokio::time::interval(Duration::from_millis(1));
        loop {
            each_ms.tick().await;
            right_of_way.take();
        }
    });
    let mut answers = br.client.send_bulk(stream::iter((0..COUNT).map(numbered))).await.unwrap();
    let report = loop {
        match tokio::time::timeout(PATIENCE, answers.next()).await.unwrap().unwrap().unwrap() {
            BulkLine::Report(report) => break report,
            BulkLine::Answer(_) | BulkLine::Progress(_) => {}
        }
    };
    assert_eq!((report.sent, report.stopped), (COUNT as u64, None));
    flood.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_bad_line_is_named_and_holds_up_no_other() {
    let (br, _cl) = two().await;
    let mut talk = Talk::with(&br.client).await;
    let unmarked = r#"{"to":["cert.cl"],"kind":"incident","precedence":"routine","body":{}}"#;
    for line in ["", "{", unmarked] {
        talk.say(line);
    }
    talk.send(&numbered(4));
    talk.send(&notice(&["cert.ar"]));
    talk.send(&numbered(6));
    let (mut answers, report) = talk.end().await;
    answers.sort_by_key(|answer| answer.line);
    let errors: Vec<_> = answers
        .iter()
        .map(|answer| match &answer.outcome {
            BulkOutcome::Sent(_) => (answer.line, "sent".to_owned(), String::new()),
            BulkOutcome::Error(error) => (answer.line, error.code.clone(), error.advice.clone()),
        })
        .collect();
    let codes: Vec<_> = errors.iter().map(|(line, code, _)| (*line, code.as_str())).collect();
    assert_eq!(codes, [(2, "bad-request"), (3, "bad-request"), (4, "sent"), (5, "no-such-peer"), (6, "sent")]);
    assert!(errors[1].2.contains("never filled in"), "{errors:?}");
    assert!(errors[3].2.contains("enrolled are cert.cl"), "{errors:?}");
    assert_eq!(report, BulkReport { lines: 5, sent: 2, failed: 3, stopped: None });
    assert_eq!(signed(&br).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_beyond_the_bound_a_line_waits_until_another_is_answered() {
    let br = alone().await;
    let mut talk = Talk::with(&br.client).await;
    for number in 1..=UNANSWERED_MAX + 100 {
        talk.send(&waiting(numbered(number)));
    }
    let bound = UNANSWERED_MAX as u64;
    eventually("the lines up to the bound are signed", || async { signed(&br).await >= bound }).await;
    // Its peer is down and nobody else waits: what is taken back is what is answered.
    let recall = RecallRequest {
        id: "cert.br/cert.cl/P1".to_owned(),
        to: Vec::new(),
        reason: "sent-in-error".to_owned(),
        text: None,
        author: None,
    };
    br.client.recall(&recall).await.unwrap();
    let first = talk.answer().await;
    assert_eq!((first.line, place(&first)), (1, 1));
    eventually("its place is given to another", || async { signed(&br).await > bound }).await;
    assert_eq!(signed(&br).await, bound + 1, "and to no more than one");
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_line_too_long_ends_the_stream_and_what_was_answered_holds() {
    let (br, _cl) = two().await;
    let mut talk = Talk::with(&br.client).await;
    talk.send(&numbered(1));
    talk.say(&"x".repeat(super::super::BODY_MAX_BYTES + 1));
    talk.send(&numbered(3));
    let (answers, report) = talk.rest().await;
    assert_eq!(answers.iter().map(|answer| answer.line).collect::<Vec<_>>(), [1]);
    assert_eq!((report.lines, report.sent, report.failed), (1, 1, 0));
    assert_eq!(report.stopped.unwrap(), "nothing was taken from line 2 on: it is longer than 1048576 bytes");
    assert_eq!(signed(&br).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_client_that_falls_silent_is_given_up_with_the_reason() {
    let limits = Limits { bulk_silence: Duration::from_secs(1), ..Limits::default() };
    let br = Cert::within(limits, "cert.br").await;
    let mut talk = Talk::with(&br.client).await;
    talk.say("{}");
    assert_eq!(talk.answer().await.line, 1);
    let (_, report) = talk.rest().await;
    assert_eq!(report.stopped.unwrap(), "nothing was taken from line 2 on: nothing came for 1 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_hears_that_the_node_is_there() {
    let limits = Limits { bulk_heartbeat: Duration::from_millis(20), ..Limits::default() };
    let (br, cl) = (Cert::within(limits, "cert.br").await, Cert::new("cert.cl").await);
    br.enrol(&cl).await;
    let mut talk = Talk::with(&br.client).await;
    talk.send(&waiting(numbered(1)));
    let so_far = BulkProgress { lines: 1, sent: 0, failed: 0 };
    while talk.next().await != BulkLine::Progress(so_far) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_role_sends_nothing_from_there_on() {
    let (br, _cl) = two().await;
    br.give(&[(Role::Operator, Desks::All)]);
    let mut talk = Talk::with(&br.client).await;
    talk.send(&numbered(1));
    assert_eq!(place(&talk.answer().await), 1);
    br.give(&[(Role::Auditor, Desks::All)]);
    talk.send(&numbered(2));
    let (answers, report) = talk.rest().await;
    let stopped = report.stopped.unwrap();
    assert!(answers.is_empty() && report.lines == 1, "{answers:?} {}", report.lines);
    assert!(stopped.starts_with("nothing was taken from line 2 on: to send messages in bulk you need"), "{stopped}");
    assert_eq!(signed(&br).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_client_that_goes_away_leaves_what_it_handed_in() {
    let br = alone().await;
    let talk = Talk::with(&br.client).await;
    for number in 1..=20 {
        talk.send(&waiting(numbered(number)));
    }
    eventually("the lines are signed", || async { signed(&br).await == 20 }).await;
    drop(talk);
    let query = LogQuery { limit: Some(100), ..LogQuery::default() };
    eventually("all are on record", || async { br.client.log(&query).await.unwrap().rows.len() == 20 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_node_that_stops_answers_what_it_has_taken() {
    let mut br = alone().await;
    let mut talk = Talk::with(&br.client).await;
    for number in 1..=50 {
        talk.send(&waiting(numbered(number)));
    }
    eventually("the lines are signed", || async { signed(&br).await == 50 }).await;
    let stopping = br.stop_serving();
    let (answers, report) = tokio::join!(stopping, talk.rest()).1;
    let mut places: Vec<u64> = answers.iter().map(place).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=50).collect::<Vec<u64>>(), "all that was confirmed is said");
    assert_eq!((report.lines, report.sent), (50, 50));
    assert!(report.stopped.unwrap().ends_with("the node is stopping"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_lines_is_refused_as_a_whole() {
    let br = Cert::new("cert.br").await;
    let (status, error) = br.post(aldis_control::routes::MESSAGES_BULK, "{}").await;
    assert_eq!((status, error.code.as_str()), (415, "not-json"));
    assert!(error.advice.contains("application/x-ndjson"), "{error:?}");
    let get = format!("GET {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", aldis_control::routes::MESSAGES_BULK);
    assert_eq!(failure(&br.raw(get.as_bytes()).await).0, 405);
}
