//! What the kernel must know about a link's socket before TLS runs over it.
//!
//! Two options, both for FLASH (I14): nothing waits to be merged with later data, and little waits in the
//! kernel where it can no longer be overtaken. This file never reads or writes a socket. Noticing a silent
//! peer is the heartbeat's work, not the kernel's.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;

/// The most unsent data the kernel takes from the link, in bytes. The default is the whole send buffer,
/// megabytes of ROUTINE that a FLASH frame would stand behind; data sent and not yet acknowledged does not
/// count, so a long path still fills.
pub const NOT_SENT_LIMIT_BYTES: u32 = 128 * 1024;

/// Sets `TCP_NODELAY` and `TCP_NOTSENT_LOWAT` on a connected socket, of either side.
///
/// Fails only when the socket is already gone or the kernel does not know an option; treat it as a broken
/// connection.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT_LIMIT_BYTES)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn i14_the_kernel_is_told_to_hold_little() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(SockRef::from(&stream).tcp_notsent_lowat().unwrap(), NOT_SENT_LIMIT_BYTES);
    }
}
