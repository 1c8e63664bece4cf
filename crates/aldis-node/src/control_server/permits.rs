//! Which role each route needs: one table, asked before any handler runs. A route that does not stand in it is not
//! there, so nobody can add one and forget who may use it.

use super::caller::Caller;
use super::failure::Failure;
use super::{Server, no_such_method, no_such_route};
use crate::access::{Desks, Grant, WHO_CHANGES_IT};
use aldis_control::{Exit, Role, routes};
use aldis_wire::codes::Desk;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Who may use a route with a method, and what for, in words.
struct Permit {
    route: &'static str,
    method: &'static str,
    roles: &'static [Role],
    what: &'static str,
}

const ANY: &[Role] = &Role::ALL;
const READERS: &[Role] = &[Role::Auditor, Role::Operator, Role::Releaser];
/// A releaser's part is to let messages out one by one, not to give the record away.
const EXPORTERS: &[Role] = &[Role::Auditor, Role::Operator];
const OPERATOR: &[Role] = &[Role::Operator];
const RELEASER: &[Role] = &[Role::Releaser];
const OPERATOR_OR_RELEASER: &[Role] = &[Role::Operator, Role::Releaser];
const ADMIN: &[Role] = &[Role::Admin];

const PERMITS: [Permit; 47] = [
    permit(routes::STATUS, "get", ANY, "see the node's status"),
    permit(routes::CARD, "get", ANY, "see the node's card"),
    permit(routes::CARD_SHOW, "post", ANY, "read a card"),
    permit(routes::PEERS, "get", ANY, "see the peers"),
    permit(routes::PEERS, "post", ADMIN, "enrol a peer"),
    permit(routes::PEER, "get", ANY, "see a peer"),
    permit(routes::PEER_UNBLOCK, "post", ADMIN, "open a blocked lane"),
    permit(routes::PEER_PHRASES, "get", ADMIN, "see the words for the telephone"),
    permit(routes::PEER_ACT, "post", ADMIN, "change what a peer is"),
    permit(routes::AGREEMENT, "get", ANY, "see what was agreed with a peer"),
    permit(routes::AGREEMENT, "post", ADMIN, "set the terms towards a peer"),
    permit(routes::REQUESTS, "get", ANY, "see what waits for a second administrator"),
    permit(routes::REQUEST_APPROVE, "post", ADMIN, "approve a request"),
    permit(routes::REQUEST_WITHDRAW, "post", ADMIN, "take a request back"),
    permit(routes::KEYS, "get", ANY, "see the node's keys"),
    permit(routes::KEYS_ROTATE, "post", ADMIN, "make a new key"),
    permit(routes::ALERTS_TEST, "post", ADMIN, "try a channel of alerts"),
    permit(routes::METRICS, "get", ANY, "read the figures"),
    permit(routes::MESSAGES, "post", OPERATOR, "send a message"),
    permit(routes::MESSAGES_BULK, "post", OPERATOR, "send messages in bulk"),
    permit(routes::DRAFTS, "get", READERS, "see what waits to be released"),
    permit(routes::DRAFT, "get", OPERATOR_OR_RELEASER, "read a draft"),
    permit(routes::DRAFT_RELEASE, "post", RELEASER, "release a draft"),
    permit(routes::DRAFT_DISCARD, "post", OPERATOR_OR_RELEASER, "throw a draft away"),
    permit(routes::INBOX, "get", READERS, "read the inbox"),
    permit(routes::OUTBOX, "get", READERS, "read the outbox"),
    permit(routes::MESSAGE, "get", READERS, "read a message"),
    permit(routes::CASE, "get", READERS, "read a case"),
    permit(routes::EVIDENCE, "post", EXPORTERS, "make evidence"),
    permit(routes::ATTACHMENTS, "post", OPERATOR, "hand in a file"),
    permit(routes::ATTACHMENT, "get", READERS, "read a file of a message"),
    permit(routes::ANSWERS, "post", OPERATOR, "answer a message"),
    permit(routes::RECALLS, "get", READERS, "see what became of a recall"),
    permit(routes::RECALLS, "post", OPERATOR, "recall a message"),
    permit(routes::DRILL, "get", ANY, "see how the lines to peers work"),
    permit(routes::DRILL, "post", OPERATOR, "check a peer"),
    permit(routes::HOTLINE, "get", READERS, "see a hotline"),
    permit(routes::HOTLINE, "post", OPERATOR, "come to a hotline"),
    permit(routes::HOTLINE_LINE, "post", OPERATOR, "speak in a hotline"),
    permit(routes::HOTLINE_READ, "post", OPERATOR, "read in a hotline"),
    permit(routes::HOTLINE_CLOSE, "post", OPERATOR, "end a hotline"),
    permit(routes::LOG, "get", READERS, "read the log"),
    permit(routes::EVENTS, "get", READERS, "watch what happens"),
    permit(routes::BACKUP, "post", ADMIN, "make a backup"),
    permit(routes::VERIFY, "post", READERS, "verify the record"),
    permit(routes::VOCABULARY, "get", ANY, "see the vocabulary"),
    permit(routes::OPENAPI, "get", ANY, "see the description of the control API"),
];

