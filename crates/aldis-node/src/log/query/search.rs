//! A case with its messages, and the log searched page by page, latest first.

use aldis_control::{CaseView, LogPage, LogQuery};
use aldis_wire::codes::Code;
use aldis_wire::ids::{CaseId, NodeId, UnixMillis};
use data_encoding::HEXLOWER;
use serde_json::Value;

use super::traffic::Traffic;
use super::{CASE_MESSAGES_MAX, Found, LIST_ROWS_MAX, Order, Query, QueryError, Red, SEARCH_ROWS_MAX};
use crate::log::rows::{Moment, kind_prefix, peer_prefix, time_prefix};

/// The most bytes of a text to search for.
const TEXT_BYTES_MAX: usize = 200;
/// About how many bytes of bodies a case may come to.
const CASE_BYTES_MAX: usize = 8 << 20;

/// A search, checked.
struct Search {
    /// Where the index begins that is walked if no case is named.
    prefix: Vec<u8>,
    peer: Option<NodeId>,
    case: Option<CaseId>,
    kind: Option<Code>,
    traffic: Traffic,
    since: UnixMillis,
    /// In lower case.
    text: Option<String>,
    limit: usize,
    start: Moment,
}

impl Query {
    /// A case, by its 26 characters or at least the first [`CASE_PREFIX_MIN`](super::CASE_PREFIX_MIN), with its messages,
    /// oldest first. Of a very long case only the latest messages, at most [`CASE_MESSAGES_MAX`]. What TLP:RED messages
    /// say is left out: each is opened by itself.
    pub fn case(&self, text: &str) -> Result<CaseView, QueryError> {
        let case = self.resolve_case(text)?;
        let mut messages = Vec::new();
        let mut bytes = 0;
        self.walk_case(case, Order::Descending, |key, name| {
            if let Some(found) = self.found(key, name)? {
                let view = self.view_of(&found)?;
                bytes += view.body.as_ref().map_or(0, |body| body.to_string().len());
                messages.push(view);
            }
            Ok(messages.len() < CASE_MESSAGES_MAX && bytes < CASE_BYTES_MAX)
        })?;
        messages.reverse();
        Ok(CaseView { case: case.to_string(), messages })
    }

    /// Messages that fit every condition, latest first. A page may hold fewer than asked for, even none, and still name a
    /// next one: one search looks at [`SEARCH_ROWS_MAX`] messages at most.
    pub fn log(&self, query: &LogQuery) -> Result<LogPage, QueryError> {
        let search = self.check_search(query)?;
        let mut page = LogPage { rows: Vec::new(), next: None };
        let mut looked_at = 0;
        let take = |key: &[u8], name: &[u8]| {
            let moment = Moment::of_key(key);
            let moment = moment.ok_or_else(|| super::unexpected(&self.store, key, "no moment".to_owned()))?;
            if moment.at < search.since {
                return Ok(false);
            }
            if page.rows.len() >= search.limit || looked_at >= SEARCH_ROWS_MAX {
                page.next = Some(HEXLOWER.encode(&moment.to_bytes()));
                return Ok(false);
            }
            looked_at += 1;
            if let Some(found) = self.found(key, name)?
                && search.fits(&found)
                && self.has_text(&found, search.text.as_deref())?
            {
                page.rows.push(self.row_of(&found, Red::Withheld)?);
            }
            Ok(true)
        };
        if let Some(case) = search.case {
            self.walk_case_back(case, search.start, take)?;
        } else {
            let start = search.start.under(search.prefix.clone());
            self.walk(&search.prefix, Some(start), Order::Descending, take)?;
        }
        Ok(page)
    }

    fn check_search(&self, query: &LogQuery) -> Result<Search, QueryError> {
        let wrong = |what, why: String| QueryError::Parameter { what, why };
        let peer = query.peer.as_deref().map(NodeId::new).transpose();
        let peer = peer.map_err(|error| wrong("peer", error.to_string()))?;
        let kind = query.kind.as_deref().map(Code::new).transpose().map_err(|why| wrong("kind", why))?;
        let case = query.case.as_deref().map(|text| self.resolve_case(text)).transpose()?;
        let traffic = Traffic::asked(query.exercise.as_deref(), query.real)?;
        if query.text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(wrong("text", format!("at most {TEXT_BYTES_MAX} bytes")));
        }
        let prefix = match (&peer, &kind) {
            (Some(peer), _) => peer_prefix(peer),
            (None, Some(kind)) => kind_prefix(kind),
            (None, None) => time_prefix(),
        };
        // `until` itself is left out, and so is everything later.
        let last = Moment { at: UnixMillis::MAX, record: u64::MAX };
        let until = query.until.map_or(Some(last), |until| {
            until.0.checked_sub(1).map(|at| Moment { at: UnixMillis::new(at), record: u64::MAX })
        });
        let cursor = query.before.as_deref().map(|text| cursor(text).ok_or_else(|| wrong("before", invalid_cursor())));
        let cursor = cursor.transpose()?.unwrap_or(last);
        let Some(start) = until.map(|until| until.min(cursor)) else {
            return Err(wrong("until", "nothing lies before 1970".to_owned()));
        };
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
        Ok(Search {
            prefix,
            peer,
            case,
            kind,
            traffic,
            since: UnixMillis::new(query.since.map_or(0, |since| since.0)),
            text: query.text.as_ref().map(|text| text.to_lowercase()),
            limit: limit.clamp(1, LIST_ROWS_MAX),
            start,
        })
    }

    /// Whether a message's texts contain `text`, in any case. What has no body, or one that is not understood, has none;
    /// neither has TLP:RED, for who searches word by word would read it.
    fn has_text(&self, found: &Found, text: Option<&str>) -> Result<bool, QueryError> {
        let Some(text) = text else { return Ok(true) };
        Ok(self.json(found, Red::Withheld)?.is_ok_and(|json| contains(&json, text)))
    }
}

impl Search {
    fn fits(&self, found: &Found) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer == super::peer(found))
            && self.case.is_none_or(|case| case == found.message.case)
            && self.kind.as_ref().is_none_or(|kind| *kind == found.message.kind)
            && self.traffic.has(&found.message)
    }
}

fn contains(json: &Value, text: &str) -> bool {
    match json {
        Value::String(string) => string.to_lowercase().contains(text),
        Value::Array(values) => values.iter().any(|value| contains(value, text)),
        Value::Object(fields) => fields.values().any(|value| contains(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn cursor(text: &str) -> Option<Moment> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(Moment::from_bytes)
}

fn invalid_cursor() -> String {
    "not the `next` of an earlier page".to_owned()
}
