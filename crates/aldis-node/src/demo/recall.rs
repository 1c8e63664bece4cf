//! The chapter about second thoughts: a message is taken back, and the other side erases it and says so.

use super::story::Story;
use super::{Nodes, notice, reached_state, send, until};
use aldis_control::{
    AnswerRequest, AnswerState, AnswerStatus, DeliveryState, MessageId, MessageQuery, Precedence, RecallRequest, Wait,
};
use anyhow::{Context as _, ensure};

pub(super) async fn taken_back(story: &Story, nodes: &Nodes) -> anyhow::Result<()> {
    story.chapter("cert.br takes a notice back");
    let (br, cl) = (nodes.br.client(), nodes.cl.client());
    let mut request = notice("Meant for somebody else", Precedence::Priority);
    request.wait = Some(Wait::Stored);
    let sent = send(&br, request).await?;
    let asked = br.recall(&recall(&sent.id)).await?;
    let recall = asked.recipients.first().and_then(|there| there.request.clone()).context("nobody was asked")?;
    story.happened(&format!("{} went to the wrong CERT: cert.br asks, signed, to erase it ({recall})", sent.id));
    until("the recall is there", || async {
        let inbox = cl.inbox(&aldis_control::ListQuery::default()).await?;
        Ok(inbox.iter().any(|row| row.id == recall).then_some(()))
    })
    .await?;
    let tombstone = cl.answer(&approval(&recall)).await?.message.id;
    let there = cl.message(&MessageQuery { id: sent.id.to_string() }).await?;
    let absence = there.body_absent.context("the body is still at cert.cl")?;
    ensure!(there.body.is_none() && absence.code == "erased", "the body is still at cert.cl");
    story.happened(&format!(
        "an operator of cert.cl accepts: its body is {} there; header and proof stay",
        absence.code
    ));
    reached_state(&br, &sent.id, DeliveryState::Recalled).await?;
    story.happened(&format!("cert.br holds the signed tombstone {tombstone}"));
    story.proved("whoever complied has signed that it did; what a journal says was erased is no gap in it (I9)");
    Ok(())
}

fn recall(id: &MessageId) -> RecallRequest {
    let reason = "wrong-recipient".to_owned();
    RecallRequest { id: id.to_string(), to: Vec::new(), reason, text: None, author: None }
}

fn approval(recall: &MessageId) -> AnswerRequest {
    AnswerRequest {
        id: recall.to_string(),
        state: AnswerState::Decided,
        status: Some(AnswerStatus::Approved),
        justification: None,
        until: None,
        text: None,
        author: None,
    }
}
