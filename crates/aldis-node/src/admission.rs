//! Who may hold a connection before we know who they are.
//!
//! A permit is taken before `accept`, so connections nobody has authenticated never exceed a fixed number;
//! one address (an IPv6 /64 counts as one) holds only a few of them; and each has one time limit for
//! everything until it is authenticated. What does not fit waits in the kernel's queue or is closed at once,
//! counted, and mentioned in the log now and then.
//!
//! Links that are authenticated are not counted here: there is one per enrolled peer. This module never reads
//! from a connection and never decides who a peer is.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tracing::warn;

/// How long the accept loop pauses when the system gives it no connection, for want of file descriptors for
/// example. Trying at once would use a whole processor and free nothing.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// The shortest time between two log lines of one sort.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The limits on connections that are not authenticated yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, at least 1.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 /64, at least 1.
    pub connections_per_address: usize,
    /// Time from accepting a connection until it is authenticated.
    pub handshake_limit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, connections_per_address: 16, handshake_limit: Duration::from_secs(10) }
    }
}

/// What has happened so far. Each number only grows, except `unauthenticated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that hold a permit now.
    pub unauthenticated: usize,
    /// Connections that were given a permit.
    pub admitted: u64,
    /// Connections closed at once because their address had its share.
    pub refused_per_address: u64,
    /// Connections whose time ran out.
    pub timed_out: u64,
    /// Times the system failed to hand over a connection.
    pub accept_errors: u64,
}

/// The time until authentication ran out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not authenticated within {} ms; the connection is closed", limit.as_millis())]
pub struct TimedOut {
    /// How long the other side had.
    pub limit: Duration,
}

/// The gate in front of every listener of the node. Clones share one gate.
#[derive(Clone)]
pub struct Admission {
    gate: Arc<Gate>,
}

impl Admission {
    /// A gate with these limits; a limit of 0 connections counts as 1, because 0 would admit nobody for ever.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            connections: limits.connections.clamp(1, Semaphore::MAX_PERMITS),
            connections_per_address: limits.connections_per_address.max(1),
            ..limits
        };
        let gate = Gate {
            free: Arc::new(Semaphore::new(limits.connections)),
            held: Mutex::new(HashMap::with_capacity(limits.connections)),
            admitted: AtomicU64::new(0),
            refused_per_address: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            refusal_log: LogPace::default(),
            error_log: LogPace::default(),
            limits,
        };
        Self { gate: Arc::new(gate) }
    }

    /// Waits for room, then for a connection that may have it. Dropping the future loses no connection and no
    /// permit. Never fails: what the system reports is counted, logged, and tried again after a pause.
    pub async fn admit(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Permit) {
        let mut slot = self.slot().await;
        loop {
            let (stream, address) = self.next_connection(listener).await;
            match self.gate.take(address, slot) {
                Ok(permit) => return (stream, address, permit),
                Err(unused) => {
                    slot = unused;
                    self.turn_away(&stream, address);
                }
            }
        }
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        let gate = &self.gate;
        Counts {
            unauthenticated: gate.held().values().sum(),
            admitted: gate.admitted.load(Ordering::Relaxed),
            refused_per_address: gate.refused_per_address.load(Ordering::Relaxed),
            timed_out: gate.timed_out.load(Ordering::Relaxed),
            accept_errors: gate.accept_errors.load(Ordering::Relaxed),
        }
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.gate.free);
        free.acquire_owned().await.expect("the semaphore is never closed")
    }

    async fn next_connection(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(connection) => return connection,
                Err(error) => {
                    self.gate.accept_errors.fetch_add(1, Ordering::Relaxed);
                    if let Some(unsaid) = self.gate.error_log.due() {
                        warn!(%error, unsaid, "no connection could be accepted; check the limit on open files");
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    fn turn_away(&self, stream: &TcpStream, address: SocketAddr) {
        self.gate.refused_per_address.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.gate.refusal_log.due() {
            let limit = self.gate.limits.connections_per_address;
            warn!(address = %address.ip(), limit, unsaid, "connection closed: its address has too \
                many unauthenticated ones");
        }
        // A reset instead of a goodbye, so that a flood leaves no closed sockets waiting in the kernel. If it
        // cannot be set the connection is gone already.
        let _already_gone = stream.set_zero_linger();
    }
}

/// The right to a connection that is not authenticated yet. Released when dropped.
pub struct Permit {
    gate: Arc<Gate>,
    origin: IpAddr,
    deadline: Instant,
    _slot: OwnedSemaphorePermit,
}

impl Permit {
    /// Runs one step towards authentication: TLS, Hello. All steps share the time of this permit. When it is
    /// over the step is dropped, and with it the connection it owns.
    pub async fn within<F: Future>(&self, step: F) -> Result<F::Output, TimedOut> {
        timeout_at(self.deadline, step).await.map_err(|_| {
            self.gate.timed_out.fetch_add(1, Ordering::Relaxed);
            TimedOut { limit: self.gate.limits.handshake_limit }
        })
    }

    /// The peer is known: the connection no longer counts.
    pub fn authenticated(self) {
        drop(self);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.gate.held();
        if let Some(count) = held.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.origin);
            }
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("origin", &self.origin).finish_non_exhaustive()
    }
}

struct Gate {
    limits: Limits,
    free: Arc<Semaphore>,
    /// Permits by origin. Every entry stands for at least one permit, so there are never more than permits.
    held: Mutex<HashMap<IpAddr, usize>>,
    admitted: AtomicU64,
    refused_per_address: AtomicU64,
    timed_out: AtomicU64,
    accept_errors: AtomicU64,
    refusal_log: LogPace,
    error_log: LogPace,
}

impl Gate {
    /// Turns a free slot into a permit, or gives it back when the address has its share already.
    fn take(self: &Arc<Self>, address: SocketAddr, slot: OwnedSemaphorePermit) -> Result<Permit, OwnedSemaphorePermit> {
        let origin = origin(address.ip());
        let mut held = self.held();
        let count = held.entry(origin).or_insert(0);
        if *count >= self.limits.connections_per_address {
            return Err(slot);
        }
        *count += 1;
        drop(held);
        self.admitted.fetch_add(1, Ordering::Relaxed);
        let deadline = Instant::now() + self.limits.handshake_limit;
        Ok(Permit { gate: Arc::clone(self), origin, deadline, _slot: slot })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // No code can panic while it holds this lock, and the counts are right after each statement.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says when a line may be logged again, and how many were not.
#[derive(Default)]
struct LogPace {
    state: Mutex<(Option<Instant>, u64)>,
}

impl LogPace {
    /// The number of events left unsaid since the last line, if a line is due now.
    fn due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.0.is_some_and(|last| now.duration_since(last) < LOG_INTERVAL) {
            state.1 += 1;
            return None;
        }
        let unsaid = state.1;
        *state = (Some(now), 0);
        Some(unsaid)
    }
}

/// What counts as one address: an IPv4 address, also when it arrives mapped into IPv6 on a dual-stack
/// listener (else all of IPv4 would share one /64), or the /64 that one IPv6 customer chooses from freely.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests;
