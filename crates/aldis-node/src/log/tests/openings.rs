//! TLP:RED in the log: what is left out of lists, what opening shows, who opened it; and desks that are not read.

use super::pair::{BR, CL, Pair, node_id, reference};
use crate::access::Desks;
use crate::log::query::Query;
use aldis_control::{ApiError, CaseQuery, ListQuery, LogQuery};
use aldis_core::input::{Input, Token};
use aldis_wire::codec::Text;
use aldis_wire::codes::{Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::ReferenceRole;
use aldis_wire::ids::{CaseId, EnvelopeId};
use aldis_wire::lane::Lane;
use serde_json::json;

fn red(pair: &mut Pair, marking: Tlp) -> (EnvelopeId, Digest) {
    let mut notice = pair.incident(BR, Lane::Priority, "canary-subject");
    notice.tlp = marking;
    pair.send(BR, notice)
}

/// Everything that lists, cases and searches say, as JSON.
fn lists(query: &Query) -> String {
    let all = ListQuery { all: true, ..ListQuery::default() };
    let case = CaseQuery { id: CaseId([5; 16]).to_string() };
    let shown = json!([
        query.inbox(&all).unwrap(),
        query.outbox(&all).unwrap(),
        query.log(&LogQuery::default()).unwrap(),
        query.case(&case.id).unwrap(),
    ]);
    shown.to_string()
}

#[test]
fn lists_have_no_words_of_a_red_message_nor_of_one_with_an_unknown_marking() {
    for marking in [Tlp::RED, Tlp(9)] {
        let mut pair = Pair::linked();
        let (id, _) = red(&mut pair, marking);
        for place in [BR, CL] {
            let log = pair.log(place, "log");
            let query = log.query().unwrap();
            let lists = lists(&query);
            assert!(!lists.contains("canary") && lists.contains("tlp-red"), "at {place}: {lists}");
            let search = |text: &str| LogQuery { text: Some(text.to_owned()), ..LogQuery::default() };
            for text in ["canary", "fraud", "text"] {
                assert!(query.log(&search(text)).unwrap().rows.is_empty(), "{text}");
            }
            let (view, opened) = query.message(&id).unwrap().broken();
            assert_eq!((view.row.subject.as_str(), opened), ("canary-subject", vec![id.clone()]));
        }
    }
}

#[test]
fn a_red_answer_to_what_is_not_red_is_shown_only_by_opening_it() {
    let mut pair = Pair::linked();
    let notice = pair.notice(BR, Lane::Priority, "not red");
    let body = json!({ "state": "decided", "status": "denied", "text": "canary-answer" });
    let mut answer = pair.submission(CL, Lane::Priority, "acknowledgement", body);
    answer.references = reference(ReferenceRole::ANSWERS, &notice);
    answer.tlp = Tlp::RED;
    let answer = pair.send(CL, answer).0;
    let log = pair.log(BR, "log");
    let query = log.query().unwrap();
    let lists = lists(&query);
    assert!(lists.contains("not red") && !lists.contains("canary"), "{lists}");
    let (view, opened) = query.message(&notice.0).unwrap().broken();
    assert_eq!((view.answers[0].text.as_str(), opened), ("canary-answer", vec![answer]));
}

#[test]
fn openings_are_shown_with_who_and_when_and_a_log_built_again_has_them_too() {
    let mut pair = Pair::linked();
    let (id, _) = red(&mut pair, Tlp::RED);
    for by in ["ana (uid 1001)", "bob (uid 1002)"] {
        pair.pass(1_000);
        pair.input(CL, Input::Opened { token: Token(9), message: id.clone(), by: Text::cut(by) });
    }
    for name in ["one", "another"] {
        let log = pair.log(CL, name);
        let query = log.query().unwrap();
        let row = query.message_row(&id).unwrap();
        let by: Vec<_> = row.opened.iter().map(|opening| opening.by.as_str()).collect();
        assert_eq!(by, ["ana (uid 1001)", "bob (uid 1002)"]);
        assert_eq!(row.opened[1].at.0 - row.opened[0].at.0, 1_000);
        assert_eq!(query.log(&LogQuery::default()).unwrap().rows[0].opened, row.opened);
        let found = query.verify(&mut |_, _| true).unwrap();
        assert!(found.findings.is_empty(), "{found:?}");
    }
    // Nobody at the other end learns who reads here.
    assert!(pair.log(BR, "log").query().unwrap().message_row(&id).unwrap().opened.is_empty());
}

#[test]
fn a_message_of_an_unread_desk_is_in_no_list_and_named_only_to_be_refused() {
    let mut pair = Pair::linked();
    let shown = pair.notice(BR, Lane::Priority, "technical");
    let mut hidden = pair.incident(BR, Lane::Flash, "canary-subject");
    hidden.desk = Desk::DIPLOMATIC;
    let hidden = pair.send(BR, hidden).0;
    for place in [BR, CL] {
        let log = pair.log(place, "log");
        let query = log.query().unwrap().within(Desks::Only([Desk::TECHNICAL].into()));
        let lists = lists(&query);
        assert!(lists.contains("\"technical\"") && !lists.contains("canary"), "{lists}");
        assert!(!lists.contains(&hidden.to_string()) && lists.contains(&shown.0.to_string()), "{lists}");
        let errors = [
            query.message(&hidden).unwrap_err(),
            query.message_row(&hidden).unwrap_err(),
            query.on_record(&hidden).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(ApiError::from(error).code, "missing-desk");
        }
        let none = log.query().unwrap().within(Desks::none());
        assert_eq!(ApiError::from(none.case(&CaseId([5; 16]).to_string()).unwrap_err()).code, "missing-desk");
        assert_eq!(ApiError::from(none.case("aaaaaa").unwrap_err()).code, "no-such-case");
    }
}

#[test]
fn a_readable_message_is_found_behind_any_number_of_others() {
    let mut pair = Pair::linked();
    pair.unlink();
    for _ in 0..=crate::log::query::LIST_ROWS_MAX {
        let mut hidden = pair.incident(BR, Lane::Routine, "hidden");
        hidden.desk = Desk::DIPLOMATIC;
        pair.send(BR, hidden);
    }
    let last = pair.notice(BR, Lane::Routine, "last").0;
    let log = pair.log(BR, "log");
    let query = log.query().unwrap().within(Desks::Only([Desk::TECHNICAL].into()));
    let rows = query.outbox(&ListQuery { peer: Some(node_id(CL).to_string()), ..ListQuery::default() }).unwrap();
    assert_eq!(rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>(), [last.to_string()]);
}
