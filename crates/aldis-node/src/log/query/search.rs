//! Cases, and the log searched page by page, latest first.

use std::str::FromStr;

use aldis_control::{CaseView, LogPage, LogQuery};
use aldis_wire::codes::Code;
use aldis_wire::ids::{CaseId, NodeId, UnixMillis};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde_json::Value;

use super::traffic::Traffic;
use super::{CASE_MESSAGES_MAX, CASE_PREFIX_MIN, Found, LIST_ROWS_MAX, Order, Query, QueryError, Red, SEARCH_ROWS_MAX};
use crate::access::Desks;
use crate::log::rows::{BY_CASE, Moment, case_prefix, kind_prefix, peer_prefix, time_prefix};

/// The length of a case in base 32.
const CASE_CHARACTERS: usize = 26;
/// The most bytes of a text to search for.
const TEXT_BYTES_MAX: usize = 200;
/// The most cases with one prefix that are looked at for one that may be read.
const CASES_LOOKED_AT_MAX: usize = 1_000;
/// About how many bytes of bodies a case may come to.
const CASE_BYTES_MAX: usize = 8 << 20;

/// A search, checked.
struct Search {
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
    /// A case, by its 26 characters or at least the first [`CASE_PREFIX_MIN`], with its messages, oldest first. Of a very
    /// long case only the latest messages, at most [`CASE_MESSAGES_MAX`]. What TLP:RED messages say is left out: each is
    /// opened by itself.
    pub fn case(&self, text: &str) -> Result<CaseView, QueryError> {
        let case = self.resolve_case(text)?;
        let mut messages = Vec::new();
        let mut bytes = 0;
        self.walk(&case_prefix(case), None, Order::Descending, |key, name| {
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

    /// The case a person means.
    pub fn resolve_case(&self, text: &str) -> Result<CaseId, QueryError> {
        let text = text.trim().to_ascii_lowercase();
        let invalid = || QueryError::InvalidCase(text.chars().take(80).collect());
        if !(CASE_PREFIX_MIN..=CASE_CHARACTERS).contains(&text.len()) || !text.bytes().all(is_base32) {
            return Err(invalid());
        }
        // The first case that can begin so: the characters that are missing stand for zero bits.
        let padded = format!("{text:a<CASE_CHARACTERS$}");
        let first = CaseId::from_str(&padded).or_else(|_| lowest(&padded).ok_or_else(invalid))?;
        let fits = |case: &CaseId| case.to_string().starts_with(&text);
        let (mut one, mut unreadable, mut next) = (None, None, Some(first));
        for _ in 0..CASES_LOOKED_AT_MAX {
            let found = next.map(|next| self.next_case(next)).transpose()?.flatten();
            let Some(case) = found.filter(fits) else { break };
            match (self.shows_any_of(case)?, one) {
                (false, _) => unreadable = Some(case),
                (true, None) => one = Some(case),
                (true, Some(one)) => return Err(QueryError::AmbiguousCase { prefix: text, one, other: case }),
            }
            next = after(case);
        }
        one.ok_or_else(|| unreadable.map_or(QueryError::NoCase(text), QueryError::CaseMissingDesk))
    }

    /// Whether a message of the case may be read, among the latest [`SEARCH_ROWS_MAX`].
    fn shows_any_of(&self, case: CaseId) -> Result<bool, QueryError> {
        if self.desks == Desks::All {
            return Ok(true);
        }
        let (mut shows, mut looked_at) = (false, 0);
        self.walk(&case_prefix(case), None, Order::Descending, |key, name| {
            shows = self.found(key, name)?.is_some();
            looked_at += 1;
            Ok(!shows && looked_at < SEARCH_ROWS_MAX)
        })?;
        Ok(shows)
    }

    /// Messages that fit every condition, latest first. A page may hold fewer than asked for, even none, and still name a
    /// next one: one search looks at [`SEARCH_ROWS_MAX`] messages at most.
    pub fn log(&self, query: &LogQuery) -> Result<LogPage, QueryError> {
        let search = self.check_search(query)?;
        let mut page = LogPage { rows: Vec::new(), next: None };
        let mut looked_at = 0;
        let start = search.start.under(search.prefix.clone());
        self.walk(&search.prefix, Some(start), Order::Descending, |key, name| {
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
        })?;
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
        let prefix = match (case, &peer, &kind) {
            (Some(case), _, _) => case_prefix(case),
            (None, Some(peer), _) => peer_prefix(peer),
            (None, None, Some(kind)) => kind_prefix(kind),
            (None, None, None) => time_prefix(),
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

    /// The first case from `case` on.
    fn next_case(&self, case: CaseId) -> Result<Option<CaseId>, QueryError> {
        let page = self.store.scan_prefix(&[BY_CASE], Some(&case_prefix(case)), Order::Ascending, 1)?;
        let case = |key: &[u8]| key.get(1..17).and_then(|case| case.try_into().ok()).map(CaseId);
        Ok(page.rows.first().and_then(|row| case(&row.key)))
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

fn is_base32(byte: u8) -> bool {
    byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)
}

/// 26 characters hold two bits more than a case has: a text that sets them names no case, but may be a prefix of none too.
fn lowest(padded: &str) -> Option<CaseId> {
    let bits = BASE32_NOPAD.decode(format!("{}a", &padded[..CASE_CHARACTERS - 1]).to_ascii_uppercase().as_bytes());
    bits.ok().and_then(|bytes| bytes.try_into().ok()).map(CaseId)
}

/// The case that follows in order.
fn after(case: CaseId) -> Option<CaseId> {
    u128::from_be_bytes(case.0).checked_add(1).map(|next| CaseId(next.to_be_bytes()))
}
