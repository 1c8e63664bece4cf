//! The typed client: one method for each route, over the daemon's Unix socket.
//!
//! It never repeats a request by itself: whether a message was stored when a connection broke is for the person to
//! look up, and sending twice would be worse than asking.

mod files;

pub use files::ComingFile;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream::Stream;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bulk;
use crate::stream::{self, innermost};
use crate::{
    AgreementRequest, AgreementView, AlertTestRequest, AlertTestResponse, AnswerRequest, AnswerResponse, ApiError,
    BackupLine, BulkLine, CardShowRequest, CardText, CardView, CaseQuery, CaseView, ChecksView, DraftName, DraftQuery,
    DraftRow, DraftView, DrillQuery, DrillRequest, DrillView, EventsQuery, Exit, HotlineCloseRequest,
    HotlineLineRequest, HotlineQuery, HotlineReadRequest, HotlineRequest, HotlineView, KeyRotateRequest, ListQuery,
    LogPage, LogQuery, MessageQuery, MessageRow, MessageView, OwnKeys, PeerActRequest, PeerActResponse, PeerAddRequest,
    PeerPhrases, PeerQuery, PeerSummary, PeerUnblockRequest, PeerView, PendingRequest, RecallRequest, RecallView,
    RequestName, SendRequest, SendResponse, SentMessage, Status, StreamedEvent, VerifyLine, Vocabulary, routes,
};

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET_PATH: &str = "/run/aldis/aldis.sock";

/// The largest answer that is read into memory: 64 MiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How long an answer may take, not counting what the request itself asks to wait for.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// How long connecting to the socket may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a request that waits without saying how long may take.
const DEFAULT_WAIT: Duration = Duration::from_mins(2);

/// A client of one daemon. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    socket_path: PathBuf,
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket; nothing was done.
    #[error("cannot reach the daemon at {}: {reason}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// The connection was made and then broke or fell silent: whether the request was carried out is not known.
    #[error("the daemon did not finish its answer: {reason}")]
    Broken {
        /// What the system says.
        reason: String,
    },
    /// The daemon answered that it cannot.
    #[error(transparent)]
    Api(ApiError),
    /// What answered does not speak this API.
    #[error("the answer cannot be used: {what}")]
    Protocol {
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    /// The sort of failure, for the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => Exit::Unreachable,
            Self::Api(error) => Exit::ALL.into_iter().find(|exit| exit.code() == error.exit).unwrap_or(Exit::Other),
            Self::Protocol { .. } => Exit::Other,
        }
    }

    /// What the person can do about it.
    pub fn advice(&self) -> &str {
        match self {
            Self::Unreachable { advice, .. } => advice,
            Self::Broken { .. } => {
                "look with `aldis status` and `aldis outbox` whether it was carried out before you repeat it"
            }
            Self::Api(error) => &error.advice,
            Self::Protocol { .. } => "check that aldis and aldisd are of the same version, and the socket is aldisd's",
        }
    }

    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken { reason: reason.into() }
    }

    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }
}

impl Client {
    /// A client of the daemon at this socket. Nothing is opened before the first request.
    pub fn new(socket_path: impl Into<PathBuf>) -> Self {
        let socket_path = socket_path.into();
        let http = reqwest::Client::builder()
            .unix_socket(socket_path.as_path())
            .connect_timeout(CONNECT_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without TLS, proxy or resolver has nothing that can fail to build");
        Self { http, socket_path }
    }

    /// The socket this client asks.
    pub fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    /// What the node is doing.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get(routes::STATUS, &()).await
    }

    /// This node's own card.
    pub async fn card(&self) -> Result<CardText, ClientError> {
        self.get(routes::CARD, &()).await
    }

    /// The readable fields of any card.
    pub async fn card_show(&self, request: &CardShowRequest) -> Result<CardView, ClientError> {
        self.post(routes::CARD_SHOW, request).await
    }

    /// All enrolled peers.
    pub async fn peers(&self) -> Result<Vec<PeerSummary>, ClientError> {
        self.get(routes::PEERS, &()).await
    }

    /// Enrols a peer from its card.
    pub async fn peer_add(&self, request: &PeerAddRequest) -> Result<PeerSummary, ClientError> {
        self.post(routes::PEERS, request).await
    }

    /// One peer in full.
    pub async fn peer(&self, query: &PeerQuery) -> Result<PeerView, ClientError> {
        self.get(routes::PEER, query).await
    }

