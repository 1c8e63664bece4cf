//! What people see of a conversation: lists, one message in full, cases and searches.

use aldis_control::{AnswerState, AnswerStatus, ApiError, DeliveryState, LogQuery, MessageRow, MessageView};
use aldis_core::record::{HeldGivenUp, Outcome, Received, Record, Sent, SentDraft};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, Header, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, UnixMillis};
use aldis_wire::kinds::{Answer, Bearing};
use aldis_wire::lane::Lane;
use serde_json::json;

use super::following::conversation;
use super::pair::{BR, CL, HOUR_MS, Pair, START_MS, reference};
use crate::log::query::{Query, QueryError};

#[test]
fn the_inbox_shows_what_waits_flash_first_then_the_oldest() {
    let mut pair = Pair::linked();
    let early = pair.notice(BR, Lane::Priority, "early warning");
    pair.pass(1_000);
    pair.notice(BR, Lane::Priority, "second");
    let flash = pair.notice(BR, Lane::Flash, "flash");
    let answered = pair.notice(BR, Lane::Flash, "answered");
    pair.answer(CL, &answered, "approved");
    let mut later = pair.incident(BR, Lane::Priority, "final report");
    later.references = reference(ReferenceRole::SUPERSEDES, &early);
    pair.send(BR, later);
    let log = pair.log(CL, "log");
    let query = log.query().unwrap();
    let open = subjects(&query.inbox(&list(false)).unwrap());
    assert_eq!(open, ["flash", "second", "final report", "early warning"]);
    assert_eq!(subjects(&query.inbox(&list(true)).unwrap()), [&open[..], &["answered".to_owned()]].concat());
    assert_eq!(query.counts().unwrap().waiting_in, 4);
    let other = aldis_control::ListQuery { all: true, peer: Some("cert.uy".into()), ..Default::default() };
    assert!(query.inbox(&other).unwrap().is_empty());
    assert_eq!(query.message_row(&flash.0).unwrap().state, DeliveryState::Stored);
}

#[test]
fn i3_the_outbox_shows_what_is_not_delivered_first_and_stored_only_after_the_receipt() {
    let mut pair = Pair::linked();
    let delivered = pair.notice(BR, Lane::Flash, "delivered");
    let done = pair.notice(BR, Lane::Routine, "done");
    pair.answer(CL, &done, "denied");
    pair.unlink();
    let waiting = pair.notice(BR, Lane::Routine, "waiting");
    let log = pair.log(BR, "log");
    let query = log.query().unwrap();
    assert_eq!(subjects(&query.outbox(&list(false)).unwrap()), ["waiting", "delivered"]);
    assert_eq!(subjects(&query.outbox(&list(true)).unwrap()), ["waiting", "delivered", "done"]);
    assert_eq!(query.counts().unwrap().waiting_out, 1);
    let state = |message: &(EnvelopeId, Digest)| query.message_row(&message.0).unwrap().state;
    assert_eq!(
        [state(&waiting), state(&delivered), state(&done)],
        [DeliveryState::Submitted, DeliveryState::Stored, DeliveryState::Decided]
    );
    assert_eq!(query.message_row(&done.0).unwrap().status, Some(AnswerStatus::Denied));
}

