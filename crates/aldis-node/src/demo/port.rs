//! A port of loopback for a node that does not run yet: whoever has the address in a card before the node listens, or while
//! it is away, can count on nobody else being given it.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// A port that is held. The socket is bound and never listens, so that a node can listen on the port meanwhile (both
/// allow the address to be used again, which the kernel grants while only one of them listens), a peer that dials while no
/// node runs is refused, and the kernel gives the port to nobody who asks for any.
#[derive(Debug)]
pub struct HeldPort {
    socket: Socket,
    address: SocketAddr,
}

impl HeldPort {
    /// Takes a free port.
    pub fn take() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { socket, address })
    }

    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds it until this process ends, for whoever has nowhere to keep it.
    pub fn for_good(self) -> SocketAddr {
        std::mem::forget(self.socket);
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_held_port_can_be_listened_on_again_and_again_and_refuses_in_between() {
        let port = HeldPort::take().unwrap();
        for _ in 0..3 {
            assert_eq!(TcpStream::connect(port.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(port.address()).unwrap();
            let _dialled = TcpStream::connect(port.address()).unwrap();
            listener.accept().unwrap();
        }
    }

    #[test]
    fn a_held_port_is_given_to_nobody_else() {
        let port = HeldPort::take().unwrap();
        let others: Vec<_> = (0..400).map(|_| HeldPort::take().unwrap()).collect();
        assert!(others.iter().all(|other| other.address() != port.address()));
        // A listener keeps the port as it always did.
        let _listener = TcpListener::bind(port.address()).unwrap();
        assert_eq!(TcpListener::bind(port.address()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
