//! The chapter about silence: nobody answers, the ladder climbs, both ends see each step, and an acknowledgement ends it.

use super::process::{Process, ProcessError};
use super::story::Story;
use super::{Nodes, notice, reached_state, send, until};
use aldis_control::{
    AnswerRequest, AnswerState, Client, DeliveryState, EventsQuery, MessageId, MessageQuery, MessageView, Precedence,
};
use futures_util::StreamExt;

/// Within how long the message of this chapter wants its acknowledgement, in seconds.
const ACKNOWLEDGE_WITHIN_S: u64 = 1;

/// Two steps a second apart, which ring in `aldis watch`.
const LADDER: &str = r#"
[[ladder]]
name = "duty officer"
wait_s = [1, 900, 3600, 14400]
people = [{ name = "duty officer", channels = ["watch"] }]
[[ladder]]
name = "deputy"
wait_s = [1, 900, 3600, 14400]
people = [{ name = "deputy", channels = ["watch"] }]
"#;

/// Gives a node that does not run yet a ladder of seconds.
pub(super) fn configure(node: &Process) -> Result<(), ProcessError> {
    let failed = |source| ProcessError::Credential { path: node.config(), source };
    let config = std::fs::read_to_string(node.config()).map_err(failed)?;
    std::fs::write(node.config(), format!("{config}{LADDER}")).map_err(failed)
}

pub(super) async fn nobody_answers(story: &Story, nodes: &Nodes) -> anyhow::Result<()> {
    story.chapter("Nobody answers at cert.cl");
    let (br, cl) = (nodes.br.client(), nodes.cl.client());
    // Whoever watches is alerted; the daemon learns so from the open stream.
    let mut watch = cl.events(&EventsQuery::default()).await?;
    let watching = tokio::spawn(async move { while watch.next().await.is_some() {} });
    let mut request = notice("Are the telephones down?", Precedence::Flash);
    request.acknowledge_within_s = Some(ACKNOWLEDGE_WITHIN_S);
    let sent = send(&br, request).await?;
    story.happened(&format!("cert.br sends a FLASH, to be acknowledged within {ACKNOWLEDGE_WITHIN_S} s, and waits"));
    for step in [1, 2] {
        let told = step_told(&br, &sent.id, step).await?;
        story.happened(&format!("cert.br is told, signed: {told}"));
    }
    let there = message(&cl, &sent.id).await?;
    let steps = there.history.iter().filter(|entry| entry.step.is_some_and(|step| step > 0)).count();
    story.happened(&format!("`aldis show` lists the same steps at cert.cl ({steps} lines, whom each alert reached)"));
    cl.answer(&acknowledged(&sent.id)).await?;
    reached_state(&br, &sent.id, DeliveryState::Acknowledged).await?;
    until("the ladder stands still", || async {
        let climbs = cl.status().await?.silences.iter().any(|silence| silence.silence == "unanswered-here");
        Ok((!climbs).then_some(()))
    })
    .await?;
    story.happened("somebody acknowledges: both ends see it, and the ladder stands still");
    story.proved("silence climbs by itself, in order, and the sender never has to guess what happens there (I8)");
    watching.abort();
    Ok(())
}

/// What a node was told of a step that its peer took about a message.
async fn step_told(client: &Client, id: &MessageId, step: u8) -> anyhow::Result<String> {
    until(&format!("{id} is at step {step}"), || async {
        let view = message(client, id).await?;
        Ok(view.history.iter().find(|entry| entry.step == Some(step)).map(|entry| entry.cause.clone()))
    })
    .await
}

async fn message(client: &Client, id: &MessageId) -> anyhow::Result<MessageView> {
    Ok(client.message(&MessageQuery { id: id.to_string() }).await?)
}

fn acknowledged(id: &MessageId) -> AnswerRequest {
    AnswerRequest {
        id: id.to_string(),
        state: AnswerState::Acknowledged,
        status: None,
        justification: None,
        until: None,
        text: None,
        author: None,
    }
}
