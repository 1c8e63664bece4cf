//! What is answered when something cannot be done: always JSON, always what happened, who must act and how.

use crate::event_loop::RequestError;
use crate::exports::ExportError;
use aldis_control::{ApiError, Exit};
use aldis_core::effect::Declined;
use aldis_wire::kinds::RefusalCode;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A request that came to nothing.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: ApiError,
}

/// The code of a failed request, kept beside the response for the daemon's own log.
#[derive(Clone, Debug)]
pub(super) struct FailureCode(pub(super) String);

impl Failure {
    /// A failure with the HTTP status that belongs to its exit code.
    pub(super) fn new(exit: Exit, code: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        let error = ApiError::new(exit, code, message, advice);
        let status = StatusCode::from_u16(exit.http_status()).expect("exit codes map to HTTP statuses");
        Self { status, error }
    }

    /// The request makes no sense.
    pub(super) fn usage(code: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message, advice)
    }

    /// The same with a more exact HTTP status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A failure of another part of the node, in its own words.
    pub(super) fn from_api(error: ApiError) -> Self {
        let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error }
    }

    /// The stable word of the failure.
    pub(super) fn code(&self) -> &str {
        &self.error.code
    }

    /// The error without its HTTP status.
    pub(super) fn into_error(self) -> ApiError {
        self.error
    }

    /// No such peer.
    pub(super) fn no_such_peer(peer: &str, advice: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, "no-such-peer", format!("{peer} is not an enrolled peer"), advice)
    }

    /// A part of the daemon ended in a way that should not happen.
    pub(super) fn internal(what: impl Into<String>) -> Self {
        Self::new(Exit::Other, "internal", what, "look at the daemon's own log; report it with what stands there")
    }

    /// An answer did not come in time; whether the request was carried out is open.
    pub(super) fn late() -> Self {
        let message = "the node did not answer in time; whether the request was carried out is not known";
        Self::new(
            Exit::Unreachable,
            "late",
            message,
            "look with `aldis status` and `aldis outbox` before you repeat it",
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = FailureCode(self.error.code.clone());
        let mut response = (self.status, Json(self.error)).into_response();
        response.extensions_mut().insert(code);
        response
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Declined(declined) => declined.into(),
            RequestError::Stopping => Self::new(
                Exit::Unreachable,
                "stopping",
                "the node is stopping; whether the request was carried out is not known",
                "when it runs again, look with `aldis outbox` before you repeat it",
            ),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Log(error) => Self::from_api(error.into()),
            ExportError::Erased(_) => {
                let advice = "`aldis show ID` says who erased it and why; nothing left the node";
                Self::new(Exit::NotFound, "erased", error.to_string(), advice)
            }
            ExportError::Request(error) => error.into(),
            ExportError::Reading(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<Declined> for Failure {
    fn from(declined: Declined) -> Self {
        let message = declined.to_string();
        let refused = |code: &str, advice: &str| Self::new(Exit::Refused, code, message.clone(), advice);
        match &declined {
            Declined::UnknownPeer(peer) => {
                Self::no_such_peer(peer.as_str(), "see `aldis peer list`; enrol it with `aldis peer add FILE`")
            }
            Declined::RecordsDisagree(..) => {
                refused("records-disagree", "see the alarms in `aldis status`; speak with the peer's administrator")
            }
            Declined::NoCommonKindVersion { peer, .. } => {
                let advice = format!("see what it reads with `aldis peer show {peer}`; ask it to update, or call");
                refused("no-common-kind-version", &advice)
            }
            Declined::QueueFull(_) => {
                refused("queue-full", "call the peer; nothing more is taken until it receipts or answers")
            }
            Declined::Answer { message: id, why } => {
                let exit = match why {
                    RefusalCode::UnknownReference => Exit::NotFound,
                    _ => Exit::Refused,
                };
                Self::new(exit, why.as_str(), message.clone(), format!("see what it is with `aldis show {id}`"))
            }
            Declined::Message(_) => Self::usage("bad-message", message, "correct the message; nothing was sent"),
            Declined::Card(_) => refused("card-refused", "compare the card with `aldis card show FILE`"),
            Declined::NotVerified(_, trust) => refused(&format!("peer-{}", trust.name()), "nothing was sent"),
            Declined::NotNow { peer, .. } => {
                refused("not-now", &format!("see what it is and who made it so with `aldis peer show {peer}`"))
            }
            Declined::KeyChanged(peer) => refused("key-changed", &format!("look again with `aldis peer show {peer}`")),
            Declined::NoNewKey(peer) => {
                refused("no-new-key", &format!("see its keys with `aldis peer show {peer}`; ask its administrators"))
            }
            Declined::RequestOpen(_) => refused("request-open", "see what waits with `aldis requests`"),
            Declined::NoSuchRequest(_) => {
                Self::new(Exit::NotFound, "no-such-request", message.clone(), "see what waits with `aldis requests`")
            }
            Declined::SamePerson(_) => {
                refused("same-person", "have another administrator run `aldis approve` as their own Unix user")
            }
            Declined::TooManyRequests => refused("too-many-requests", "see what waits with `aldis requests`"),
            Declined::NotAgreed { peer, .. } => {
                let advice = format!("see both sides' terms with `aldis peer agreement {peer}`; nothing was sent");
                refused("not-agreed", &advice)
            }
            Declined::Terms(_) => Self::usage("bad-terms", message, "correct the terms; nothing was changed"),
            Declined::NotRecallable { .. } => refused("not-recallable", "see what became of it with `aldis recall ID`"),
            Declined::CheckOpen(_) => refused("check-open", "see what comes of it with `aldis drill --statistics`"),
            Declined::CheckOver(_) => refused("check-over", "nothing was sent; answer the next one in time"),
            Declined::HotlineAlive(peer) => refused("hotline-alive", &format!("join it with `aldis hotline {peer}`")),
            Declined::NoHotline(peer) => Self::new(
                Exit::NotFound,
                "no-hotline",
                message.clone(),
                format!("open one, or pick up, with `aldis hotline {peer}`"),
            ),
            Declined::Export(_) => Self::usage("bad-export", message, "nothing left the node"),
            Declined::ExportedMeanwhile => refused("exported-meanwhile", "nothing was erased; accept it again"),
            Declined::OtherHotline { peer, .. } => refused(
                "other-hotline",
                &format!(
                    "look with `aldis hotline {peer}` whose it is and what marking it has, and say it again there"
                ),
            ),
            Declined::NothingToRecover(peer, _) => {
                refused("nothing-to-recover", &format!("see how it stands with `aldis peer show {peer}`"))
            }
            Declined::HistoriesContradict(_) => {
                refused("histories-contradict", "nothing was fetched; restore again before anything new is signed")
            }
            Declined::NotBlocked => refused("not-blocked", "see the lanes with `aldis peer show ID`"),
            Declined::NeedsRelease => refused(
                "needs-release",
                "compose it with `aldis send`, and have a releaser run `aldis release`; nothing was sent",
            ),
            Declined::NoSuchDraft(_) => {
                Self::new(Exit::NotFound, "no-such-draft", message.clone(), "see what waits with `aldis drafts`")
            }
            Declined::OwnDraft(_) => refused("own-draft", "have a releaser run `aldis release` as their own Unix user"),
            Declined::OthersDraft(_) => refused("others-draft", "ask its drafter, or a releaser"),
            Declined::TooManyDrafts => refused("too-many-drafts", "see what waits with `aldis drafts`"),
            Declined::TooLong { .. } => refused("too-long", "add --long REASON if it must be; nothing was sent"),
            Declined::FlashUsedUp { .. } => {
                refused("flash-used-up", "the day ends at 00:00 UTC; flash.per_day in aldisd.toml sets the number")
            }
        }
    }
}
