//! The control API: what the people and programs of this machine may ask of the node, over HTTP/1.1 on a Unix socket.
//! The kernel says who is calling, and every action is logged with it. This module signs nothing, stores nothing and
//! decides nothing about messages: it checks what people wrote, hands it to the event loop, and reads the log.
//!
//! Read it in the order of a request: [`socket`] -> `accept` -> `caller` -> `audit` -> `permits` -> `extract` -> the module
//! of the route -> `failure`.

mod accept;
mod administer;
mod agreement;
mod alert_event;
mod alert_test;
mod answer;
mod attachments;
mod audit;
mod backup;
mod bulk;
mod bulk_lines;
mod caller;
mod cards;
mod convert;
mod drafts;
mod drill;
mod evidence;
mod extract;
mod failure;
mod file_progress;
mod hotline;
mod ladder_marks;
mod lines;
mod metrics;
mod named;
mod peers;
mod permits;
mod quoted;
mod recall;
mod recovery;
mod review;
mod seen;
mod send;
pub mod socket;
mod stall;
mod status;
mod steps;
mod trust_marks;
mod verify;
mod vocabulary;
mod watch;

pub use accept::serve;
pub use extract::BODY_MAX_BYTES;
pub use socket::{BindError, ControlSocket, bind};

use crate::access::Access;
use crate::alerts::{Bell, Carrier};
use crate::attachments::Attachments;
use crate::backup::BackupState;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::event_loop::LoopHandle;
use crate::events::Events;
use crate::journal;
use crate::log::LogHandle;
use crate::notes::Notes;
use crate::own::Own;
use crate::right_of_way::RightOfWay;
use crate::rotation::KeyMaker;
use crate::scrub::ScrubState;
use aldis_control::routes;
use aldis_core::limits::Discipline;
use aldis_wire::ids::NodeId;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use failure::Failure;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The parts of the node that the control API asks.
#[derive(Clone, Debug)]
pub struct Context {
    /// The way to the core.
    pub loop_handle: LoopHandle,
    /// Where happenings are told.
    pub events: Events,
    /// What links noticed.
    pub notes: Notes,
    /// What FLASH has on this node.
    pub right_of_way: RightOfWay,
    /// The message log.
    pub log: LogHandle,
    /// The journal, to read from.
    pub journal: journal::Reader,
    /// The journal's directory.
    pub journal_dir: PathBuf,
    /// This node's keys and card.
    pub own: Own,
    /// The verified peers, and which certificate of ours is shown.
    pub directory: Directory,
    /// What makes new keys; none for nodes that never make any.
    pub key_maker: Option<Arc<KeyMaker>>,
    /// The node's clock.
    pub clock: Clock,
    /// Who may do what.
    pub access: Access,
    /// What the site asks of its own people.
    pub discipline: Discipline,
    /// Who heard of an alert.
    pub bell: Bell,
    /// What brings alerts to people.
    pub carrier: Arc<Carrier>,
    /// The files that messages name.
    pub attachments: Attachments,
    /// When the node verified itself, and what came of it.
    pub scrubs: ScrubState,
    /// When the node was backed up, and what came of it.
    pub backups: BackupState,
}

/// What the handlers of one server share.
#[derive(Debug)]
struct Server {
    context: Context,
    limits: accept::Limits,
    /// Places for questions to the system's user database.
    lookups: Arc<Semaphore>,
    /// Places for reads in the message log.
    reads: Arc<Semaphore>,
    /// The one place for a verification.
    verification: Arc<Semaphore>,
    /// The one place for an export.
    exports: Arc<Semaphore>,
    /// Places for files that are handed in.
    uploads: Arc<Semaphore>,
    /// Places for files that are given out.
    downloads: Arc<Semaphore>,
    /// Cancelled when the server stops: streams end.
    stopping: CancellationToken,
}

type Shared = axum::extract::State<Arc<Server>>;

