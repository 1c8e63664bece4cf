//! Agreements with peers: both sides' terms, and setting ours. What they mean is the core's business.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::{Server, Shared, convert, peers};
use crate::event_loop::{AgreementStatus, Request};
use aldis_control as api;
use aldis_core::agreement::difference;
use aldis_wire::attachment::ATTACHMENT_MAX_BYTES;
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Extensions};
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds::{self, TERMS_KINDS_MAX, Terms};
use aldis_wire::lane::Lane;
use axum::extract::State;
use axum::{Extension, Json};

/// Both sides' terms and their difference.
pub(super) async fn one(
    State(server): Shared,
    Asked(query): Asked<api::PeerQuery>,
) -> Result<Json<api::AgreementView>, Failure> {
    let id = convert::node_id("id", &query.id)?;
    shown(&server, &id).await
}

/// Sets our terms.
pub(super) async fn set(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<api::AgreementRequest>,
) -> Result<Json<api::AgreementView>, Failure> {
    let id = convert::node_id("id", &request.id)?;
    let before = peers::status_of(&server, &id).await?.agreement.ours;
    // The clock keeps the number above those that a journal restored from a backup no longer has.
    let seconds = server.context.clock.wall().get() / 1_000;
    let sequence = before.map_or(1, |ours| ours.sequence.saturating_add(1)).max(seconds);
    let terms = Box::new(terms_of(request.terms, sequence)?);
    let set = Request::SetAgreement { peer: id.clone(), terms, by: caller.person() };
    if let Err(error) = server.context.loop_handle.request(set).await {
        return Err(peers::explained(&server, error).await);
    }
    shown(&server, &id).await
}

async fn shown(server: &Server, id: &NodeId) -> Result<Json<api::AgreementView>, Failure> {
    let AgreementStatus { ours, theirs, is_known } = peers::status_of(server, id).await?.agreement;
    let fields = difference(ours.as_ref(), theirs.as_ref()).into_iter().map(|row| api::AgreementField {
        differs: row.differs(),
        field: row.field,
        ours: row.ours,
        theirs: row.theirs,
        in_force: row.in_force,
    });
    Ok(Json(api::AgreementView {
        peer: id.to_string(),
        fields: fields.collect(),
        ours: ours.map(view),
        theirs: theirs.map(view),
        ours_are_known: is_known,
    }))
}

fn view(terms: Terms) -> api::TermsView {
    let mut within = api::PerLane::default();
    for lane in Lane::ALL {
        *within.get_mut(convert::precedence(lane)) = terms.acknowledge_within_s(lane).unwrap_or(0).into();
    }
    let said = api::Terms {
        kinds: terms.kinds.iter().map(ToString::to_string).collect(),
        highest_tlp: convert::tlp_shown(terms.highest_tlp),
        flash_per_day: terms.flash_per_day,
        messages_per_hour: terms.messages_per_hour,
        bytes_per_hour: terms.bytes_per_hour,
        attachment_max_bytes: Some(terms.attachment_max_bytes()),
        acknowledge_within_s: within,
        expires_at: convert::time(terms.expires_at),
    };
    api::TermsView { sequence: terms.sequence, terms: said }
}

fn terms_of(terms: api::Terms, sequence: u64) -> Result<Terms, Failure> {
    let bad = |field: &str, what: String| super::send::bad_field(field, what);
    let kinds: Vec<Code> = terms
        .kinds
        .iter()
        .map(|kind| known_kind(kind))
        .collect::<Result<_, String>>()
        .map_err(|what| bad("kinds", what))?;
    let seconds = Lane::ALL.map(|lane| u32::try_from(terms.acknowledge_within_s.get(convert::precedence(lane))));
    let mut within = [0; 4];
    for (place, seconds) in within.iter_mut().zip(seconds) {
        *place = seconds.map_err(|_| bad("acknowledge_within_s", "more than a year".to_owned()))?;
    }
    if terms.expires_at.0 > UnixMillis::MAX.get() {
        return Err(bad("expires_at", "beyond the year 9999".to_owned()));
    }
    let said = Terms {
        sequence,
        kinds: List::new(kinds).ok_or_else(|| bad("kinds", format!("more than {TERMS_KINDS_MAX}")))?,
        highest_tlp: convert::tlp(terms.highest_tlp),
        flash_per_day: terms.flash_per_day,
        messages_per_hour: terms.messages_per_hour,
        bytes_per_hour: terms.bytes_per_hour,
        acknowledge_within_s: within,
        expires_at: UnixMillis::new(terms.expires_at.0),
        extensions: Extensions::default(),
    };
    Ok(match terms.attachment_max_bytes {
        None => said,
        Some(bytes @ 0..=ATTACHMENT_MAX_BYTES) => said.with_attachment_max_bytes(bytes),
        Some(bytes) => {
            let what = format!("{bytes} where at most {ATTACHMENT_MAX_BYTES} (4 GiB) are allowed");
            return Err(bad("attachment_max_bytes", what));
        }
    })
}

/// A kind that terms can name: one this program knows, and that terms concern at all.
fn known_kind(name: &str) -> Result<Code, String> {
    let code = Code::new(name)?;
    if kinds::versions_of(name).is_empty() {
        return Err(format!("there is no kind `{name}`"));
    }
    if !Terms::concern(&code) {
        return Err(format!("`{name}` always goes, whatever the terms"));
    }
    Ok(code)
}
