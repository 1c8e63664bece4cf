//! `aldisd demo`: two complete nodes on loopback, with fresh keys, real TLS and real journals, and the main job told as a
//! story. Every line is printed after it happened; a step that does not come true ends the demonstration with an error.

mod held;
pub mod port;
pub mod process;
mod recall;
mod silence;
mod story;

use aldis_control::{
    AnswerRequest, AnswerState, AnswerStatus, Client, DeliveryState, LinkState, ListQuery, MessageId, MessageQuery,
    MessageView, PeerQuery, Precedence, SendRequest, SentMessage, Tlp, VerifyLine, VerifyReport, Wait,
};
use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt;
pub use held::held;
use process::{PATIENCE, Process};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use story::Story;

/// How many notices are sent around the kill.
const NOTICES_AROUND_KILL: usize = 40;

/// How to run the demonstration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Leave the nodes running at the end.
    pub keep: bool,
    /// Where to put the nodes; a temporary directory if not given.
    pub dir: Option<PathBuf>,
}

/// Runs the demonstration.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let (dir, temporary) = place(options.dir)?;
    let story = Story::begin(&dir);
    let mut nodes = set_up(&story, &program, &dir, options.keep).await?;
    introduce(&story, &nodes).await?;
    let notice = tell_and_receipt(&story, &nodes).await?;
    answer(&story, &nodes, &notice).await?;
    silence::nobody_answers(&story, &nodes).await?;
    recall::taken_back(&story, &nodes).await?;
    absent_peer(&story, &mut nodes).await?;
    kill_and_restart(&story, &mut nodes).await?;
    verify(&story, &nodes).await?;
    story.end(&[&nodes.br, &nodes.cl], options.keep);
    if options.keep {
        // The directory must outlive this process, as the nodes do.
        let _kept = temporary.map(tempfile::TempDir::keep);
    } else {
        nodes.br.stop().await?;
        nodes.cl.stop().await?;
    }
    Ok(())
}

struct Nodes {
    br: Process,
    cl: Process,
}

fn place(dir: Option<PathBuf>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(dir) = dir {
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok((dir, None))
    } else {
        let temporary = tempfile::Builder::new().prefix("aldis-demo-").tempdir()?;
        Ok((temporary.path().to_owned(), Some(temporary)))
    }
}

async fn set_up(story: &Story, program: &Path, dir: &Path, keep: bool) -> anyhow::Result<Nodes> {
    story.chapter("Two CERTs set up their nodes");
    let mut br = Process::init(program, dir, "cert.br", "CERT Brazil (demonstration)", "BR").await?;
    let mut cl = Process::init(program, dir, "cert.cl", "CSIRT Chile (demonstration)", "CL").await?;
    if keep {
        br.keep_running();
        cl.keep_running();
    }
    story.happened("each made an identity key (Ed25519), a TLS key and certificate, and a configuration");
    for node in [&mut br, &mut cl] {
        silence::configure(node)?;
        let took = node.start().await?;
        let pid = node.pid().unwrap_or_default();
        story.happened(&format!("{} runs (process {pid}), ready after {} ms", node.id, took.as_millis()));
    }
    Ok(Nodes { br, cl })
}

async fn introduce(story: &Story, nodes: &Nodes) -> anyhow::Result<()> {
    story.chapter("They exchange cards");
    let (br, cl) = (nodes.br.client(), nodes.cl.client());
    let words = process::introduce(&br, &cl).await?;
    for (id, words) in [&nodes.br.id, &nodes.cl.id].into_iter().zip(words) {
        story.happened(&format!(
            "the administrator of {id} reads out: {}",
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        ));
    }
    story.happened("each types what the other reads, and only then is a peer talked to");
    let since = Instant::now();
    linked(&br, &nodes.cl.id).await?;
    story.happened(&format!("the link is up after {} ms", since.elapsed().as_millis()));
    story.proved(
        "TLS 1.3 with X25519MLKEM768, both certificates pinned, and a Hello signed over this very channel each way",
    );
    Ok(())
}