#[test]
fn every_answer_is_joined_to_its_message_with_who_and_when_on_both_sides() {
    let mut pair = Pair::linked();
    let notice = pair.notice(BR, Lane::Priority, "answered");
    for says in ["seen", "acknowledged", "pending", "approved"] {
        pair.pass(1_000);
        pair.answer(CL, &notice, says);
    }
    for place in [BR, CL] {
        let view = view(&pair, place, &notice.0);
        assert_eq!((view.row.state, view.row.status), (DeliveryState::Decided, Some(AnswerStatus::Approved)));
        let said: Vec<_> = view.answers.iter().map(|answer| (answer.state, answer.status)).collect();
        let decided = |status| (AnswerState::Decided, Some(status));
        let expected = [
            (AnswerState::Seen, None),
            (AnswerState::Acknowledged, None),
            decided(AnswerStatus::Pending),
            decided(AnswerStatus::Approved),
        ];
        assert_eq!(said, expected);
        let last = view.answers.last().unwrap();
        assert_eq!((&last.by[..], &last.peer[..], &last.text[..]), ("duty officer", "cert.cl", "we say approved"));
        assert_eq!(last.at.0, START_MS + 4_000);
        let states: Vec<_> = view.history.iter().map(|entry| entry.state.as_str()).collect();
        let tail = ["seen", "acknowledged", "decided", "decided"];
        match place {
            BR => assert_eq!(states, [&["submitted", "relayed", "stored"], &tail[..]].concat()),
            _ => assert_eq!(states, [&["stored"], &tail[..]].concat()),
        }
        assert!(view.history.last().unwrap().by.as_ref().unwrap().contains("cert.cl"));
    }
    let view = view(&pair, BR, &notice.0);
    let receipt = view.receipt.unwrap();
    assert_eq!((receipt.seq, receipt.digest), (1, notice.1.to_hex()));
    assert_eq!(view.history[0].by.as_deref(), Some("ana (uid 1000)"));
    assert_eq!((view.proof.batch_size, view.proof.index), (1, 0));
    assert_eq!(view.body.unwrap()["narrative"], "text");
}

#[test]
fn i8_refused_and_expired_keep_their_first_cause_and_are_seen_at_both_ends() {
    let mut pair = Pair::linked();
    let mut refused = pair.incident(BR, Lane::Priority, "for nobody");
    refused.desk = Desk(77);
    let refused = pair.send(BR, refused).0;
    pair.unlink();
    let mut short = pair.incident(BR, Lane::Flash, "too late");
    short.lifetime_ms = HOUR_MS;
    let short = pair.send(BR, short).0;
    pair.pass(2 * HOUR_MS);
    let log = pair.log(BR, "before");
    let open = log.query().unwrap().outbox(&list(false)).unwrap();
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Expired), "undelivered, and already over");
    pair.link();
    for place in [BR, CL] {
        let view = view(&pair, place, &refused);
        assert_eq!(view.row.refusal.unwrap().code, "unknown-desk", "at {place}");
        assert_eq!(view.row.state, DeliveryState::Refused);
        assert!(view.history.iter().any(|entry| entry.cause.contains("unknown-desk")), "{:?}", view.history);
        let view = self::view(&pair, place, &short);
        assert_eq!(view.row.state, DeliveryState::Expired, "at {place}");
        assert!(view.row.late || place == BR);
        assert_eq!(view.body.is_none(), place == CL);
    }
    assert_eq!(view(&pair, CL, &short).body_absent.unwrap().code, "expired-before-relay");
    assert_eq!(view(&pair, CL, &refused).unknown_codes, ["desk: 77"]);
}

#[test]
fn a_later_message_supersedes_an_earlier_one_of_the_same_sender_only() {
    let mut pair = Pair::linked();
    let mut chain = vec![pair.notice(BR, Lane::Routine, "stage 0")];
    for stage in 1..4 {
        let mut next = pair.incident(BR, Lane::ALL[stage], &format!("stage {stage}"));
        next.references = reference(ReferenceRole::SUPERSEDES, &chain[stage - 1]);
        chain.push(pair.send(BR, next));
    }
    let mut hostile = pair.incident(CL, Lane::Flash, "not yours");
    hostile.references = reference(ReferenceRole::SUPERSEDES, &chain[3]);
    pair.send(CL, hostile);
    for place in [BR, CL] {
        for (one, next) in chain.iter().zip(chain.iter().skip(1)) {
            let superseded_by = view(&pair, place, &one.0).row.superseded_by.unwrap();
            assert_eq!(superseded_by.to_string(), next.0.to_string());
            let reference = &view(&pair, place, &next.0).references[0];
            assert_eq!((&reference.role[..], &reference.id), ("supersedes", &one.0.to_string()));
        }
        assert_eq!(view(&pair, place, &chain[3].0).row.superseded_by, None, "a peer cannot replace our message");
    }
}

