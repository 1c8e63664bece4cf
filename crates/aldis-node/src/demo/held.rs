//! What a node's message log holds, message by message, for whoever looks for what was lost or came twice.

use aldis_control::{Client, ClientError, LogQuery, MessageId};
use std::collections::BTreeMap;

/// Rows of one page: the most there are.
const PAGE_ROWS: u32 = 500;

/// How often each message stands in a node's log: all of them, or those that came from one node. `None` while the log is
/// being opened or built again: it is behind the journal then, and what is not in it may still come.
pub async fn held(client: &Client, from: Option<&str>) -> Result<Option<BTreeMap<MessageId, u32>>, ClientError> {
    let mut held = BTreeMap::new();
    let mut query = LogQuery { limit: Some(PAGE_ROWS), peer: from.map(str::to_owned), ..LogQuery::default() };
    loop {
        let page = match client.log(&query).await {
            Err(ClientError::Api(error)) if error.code == "log-not-ready" => return Ok(None),
            page => page?,
        };
        for row in page.rows.into_iter().filter(|row| from.is_none_or(|from| row.id.from == from)) {
            *held.entry(row.id).or_insert(0) += 1;
        }
        let Some(next) = page.next else { return Ok(Some(held)) };
        query.before = Some(next);
    }
}
