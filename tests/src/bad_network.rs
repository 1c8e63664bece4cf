//! A network between two nodes that does what networks do, when a test says so: delays, crumbles, cuts within a frame,
//! closes half, stalls, loses one direction, refuses, flips bits. It knows nothing of frames or TLS; it counts what it did.

use crate::certs::held_port;
use aldis_node::demo::port::HeldPort;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a network does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Everything takes longer.
    Delay,
    /// Everything comes in pieces of a few bytes.
    Crumble,
    /// A connection is reset after a part of what was under way.
    Cut,
    /// One direction of a connection is closed in good order, after a part of what was under way.
    HalfClose,
    /// Nothing gets through in either direction, and nobody is told.
    Stall,
    /// The same, from the first node to the second only.
    LostThere,
    /// The same, from the second node to the first only.
    LostBack,
    /// Connections are reset, and nobody listens any more.
    Refuse,
    /// One bit is another.
    Flip,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 9] = [
        Self::Delay,
        Self::Crumble,
        Self::Cut,
        Self::HalfClose,
        Self::Stall,
        Self::LostThere,
        Self::LostBack,
        Self::Refuse,
        Self::Flip,
    ];

    /// Whether it happens once to one connection, in the place of lasting.
    fn is_once(self) -> bool {
        matches!(self, Self::Cut | Self::HalfClose | Self::Flip)
    }
}

/// Which way bytes go: from the first node or from the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// A fault and where within what is under way it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    fault: Fault,
    place: u64,
}

/// The network.
pub struct BadNetwork {
    doors: [HeldPort; 2],
    orders: watch::Sender<Option<Order>>,
    done: Arc<Mutex<BTreeMap<Fault, u64>>>,
}

/// What each connection goes by.
#[derive(Clone)]
struct Weather {
    orders: watch::Receiver<Option<Order>>,
    sender: watch::Sender<Option<Order>>,
    done: Arc<Mutex<BTreeMap<Fault, u64>>>,
}

impl BadNetwork {
    /// A network in order, which leads nowhere yet.
    pub fn new() -> Self {
        let doors = [held_port(), held_port()];
        Self { doors, orders: watch::Sender::new(None), done: Arc::default() }
    }

    /// Where the first and the second node are reached through it.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.doors[0].address(), self.doors[1].address()]
    }

    /// Leads to where the two nodes really listen, until this network is dropped.
    pub fn lead_to(&self, nodes: [SocketAddr; 2]) {
        for (place, node) in nodes.into_iter().enumerate() {
            // Who dials the second node is the first.
            let dialler = if place == 1 { Way::There } else { Way::Back };
            tokio::spawn(keep_door(self.doors[place].address(), node, dialler, self.weather()));
        }
    }

    /// Does something wrong from now on, or once; `place` says where.
    pub fn strike(&self, fault: Fault, place: u64) {
        self.orders.send_replace(Some(Order { fault, place }));
    }

    /// Is in order again; what was held up goes on.
    pub fn heal(&self) {
        self.orders.send_replace(None);
    }

    /// How often each fault struck bytes, or a dialler.
    pub fn done(&self) -> BTreeMap<Fault, u64> {
        lock(&self.done).clone()
    }

    fn weather(&self) -> Weather {
        Weather { orders: self.orders.subscribe(), sender: self.orders.clone(), done: Arc::clone(&self.done) }
    }
}

impl Default for BadNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl Weather {
    fn now(&self) -> Option<Order> {
        *self.orders.borrow()
    }

    /// Takes an order that is for once; `None` if another connection was first.
    fn take(&self, order: Order) -> bool {
        self.sender.send_if_modified(|now| now.take_if(|now| *now == order).is_some())
    }

    fn count(&self, fault: Fault) {
        *lock(&self.done).entry(fault).or_insert(0) += 1;
    }

    /// Waits until the fault is over.
    async fn over(&mut self, fault: Fault) {
        // An error means that the network is gone, and with it the test.
        let _gone = self.orders.wait_for(|now| now.is_none_or(|now| now.fault != fault)).await;
    }