#[test]
fn a_message_that_supersedes_one_which_has_not_come_yet_takes_effect_when_it_comes() {
    let mut pair = Pair::new();
    let first = header(&pair, BR, 1, "incident", List::empty());
    let target = (first.id(), first.digest());
    let later = header(&pair, BR, 1, "incident", reference(ReferenceRole::SUPERSEDES, &target));
    let mut later = Header::clone(&later);
    later.lane = Lane::Flash;
    let later = ExactHeader::encode(later).unwrap();
    let id = later.id();
    pair.journal(CL, vec![received(later, Outcome::Accepted, Bearing::Notice)]);
    assert_eq!(view(&pair, CL, &id).row.superseded_by, None);
    pair.journal(CL, vec![received(first, Outcome::Accepted, Bearing::Notice)]);
    assert_eq!(view(&pair, CL, &target.0).row.superseded_by.unwrap().to_string(), id.to_string());
}

#[test]
fn a_held_answer_joins_what_it_answers_or_is_given_up() {
    let mut pair = Pair::new();
    let ours = header(&pair, BR, 1, "incident", List::empty());
    let target = (ours.id(), ours.digest());
    let says = Bearing::Answer(Answer::Decided(Code::known("approved")));
    let answer = header(&pair, CL, 1, "acknowledgement", reference(ReferenceRole::ANSWERS, &target));
    let lost = (EnvelopeId { seq: target.0.seq.next(), ..target.0.clone() }, Digest::ZERO);
    let second = header(&pair, CL, 2, "acknowledgement", reference(ReferenceRole::ANSWERS, &lost));
    let (answer_id, second_id) = (answer.id(), second.id());
    pair.journal(BR, vec![received(answer, Outcome::Held, says.clone()), received(second, Outcome::Held, says)]);
    assert_eq!(view(&pair, BR, &answer_id).row.state, DeliveryState::Held);
    let draft = SentDraft { header: ours, bearing: Bearing::Notice.into(), by: Text::cut("ana") };
    let at = UnixMillis::new(START_MS + 9_000);
    let given_up = HeldGivenUp { peer: second_id.from.clone(), lane: second_id.lane, seq: second_id.seq, at };
    pair.journal(
        BR,
        vec![(Record::Sent(Sent { draft, proof: Blob::default() }), None), (Record::HeldGivenUp(given_up), None)],
    );
    let joined = view(&pair, BR, &target.0);
    assert_eq!((joined.row.state, joined.row.status), (DeliveryState::Decided, Some(AnswerStatus::Approved)));
    assert_eq!(joined.answers.len(), 1);
    assert_eq!(view(&pair, BR, &answer_id).row.state, DeliveryState::Stored);
    let given_up = view(&pair, BR, &second_id).row;
    assert_eq!((given_up.state, given_up.refusal.unwrap().code), (DeliveryState::Refused, "held-too-long".to_owned()));
    let log = pair.log(BR, "log");
    assert!(log.query().unwrap().outbox(&list(false)).unwrap().iter().all(|row| row.state != DeliveryState::Held));
}

#[test]
fn i8_what_ended_a_message_first_stays_and_the_history_tells_the_rest() {
    let mut pair = Pair::new();
    let [decided, refused] = [1, 2].map(|seq| header(&pair, BR, seq, "incident", List::empty()));
    let targets = [&decided, &refused].map(|header| (header.id(), header.digest()));
    let sent = [decided, refused].map(|header| {
        let draft = SentDraft { header, bearing: Bearing::Notice.into(), by: Text::cut("ana") };
        (Record::Sent(Sent { draft, proof: Blob::default() }), None)
    });
    pair.journal(BR, sent.into());
    let decision = || Bearing::Answer(Answer::Decided(Code::known("approved")));
    let refusal = || Bearing::Refusal(Code::known("malformed-body"));
    let said = [(0, decision()), (0, refusal()), (1, refusal()), (1, decision())];
    let records = said.into_iter().zip(1..).map(|((target, says), seq)| {
        let references = reference(ReferenceRole::ANSWERS, &targets[target]);
        received(header(&pair, CL, seq, "acknowledgement", references), Outcome::Accepted, says)
    });
    let records = records.collect();
    pair.journal(BR, records);
    for (target, state) in targets.iter().zip([DeliveryState::Decided, DeliveryState::Refused]) {
        let view = view(&pair, BR, &target.0);
        assert_eq!(view.row.state, state);
        let steps: Vec<_> = view.history.iter().skip(1).map(|entry| entry.state).collect();
        assert_eq!(steps.len(), 2, "{:?}", view.history);
        assert_eq!(steps[0], state);
    }
}

