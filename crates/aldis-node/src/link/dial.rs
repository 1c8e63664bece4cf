//! Dialling peers: each endpoint of the card in order, within one limit of time each. The core says when. A peer that goes
//! from one certificate to the next, of which one is an authority's, is connected to once for each until one is taken.

use super::hello::{MeetError, meet};
use super::run::{LinkContext, run};
use crate::tls::{self, ClientConfig, SetupError, TlsError};
use aldis_core::input::Input;
use aldis_wire::hello::Role;
use aldis_wire::ids::NodeId;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Why a dial came to nothing.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Meet(#[from] MeetError),
    #[error("no answer within {0} ms")]
    TimedOut(u128),
}

/// Dials the peers that come in on `dials` until the sender is gone. Links run on in `tasks`.
pub async fn dial(mut dials: mpsc::Receiver<NodeId>, context: LinkContext, tasks: TaskTracker) {
    while let Some(peer) = dials.recv().await {
        let context = context.clone();
        tasks.spawn(async move { dial_peer(peer, context).await });
    }
}

async fn dial_peer(peer: NodeId, context: LinkContext) {
    let endpoints = context.directory.peer(&peer).map(|known| known.card.card().endpoints.to_vec()).unwrap_or_default();
    for endpoint in endpoints {
        match tokio::time::timeout(context.times.connect, connect(&peer, &endpoint, &context)).await {
            Ok(Ok(met)) => return run(met, true, context).await,
            Ok(Err(error)) => failed(&peer, &endpoint, &error, &context),
            Err(_) => failed(&peer, &endpoint, &DialError::TimedOut(context.times.connect.as_millis()), &context),
        }
    }
    // An error means that the node stops.
    let _stopping = context.node.input(Input::DialFailed { peer }).await;
}

async fn connect(
    peer: &NodeId,
    endpoint: &str,
    context: &LinkContext,
) -> Result<super::hello::Met<tls::TlsStream<TcpStream>>, DialError> {
    let mut first = None;
    for client in context.directory.clients(peer) {
        match connect_as(client, endpoint, context).await {
            // The other way may do; if none does, what the card in force says tells most.
            Err(error @ (DialError::Setup(_) | DialError::Tls(_))) => {
                first.get_or_insert(error);
            }
            outcome => return outcome,
        }
    }
    Err(first.expect("there is always a way or an error"))
}

async fn connect_as(
    client: Result<Arc<ClientConfig>, SetupError>,
    endpoint: &str,
    context: &LinkContext,
) -> Result<super::hello::Met<tls::TlsStream<TcpStream>>, DialError> {
    let client = client?;
    let stream = TcpStream::connect(endpoint).await?;
    tls::socket::prepare(&stream)?;
    let secured = tls::connect(stream, &client).await?;
    Ok(meet(secured, Role::DIALLER, context).await?)
}

fn failed(peer: &NodeId, endpoint: &str, error: &DialError, context: &LinkContext) {
    let code = match error {
        DialError::Connect(_) => "unreachable",
        DialError::Tls(error) => error.code(),
        DialError::Setup(error) => error.code(),
        DialError::Meet(_) => "hello-failed",
        DialError::TimedOut(_) => "no-answer",
    };
    let text = format!("{endpoint}: {}", chain(error));
    tracing::info!(%peer, code, text, "dial failed");
    context.note_error(peer, code, &text);
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