impl Server {
    fn new(context: Context, limits: accept::Limits, stopping: CancellationToken) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        let (lookups, reads) = (places(caller::LOOKUPS_MAX), places(review::READS_MAX));
        let (uploads, downloads) = (places(attachments::FILES_AT_ONCE_MAX), places(attachments::FILES_AT_ONCE_MAX));
        let (verification, exports) = (places(1), places(1));
        Self { context, limits, lookups, reads, verification, exports, uploads, downloads, stopping }
    }

    fn own(&self) -> &NodeId {
        self.context.own.id()
    }
}

/// Every route with what answers it; everything else gets an answer in JSON too. Who may use which stands in `permits`.
fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route(routes::STATUS, get(status::status))
        .route(routes::CARD, get(cards::own))
        .route(routes::CARD_SHOW, post(cards::show))
        .route(routes::PEERS, get(peers::list).post(peers::add))
        .route(routes::PEER, get(peers::one))
        .route(routes::PEER_UNBLOCK, post(peers::unblock))
        .route(routes::PEER_PHRASES, get(administer::phrases))
        .route(routes::PEER_ACT, post(administer::act))
        .route(routes::AGREEMENT, get(agreement::one).post(agreement::set))
        .route(routes::REQUESTS, get(administer::requests))
        .route(routes::REQUEST_APPROVE, post(administer::approve))
        .route(routes::REQUEST_WITHDRAW, post(administer::withdraw))
        .route(routes::KEYS, get(administer::own_keys))
        .route(routes::KEYS_ROTATE, post(administer::rotate))
        .route(routes::ALERTS_TEST, post(alert_test::test))
        .route(routes::METRICS, get(metrics::metrics))
        .route(routes::MESSAGES, post(send::send))
        .route(routes::MESSAGES_BULK, post(bulk::bulk))
        .route(routes::DRAFTS, get(drafts::list))
        .route(routes::DRAFT, get(drafts::one))
        .route(routes::DRAFT_RELEASE, post(drafts::release))
        .route(routes::DRAFT_DISCARD, post(drafts::discard))
        .route(routes::INBOX, get(review::inbox))
        .route(routes::OUTBOX, get(review::outbox))
        .route(routes::MESSAGE, get(review::message))
        .route(routes::CASE, get(review::case))
        .route(routes::EVIDENCE, post(evidence::make))
        .route(routes::ATTACHMENTS, post(attachments::upload))
        .route(routes::ATTACHMENT, get(attachments::download))
        .route(routes::ANSWERS, post(answer::answer))
        .route(routes::RECALLS, get(recall::state).post(recall::recall))
        .route(routes::DRILL, get(drill::statistics).post(drill::drill))
        .route(routes::HOTLINE, get(hotline::one).post(hotline::come))
        .route(routes::HOTLINE_LINE, post(hotline::say))
        .route(routes::HOTLINE_READ, post(hotline::read))
        .route(routes::HOTLINE_CLOSE, post(hotline::close))
        .route(routes::LOG, get(review::log))
        .route(routes::EVENTS, get(watch::watch))
        .route(routes::VERIFY, post(verify::verify))
        .route(routes::BACKUP, post(backup::backup))
        .route(routes::VOCABULARY, get(vocabulary::vocabulary))
        .route(routes::OPENAPI, get(openapi))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), permits::enforce))
        .layer(middleware::from_fn(audit::audit))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), caller::identify))
        .with_state(server)
}

/// The description of this API, the same bytes as `docs/openapi.json`.
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], aldis_control::openapi_json())
}

fn no_such_route(request: &Request) -> Failure {
    let path: String = request.uri().path().chars().take(200).collect();
    let advice = "see the OpenAPI document at /v1/openapi.json; aldis and aldisd may be of different versions";
    Failure::usage("no-such-route", format!("there is nothing at {path}"), advice).with_status(StatusCode::NOT_FOUND)
}

fn no_such_method(request: &Request) -> Failure {
    let (method, uri) = (request.method(), request.uri());
    let methods = routes::ALL.iter().find(|(path, _)| *path == uri.path()).map_or(&[][..], |(_, methods)| methods);
    let advice = format!("use {}", methods.join(" or ").to_uppercase());
    Failure::usage("no-such-method", format!("{} does not take {method}", uri.path()), advice)
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
mod tests;