async fn tell_and_receipt(story: &Story, nodes: &Nodes) -> anyhow::Result<MessageId> {
    story.chapter("cert.br sends a notice");
    let since = Instant::now();
    let mut request = notice("Command-and-control server at a Chilean provider", Precedence::Immediate);
    request.body["indicators"] = json!([{ "kind": "ip", "value": "192.0.2.7", "comment": "beacon every 60 s" }]);
    request.body["expected_action"] = json!("block-host");
    request.wait = Some(Wait::Stored);
    let sent = send(&nodes.br.client(), request).await?;
    ensure!(sent.state == DeliveryState::Stored, "the notice is only {}", sent.state.as_str());
    story.happened(&format!(
        "{} {} was signed, stored, relayed, stored there and receipted",
        sent.id,
        Tlp::Amber.label()
    ));
    story.happened(&format!("from submission to the verified receipt on our disk: {:.1} ms", ms(since.elapsed())));
    story.proved("`stored` is shown only after the peer's signed receipt is itself on stable storage (I3)");
    Ok(sent.id)
}

async fn answer(story: &Story, nodes: &Nodes, notice: &MessageId) -> anyhow::Result<()> {
    story.chapter("The duty officer of cert.cl answers");
    let (br, cl) = (nodes.br.client(), nodes.cl.client());
    let inbox = cl.inbox(&ListQuery::default()).await?;
    let row = inbox.iter().find(|row| row.id == *notice).context("the notice is not in the inbox of cert.cl")?;
    story.happened(&format!("in the inbox: \"{}\" from {}", row.subject, row.peer));
    let steps = [
        (AnswerState::Seen, None, None, DeliveryState::Seen),
        (AnswerState::Acknowledged, None, None, DeliveryState::Acknowledged),
        (AnswerState::Decided, Some(AnswerStatus::Approved), Some("blocked at the border"), DeliveryState::Decided),
    ];
    for (state, status, text, reached) in steps {
        let request = AnswerRequest {
            id: notice.to_string(),
            state,
            status,
            justification: None,
            until: None,
            text: text.map(str::to_owned),
            author: None,
        };
        cl.answer(&request).await?;
        let view = reached_state(&br, notice, reached).await?;
        let words = view.answers.last().map(|answer| answer.text.clone()).filter(|words| !words.is_empty());
        let words = words.map(|words| format!(": \"{words}\"")).unwrap_or_default();
        story.happened(&format!("cert.br sees: {}{words}", state.as_str()));
    }
    story.proved("a receipt is made by the machine, an answer by a person; both are signed, and kept at both ends");
    Ok(())
}

async fn absent_peer(story: &Story, nodes: &mut Nodes) -> anyhow::Result<()> {
    story.chapter("cert.cl is down for a while");
    nodes.cl.stop().await?;
    story.happened("cert.cl stopped in good order (SIGTERM)");
    let br = nodes.br.client();
    let routine = send(&br, notice("Weekly summary", Precedence::Routine)).await?;
    let flash = send(&br, notice("Power grid operator under attack", Precedence::Flash)).await?;
    story.happened("cert.br wrote a ROUTINE and then a FLASH notice; both wait on its disk");
    let took = nodes.cl.start().await?;
    story.happened(&format!("cert.cl is back, ready after {} ms", took.as_millis()));
    for id in [&flash.id, &routine.id] {
        reached_state(&br, id, DeliveryState::Stored).await?;
    }
    let (first, second) = (received_at(&nodes.cl, &flash.id).await?, received_at(&nodes.cl, &routine.id).await?);
    ensure!(first <= second, "the FLASH came after the ROUTINE");
    story.happened("both arrived by themselves, nobody had to write again; FLASH went first");
    story.proved("a successful send means signed and on stable storage here, whatever becomes of the peer (I1)");
    Ok(())
}

