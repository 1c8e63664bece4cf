//! Messages that a request names: found in the log, so that what is signed names them by the digest on record.

use super::failure::Failure;
use super::{Server, convert};
use aldis_control::{self as api, Exit};
use aldis_wire::digest::Digest;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId};

/// A message on record, as far as another may depend on it.
#[derive(Clone, Debug)]
pub(super) struct Quoted {
    pub(super) id: EnvelopeId,
    pub(super) digest: Digest,
    pub(super) case: CaseId,
    pub(super) kind: String,
    pub(super) exercise: Option<String>,
}

impl Quoted {
    pub(super) fn reference(&self, role: ReferenceRole) -> Reference {
        Reference { role, envelope: self.id.clone(), digest: self.digest }
    }
}

/// The messages a request refers to, in its order.
pub(super) async fn all(
    server: &Server,
    references: &[api::Reference],
) -> Result<Vec<(ReferenceRole, Quoted)>, Failure> {
    let mut quoted = Vec::new();
    for reference in references {
        let id = convert::envelope_id(&reference.id, server.own())?;
        quoted.push((role(&reference.role)?, one(server, id).await?));
    }
    Ok(quoted)
}

/// One message on record.
pub(super) async fn one(_server: &Server, _id: EnvelopeId) -> Result<Quoted, Failure> {
    Err(not_ready())
}

/// The one case whose id begins like this.
pub(super) async fn case(_server: &Server, _prefix: &str) -> Result<CaseId, Failure> {
    Err(not_ready())
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

fn not_ready() -> Failure {
    Failure::new(Exit::Unreachable, "log-opening", "the message log is being opened", "try again in a moment")
}
