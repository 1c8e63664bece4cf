//! A peer that is played by a test: real TLS and the real keys of an enrolled CERT whose node does not run, and beyond
//! that whatever bytes the test likes. It keeps count of its own lanes, so that what it sends is right unless the test
//! makes it wrong. It never answers anything by itself.

use crate::certs::{Cert, PATIENCE, notice};
use aldis_node::clock;
use aldis_node::tls::{self, ClientConfig, Pins, Secured, TlsStream};
use aldis_wire::card::KindVersions;
use aldis_wire::codec::{self, Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{self, Body, Salt};
use aldis_wire::frame::{self, Credit, Frame, Goodbye, GoodbyeCode, LENGTH_BYTES};
use aldis_wire::header::{ExactHeader, Header, PROTOCOL_VERSION};
use aldis_wire::hello::{Hello, Role};
use aldis_wire::ids::{CaseId, Incarnation, NodeId, Seq, UnixMillis};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::proof::sign_batch;
use aldis_wire::receipt::Receipt;
use aldis_wire::signing::IdentityKey;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The salt of every body a raw peer sends.
pub const SALT: Salt = [7; 16];

/// What the peer remembers from link to link, as a node would from its journal.
pub struct RawPeer {
    /// Its keys and card.
    pub cert: Cert,
    /// Its run's number.
    pub incarnation: Incarnation,
    /// The latest place it has signed in each lane, and the digest there.
    pub sent: Marks,
    /// How far it says it has the node's envelopes.
    pub received: Marks,
}

/// One connection of a raw peer on which the Hellos were exchanged.
pub struct RawLink {
    /// What the node said of itself.
    pub hello: Hello,
    stream: TlsStream<TcpStream>,
}

impl RawPeer {
    /// Plays the CERT with this id.
    pub fn new(id: &str) -> Self {
        Self { cert: Cert::new(id), incarnation: Incarnation(77), sent: Marks::default(), received: Marks::default() }
    }

    /// The same peer with the same keys and the same past, from here on another one's to steer.
    pub fn clone_of(peer: &Self) -> Self {
        let (sent, received) = (peer.sent.clone(), peer.received.clone());
        Self { cert: peer.cert.twin(), incarnation: peer.incarnation, sent, received }
    }

    /// The same peer as before it signed anything, or as after another first notice in PRIORITY than the one it sent.
    pub fn fork(peer: &Self, wrong_previous: bool) -> Self {
        let mut fork = Self::clone_of(peer);
        if wrong_previous {
            fork.sent.set(Lane::Priority, Seq::FIRST, Digest::of(&[b"another"]));
        } else {
            fork.sent = Marks::default();
        }
        fork
    }

    /// Makes a newer card, on which the peer reads these versions of an incident.
    pub fn reads_incident(&mut self, versions: &[u16]) {
        let mut card = self.cert.card.card().clone();
        let kind = Code::known("incident");
        card.sequence += 1;
        card.kinds = List::new(vec![KindVersions { kind, versions: List::new(versions.to_vec()).expect("few") }])
            .expect("one kind");
        self.cert.card = card.sign(&self.key());
    }

    /// The identity key.
    pub fn key(&self) -> IdentityKey {
        self.cert.key()
    }

    /// A secured connection to a node, before any Hello.
    pub async fn secured(&self, node: &Cert) -> Secured<TcpStream> {
        secured_to(&self.cert, node, node.address()).await
    }

    /// The Hello that is right for a connection.
    pub fn hello(&self, node: &Cert, exporter: [u8; 32]) -> Hello {
        Hello {
            versions: List::new(vec![PROTOCOL_VERSION]).expect("one"),
            role: Role::DIALLER,
            from: self.cert.id.clone(),
            to: node.id.clone(),
            exporter,
            key_id: self.key().id(),
            incarnation: self.incarnation,
            card: self.cert.card.digest(),
            peer_card: node.card.digest(),
            received: self.received.clone(),
            sent: self.sent.clone(),
            sent_at: self.cert.clock.wall(),
            extensions: Extensions::default(),
        }
    }

    /// A link on which both sides have said a proper Hello.
    pub async fn link(&self, node: &Cert) -> RawLink {
        let secured = self.secured(node).await;
        let hello = self.hello(node, secured.exporter).sign(&self.key());
        let mut link = greet(secured, hello).await;
        // The node's first credit shows that it has taken the link up.
        link.until(|frame| matches!(frame, Frame::Credit(_)).then_some(())).await;
        link
    }

    /// The same up to the node's Hello, or nothing if the node does not want it now.
    pub async fn try_link(&self, node: &Cert) -> Option<RawLink> {
        let stream = TcpStream::connect(node.address()).await.ok()?;
        let secured = tls::connect(stream, &dialling(&self.cert, node)).await.ok()?;
        let hello = self.hello(node, secured.exporter).sign(&self.key());
        try_greet(secured, &framed(&Frame::Hello(Bytes::from(hello)))).await
    }

    /// The same on the connection that the node dials to `listener`.
    pub async fn dialled(&self, listener: &TcpListener, node: &Cert) -> RawLink {
        let (stream, _) = listener.accept().await.expect("the node dials");
        let server = tls::server_config(&self.cert.tls(), &pins_of(node), &self.cert.clock).expect("a configuration");
        let secured = tls::accept(stream, &server).await.expect("the handshake succeeds");
        let hello = Hello { role: Role::LISTENER, ..self.hello(node, secured.exporter) }.sign(&self.key());
        let mut link = greet(secured, hello).await;
        link.until(|frame| matches!(frame, Frame::Credit(_)).then_some(())).await;
        link
    }

    /// A secured connection on which our Hello was changed before it was signed with `key`; gives what the node does.
    pub async fn hello_changed(&self, node: &Cert, key: &IdentityKey, change: impl FnOnce(&mut Hello)) -> RawLink {
        let secured = self.secured(node).await;
        let mut hello = self.hello(node, secured.exporter);
        change(&mut hello);
        greet(secured, hello.sign(key)).await
    }

    /// The proper Hello with envelopes right behind it, before the node can have judged it; gives the goodbye that ends the
    /// link, if one came.
    pub async fn hello_then(&self, node: &Cert, envelopes: &[Bytes]) -> Option<Goodbye> {
        let secured = self.secured(node).await;
        let hello = self.hello(node, secured.exporter);
        let mut bytes = framed(&Frame::Hello(Bytes::from(hello.sign(&self.key()))));
        bytes.extend(envelopes.iter().flat_map(|envelope| framed(&Frame::Envelope(envelope.clone()))));
        let mut stream = secured.stream;
        let _closed = stream.write_all(&bytes).await;
        let _closed = stream.flush().await;
        // Its own Hello is among what follows, unless it turns us away before.
        RawLink { hello, stream }.goodbye().await
    }

    /// Sends bytes in place of a Hello; gives the goodbye that answers them.
    pub async fn first_bytes(&self, node: &Cert, bytes: &[u8]) -> Option<Goodbye> {
        greet_with(self.secured(node).await, bytes).await.goodbye().await
    }

    /// The header of the next notice in a lane. The place is taken only by [`Self::seal`].
    pub fn header(&self, to: &NodeId, lane: Lane, body: &[u8]) -> Header {
        let last = self.sent.get(lane);
        Header {
            version: PROTOCOL_VERSION,
            key_id: self.key().id(),
            incarnation: self.incarnation,
            from: self.cert.id.clone(),
            to: to.clone(),
            also_to: List::empty(),
            desk: Desk::TECHNICAL,
            lane,
            seq: last.map_or(Seq::FIRST, |(seq, _)| seq.next()),
            previous: last.map_or(Digest::ZERO, |(_, digest)| digest),
            received: None,
            sent_at: self.cert.clock.wall(),
            expires_at: self.cert.clock.wall().plus_ms(86_400_000),
            case: CaseId(clock::random()),
            references: List::empty(),
            author: Text::cut("duty officer"),
            released_by: None,
            on_behalf_of: None,
            tlp: Tlp::AMBER,
            exercise: None,
            kind: Code::known("incident"),
            kind_version: 1,
            body_length: u32::try_from(body.len()).expect("short"),
            body_commitment: envelope::commitment(&SALT, body),
            extensions: Extensions::default(),
        }
    }

    /// Signs a header over its body and takes its place.
    pub fn seal(&mut self, header: Header, body: &[u8]) -> Bytes {
        let exact = ExactHeader::encode(header).expect("a header within the rules");
        self.sent.set(exact.lane, exact.seq, exact.digest());
        assembled(&exact, body, &self.key())
    }

    /// The next notice in a lane, as it should be.
    pub fn notice(&mut self, to: &NodeId, lane: Lane, subject: &str) -> Bytes {
        let body = body_of(to, subject);
        self.seal(self.header(to, lane, &body), &body)
    }

    /// The next notices in a lane with one body, signed as one batch, with their places.
    pub fn notices(
        &mut self,
        to: &NodeId,
        lane: Lane,
        kind: &'static str,
        body: &[u8],
        count: usize,
    ) -> Vec<(u64, Bytes)> {
        let mut next = || {
            let header = Header { kind: Code::known(kind), ..self.header(to, lane, body) };
            let exact = ExactHeader::encode(header).expect("a header within the rules");
            self.sent.set(lane, exact.seq, exact.digest());
            exact
        };
        let headers: Vec<ExactHeader> = (0..count).map(|_| next()).collect();
        let digests: Vec<Digest> = headers.iter().map(ExactHeader::digest).collect();
        let body = Body::Present { salt: SALT, bytes: Bytes::copy_from_slice(body) };
        let proofs = sign_batch(&self.key(), &digests);
        let sealed = headers.iter().zip(&proofs);
        sealed
            .map(|(exact, proof)| (exact.seq.get(), envelope::assemble(exact.bytes(), &body, &codec::encode(proof))))
            .collect()
    }

    /// A receipt over what `stored` says.
    pub fn receipt(&self, to: &NodeId, stored: Marks) -> Receipt {
        Receipt {
            version: PROTOCOL_VERSION,
            key_id: self.key().id(),
            incarnation: self.incarnation,
            from: self.cert.id.clone(),
            to: to.clone(),
            stored,
            sent: self.sent.clone(),
            stored_at: UnixMillis::new(1_795_316_400_200),
            commitment: Digest::ZERO,
            extensions: Extensions::default(),
        }
    }
}

impl RawLink {
    /// The connection behind it, for a test that reads and writes it at the same time.
    pub fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }

    /// Writes bytes as they are. An error is the node's closing, which the test sees when it reads.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _closed = self.try_write(bytes).await;
    }

    /// Writes bytes as they are.
    pub async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Writes a frame.
    pub async fn frame(&mut self, frame: &Frame) {
        self.write(&framed(frame)).await;
    }

    /// Sends an envelope.
    pub async fn envelope(&mut self, bytes: &Bytes) {
        self.frame(&Frame::Envelope(bytes.clone())).await;
    }

    /// Allows the node a number of envelopes in every lane.
    pub async fn grant(&mut self, total: u64) {
        for lane in Lane::ALL {
            self.frame(&Frame::Credit(Credit { lane, total })).await;
        }
    }

    /// The next frame, or `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let mut length = [0; LENGTH_BYTES];
            self.stream.read_exact(&mut length).await.ok()?;
            let mut bytes = vec![0; frame::checked_length(length).expect("a node sends frames within the limit")];
            self.stream.read_exact(&mut bytes).await.ok()?;
            Some(Frame::parse(&Bytes::from(bytes)).expect("a node sends frames of version 1"))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the node says something or closes")
    }

    /// Reads until a frame is what the test looks for.
    pub async fn until<T>(&mut self, mut found: impl FnMut(&Frame) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("the node keeps the link");
            if let Frame::Goodbye(goodbye) = &frame
                && found(&frame).is_none()
            {
                panic!("the node said goodbye: {} ({})", goodbye.code.name(), goodbye.text.as_str());
            }
            if let Some(value) = found(&frame) {
                return value;
            }
        }
    }

    /// Reads to the end of the connection; gives the goodbye that came last, if one came.
    pub async fn goodbye(&mut self) -> Option<Goodbye> {
        let mut goodbye = None;
        while let Some(frame) = self.next().await {
            assert!(goodbye.is_none(), "something came after the goodbye: {frame:?}");
            if let Frame::Goodbye(said) = frame {
                goodbye = Some(said);
            }
        }
        goodbye
    }

    /// Reads until the goodbye; gives its code, and whether the connection then ended as agreed: closed, not reset.
    pub async fn parted(&mut self) -> (GoodbyeCode, bool) {
        let said = |frame: &Frame| if let Frame::Goodbye(goodbye) = frame { Some(goodbye.code) } else { None };
        let code = self.until(said).await;
        let end = tokio::time::timeout(PATIENCE, self.stream.read(&mut [0])).await.expect("the node closes");
        (code, matches!(end, Ok(0)))
    }

    /// Reads until a receipt covers a place of a lane.
    pub async fn receipted(&mut self, lane: Lane, seq: u64) -> Receipt {
        self.until(|frame| match frame {
            Frame::Receipt(bytes) => {
                let receipt = Receipt::from_journal(bytes).expect("a receipt");
                (receipt.stored.seq(lane) >= seq).then_some(receipt)
            }
            _ => None,
        })
        .await
    }

    /// Reads until the next envelope; gives its bytes.
    pub async fn next_envelope(&mut self) -> Bytes {
        self.until(|frame| match frame {
            Frame::Envelope(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .await
    }
}

/// A secured connection from one CERT to the node of another at an address.
pub async fn secured_to(from: &Cert, node: &Cert, address: SocketAddr) -> Secured<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the node listens");
    tls::connect(stream, &dialling(from, node)).await.expect("the handshake succeeds")
}

/// Whether a node turns a CERT away within the handshake: nothing of a Hello is read from it, and none is said to it.
pub async fn refused_at_the_door(from: &Cert, node: &Cert) -> bool {
    let stream = TcpStream::connect(node.address()).await.expect("the node listens");
    match tls::connect(stream, &dialling(from, node)).await {
        Err(_) => true,
        // In TLS 1.3 the dialler is through before the other side has judged its certificate: the first read tells.
        Ok(mut secured) => secured.stream.read_u8().await.is_err(),
    }
}

/// How one CERT dials the node of another.
fn dialling(from: &Cert, node: &Cert) -> Arc<ClientConfig> {
    let mut ways = tls::client_configs(&from.tls(), &pins_of(node), node.id.as_str(), &from.clock);
    ways.swap_remove(0).expect("a configuration")
}

/// The one certificate that a node shows.
fn pins_of(node: &Cert) -> Pins {
    let mut pins = Pins::new();
    let certificate = tls::Certificate::from_der(&node.card.card().tls_certificate).expect("the node's certificate");
    pins.add(node.id.as_str(), certificate).expect("a fit certificate");
    pins
}

/// An envelope of a header and its body, alone in its batch, signed with any key.
pub fn assembled(header: &ExactHeader, body: &[u8], key: &IdentityKey) -> Bytes {
    let proofs = sign_batch(key, &[header.digest()]);
    let body = Body::Present { salt: SALT, bytes: Bytes::copy_from_slice(body) };
    envelope::assemble(header.bytes(), &body, &codec::encode(&proofs[0]))
}

/// The same of a header that our own code would not write.
pub fn assembled_raw(header: &[u8], body: &[u8], key: &IdentityKey) -> Bytes {
    let proofs = sign_batch(key, &[Digest::of(&[&[0], header])]);
    let body = Body::Present { salt: SALT, bytes: Bytes::copy_from_slice(body) };
    envelope::assemble(header, &body, &codec::encode(&proofs[0]))
}

/// The body of a notice.
pub fn body_of(to: &NodeId, subject: &str) -> Vec<u8> {
    notice(to, Lane::Routine, subject).bodies[0].1.to_vec()
}

/// A frame with its length before it.
pub fn framed(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame.write(&mut out);
    out.to_vec()
}

/// Any type and payload as a frame.
pub fn framed_raw(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).expect("short");
    [&length.to_be_bytes()[..], &[kind], payload].concat()
}