async fn kill_and_restart(story: &Story, nodes: &mut Nodes) -> anyhow::Result<()> {
    story.chapter("cert.cl is killed in the middle of the traffic");
    let br = nodes.br.client();
    let mut confirmed = Vec::with_capacity(NOTICES_AROUND_KILL);
    for number in 0..NOTICES_AROUND_KILL {
        if number == NOTICES_AROUND_KILL / 2 {
            nodes.cl.kill().await?;
        }
        confirmed.push(send(&br, notice(&format!("notice {number}"), Precedence::Priority)).await?.id);
    }
    story.happened(&format!("kill -9 after half of {NOTICES_AROUND_KILL} notices; cert.br confirmed all of them"));
    let took = nodes.cl.start().await?;
    story.happened(&format!("cert.cl is ready again after {} ms", took.as_millis()));
    for id in &confirmed {
        reached_state(&br, id, DeliveryState::Stored).await?;
    }
    let inbox = nodes.cl.client().inbox(&ListQuery::default()).await?;
    for id in &confirmed {
        let times = inbox.iter().filter(|row| row.id == *id).count();
        ensure!(times == 1, "{id} stands {times} times in the inbox of cert.cl");
    }
    story.happened(&format!("all {NOTICES_AROUND_KILL} stand in the inbox of cert.cl, each exactly once"));
    story.proved("a receipt leaves only after what it covers is on stable storage (I2); nothing is handled twice (I5)");
    Ok(())
}

async fn verify(story: &Story, nodes: &Nodes) -> anyhow::Result<()> {
    story.chapter("Both sides verify their records");
    for node in [&nodes.br, &nodes.cl] {
        let report = verified(&node.client()).await?;
        ensure!(report.ok, "{}: {} finding(s)", node.id, report.findings.len());
        story.happened(&format!(
            "{}: {} records in {} segment(s), {} log rows, no finding",
            node.id, report.records, report.segments, report.log_rows
        ));
    }
    story.proved("every record is a leaf of a Merkle tree; a change, a cut or a roll-back would be named here (I9)");
    Ok(())
}

/// Walks a node's journal and log to the end.
pub async fn verified(client: &Client) -> anyhow::Result<VerifyReport> {
    let mut lines = client.verify().await?;
    while let Some(line) = lines.next().await {
        match line? {
            VerifyLine::Progress(_) => {}
            VerifyLine::Report(report) => return Ok(report),
            VerifyLine::Error(error) => bail!("{}", error.message),
        }
    }
    bail!("the verification ended without a report")
}

/// A notice about an incident to `cert.cl`.
fn notice(subject: &str, precedence: Precedence) -> SendRequest {
    let body = json!({
        "subject": subject, "class": "malicious-code", "type": "c2-server", "severity": "high",
        "narrative": "Hosts in three ministries report to this address.",
    });
    SendRequest {
        author: Some("duty officer".into()),
        exercise: Some("demonstration".into()),
        ..SendRequest::new(&["cert.cl"], "incident", precedence, Tlp::Amber, body)
    }
}

async fn send(client: &Client, request: SendRequest) -> anyhow::Result<SentMessage> {
    let response = client.send(&request).await?;
    response.messages.into_iter().next().context("the daemon named no message")
}

async fn linked(client: &Client, peer: &str) -> anyhow::Result<()> {
    let query = PeerQuery { id: peer.to_owned() };
    until("the link is up", || async {
        let view = client.peer(&query).await?;
        Ok((view.summary.link == LinkState::Up).then_some(()))
    })
    .await
}

/// Waits until a message is in a state, as its sender sees it.
async fn reached_state(client: &Client, id: &MessageId, state: DeliveryState) -> anyhow::Result<MessageView> {
    let query = MessageQuery { id: id.to_string() };
    until(&format!("{id} is {}", state.as_str()), || async {
        let view = client.message(&query).await?;
        Ok((view.row.state == state).then_some(view))
    })
    .await
}

async fn received_at(node: &Process, id: &MessageId) -> anyhow::Result<aldis_control::UnixMillis> {
    let view = node.client().message(&MessageQuery { id: id.to_string() }).await?;
    view.row.received_at.with_context(|| format!("{id} has no time of receipt"))
}

/// Asks again until the answer is there, for at most [`PATIENCE`].
async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    loop {
        pause.tick().await;
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if begun.elapsed() > PATIENCE {
            bail!("this did not come true within {} s: {what}", PATIENCE.as_secs());
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
