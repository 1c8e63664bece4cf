//! A network between two nodes that flips single bits, in one direction of each connection, at random places, until enough
//! were flipped. A connection may live through one: TLS 1.3 ignores a few bits of its first record.

use aldis_node::clock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How far apart the flips on a connection may be, in bytes: the first is behind the handshake as often as within it.
const FLIP_WITHIN_BYTES: u64 = 8_000;

/// The network.
pub struct ByteFlipper {
    address: SocketAddr,
    seed: u64,
    shared: Arc<Shared>,
}

struct Shared {
    flips: AtomicU64,
    wanted: u64,
    moved: Notify,
}

impl ByteFlipper {
    /// A way to `to` that flips `wanted` bits in all and none after them.
    pub async fn start(to: SocketAddr, wanted: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seed = u64::from_be_bytes(clock::random());
        let shared = Arc::new(Shared { flips: AtomicU64::new(0), wanted, moved: Notify::new() });
        let network = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut random = seed;
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(to).await else { continue };
                let (upwards, places) = (next(&mut random).is_multiple_of(2), next(&mut random));
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_read, far_write, upwards.then_some(places), Arc::clone(&network)));
                tokio::spawn(carry(far_read, near_write, (!upwards).then_some(places), Arc::clone(&network)));
            }
        });
        Self { address, seed, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its places were drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many bits it has flipped.
    pub fn flips(&self) -> u64 {
        self.shared.flips.load(Ordering::Relaxed)
    }

    /// Waits until something came through.
    pub async fn moved(&mut self) {
        self.shared.moved.notified().await;
    }
}

/// Carries bytes one way; with `places` flips bits at the places drawn from it, as long as flips are still wanted.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut places: Option<u64>, shared: Arc<Shared>) {
    let mut draw = || places.as_mut().map(|places| next(places) % FLIP_WITHIN_BYTES);
    let (mut buffer, mut flip_in) = (vec![0; 4_096], draw());
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        flip_in = match flip_in.map(|at| (at, usize::try_from(at).expect("a short way"))) {
            Some((at, place)) if place < length && shared.flips.load(Ordering::Relaxed) < shared.wanted => {
                buffer[place] ^= 1 << (at % 8);
                shared.flips.fetch_add(1, Ordering::Relaxed);
                draw()
            }
            Some((at, _)) => Some(at.saturating_sub(length as u64)),
            None => None,
        };
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
        shared.moved.notify_one();
    }
    // The other side may be gone already.
    let _closed = to.shutdown().await;
}

/// The next number of a small generator (`SplitMix64`): even enough for places, and the seed tells all of it.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