/// The two parts of a signed structure, for changing one of them.
pub fn signed_parts(bytes: &[u8]) -> (Vec<u8>, [u8; 64]) {
    let (inner, signature): (Blob<16_384>, [u8; 64]) = codec::decode(bytes).expect("a signed structure");
    (inner.to_vec(), signature)
}

async fn greet(secured: Secured<TcpStream>, hello: Vec<u8>) -> RawLink {
    greet_with(secured, &framed(&Frame::Hello(Bytes::from(hello)))).await
}

async fn greet_with(secured: Secured<TcpStream>, first: &[u8]) -> RawLink {
    try_greet(secured, first).await.expect("the node's Hello")
}

async fn try_greet(mut secured: Secured<TcpStream>, first: &[u8]) -> Option<RawLink> {
    // A node that refuses the certificate closes here; the test sees it when it reads.
    let _closed = secured.stream.write_all(first).await;
    let _closed = secured.stream.flush().await;
    let mut length = [0; LENGTH_BYTES];
    secured.stream.read_exact(&mut length).await.ok()?;
    let mut bytes = vec![0; frame::checked_length(length).expect("a frame")];
    secured.stream.read_exact(&mut bytes).await.ok()?;
    let Frame::Hello(bytes) = Frame::parse(&Bytes::from(bytes)).expect("a frame") else {
        panic!("the node's first frame is not a Hello");
    };
    let (inner, _) = signed_parts(&bytes);
    Some(RawLink { hello: codec::decode(&inner).expect("a Hello"), stream: secured.stream })
}