#[test]
fn an_answer_to_another_message_than_the_one_it_names_changes_nothing() {
    let mut pair = Pair::new();
    let ours = header(&pair, BR, 1, "incident", List::empty());
    let (id, forged) = (ours.id(), Digest::of(&[b"another"]));
    let draft = SentDraft { header: ours, bearing: Bearing::Notice.into(), by: Text::cut("ana") };
    let references = reference(ReferenceRole::ANSWERS, &(id.clone(), forged));
    let answer = header(&pair, CL, 1, "acknowledgement", references);
    let record = received(answer, Outcome::Accepted, Bearing::Answer(Answer::Seen));
    pair.journal(BR, vec![(Record::Sent(Sent { draft, proof: Blob::default() }), None), record]);
    let view = view(&pair, BR, &id);
    assert_eq!((view.row.state, view.answers.len()), (DeliveryState::Submitted, 0));
}

#[test]
fn i13_an_unknown_marking_is_shown_as_red_with_its_number() {
    let mut pair = Pair::linked();
    let mut odd = pair.incident(BR, Lane::Routine, "marked by a newer node");
    odd.tlp = Tlp(9);
    let odd = pair.send(BR, odd).0;
    let view = view(&pair, CL, &odd);
    assert_eq!(view.row.tlp, aldis_control::Tlp::Red);
    assert!(view.unknown_codes[0].contains("tlp: 9"), "{:?}", view.unknown_codes);
}

#[test]
fn hostile_text_passes_through_as_it_came() {
    let mut pair = Pair::linked();
    let text = "\u{202e}gnp.exe\u{1b}[2J\u{0} <script>\u{7}";
    let id = pair.notice(BR, Lane::Routine, text).0;
    let view = view(&pair, CL, &id);
    assert_eq!(view.row.subject, text);
    assert_eq!(view.body.unwrap()["subject"], text);
}

#[test]
fn an_erased_body_is_gone_everywhere_at_once() {
    let mut pair = Pair::linked();
    let id = pair.notice(BR, Lane::Routine, "secret").0;
    let log = pair.log(BR, "log");
    let query = log.query().unwrap();
    assert_eq!(query.message_row(&id).unwrap().subject, "secret");
    let bodies = pair.certs[BR].journal.reader();
    let mut records = bodies.iter_from(crate::journal::RecordSeq(0)).map(Result::unwrap);
    let record = records.find(|record| record.body != crate::journal::Body::None).unwrap().seq;
    pair.certs[BR].journal.erase_body(record).unwrap();
    assert_eq!(query.message_row(&id).unwrap().subject, "");
    assert_eq!(query.message(&id).unwrap().broken().0.body_absent.unwrap().code, "erased");
    let search = LogQuery { text: Some("secret".into()), ..LogQuery::default() };
    assert!(query.log(&search).unwrap().rows.is_empty());
}

#[test]
fn deadlines_that_passed_are_shown() {
    let mut pair = Pair::linked();
    let due = UnixMillis::new(START_MS + HOUR_MS).to_string();
    let body = json!({"subject": "s", "class": "fraud", "reply_by": due});
    let [silent, answered, in_time] = [0; 3].map(|_| {
        let submission = pair.submission(BR, Lane::Routine, "incident", body.clone());
        pair.send(BR, submission)
    });
    pair.answer(CL, &in_time, "acknowledged");
    let late = |pair: &Pair, id: &EnvelopeId| [BR, CL].map(|place| view(pair, place, id).row.late);
    assert_eq!(late(&pair, &silent.0), [false, false]);
    pair.pass(2 * HOUR_MS);
    pair.answer(CL, &answered, "acknowledged");
    assert_eq!(late(&pair, &silent.0), [true, true]);
    assert_eq!(late(&pair, &answered.0), [true, true]);
    assert_eq!(late(&pair, &in_time.0), [false, false]);
    assert_eq!(view(&pair, BR, &silent.0).row.reply_by.unwrap().0, START_MS + HOUR_MS);
}

