//! Messages that a request names: found in the log, so that what is signed names them by the digest on record.

use super::caller::Caller;
use super::failure::Failure;
use super::send::default_lifetime_ms;
use super::{Server, convert, review};
use crate::access::Desks;
use crate::clock;
use aldis_control as api;
use aldis_core::input::Submission;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk};
use aldis_wire::digest::Digest;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId};
use aldis_wire::kinds::Bearing;
use bytes::Bytes;

/// A message on record, as far as another may depend on it.
#[derive(Clone, Debug)]
pub(super) struct Quoted {
    pub(super) id: EnvelopeId,
    pub(super) digest: Digest,
    pub(super) case: CaseId,
    pub(super) kind: String,
    pub(super) desk: Desk,
    /// An unknown marking counts as RED.
    pub(super) tlp: api::Tlp,
    pub(super) exercise: Option<String>,
}

impl Quoted {
    pub(super) fn reference(&self, role: ReferenceRole) -> Reference {
        Reference { role, envelope: self.id.clone(), digest: self.digest }
    }

    /// What this caller says about the message, to `to`: in its lane, case, marking, exercise and desk, checked and not yet
    /// signed. `said` is the body in each version of the kind, and what it does.
    pub(super) fn followed_by(
        &self,
        (caller, author): (&Caller, Text<128>),
        to: NodeId,
        role: ReferenceRole,
        kind: &'static str,
        said: (Vec<(u16, Bytes)>, Bearing),
    ) -> Result<Submission, Failure> {
        let (bodies, bearing) = said;
        let exercise = self.exercise.as_deref().map(Text::new).transpose();
        let exercise = exercise.map_err(|error| Failure::internal(format!("the exercise on record: {error}")))?;
        Ok(Submission {
            by: caller.by(),
            to: vec![to],
            salts: vec![clock::random()],
            // A desk this node does not know was refused by machine already, and the core says so.
            desk: if self.desk.is_known() { self.desk } else { Desk::TECHNICAL },
            lane: self.id.lane,
            case: self.case,
            references: List::new(vec![self.reference(role)]).expect("one reference is fewer than eight"),
            author,
            on_behalf_of: None,
            tlp: convert::tlp(self.tlp),
            exercise,
            kind: Code::known(kind),
            bodies,
            bearing,
            attachments: Vec::new(),
            lifetime_ms: default_lifetime_ms(self.id.lane),
            acknowledge_within_s: None,
        })
    }
}

/// The messages a request refers to, in its order.
pub(super) async fn all(
    server: &Server,
    desks: &Desks,
    references: &[api::Reference],
) -> Result<Vec<(ReferenceRole, Quoted)>, Failure> {
    let mut quoted = Vec::new();
    for reference in references {
        let id = convert::envelope_id(&reference.id, server.own())?;
        quoted.push((role(&reference.role)?, one(server, desks, id).await?));
    }
    Ok(quoted)
}

/// One message on record, if it is for one of these desks.
pub(super) async fn one(server: &Server, desks: &Desks, id: EnvelopeId) -> Result<Quoted, Failure> {
    let named = id.clone();
    let (digest, desk, row) = review::read(server, desks.clone(), move |log| log.on_record(&named)).await?;
    let case = row.case.parse();
    Ok(Quoted {
        digest,
        case: case.map_err(|_| Failure::internal(format!("{id}: the case on record cannot be read")))?,
        kind: row.kind,
        desk,
        tlp: row.tlp,
        exercise: row.exercise,
        id,
    })
}

/// The one case whose id begins like this.
pub(super) async fn case(server: &Server, desks: Desks, prefix: &str) -> Result<CaseId, Failure> {
    let prefix = prefix.to_owned();
    review::read(server, desks, move |log| log.resolve_case(&prefix)).await
}

fn role(word: &str) -> Result<ReferenceRole, Failure> {
    match word {
        "answers" => Ok(ReferenceRole::ANSWERS),
        "supersedes" => Ok(ReferenceRole::SUPERSEDES),
        "relates" => Ok(ReferenceRole::RELATES),
        _ => {
            let word: String = word.chars().take(80).collect();
            let message = format!("references: there is no role `{word}`; there are: answers, supersedes, relates");
            Err(Failure::usage("bad-field", message, "correct the field; nothing was sent"))
        }
    }
}
