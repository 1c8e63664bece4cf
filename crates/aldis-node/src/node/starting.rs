//! Starting what needs nothing of the node's other parts: the thread of the message log, and the listeners.

use super::{LOG_DIR, StartError};
use crate::attachments::Attachments;
use crate::clock::Clock;
use crate::journal;
use crate::log::store::StoreOptions;
use crate::log::{LogHandle, LogSettings};
use aldis_wire::ids::NodeId;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Starts the thread of the message log; the receiver hears why it ended, if it fails.
pub(super) fn start_log(
    data_dir: &Path,
    store: StoreOptions,
    own: &NodeId,
    reader: &journal::Reader,
    attachments: &Attachments,
    clock: &Clock,
) -> Result<(LogHandle, oneshot::Receiver<String>), StartError> {
    let (sender, failed) = oneshot::channel();
    let (own, attachments) = (own.clone(), attachments.clone());
    let settings = LogSettings { dir: data_dir.join(LOG_DIR), store, own, attachments };
    let tell = move |cause| {
        // Nobody listens if the node was dropped.
        let _gone = sender.send(cause);
    };
    let log = LogHandle::start(settings, reader.clone(), clock.clone(), tell).map_err(StartError::Thread)?;
    Ok((log, failed))
}

/// Binds every address.
pub(super) async fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| StartError::Listen { address: *address, source })?);
    }
    Ok(listeners)
}
