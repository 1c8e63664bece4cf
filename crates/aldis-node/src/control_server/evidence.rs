//! Evidence for somebody outside. What is given out is on record before it is read, and read and checked before the
//! first byte leaves. One file is made at a time.

use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::{Server, Shared, convert, review};
use crate::access::Grant;
use crate::evidence::{self, EvidenceError, Wanted};
use crate::exports::Exports;
use crate::log::query::Query;
use aldis_control::{EvidenceRequest, Exit};
use aldis_core::record::EXPORTED_MAX;
use aldis_wire::ids::{EnvelopeId, NodeId};
use axum::Extension;
use axum::body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;

/// How much is handed to the connection at once, so that whoever asked sees it come.
const PIECE_BYTES: usize = 64 << 10;

/// Puts on record what leaves, makes the file, checks it, and answers with it.
pub(super) async fn make(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<EvidenceRequest>,
) -> Result<Response, Failure> {
    let _place = Arc::clone(&server.exports).try_acquire_owned().map_err(|_| {
        let message = "evidence is being made already";
        Failure::new(Exit::Refused, "busy", message, "wait for it to end").with_status(StatusCode::CONFLICT)
    })?;
    let asked = Asked::read(&server, request)?;
    let (wanted, red) = review::read(&server, grant.reads(), move |log| Ok(asked.wanted(log))).await??;
    put_on_record(&server, &caller, &grant, &wanted, &red).await?;
    let view = server.context.loop_handle.view().await?;
    let (journal, own, now) = (server.context.journal.clone(), server.context.own.clone(), server.context.clock.wall());
    let made =
        review::read(&server, grant.reads(), move |log| Ok(evidence::make(log, &journal, (&own, &view), &wanted, now)));
    let file = body::Bytes::from(made.await??);
    let headers =
        [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_LENGTH, file.len().to_string())];
    Ok((headers, body::Body::from_stream(stream::iter(pieces(file)))).into_response())
}

/// What was asked for, checked as far as it can be without the log.
struct Asked {
    wanted: Wanted,
    case: Option<String>,
    all_bodies: bool,
}

impl Asked {
    fn read(server: &Server, request: EvidenceRequest) -> Result<Self, Failure> {
        let id = |text: &String| convert::envelope_id(text, server.own());
        let most = request.ids.len().max(request.bodies.len());
        if most > EXPORTED_MAX {
            return Err(EvidenceError::TooMany(most).into());
        }
        let contradictions_of = request.contradictions_of.as_deref().map(NodeId::new).transpose();
        let contradictions_of = contradictions_of
            .map_err(|error| Failure::usage("bad-field", error.to_string(), "see `aldis peer list` for the peers"))?;
        Ok(Self {
            wanted: Wanted {
                messages: request.ids.iter().map(id).collect::<Result<_, _>>()?,
                bodies: request.bodies.iter().map(id).collect::<Result<_, _>>()?,
                links: request.links,
                contradictions_of,
            },
            case: request.case,
            all_bodies: request.all_bodies,
        })
    }

    /// Every message that will be shown, and those whose bodies are opened by it.
    fn wanted(self, log: &Query) -> Result<(Wanted, Vec<EnvelopeId>), EvidenceError> {
        let mut wanted = self.wanted;
        if let Some(case) = &self.case {
            wanted.messages.extend(log.ids_of_case(case, EXPORTED_MAX)?);
        }
        if self.all_bodies {
            wanted.bodies.extend(wanted.messages.iter().cloned());
        }
        if let Some(peer) = &wanted.contradictions_of {
            let pairs = log.contradictions_of(peer)?;
            wanted.messages.extend(pairs.iter().map(|[(header, _), _]| header.id()));
        }
        // A body that is wanted of a message that is not shown would be put on record and not be given.
        wanted.messages.extend(wanted.bodies.iter().cloned());
        let wanted = wanted.with_answers(log)?;
        let mut red = Vec::new();
        for id in &wanted.bodies {
            if log.is_red(id)? {
                red.push(id.clone());
            }
        }
        Ok((wanted, red))
    }
}

/// Puts on stable storage that these messages leave, with their bodies or without, and who opened the TLP:RED ones.
async fn put_on_record(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    wanted: &Wanted,
    red: &[EnvelopeId],
) -> Result<(), Failure> {
    for message in red {
        review::opened(server, message.clone(), caller).await?;
    }
    let context = &server.context;
    let exports =
        Exports { node: context.loop_handle.clone(), log: context.log.clone(), journal: context.journal.clone() };
    let (given, bare): (Vec<EnvelopeId>, Vec<EnvelopeId>) =
        wanted.messages.iter().cloned().partition(|id| wanted.bodies.contains(id));
    for (messages, bodies) in [(given, true), (bare, false)] {
        if !messages.is_empty() {
            exports.export(messages, bodies, grant.reads(), caller.by()).await?;
        }
    }
    Ok(())
}

fn pieces(file: body::Bytes) -> impl Iterator<Item = Result<body::Bytes, Infallible>> {
    (0..file.len()).step_by(PIECE_BYTES).map(move |at| Ok(file.slice(at..file.len().min(at + PIECE_BYTES))))
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        let message = error.to_string();
        match error {
            EvidenceError::Query(error) => Self::from_api(error.into()),
            EvidenceError::Nothing => Self::usage("nothing-to-show", message, "name messages, a case or a peer"),
            EvidenceError::TooMany(_) | EvidenceError::TooManyLinks | EvidenceError::Seal(_) => {
                Self::usage("too-much", message, "nothing was given out")
            }
            EvidenceError::Journal | EvidenceError::DoesNotVerify(_) => {
                Self::new(Exit::Integrity, "does-not-verify", message, "nothing was given out; run `aldis verify`")
            }
        }
    }
}