    /// Waits until the fault is there.
    async fn there(&mut self, fault: Fault) {
        let _gone = self.orders.wait_for(|now| now.is_some_and(|now| now.fault == fault)).await;
    }
}

/// Listens at a door of the network, except while it refuses.
async fn keep_door(door: SocketAddr, node: SocketAddr, dialler: Way, mut weather: Weather) {
    // Ends with the test's runtime.
    loop {
        weather.over(Fault::Refuse).await;
        let listener = TcpListener::bind(door).await.expect("the port is held for this");
        let mut refuse = weather.clone();
        let serve = async {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(node).await else { continue };
                tokio::spawn(connection(near, far, dialler, weather.clone()));
            }
        };
        tokio::select! {
            () = serve => {}
            () = refuse.there(Fault::Refuse) => {}
        }
        drop(listener);
        if TcpStream::connect(door).await.is_err() {
            weather.count(Fault::Refuse);
        }
    }
}

/// Carries a connection both ways until it ends or is reset.
async fn connection(near: TcpStream, far: TcpStream, dialler: Way, mut weather: Weather) {
    for end in [&near, &far] {
        // If it cannot be set the end is closed in good order instead.
        let _kept = end.set_nodelay(true);
    }
    let answer = if dialler == Way::There { Way::Back } else { Way::There };
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let (one, other) = (weather.clone(), weather.clone());
    let there = carry(near_read, far_write, dialler, one);
    let back = carry(far_read, near_write, answer, other);
    tokio::pin!(there, back);
    let both = async {
        // A reset ends both ways at once, a close only its own.
        let (was_reset, mut rest) = tokio::select! {
            end = &mut there => (end, back),
            end = &mut back => (end, there),
        };
        if !was_reset {
            rest.as_mut().await;
        }
    };
    tokio::select! {
        () = both => {}
        () = weather.there(Fault::Refuse) => {}
    }
}

/// Carries bytes one way; gives whether the connection is to be reset.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, mut weather: Weather) -> bool {
    let mut buffer = vec![0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..length];
        let order = weather.now();
        let place = order.map_or(0, |order| usize::try_from(order.place % length as u64).expect("short"));
        match order {
            Some(order) if order.fault.is_once() && weather.take(order) => {
                weather.count(order.fault);
                if order.fault == Fault::Flip {
                    bytes[place] ^= 1 << (order.place % 8);
                } else {
                    let _partly = to.write_all(&bytes[..place]).await;
                    if order.fault == Fault::HalfClose {
                        let _closed = to.shutdown().await;
                        // What still comes this way is read and goes nowhere.
                        let _rest = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
                        return false;
                    }
                    let _reset = from.as_ref().set_zero_linger();
                    let _reset = to.as_ref().set_zero_linger();
                    return true;
                }
            }
            Some(Order { fault: Fault::Delay, place }) => {
                weather.count(Fault::Delay);
                pause(Duration::from_millis(1 + place % 40)).await;
            }
            Some(Order { fault: Fault::Crumble, .. }) => {
                weather.count(Fault::Crumble);
                if crumbled(&mut to, bytes).await.is_err() {
                    break;
                }
                continue;
            }
            Some(Order { fault, .. }) if holds(fault, way) => {
                weather.count(fault);
                weather.over(fault).await;
            }
            _ => {}
        }
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _closed = to.shutdown().await;
    false
}

/// Whether a fault holds up what goes this way.
fn holds(fault: Fault, way: Way) -> bool {
    match fault {
        Fault::Stall => true,
        Fault::LostThere => way == Way::There,
        Fault::LostBack => way == Way::Back,
        _ => false,
    }
}

/// Writes a few bytes at a time, each in a packet of its own.
async fn crumbled(to: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    for piece in bytes.chunks(7) {
        to.write_all(piece).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Lets time pass: here it is what a fault is made of, and nothing waits for it.
async fn pause(time: Duration) {
    let _over = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
