//! An attachment: a large file from being handed in at one node to being whole at the other, verified and on its disk.

use crate::daemons::{self, Pair};
use crate::load;
use crate::results::{Results, number};
use crate::{Bench, Failure};
use aldis_control::{AttachmentState, AttachmentToSend, Client, MessageId, MessageQuery, Precedence};
use aldis_tests::content::content;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use std::io;
use std::time::{Duration, Instant};

/// How long the file is, in MiB.
pub(crate) const FILE_MIB: u64 = 1_024;
/// How long it may take to be whole at the other side.
const PATIENCE: Duration = Duration::from_mins(10);

/// Each run has daemons of its own.
pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<(), Failure> {
    for run in 0..bench.runs {
        bench.progress(&format!("attachment of {FILE_MIB} MiB"), run);
        let dir = bench.run_dir()?;
        let pair = Pair::start(&bench.daemon, dir.path()).await?;
        results.add("attachment", Some(("mib", FILE_MIB)), &once(&pair).await?);
        pair.stop().await?;
    }
    Ok(())
}

async fn once(pair: &Pair) -> Result<Vec<(&'static str, f64)>, Failure> {
    let cpu_before = pair.cpu_seconds()?;
    let begun = Instant::now();
    let file = hand_in(&pair.br.client()).await?;
    let handed_in_s = begun.elapsed().as_secs_f64();
    let sent = Instant::now();
    let message = send(&pair.br.client(), file).await?;
    held(&pair.cl.client(), &message).await?;
    let sent_s = sent.elapsed().as_secs_f64();
    let cpu_s = pair.cpu_seconds()? - cpu_before;
    Ok(vec![
        ("handing_in_mb_s", megabytes() / handed_in_s),
        ("between_nodes_mb_s", megabytes() / sent_s),
        ("cpu_s_per_gb", cpu_s * 1_000.0 / megabytes()),
    ])
}

/// The file's length in megabytes of a million bytes.
fn megabytes() -> f64 {
    number(FILE_MIB) * 1_048_576.0 / 1_000_000.0
}

/// Hands the file in at a node; when this succeeds it is on stable storage there.
pub(crate) async fn hand_in(client: &Client) -> Result<AttachmentToSend, Failure> {
    // Bytes that repeat only after a MiB: nothing on the way would gain by that.
    let piece = Bytes::from(content(1 << 20, 1));
    let pieces = stream::iter((0..FILE_MIB).map(move |_| Ok::<_, io::Error>(piece.clone())));
    let uploaded = client.attachment_upload(FILE_MIB << 20, pieces).await?;
    let (name, media_type) = ("evidence.bin".to_owned(), "application/octet-stream".to_owned());
    Ok(AttachmentToSend { digest: uploaded.digest, name, media_type })
}

/// Sends a routine notice that names the file.
pub(crate) async fn send(client: &Client, file: AttachmentToSend) -> Result<MessageId, Failure> {
    let mut notice = load::notice(&["cert.cl"], Precedence::Routine);
    notice.body = json!({ "subject": "benchmark", "class": "test", "type": "test", "narrative": "see the file" });
    notice.attachments = vec![file];
    let mut sent = client.send(&notice).await?;
    Ok(sent.messages.pop().ok_or("a notice to nobody")?.id)
}

/// Waits until the recipient shows the file as whole.
async fn held(recipient: &Client, message: &MessageId) -> Result<(), Failure> {
    let is_held = async || arrived_bytes(recipient, message).await.is_some_and(|bytes| bytes == FILE_MIB << 20);
    daemons::eventually("the file is whole at the other side", PATIENCE, is_held).await
}

/// How much of the file the recipient shows as arrived; `None` while it does not show the message.
pub(crate) async fn arrived_bytes(recipient: &Client, message: &MessageId) -> Option<u64> {
    let view = recipient.message(&MessageQuery { id: message.to_string() }).await.ok()?;
    let file = view.row.attachments.first()?;
    Some(if file.state == AttachmentState::Held { file.size } else { file.bytes.unwrap_or(0) })
}
