//! Exports in the log: who gave a message out, and whether its body went too.

use super::pair::{BR, CL, Pair};
use aldis_control::LogQuery;
use aldis_core::input::{Input, Token};
use aldis_wire::codec::Text;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;

fn export(pair: &mut Pair, messages: &[&EnvelopeId], bodies: bool, by: &str) {
    pair.pass(1_000);
    let messages = messages.iter().map(|id| (*id).clone()).collect();
    pair.input(CL, Input::Export { token: Token(9), messages, bodies, by: Text::cut(by) });
}

#[test]
fn exports_are_shown_with_who_and_when_and_a_log_built_again_has_them_too() {
    let mut pair = Pair::linked();
    let one = pair.notice(BR, Lane::Priority, "one").0;
    let other = pair.notice(BR, Lane::Priority, "other").0;
    export(&mut pair, &[&one, &other], false, "ana (uid 1001)");
    export(&mut pair, &[&one], true, "bob (uid 1002)");
    for name in ["one", "another"] {
        let log = pair.log(CL, name);
        let query = log.query().unwrap();
        let marks = |id: &EnvelopeId| query.message_row(id).unwrap().exported;
        let shown: Vec<_> = marks(&one).iter().map(|mark| (mark.by.clone(), mark.bodies)).collect();
        assert_eq!(shown, [("ana (uid 1001)".to_owned(), false), ("bob (uid 1002)".to_owned(), true)]);
        assert_eq!(marks(&one)[1].at.0 - marks(&one)[0].at.0, 1_000);
        assert_eq!(marks(&other).len(), 1);
        let rows = query.log(&LogQuery::default()).unwrap().rows;
        assert!(rows.iter().all(|row| !row.exported.is_empty()), "{rows:?}");
        let (view, _) = query.message(&one).unwrap().broken();
        let causes: Vec<_> = view.history.iter().map(|entry| entry.cause.as_str()).collect();
        assert!(causes[causes.len() - 2].contains("without its body"), "{causes:?}");
        assert!(causes[causes.len() - 1].contains("with its body"), "{causes:?}");
        let found = query.verify(&mut |_, _| true).unwrap();
        assert!(found.findings.is_empty(), "{found:?}");
        assert_eq!(query.first_erased(&[one.clone(), other.clone()]).unwrap(), None);
    }
    assert!(pair.log(BR, "log").query().unwrap().message_row(&one).unwrap().exported.is_empty());
}