/// Whether a row belongs to what a search should find.
type Fits = fn(&MessageRow) -> bool;

#[test]
fn pages_of_the_log_lose_nothing_and_repeat_nothing() {
    let mut pair = Pair::linked();
    conversation(&mut pair, |_| ());
    let log = pair.log(BR, "log");
    let query = log.query().unwrap();
    let whole = query.log(&LogQuery { limit: Some(500), ..LogQuery::default() }).unwrap();
    assert_eq!(whole.next, None);
    let times: Vec<_> = whole.rows.iter().map(|row| row.received_at.unwrap_or(row.sent_at).0).collect();
    assert!(times.is_sorted_by(|one, next| one >= next), "latest first");
    for limit in [1, 2, 3, 7, 30] {
        assert_eq!(paged(&query, &LogQuery { limit: Some(limit), ..LogQuery::default() }), ids(&whole.rows));
    }
    let filters: [(LogQuery, Fits); 6] = [
        (LogQuery { kind: Some("acknowledgement".into()), ..LogQuery::default() }, |row| row.kind == "acknowledgement"),
        (LogQuery { peer: Some("cert.cl".into()), ..LogQuery::default() }, |row| row.peer == "cert.cl"),
        (LogQuery { text: Some("QUEUED 1".into()), ..LogQuery::default() }, |row| row.subject.contains("queued 1")),
        (LogQuery { since: Some(at(1)), ..LogQuery::default() }, |row| time(row) > START_MS),
        (LogQuery { until: Some(at(1)), ..LogQuery::default() }, |row| time(row) <= START_MS),
        (LogQuery { case: Some("auc".repeat(2)), kind: Some("refusal".into()), ..LogQuery::default() }, |row| {
            row.kind == "refusal"
        }),
    ];
    for (filter, fits) in filters {
        let expected: Vec<MessageRow> = whole.rows.iter().filter(|row| fits(row)).cloned().collect();
        let filter = match &filter.case {
            Some(_) => LogQuery { case: Some(whole.rows[0].case[..8].to_owned()), ..filter },
            None => filter,
        };
        assert!(!expected.is_empty(), "{filter:?}");
        assert_eq!(paged(&query, &LogQuery { limit: Some(2), ..filter.clone() }), ids(&expected), "{filter:?}");
    }
    let bad = [
        LogQuery { before: Some("xyz".into()), ..LogQuery::default() },
        LogQuery { peer: Some("CERT.CL".into()), ..LogQuery::default() },
        LogQuery { text: Some("x".repeat(300)), ..LogQuery::default() },
        LogQuery { case: Some("abc".into()), ..LogQuery::default() },
    ];
    for search in bad {
        let error = ApiError::from(query.log(&search).unwrap_err());
        assert_eq!(error.exit, 2, "{search:?}: {error:?}");
    }
}

#[test]
fn a_case_is_found_by_a_prefix_unless_it_fits_several() {
    let mut pair = Pair::linked();
    let mut case = [7; 16];
    for last in [1, 2] {
        case[15] = last;
        let mut submission = pair.incident(BR, Lane::Routine, &format!("case {last}"));
        submission.case = CaseId(case);
        pair.send(BR, submission);
    }
    pair.notice(BR, Lane::Routine, "another case");
    let log = pair.log(CL, "log");
    let query = log.query().unwrap();
    let one = CaseId([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1]).to_string();
    assert_eq!(query.case(&one.to_uppercase()).unwrap().messages[0].row.subject, "case 1");
    assert!(matches!(query.case(&one[..6]), Err(QueryError::AmbiguousCase { .. })));
    assert!(matches!(query.case(&one[..5]), Err(QueryError::InvalidCase(_))));
    let other = CaseId([5; 16]).to_string();
    for length in 6..=26 {
        assert_eq!(query.case(&other[..length]).unwrap().messages.len(), 1, "{length}");
    }
    for none in ["aaaaaa", "777777", &format!("{}7", &other[..25])] {
        assert!(matches!(query.case(none), Err(QueryError::NoCase(_))), "{none}");
    }
    let error = ApiError::from(query.case("aaaaaa").unwrap_err());
    assert_eq!(error.exit, 5);
}