const fn permit(route: &'static str, method: &'static str, roles: &'static [Role], what: &'static str) -> Permit {
    Permit { route, method, roles, what }
}

/// Lets a request through to its handler, or says which role it lacks.
pub(super) async fn enforce(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let Some(permit) = permit_of(request.method(), path) else {
        let is_route = PERMITS.iter().any(|permit| permit.route == path);
        return if is_route { no_such_method(&request) } else { no_such_route(&request) }.into_response();
    };
    match check(permit, &server, &caller, &grant) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Whether a caller may still send, for a request that goes on for as long as somebody has messages.
pub(super) fn check_sends_in_bulk(server: &Server, caller: &Caller, grant: &Grant) -> Result<(), Failure> {
    let permit = permit_of(&Method::POST, routes::MESSAGES_BULK).expect("a route that is served has a permit");
    check(permit, server, caller, grant)
}

fn check(permit: &Permit, server: &Server, caller: &Caller, grant: &Grant) -> Result<(), Failure> {
    if grant.has_any(permit.roles) {
        return Ok(());
    }
    Err(missing_role(server, caller, grant, permit.roles, permit.what))
}

/// Whether a caller may still read, for answers that go on for as long as somebody listens.
pub(super) fn may_watch(grant: &Grant) -> bool {
    permit_of(&Method::GET, routes::EVENTS).is_some_and(|permit| grant.has_any(permit.roles))
}

/// Whether a caller may send or answer for a desk.
pub(super) fn check_writes(caller: &Caller, grant: &Grant, what: &str, desk: Desk) -> Result<(), Failure> {
    let desks = grant.writes();
    if desks.contains(desk) {
        return Ok(());
    }
    let by = caller.by();
    let message = format!("to {what} for the desk {desk} you need it in the role operator; {by} has {}", list(&desks));
    Err(Failure::new(Exit::Refused, "missing-desk", message, WHO_CHANGES_IT))
}

/// HEAD is GET without the answer's body.
fn permit_of(method: &Method, path: &str) -> Option<&'static Permit> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    PERMITS.iter().find(|permit| permit.route == path && method.as_str().eq_ignore_ascii_case(permit.method))
}

fn missing_role(server: &Server, caller: &Caller, grant: &Grant, roles: &[Role], what: &str) -> Failure {
    let needed = match roles {
        [role] => format!("the role {role}"),
        roles => format!("one of the roles {}", words(roles)),
    };
    let has = match grant.roles().as_slice() {
        [] => "no role".to_owned(),
        [role] => format!("the role {role}"),
        roles => format!("the roles {}", words(roles)),
    };
    let mut message = format!("to {what} you need {needed}; {} has {has}", caller.by());
    if !caller.looked_up {
        message.push_str(". The system's user database did not answer, so names of users and groups did not count");
    } else if server.context.access.rules().entries().is_empty() {
        message.push_str(". Without an [[access]] entry only root and the daemon's own user have roles");
    }
    Failure::new(Exit::Refused, "missing-role", message, WHO_CHANGES_IT)
}

fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

fn list(desks: &Desks) -> String {
    match desks.names() {
        names if names.is_empty() => "none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_and_method_has_one_permit_and_nothing_else_has() {
        let served =
            || routes::ALL.iter().flat_map(|(route, methods)| methods.iter().map(move |method| (*route, *method)));
        for (route, method) in served() {
            let fits = |permit: &&Permit| (permit.route, permit.method) == (route, method);
            assert_eq!(PERMITS.iter().filter(fits).count(), 1, "{method} {route} needs one entry in PERMITS");
        }
        assert_eq!(PERMITS.len(), served().count(), "a permit for a route that is not there");
        assert!(PERMITS.iter().all(|permit| !permit.roles.is_empty() && !permit.what.is_empty()));
    }

    #[test]
    fn an_admin_alone_reads_no_messages_and_an_auditor_changes_nothing() {
        let may = |role, method: &str, route| {
            let permit = permit_of(&method.to_uppercase().parse().unwrap(), route).unwrap();
            permit.roles.contains(&role)
        };
        for route in [routes::INBOX, routes::OUTBOX, routes::MESSAGE, routes::CASE, routes::LOG, routes::EVENTS] {
            assert!(!may(Role::Admin, "get", route), "{route}");
            assert!(may(Role::Auditor, "get", route) && may(Role::Auditor, "head", route), "{route}");
        }
        // A card is only read, the record only verified, and evidence is what a reviewer is there for.
        let reads = [routes::CARD_SHOW, routes::VERIFY, routes::EVIDENCE];
        let changes = |permit: &&Permit| permit.method == "post" && !reads.contains(&permit.route);
        for permit in PERMITS.iter().filter(changes) {
            let of_drafts = [routes::DRAFT_RELEASE, routes::DRAFT_DISCARD].contains(&permit.route);
            assert!(!permit.roles.contains(&Role::Auditor), "{}", permit.route);
            assert_eq!(permit.roles.contains(&Role::Releaser), of_drafts, "{}", permit.route);
        }
        assert!(permit_of(&Method::DELETE, routes::PEERS).is_none());
    }
}