    /// Lets a blocked lane flow again.
    pub async fn peer_unblock(&self, request: &PeerUnblockRequest) -> Result<PeerSummary, ClientError> {
        self.post(routes::PEER_UNBLOCK, request).await
    }

    /// The words two administrators read to each other.
    pub async fn peer_phrases(&self, query: &PeerQuery) -> Result<PeerPhrases, ClientError> {
        self.get(routes::PEER_PHRASES, query).await
    }

    /// Does something to a peer, or asks a second administrator to approve it.
    pub async fn peer_act(&self, request: &PeerActRequest) -> Result<PeerActResponse, ClientError> {
        self.post(routes::PEER_ACT, request).await
    }

    /// Both sides' terms, and what holds.
    pub async fn agreement(&self, query: &PeerQuery) -> Result<AgreementView, ClientError> {
        self.get(routes::AGREEMENT, query).await
    }

    /// Sets our terms towards a peer.
    pub async fn agreement_set(&self, request: &AgreementRequest) -> Result<AgreementView, ClientError> {
        self.post(routes::AGREEMENT, request).await
    }

    /// What waits for a second administrator.
    pub async fn requests(&self) -> Result<Vec<PendingRequest>, ClientError> {
        self.get(routes::REQUESTS, &()).await
    }

    /// Approves a request.
    pub async fn request_approve(&self, name: &RequestName) -> Result<PeerActResponse, ClientError> {
        self.post(routes::REQUEST_APPROVE, name).await
    }

    /// Takes a request back.
    pub async fn request_withdraw(&self, name: &RequestName) -> Result<Vec<PendingRequest>, ClientError> {
        self.post(routes::REQUEST_WITHDRAW, name).await
    }

    /// What waits for another person to release it.
    pub async fn drafts(&self) -> Result<Vec<DraftRow>, ClientError> {
        self.get(routes::DRAFTS, &()).await
    }

    /// One draft in full.
    pub async fn draft(&self, query: &DraftQuery) -> Result<DraftView, ClientError> {
        self.get(routes::DRAFT, query).await
    }

    /// Releases another's draft.
    pub async fn draft_release(&self, name: &DraftName) -> Result<SendResponse, ClientError> {
        self.post(routes::DRAFT_RELEASE, name).await
    }

    /// Throws a draft away.
    pub async fn draft_discard(&self, name: &DraftName) -> Result<Vec<DraftRow>, ClientError> {
        self.post(routes::DRAFT_DISCARD, name).await
    }

    /// This node's own keys.
    pub async fn keys(&self) -> Result<OwnKeys, ClientError> {
        self.get(routes::KEYS, &()).await
    }

    /// Makes a new key of our own.
    pub async fn keys_rotate(&self, request: &KeyRotateRequest) -> Result<OwnKeys, ClientError> {
        self.post(routes::KEYS_ROTATE, request).await
    }

    /// Tries a channel of alerts by hand.
    pub async fn alerts_test(&self, request: &AlertTestRequest) -> Result<AlertTestResponse, ClientError> {
        self.post(routes::ALERTS_TEST, request).await
    }

    /// Signs, stores and sends a message; success means it is on stable storage (I1).
    pub async fn send(&self, request: &SendRequest) -> Result<SendResponse, ClientError> {
        let asked = request.wait_ms.map_or(DEFAULT_WAIT, Duration::from_millis);
        let wait = if request.wait.is_some() { asked } else { Duration::ZERO };
        let builder = self.request(Method::POST, routes::MESSAGES).json(request);
        self.answer_to(builder, ANSWER_LIMIT.saturating_add(wait)).await
    }

    /// The same for many messages over one connection. They are sent as they come and answered as soon as each is known;
    /// the last item is the report, or an error. At most 1,024 are unanswered at once: whoever waits for an answer before
    /// it hands in the next message must do so on another task than the one that takes the answers.
    pub async fn send_bulk<S>(
        &self,
        requests: S,
    ) -> Result<impl Stream<Item = Result<BulkLine, ClientError>> + Unpin + Send + use<S>, ClientError>
    where
        S: Stream<Item = SendRequest> + Send + 'static,
    {
        self.send_bulk_lines(bulk::pieces(requests)).await
    }

