//! From the journal on disk to a core in its new run: what was is replayed, the beginning of this run is journalled, and
//! whatever cannot be gone on from is refused before anything listens.

use super::restored::{self, Marker};
use super::{JOURNAL_DIR, LOG_DIR, StartError};
use crate::attachments::{Attachments, StoreError};
use crate::clock::{self, Clock};
use crate::event_loop::{self, Commitments};
use crate::journal::{self, BodyRef, CommitError, Journal, Recovered, Replayed, TreeHead};
use crate::log;
use crate::own::Own;
use aldis_core::Core;
use aldis_core::attachments::FileState;
use aldis_core::effect::Effect;
use aldis_core::input::Input;
use aldis_core::limits::Limits;
use aldis_core::record::{Record, RecordSeq, Standing};
use aldis_wire::codec::Text;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{Incarnation, NodeId, UnixMillis};
use std::path::Path;

/// A run that has begun.
pub(super) struct Run {
    pub(super) journal: Journal,
    pub(super) core: Core,
    pub(super) commitments: Commitments,
    /// Damage in the journal's past that did not keep the node from starting.
    pub(super) findings: Vec<journal::Finding>,
    /// What the beginning of the run sets free: alerts of which the run before did not learn what became of them.
    pub(super) first: Vec<Effect>,
}

impl Run {
    /// Removes the files that no message names any more, which a crash may have left. Where part of the record is lost
    /// they all stay: what is lost may name them, and peers give it back.
    pub(super) fn keep_named(&self, attachments: &Attachments) -> Result<(), StoreError> {
        let core = &self.core;
        let lost = |standing| matches!(standing, Standing::WeLostHistory | Standing::NotCompared);
        if !self.findings.is_empty() || core.peers().any(|(_, peer)| lost(peer.durable.standing)) {
            return Ok(());
        }
        let names_theirs = |peer: &NodeId, digest: &Digest| core.names_theirs(peer, digest).is_some();
        attachments.keep_only(|digest| core.names_ours(digest), names_theirs).map(|_| ())
    }

    /// The peers' files that are held by the records and are not here: no backup holds files, and disks lose some.
    pub(super) fn gone(&self, attachments: &Attachments) -> Vec<(NodeId, Digest)> {
        let held = self.core.peers().flat_map(|(peer, known)| {
            let files = known.durable.attachments.theirs.iter().filter(|(_, file)| file.state == FileState::Held);
            files.map(move |(attachment, _)| (peer.clone(), *attachment))
        });
        held.filter(|(peer, attachment)| !attachments.holds_from(peer, *attachment)).collect()
    }
}

/// Opens or creates the journal of a node and begins a run.
pub(super) fn begin(
    data_dir: &Path,
    options: journal::Options,
    limits: Limits,
    own: &Own,
    clock: &Clock,
) -> Result<Run, StartError> {
    let (mut journal, mut core, findings) = recover(data_dir, options, &limits, own)?;
    refuse_older_card(&core, own)?;
    let (commitments, first) = begin_run(data_dir, own, clock, &mut core, &mut journal)?;
    Ok(Run { journal, core, commitments, findings, first })
}

/// Opens or creates the journal and replays it into a core.
fn recover(
    data_dir: &Path,
    options: journal::Options,
    limits: &Limits,
    own: &Own,
) -> Result<(Journal, Core, Vec<journal::Finding>), StartError> {
    let dir = data_dir.join(JOURNAL_DIR);
    let (own, key_id) = (own.id(), own.identities().newest().id());
    let fresh = || Core::new(own.clone(), key_id, limits.clone());
    if !dir.exists() {
        let journal = Journal::create(&dir, options)?;
        return Ok((journal, fresh(), Vec::new()));
    }
    let mut core = fresh();
    let mut erasures = Vec::new();
    let floor = log::durable_position(&data_dir.join(LOG_DIR));
    let Recovered { mut journal, report } = Journal::open(&dir, options, floor, &mut |replayed| {
        match replayed {
            Replayed::Snapshot(bytes) => {
                core = Core::from_snapshot(bytes, own.clone(), key_id, limits.clone())?;
            }
            Replayed::Record { record, body: BodyRef::None | BodyRef::Erased | BodyRef::Present(_), .. } => {
                let record = Record::decode(record)?;
                if let Record::BodyErased(erased) = &record {
                    erasures.push(erased.record);
                }
                core.apply(&record);
            }
        }
        Ok(())
    })?;
    if report.torn_bytes_cut > 0 {
        tracing::warn!(bytes = report.torn_bytes_cut, "cut a commit that was never confirmed off the journal");
    }
    finish_erasures(&mut journal, &erasures)?;
    Ok((journal, core, report.degraded))
}

/// Erases again what the journal since its last snapshot says was erased: the process may have ended in between.
fn finish_erasures(journal: &mut Journal, erasures: &[RecordSeq]) -> Result<(), StartError> {
    for record in erasures {
        match journal.erase_body(journal::RecordSeq(record.0)) {
            Ok(()) => {}
            // The damage is reported by itself; it must not keep the node from starting.
            Err(CommitError::Read(error)) => tracing::error!(record = record.0, %error, "a body cannot be erased"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A card that is older than the one in the journal was put back with its keys from a copy; the keys that peers expect by now
/// may not be there.
fn refuse_older_card(core: &Core, own: &Own) -> Result<(), StartError> {
    let card = own.card();
    match core.own_card() {
        Some((known, _)) if known.digest() != card.digest() && known.card().sequence >= card.card().sequence => {
            Err(StartError::OlderCard { journal: known.card().sequence, file: card.card().sequence })
        }
        _ => Ok(()),
    }
}

/// Journals the beginning of this run. Its incarnation is in force only once it is on stable storage.
fn begin_run(
    data_dir: &Path,
    own: &Own,
    clock: &Clock,
    core: &mut Core,
    journal: &mut Journal,
) -> Result<(Commitments, Vec<Effect>), StartError> {
    let mut commitments = Commitments { earlier: None, latest: last_commit(journal)? };
    let mut batch = core.batch();
    let incarnation = Incarnation(u64::from_be_bytes(clock::random()).max(1));
    core.start(clock.moment(), incarnation, env!("CARGO_PKG_VERSION"), &mut batch);
    let card = Box::new((*own.card()).clone());
    let own_card = Input::OwnCard { token: None, card, usable: own.usable(), by: Text::cut("the start of the node") };
    core.handle(clock.moment(), own_card, &mut batch);
    let restored = restored::read(data_dir).map_err(StartError::Marker)?;
    if let Some(Marker { by, at, .. }) = &restored {
        let restored = Input::Restored { by: Text::cut(by), at: UnixMillis::new(*at) };
        core.handle(clock.moment(), restored, &mut batch);
    }
    let batch = core.complete(clock.moment(), batch);
    let first = batch.commit(&own.identities(), |entries| event_loop::persist(journal, &mut commitments, entries))?;
    // On record now. If the process ends before the file is gone, the next start says it once more: peers are
    // compared again, and the time that is lost stays what it was.
    if restored.is_some() {
        restored::forget(data_dir).map_err(StartError::Marker)?;
    }
    Ok((commitments, first))
}

/// The journal's state as it was left, with the nonce of its last record.
fn last_commit(journal: &Journal) -> Result<Option<([u8; journal::NONCE_BYTES], TreeHead)>, StartError> {
    let Some(last) = journal.size().checked_sub(1) else { return Ok(None) };
    let record = journal.reader().read(journal::RecordSeq(last))?;
    Ok(Some((record.nonce, TreeHead { size: journal.size(), root: journal.root() })))
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
