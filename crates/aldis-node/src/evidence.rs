//! Making evidence: messages of this node's journal with everything that proves them, in one file that `aldis-verify`
//! checks. The file is built in memory, where its bodies leave no trace on the disk, and is checked as its reader will
//! check it before anybody gets a byte of it.

mod keys;
mod openings;

use crate::event_loop::NodeView;
use crate::journal;
use crate::log::query::{Exhibit, Query, QueryError};
use crate::own::Own;
use aldis_core::record::EXPORTED_MAX;
use aldis_verify::evidence::{Message, Signed};
use aldis_verify::{Evidence, Opened};
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::receipt::Receipt;
use std::collections::{BTreeMap, BTreeSet};

/// How many receipts are looked at for each message, from the one that covers it on: a later one may be the first whose
/// signer held a commitment to a journal with the message's record.
const RECEIPTS_EACH: usize = 24;

/// The most headers that only link messages to receipts.
const LINKS_MAX: usize = 10_000;

/// The program in the index.
const PROGRAM: &str = concat!("aldisd ", env!("CARGO_PKG_VERSION"));

/// What somebody wants shown.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The messages.
    pub messages: Vec<EnvelopeId>,
    /// Those of them whose bodies are given.
    pub bodies: BTreeSet<EnvelopeId>,
    /// Whether the headers between a message and its receipt are given.
    pub links: bool,
    /// Whose contradictions are shown.
    pub contradictions_of: Option<NodeId>,
}

/// Why there is no evidence. Nothing was given out.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The log or the journal cannot say.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nothing was asked for.
    #[error("nothing is there to be shown")]
    Nothing,
    /// Too much was asked for.
    #[error(
        "with the answers that name them these are {0} messages, and at most {EXPORTED_MAX} fit; make several files"
    )]
    TooMany(usize),
    /// The headers between are too many.
    #[error("more than {LINKS_MAX} headers lie between these messages and their receipts; leave out --links")]
    TooManyLinks,
    /// The journal does not give the root it had.
    #[error("the journal read now is not the one this node has committed")]
    Journal,
    /// The file does not fit.
    #[error(transparent)]
    Seal(#[from] aldis_verify::SealError),
    /// The file does not verify, so what is on record is not what was signed, or the program is at fault.
    #[error("the evidence does not verify: {0}")]
    DoesNotVerify(String),
}

impl Wanted {
    /// Adds the messages that answer those that are wanted: they prove that the other side had them. Their bodies are
    /// not given.
    pub fn with_answers(mut self, log: &Query) -> Result<Self, EvidenceError> {
        let mut all: BTreeSet<EnvelopeId> = self.messages.iter().cloned().collect();
        for id in &self.messages {
            all.extend(log.answer_ids(id)?);
        }
        if all.is_empty() && self.contradictions_of.is_none() {
            return Err(EvidenceError::Nothing);
        }
        if all.len() > EXPORTED_MAX {
            return Err(EvidenceError::TooMany(all.len()));
        }
        self.messages = all.into_iter().collect();
        Ok(self)
    }
}

/// Makes the file. Blocks on the disk: the journal is read to its end once, and once more where a peer is a witness.
pub fn make(
    log: &Query,
    journal: &journal::Reader,
    (own, view): (&Own, &NodeView),
    wanted: &Wanted,
    now: UnixMillis,
) -> Result<Vec<u8>, EvidenceError> {
    let mut evidence = Evidence::new(view.own.clone(), now, PROGRAM);
    let exhibits = wanted.messages.iter().map(|id| log.exhibit(id)).collect::<Result<Vec<_>, _>>()?;
    for exhibit in &exhibits {
        evidence.messages.insert(exhibit.id.clone(), message(exhibit, wanted));
    }
    let mut receipts = Receipts::default();
    for exhibit in exhibits.iter().filter(|exhibit| exhibit.id.from == view.own) {
        let found = receipts.add(log, exhibit)?;
        if let (true, Some(last)) = (wanted.links, found) {
            for header in log.headers_behind(&exhibit.id, last)? {
                let id = header.id();
                if !evidence.messages.contains_key(&id) {
                    evidence.links.insert(id, header);
                }
            }
            if evidence.links.len() > LINKS_MAX {
                return Err(EvidenceError::TooManyLinks);
            }
        }
    }
    if let Some(peer) = &wanted.contradictions_of {
        for pair in log.contradictions_of(peer)? {
            let mut pair = pair.map(|(header, proof)| Signed { header, proof });
            if pair[0].header.seq == pair[1].header.seq {
                pair.sort_by_key(|signed| signed.header.digest());
            }
            evidence.contradictions.insert(pair[0].header.id(), pair);
        }
    }
    if evidence.messages.is_empty() && evidence.contradictions.is_empty() {
        return Err(EvidenceError::Nothing);
    }
    keys::add(log, view, &mut evidence)?;
    // The newest key's card is there even where no message was signed with it: it signs the checkpoint.
    let card = own.card();
    evidence.cards.insert((view.own.clone(), card.card().sequence), (*card).clone());
    openings::add(journal, view.journal, &exhibits, receipts, &mut evidence)?;
    let file = evidence.seal(view.journal.size, view.journal.root, own.identities().newest())?;
    check(&file)?;
    Ok(file)
}

/// Checks a file as its reader will.
fn check(file: &[u8]) -> Result<(), EvidenceError> {
    let opened = Opened::read(file).map_err(|error| EvidenceError::DoesNotVerify(error.to_string()))?;
    aldis_verify::check(&opened).map(drop).map_err(|problems| {
        let problems: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
        EvidenceError::DoesNotVerify(problems.join("; "))
    })
}

fn message(exhibit: &Exhibit, wanted: &Wanted) -> Message {
    let body = exhibit.body.as_ref().filter(|_| wanted.bodies.contains(&exhibit.id));
    Message {
        signed: Signed { header: exhibit.header.clone(), proof: exhibit.proof.clone() },
        body: body.map(|(salt, body)| (*salt, body.to_vec())),
    }
}

/// The receipts that may be shown: those that cover, and those that may be witnesses.
#[derive(Debug, Default)]
struct Receipts {
    /// Exact bytes of the receipts nearest to their messages.
    covering: BTreeSet<Vec<u8>>,
    /// Those and later ones, with what they say.
    all: BTreeMap<Vec<u8>, Receipt>,
}

impl Receipts {
    /// Adds those of a message of ours; the answer is the place the nearest one names in its lane.
    fn add(&mut self, log: &Query, exhibit: &Exhibit) -> Result<Option<Seq>, QueryError> {
        let mut nearest = None;
        for bytes in log.receipts_from(&exhibit.id, RECEIPTS_EACH)? {
            let Ok(said) = Receipt::from_journal(&bytes) else { continue };
            if nearest.is_none() {
                nearest = said.stored.get(exhibit.id.lane).map(|(seq, _)| seq);
                self.covering.insert(bytes.clone());
                // Later traffic may be in other lanes: what they had by then is where their next receipts begin.
                for mark in said.stored.iter().filter(|mark| mark.lane != exhibit.id.lane) {
                    let place = EnvelopeId { lane: mark.lane, seq: mark.seq.next(), ..exhibit.id.clone() };
                    self.add_later(log.receipts_from(&place, RECEIPTS_EACH)?);
                }
            }
            self.all.insert(bytes, said);
        }
        Ok(nearest)
    }

    fn add_later(&mut self, receipts: Vec<Vec<u8>>) {
        for bytes in receipts {
            if let Ok(said) = Receipt::from_journal(&bytes) {
                self.all.insert(bytes, said);
            }
        }
    }
}