    /// The same for messages that are written already, a line of JSON each, cut in any way.
    pub async fn send_bulk_lines<S>(
        &self,
        pieces: S,
    ) -> Result<impl Stream<Item = Result<BulkLine, ClientError>> + Unpin + Send + use<S>, ClientError>
    where
        S: Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    {
        let lines = reqwest::Body::wrap_stream(pieces);
        let builder = self.request(Method::POST, routes::MESSAGES_BULK);
        let builder = builder.header(reqwest::header::CONTENT_TYPE, "application/x-ndjson").body(lines);
        let response = self.open_stream(builder).await?;
        Ok(stream::bulk_lines(Box::pin(response.bytes_stream())))
    }

    /// What was received; what needs an answer stands first.
    pub async fn inbox(&self, query: &ListQuery) -> Result<Vec<MessageRow>, ClientError> {
        self.get(routes::INBOX, query).await
    }

    /// What was sent and is not finished.
    pub async fn outbox(&self, query: &ListQuery) -> Result<Vec<MessageRow>, ClientError> {
        self.get(routes::OUTBOX, query).await
    }

    /// One message in full.
    pub async fn message(&self, query: &MessageQuery) -> Result<MessageView, ClientError> {
        self.get(routes::MESSAGE, query).await
    }

    /// One case with its messages.
    pub async fn case(&self, query: &CaseQuery) -> Result<CaseView, ClientError> {
        self.get(routes::CASE, query).await
    }

    /// Answers a received message.
    pub async fn answer(&self, request: &AnswerRequest) -> Result<AnswerResponse, ClientError> {
        self.post(routes::ANSWERS, request).await
    }

    /// Takes a message back, from all its recipients or from some.
    pub async fn recall(&self, request: &RecallRequest) -> Result<RecallView, ClientError> {
        self.post(routes::RECALLS, request).await
    }

    /// What became of the recall of a message at each recipient.
    pub async fn recalls(&self, query: &MessageQuery) -> Result<RecallView, ClientError> {
        self.get(routes::RECALLS, query).await
    }
    /// How the lines to peers work.
    pub async fn checks(&self, query: &DrillQuery) -> Result<Vec<ChecksView>, ClientError> {
        self.get(routes::DRILL, query).await
    }

    /// Checks peers now.
    pub async fn drill(&self, request: &DrillRequest) -> Result<Vec<DrillView>, ClientError> {
        let wait = Duration::from_millis(request.wait_ms.unwrap_or(0));
        self.answer_to(self.request(Method::POST, routes::DRILL).json(request), wait.saturating_add(ANSWER_LIMIT)).await
    }
    /// The hotline with a peer.
    pub async fn hotline(&self, query: &HotlineQuery) -> Result<HotlineView, ClientError> {
        self.get(routes::HOTLINE, query).await
    }

    /// Comes to the desk of the hotline with a peer, opening it if need be.
    pub async fn hotline_come(&self, request: &HotlineRequest) -> Result<HotlineView, ClientError> {
        self.post(routes::HOTLINE, request).await
    }

    /// Says something in a hotline; success means it is on stable storage (I1).
    pub async fn hotline_line(&self, request: &HotlineLineRequest) -> Result<SentMessage, ClientError> {
        self.post(routes::HOTLINE_LINE, request).await
    }

    /// Says what was read in a hotline.
    pub async fn hotline_read(&self, request: &HotlineReadRequest) -> Result<HotlineView, ClientError> {
        self.post(routes::HOTLINE_READ, request).await
    }

    /// Ends a hotline, or leaves its desk.
    pub async fn hotline_close(&self, request: &HotlineCloseRequest) -> Result<HotlineView, ClientError> {
        self.post(routes::HOTLINE_CLOSE, request).await
    }

    /// Searches the message log.
    pub async fn log(&self, query: &LogQuery) -> Result<LogPage, ClientError> {
        self.get(routes::LOG, query).await
    }

    /// The codes that notices may use.
    pub async fn vocabulary(&self) -> Result<Vocabulary, ClientError> {
        self.get(routes::VOCABULARY, &()).await
    }

