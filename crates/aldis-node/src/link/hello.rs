//! From a secured connection to a link: one Hello each way, signed by the identity key over this very TLS channel. Until
//! both are verified nothing else is read or said.

use super::receive::goodbye_cause;
use super::run::{LinkContext, part};
use crate::tls::{Presented, Secured, TlsStream};
use aldis_core::input::Input;
use aldis_wire::codec::{List, Text};
use aldis_wire::frame::{self, Frame, FrameError, Goodbye, GoodbyeCode, LENGTH_BYTES};
use aldis_wire::header::PROTOCOL_VERSION;
use aldis_wire::hello::{Expected, Hello, HelloError, Role};
use aldis_wire::ids::{IdError, Incarnation, KeyId, NodeId};
use aldis_wire::keyring::KeySwitch;
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
    /// The latest of ours for which we hold its receipts.
    pub receipted: Marks,
    /// Our key that signs what goes to it.
    pub key_id: KeyId,
    /// Where our key before that one ended.
    pub switch: Option<KeySwitch>,
}

/// A connection on which both Hellos are verified.
pub(super) struct Met<S> {
    pub(super) peer: NodeId,
    pub(super) key: PublicKey,
    pub(super) hello: Hello,
    pub(super) presented: Presented,
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
    /// The peer does not take our Hello.
    #[error("{0}")]
    Goodbye(String),
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
    /// Our own key for this peer is not there: our bug, or the key files were changed.
    #[error("this node has lost the key that this peer expects")]
    NoKey,
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

/// Exchanges Hellos as the side in `role`.
pub(super) async fn meet<S>(
    secured: Secured<S>,
    role: Role,
    context: &LinkContext,
) -> Result<Met<TlsStream<S>>, MeetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = NodeId::new(&secured.peer)?;
    let known = context.directory.peer(&peer).ok_or(MeetError::NotEnrolled)?;
    let facts = context.node.link_facts(&peer).await.map_err(|_| MeetError::Stopping)?;
    let facts = facts.ok_or(MeetError::NotEnrolled)?;
    let (exporter, presented, mut stream) = (secured.exporter, secured.presented, secured.stream);
    let ours = Hello {
        versions: List::new(vec![PROTOCOL_VERSION]).expect("one version fits"),
        role,
        from: context.own.id().clone(),
        to: peer.clone(),
        exporter,
        key_id: facts.key_id,
        incarnation: facts.incarnation,
        card: context.own.card().digest(),
        peer_card: known.newest_card,
        received: facts.received,
        sent: facts.sent,
        sent_at: context.clock.wall(),
        extensions: Hello::extensions_with(facts.switch, &facts.receipted),
    };
    let signed = context.own.identities().get(facts.key_id).map(|key| ours.sign(key)).ok_or(MeetError::NoKey)?;
    let mut out = BytesMut::new();
    Frame::Hello(Bytes::from(signed)).write(&mut out);
    stream.write_all(&out).await?;
    stream.flush().await?;
    let other_end = if role == Role::DIALLER { Role::LISTENER } else { Role::DIALLER };
    let expected =
        Expected { role: other_end, from: &peer, to: context.own.id(), exporter: &exporter, keys: &known.hello_keys };
    let hello = match their_hello(&mut stream, &expected).await {
        Ok(hello) => hello,
        Err(error) => {
            say_why(&mut stream, &error).await;
            context.note_error(&peer, "hello-failed", &error.to_string());
            if matches!(error, MeetError::Hello(HelloError::Signature(_))) {
                // An error means that the node stops.
                let _stopping = context.node.input(Input::HelloNotTaken { peer }).await;
            }
            return Err(error);
        }
    };
    let key = known.hello_keys.iter().find(|key| key.id() == hello.key_id).ok_or(MeetError::NotEnrolled)?.clone();
    Ok(Met { peer, key, hello, presented, stream })
}

async fn their_hello<S: AsyncRead + Unpin>(stream: &mut S, expected: &Expected<'_>) -> Result<Hello, MeetError> {
    Ok(Hello::verify(&read_hello(stream).await?, expected)?)
}

/// Tells the other side why its Hello is not taken. It may be gone, and a stranger cannot be told to whom it speaks; so
/// this is a courtesy that cannot fail.
async fn say_why<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut TlsStream<S>, error: &MeetError) {
    let code = match error {
        MeetError::Hello(HelloError::NoCommonVersion { .. }) | MeetError::NotAHello | MeetError::Frame(_) => {
            GoodbyeCode::PROTOCOL_ERROR
        }
        MeetError::Hello(_) => GoodbyeCode::DOES_NOT_VERIFY,
        _ => return,
    };
    let goodbye = Goodbye { code, lane: None, text: Text::cut(&error.to_string()) };
    let mut out = BytesMut::new();
    Frame::Goodbye(goodbye).write(&mut out);
    if stream.write_all(&out).await.is_ok() {
        part(stream).await;
    }
}

async fn read_hello<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Bytes, MeetError> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    let mut bytes = vec![0; frame::checked_length(length)?];
    stream.read_exact(&mut bytes).await?;
    match Frame::parse(&Bytes::from(bytes))? {
        Frame::Hello(hello) => Ok(hello),
        Frame::Goodbye(goodbye) => Err(MeetError::Goodbye(goodbye_cause(&goodbye))),
        _ => Err(MeetError::NotAHello),
    }
}
