//! Accepting connections: a permit first, then the connection, then TLS and the Hellos within the permit's time.

use super::hello::{MeetError, meet};
use super::run::{LinkContext, run};
use crate::admission::{Admission, Permit, TimedOut};
use crate::tls::{self, TlsError};
use aldis_wire::hello::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// Why an accepted connection did not become a link.
#[derive(Debug, thiserror::Error)]
enum AcceptError {
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Meet(#[from] MeetError),
    #[error("the connection could not be set up")]
    Socket(#[from] std::io::Error),
}

/// Accepts connections on one listener until dropped. Links run on in `tasks`.
pub async fn accept(listener: TcpListener, admission: Admission, context: LinkContext, tasks: TaskTracker) {
    loop {
        let (stream, address, permit) = admission.admit(&listener).await;
        let context = context.clone();
        tasks.spawn(async move {
            if let Err(error) = become_link(stream, permit, context).await {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let code = if let AcceptError::Tls(error) = &error { error.code() } else { "" };
                let error = error.to_string();
                tracing::info!(%address, code, error, cause, "a connection did not become a link");
            }
        });
    }
}

async fn become_link(stream: TcpStream, permit: Permit, context: LinkContext) -> Result<(), AcceptError> {
    tls::socket::prepare(&stream)?;
    let server = context.directory.server();
    let met = permit
        .within(async {
            let secured = tls::accept(stream, &server).await?;
            Ok::<_, AcceptError>(meet(secured, Role::LISTENER, &context).await?)
        })
        .await??;
    permit.authenticated();
    run(met, false, context).await;
    Ok(())
}