    /// The OpenAPI document as the daemon serves it.
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get(routes::OPENAPI, &()).await
    }

    /// Events as they happen, until the daemon closes the stream or is silent for 60 s.
    pub async fn events(
        &self,
        query: &EventsQuery,
    ) -> Result<impl Stream<Item = Result<StreamedEvent, ClientError>> + Unpin + Send + use<>, ClientError> {
        let response = self.open_stream(self.request(Method::GET, routes::EVENTS).query(query)).await?;
        Ok(stream::events(Box::pin(response.bytes_stream())))
    }

    /// Walks journal and log; the last item is the report, or an error.
    pub async fn verify(
        &self,
    ) -> Result<impl Stream<Item = Result<VerifyLine, ClientError>> + Unpin + Send + use<>, ClientError> {
        let response = self.open_stream(self.request(Method::POST, routes::VERIFY)).await?;
        Ok(stream::verify_lines(Box::pin(response.bytes_stream())))
    }

    /// Makes a backup of the node, in the directory its configuration names; the last item is the report, or an error.
    pub async fn backup(
        &self,
    ) -> Result<impl Stream<Item = Result<BackupLine, ClientError>> + Unpin + Send + use<>, ClientError> {
        let response = self.open_stream(self.request(Method::POST, routes::BACKUP)).await?;
        Ok(stream::backup_lines(Box::pin(response.bytes_stream())))
    }

    async fn get<Q: Serialize + Sync, A: DeserializeOwned>(&self, route: &str, query: &Q) -> Result<A, ClientError> {
        self.answer_to(self.request(Method::GET, route).query(query), ANSWER_LIMIT).await
    }

    async fn post<B: Serialize + Sync, A: DeserializeOwned>(&self, route: &str, body: &B) -> Result<A, ClientError> {
        self.answer_to(self.request(Method::POST, route).json(body), ANSWER_LIMIT).await
    }

    /// The host in the URL says nothing; the socket decides who answers. Each request has a connection of its own, which
    /// the daemon is asked to close as soon as it has answered, so that its place there is free for the next.
    fn request(&self, method: Method, route: &str) -> RequestBuilder {
        let url = format!("http://aldis.localhost{route}");
        self.http.request(method, url).header(reqwest::header::CONNECTION, "close")
    }

    /// Sends a request and reads the whole answer within the limit.
    async fn answer_to<A: DeserializeOwned>(&self, builder: RequestBuilder, limit: Duration) -> Result<A, ClientError> {
        let answer = async { read_bounded(self.open(builder).await?).await };
        let answer = tokio::time::timeout(limit, answer).await;
        let bytes = answer.unwrap_or_else(|_| Err(no_answer_within(limit)))?;
        answer_in(&bytes)
    }

    /// Sends a request and returns the response once its status says success.
    async fn open(&self, builder: RequestBuilder) -> Result<Response, ClientError> {
        let response = builder.send().await.map_err(|error| self.failed_to_send(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = read_bounded(response).await?;
        match serde_json::from_slice(&bytes) {
            Ok(error) => Err(ClientError::Api(error)),
            Err(_) => Err(ClientError::protocol(format!("HTTP status {status} without a reason"))),
        }
    }

    /// The same for an answer that then streams; only its beginning has to come within the limit.
    async fn open_stream(&self, builder: RequestBuilder) -> Result<Response, ClientError> {
        tokio::time::timeout(ANSWER_LIMIT, self.open(builder))
            .await
            .unwrap_or_else(|_| Err(no_answer_within(ANSWER_LIMIT)))
    }

    /// Tells a daemon that is not there from one that went away while it was asked.
    fn failed_to_send(&self, error: &reqwest::Error) -> ClientError {
        if error.is_connect() {
            let advice = unreachable_advice(io_kind(error));
            return ClientError::Unreachable { path: self.socket_path.clone(), reason: innermost(error), advice };
        }
        if error.is_builder() {
            return ClientError::protocol(format!("the request cannot be written: {}", innermost(error)));
        }
        ClientError::broken(innermost(error))
    }
}

/// What an answer says.
fn answer_in<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, ClientError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ClientError::protocol(format!("the answer is not as described: {error}")))
}

fn no_answer_within(limit: Duration) -> ClientError {
    ClientError::broken(format!("no answer within {} s", limit.as_secs()))
}

/// Reads a body into memory, up to [`MAX_ANSWER_BYTES`].
async fn read_bounded(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ClientError::broken(innermost(&error)))? {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(ClientError::protocol(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The system's own error somewhere in the chain.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// What to do when nobody answers at the socket.
fn unreachable_advice(kind: Option<io::ErrorKind>) -> &'static str {
    match kind {
        Some(io::ErrorKind::NotFound) => {
            "start the daemon with `aldisd run`, or name its socket with --socket or ALDIS_SOCKET"
        }
        Some(io::ErrorKind::PermissionDenied) => "ask the administrator to let your user open the socket",
        Some(io::ErrorKind::ConnectionRefused) => {
            "the socket is there but no daemon listens; start it with `aldisd run`"
        }
        _ => "check with `aldisd check` and the daemon's own log that it runs",
    }
}
