//! From a secured connection to a link: one Hello each way, signed by the identity key over this very TLS channel. Until
//! both are verified nothing else is read or said.

use super::run::LinkContext;
use crate::tls::Secured;
use aldis_wire::codec::List;
use aldis_wire::codes::Extensions;
use aldis_wire::digest::Digest;
use aldis_wire::frame::{self, Frame, FrameError, LENGTH_BYTES};
use aldis_wire::header::PROTOCOL_VERSION;
use aldis_wire::hello::{Expected, Hello, HelloError, Role};
use aldis_wire::ids::{IdError, Incarnation, NodeId};
use aldis_wire::lane::Marks;
use aldis_wire::signing::PublicKey;
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a node says of itself in a Hello, as of a commit.
#[derive(Clone, Debug)]
pub struct LinkFacts {
    /// This run's number.
    pub incarnation: Incarnation,
    /// How far we have the peer's envelopes.
    pub received: Marks,
    /// The latest we have signed for it.
    pub sent: Marks,
}

/// A connection on which both Hellos are verified.
pub(super) struct Met<S> {
    pub(super) peer: NodeId,
    pub(super) key: PublicKey,
    pub(super) hello: Hello,
    pub(super) stream: S,
}

/// Why a connection does not become a link.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeetError {
    /// The connection broke. Nobody in particular is to blame.
    #[error("the connection broke before the Hello")]
    Connection(#[from] io::Error),
    /// What came first is no Hello. The peer is to blame.
    #[error("what came first is not a Hello frame")]
    NotAHello,
    /// The frame is none. The peer is to blame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The Hello does not hold.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The certificate's owner is not enrolled any more.
    #[error("the peer is not enrolled")]
    NotEnrolled,
    /// The pins name something that is no node id: our bug.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

/// Exchanges Hellos as the side in `role`.
pub(super) async fn meet<S>(
    secured: Secured<S>,
    role: Role,
    context: &LinkContext,
) -> Result<Met<crate::tls::TlsStream<S>>, MeetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = NodeId::new(&secured.peer)?;
    let card = context.directory.card(&peer).ok_or(MeetError::NotEnrolled)?;
    let facts = context.node.link_facts(&peer).await.map_err(|_| MeetError::Stopping)?;
    let facts = facts.ok_or(MeetError::NotEnrolled)?;
    let mut stream = secured.stream;
    let ours = Hello {
        versions: List::new(vec![PROTOCOL_VERSION]).expect("one version fits"),
        role,
        from: context.own.clone(),
        to: peer.clone(),
        exporter: secured.exporter,
        key_id: context.key.id(),
        incarnation: facts.incarnation,
        card: context.own_card_digest(),
        peer_card: card.digest(),
        received: facts.received,
        sent: facts.sent,
        sent_at: context.clock.wall(),
        extensions: Extensions::default(),
    };
    let mut out = BytesMut::new();
    Frame::Hello(Bytes::from(ours.sign(&context.key))).write(&mut out);
    stream.write_all(&out).await?;
    stream.flush().await?;
    let theirs = read_hello(&mut stream).await?;
    let other_end = if role == Role::DIALLER { Role::LISTENER } else { Role::DIALLER };
    let expected =
        Expected { role: other_end, from: &peer, to: &context.own, exporter: &secured.exporter, key: card.key() };
    let hello = Hello::verify(&theirs, &expected)?;
    if hello.peer_card != Digest::ZERO && hello.peer_card != context.own_card_digest() {
        tracing::info!(%peer, "the peer holds another card of ours than the one in force");
    }
    Ok(Met { peer, key: card.key().clone(), hello, stream })
}

async fn read_hello<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Bytes, MeetError> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    let mut bytes = vec![0; frame::checked_length(length)?];
    stream.read_exact(&mut bytes).await?;
    match Frame::parse(&Bytes::from(bytes))? {
        Frame::Hello(hello) => Ok(hello),
        _ => Err(MeetError::NotAHello),
    }
}