#[test]
fn a_case_tells_its_messages_oldest_first() {
    let mut pair = Pair::linked();
    let notice = pair.notice(BR, Lane::Routine, "begins");
    pair.pass(1_000);
    pair.answer(CL, &notice, "approved");
    let log = pair.log(BR, "log");
    let case = log.query().unwrap().case(&CaseId([5; 16]).to_string()).unwrap();
    let kinds: Vec<_> = case.messages.iter().map(|view| view.row.kind.as_str()).collect();
    assert_eq!(kinds, ["incident", "acknowledgement"]);
}

#[test]
fn a_message_is_named_in_full_or_by_its_sender() {
    let mut pair = Pair::linked();
    let id = pair.notice(BR, Lane::Priority, "s").0;
    let log = pair.log(CL, "log");
    let query = log.query().unwrap();
    for text in ["cert.br/cert.cl/P1", "cert.br/P1", "cert.br/p1"] {
        assert_eq!(query.resolve(text).unwrap(), id);
    }
    assert_eq!(ApiError::from(query.resolve("P1").unwrap_err()).exit, 2);
    let none = query.resolve("cert.br/P2").unwrap();
    assert_eq!(ApiError::from(query.message(&none).unwrap_err()).exit, 5);
}

fn list(all: bool) -> aldis_control::ListQuery {
    aldis_control::ListQuery { all, ..Default::default() }
}

fn subjects(rows: &[MessageRow]) -> Vec<String> {
    rows.iter().filter(|row| row.kind == "incident").map(|row| row.subject.clone()).collect()
}

/// A message in full, from a log that is built or brought up to date for it.
fn view(pair: &Pair, place: usize, id: &EnvelopeId) -> MessageView {
    let log = pair.log(place, &format!("views-{place}"));
    let view = log.query().unwrap().message(id).unwrap().broken().0;
    log.stop();
    view
}

fn ids(rows: &[MessageRow]) -> Vec<String> {
    rows.iter().map(|row| row.id.to_string()).collect()
}

/// All pages of a search.
fn paged(query: &Query, search: &LogQuery) -> Vec<String> {
    let (mut search, mut found) = (search.clone(), Vec::new());
    loop {
        let page = query.log(&search).unwrap();
        found.extend(ids(&page.rows));
        search.before = page.next;
        if search.before.is_none() {
            return found;
        }
    }
}

fn time(row: &MessageRow) -> u64 {
    row.received_at.unwrap_or(row.sent_at).0
}

fn at(after_start_ms: u64) -> aldis_control::UnixMillis {
    aldis_control::UnixMillis(START_MS + after_start_ms)
}

/// A header that no core made.
fn header(
    pair: &Pair,
    place: usize,
    seq: u64,
    kind: &'static str,
    references: List<aldis_wire::header::Reference, 8>,
) -> ExactHeader {
    let header = Header {
        seq: aldis_wire::ids::Seq::new(seq).unwrap(),
        previous: if seq == 1 { Digest::ZERO } else { Digest::of(&[b"before"]) },
        references,
        kind: Code::known(kind),
        body_commitment: Digest::ZERO,
        ..pair.header(place, b"")
    };
    ExactHeader::encode(header).unwrap()
}

fn received(header: ExactHeader, outcome: Outcome, bearing: Bearing) -> (Record, Option<Vec<u8>>) {
    let at = UnixMillis::new(START_MS + 1_000);
    let received = Received { header, proof: Blob::default(), bearing: Some(bearing.into()), outcome, at };
    (Record::Received(received), None)
}
