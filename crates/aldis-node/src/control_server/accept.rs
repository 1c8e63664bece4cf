//! Accepting connections, each with a place of its own among a limited number, and a clean end for all of them.

use super::caller::Credentials;
use super::failure::Failure;
use super::socket::ControlSocket;
use super::stall::StallLimited;
use super::{Context, Server, router};
use aldis_control::Exit;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Bounds on connections. Tests shorten them.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// How many connections are served at once.
    pub(super) connections: usize,
    /// How many connections beyond those are told so at once; the rest are closed without a word.
    pub(super) turned_away: usize,
    /// How long a connection may take to say what it wants, also between two requests.
    pub(super) head: Duration,
    /// How long a turned away connection may take to say what it wanted.
    pub(super) turned_away_head: Duration,
    /// How long a request's body may take to arrive whole.
    pub(super) body: Duration,
    /// How long a client that sends in bulk may send nothing.
    pub(super) bulk_silence: Duration,
    /// After how long such a client is told something when nothing else is said.
    pub(super) bulk_heartbeat: Duration,
    /// How long a client may read nothing of what it asked for.
    pub(super) stall: Duration,
    /// How long requests in progress may take to end once the server stops.
    pub(super) stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Room for a thousand requests that wait for receipts, and for people beside.
            connections: 1_200,
            turned_away: 32,
            head: Duration::from_secs(10),
            turned_away_head: Duration::from_secs(2),
            body: Duration::from_secs(10),
            bulk_silence: Duration::from_mins(10),
            // The client gives up after a minute without a word.
            bulk_heartbeat: Duration::from_secs(15),
            stall: Duration::from_mins(1),
            stop: Duration::from_secs(5),
        }
    }
}

/// How long to wait before accepting again when the system has no descriptors left.
const EXHAUSTED_DELAY: Duration = Duration::from_millis(100);

/// The longest head of a request, in bytes, and the most header lines in it.
const HEAD_MAX_BYTES: usize = 32 * 1024;
const HEAD_MAX_LINES: usize = 64;

/// Serves the control API on `socket` until `shutdown` is ready and the requests in progress have ended, or 5 s have
/// passed. Then the socket is gone.
pub async fn serve(socket: ControlSocket, context: Context, shutdown: impl Future<Output = ()> + Send) {
    serve_within(Limits::default(), socket, context, shutdown).await;
}

/// The same with other bounds.
pub(super) async fn serve_within(
    limits: Limits,
    socket: ControlSocket,
    context: Context,
    shutdown: impl Future<Output = ()> + Send,
) {
    let stopping = CancellationToken::new();
    let server = Arc::new(Server::new(context, limits.clone(), stopping.clone()));
    let door = Door {
        router: router(server),
        full: Router::new().fallback(full),
        places: Arc::new(Semaphore::new(limits.connections)),
        turned_away: Arc::new(Semaphore::new(limits.turned_away)),
        tasks: TaskTracker::new(),
        stopping: stopping.clone(),
        killed: CancellationToken::new(),
        limits,
    };
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => door.admit(stream),
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot accept");
                    tokio::time::sleep(EXHAUSTED_DELAY).await;
                }
            },
        }
    }
    drop(socket);
    stopping.cancel();
    door.tasks.close();
    if tokio::time::timeout(door.limits.stop, door.tasks.wait()).await.is_err() {
        tracing::warn!(connections = door.tasks.len(), "requests were cut off because the node stops");
        door.killed.cancel();
        door.tasks.wait().await;
    }
}

/// Where connections come in.
struct Door {
    router: Router,
    full: Router,
    places: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    killed: CancellationToken,
    limits: Limits,
}

impl Door {
    /// Gives a connection a place, or tells it that there is none.
    fn admit(&self, stream: UnixStream) {
        let (stopping, killed, limits) = (self.stopping.clone(), self.killed.clone(), self.limits.clone());
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let router = self.router.clone();
            let served = async move {
                tokio::select! {
                    () = connection(stream, router, place, stopping, limits) => {}
                    () = killed.cancelled() => {}
                }
            };
            self.tasks.spawn(served);
        } else if let Ok(place) = Arc::clone(&self.turned_away).try_acquire_owned() {
            let told = connection(stream, self.full.clone(), place, stopping, limits);
            let limit = self.limits.turned_away_head;
            self.tasks.spawn(async move {
                // Whoever does not even say what it wants is closed without an answer.
                let _told = tokio::time::timeout(limit, told).await;
            });
        }
    }
}

/// Serves one connection until it ends.
async fn connection(
    stream: UnixStream,
    router: Router,
    place: OwnedSemaphorePermit,
    stopping: CancellationToken,
    limits: Limits,
) {
    let credentials = match Credentials::of(&stream) {
        Ok(credentials) => credentials,
        Err(error) => {
            tracing::warn!(%error, "the system does not say who is calling; the connection is closed");
            return;
        }
    };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(credentials);
        router.clone().call(request)
    });
    let io = TokioIo::new(StallLimited::new(stream, limits.stall));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(HEAD_MAX_LINES)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(io, service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the control socket broke");
    }
    drop(place);
}

async fn full() -> Failure {
    let message = "as many connections are open as are allowed; nothing was done";
    Failure::new(Exit::Unreachable, "busy", message, "try again; close programs that leave connections open")
}
