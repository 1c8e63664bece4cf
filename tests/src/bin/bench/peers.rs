//! Many peers in one process of their own: whole nodes with journal, log, TLS and control socket, so that what the measured
//! daemon exchanges with each is what it would exchange with any. Their own figures are nobody's concern.

use crate::Failure;
use aldis_node::link::LinkTimes;
use aldis_tests::certs::Cert;
use aldis_wire::card::VerifiedCard;
use std::io::Write;
use std::path::Path;

/// The id of the peer of that number.
pub(crate) fn id(number: usize) -> String {
    format!("cert.peer{number}")
}

/// Plays so many peers of the node with this card until standard input ends. Says on standard output, a line each, where
/// their control sockets are.
pub(crate) async fn play(count: usize, card: &Path) -> Result<(), Failure> {
    let node = Cert::elsewhere(VerifiedCard::from_text(&std::fs::read_to_string(card)?)?);
    let mut certs: Vec<Cert> = Vec::with_capacity(count);
    for number in 0..count {
        let mut cert = Cert::new(&id(number));
        let mut setup = cert.setup();
        // A test's links say much more often that they live.
        setup.times = LinkTimes::default();
        cert.start_with(setup).await;
        cert.enrol(&node).await;
        let socket = cert.dir().join("aldis.sock");
        writeln!(std::io::stdout(), "{}", socket.display())?;
        certs.push(cert);
    }
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())).await??;
    for mut cert in certs {
        cert.stop().await;
    }
    Ok(())
}
