//! Verification of everything a node keeps: the journal against itself, its anchors and what peers signed about it;
//! then the message log against the journal. `aldis verify` asks for it, `scrub` does it every night, and `aldisd
//! verify` does the journal's part for a node that does not run.

use crate::journal::{self, OpenError, Reading, TreeHead, Witness};
use crate::log::query::QueryError;
use crate::log::{LogHandle, LogStatus};
use aldis_control::{ApiError, Exit, VerifyFinding, VerifyReport};
use aldis_core::record::{Receipted, Record};
use aldis_wire::receipt::Receipt;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

/// Whoever is told of progress unwinds the walk with this when nobody wants its result any more; it is not a panic and
/// no panic hook sees it.
pub(crate) struct Abandoned;

impl Abandoned {
    /// Ends the walk.
    pub(crate) fn unwind() -> ! {
        std::panic::resume_unwind(Box::new(Self))
    }
}

/// Walks the journal in `dir`, which may be in use. `floor` is a position the journal is known to have had; `progress`
/// gets bytes done, bytes in all and the name of the segment. Blocks on the disk.
pub fn of_journal(
    dir: &Path,
    floor: Option<TreeHead>,
    progress: &mut dyn FnMut(u64, u64, &str),
) -> Result<journal::VerifyReport, OpenError> {
    // Bodies are counted as erased by the word of the journal alone, which is complete when all of it was read.
    let erased = RefCell::new(BTreeSet::new());
    let witness = |record: &[u8]| match Record::decode(record) {
        Ok(Record::BodyErased(found)) => {
            erased.borrow_mut().insert(found.record.0);
            None
        }
        Ok(Record::Receipted(receipted)) => named(&receipted),
        _ => None,
    };
    let is_erased = |record: journal::RecordSeq| erased.borrow().contains(&record.0);
    let commits_to =
        |record: &[u8], body: Option<&[u8]>| Record::decode(record).is_ok_and(|record| record.commits_to(body));
    journal::verify(
        dir,
        floor,
        &Reading { is_erased: &is_erased, witness: &witness, commits_to: &commits_to },
        progress,
    )
}

/// Walks journal and log of a running node. `tell` gets how much is done, how much there is, and of what; it may unwind
/// with [`Abandoned`]. Blocks on the disk.
pub(crate) fn walk(
    dir: &Path,
    log: &LogHandle,
    floor: TreeHead,
    tell: &mut dyn FnMut(u64, u64, &str),
) -> Result<VerifyReport, ApiError> {
    let of_journal = of_journal(dir, Some(floor), &mut |done, total, segment| {
        tell(done, total, &format!("journal {segment}"));
    });
    let of_journal = of_journal.map_err(|error| {
        let advice = "keep a copy of the directory before anything else";
        ApiError::new(Exit::Integrity, "journal-unreadable", error.to_string(), advice)
    })?;
    let mut report = shown(of_journal);
    let of_log = log.query().and_then(|log| {
        log.verify(&mut |done, total| {
            tell(done, total, "log");
            true
        })
    });
    match of_log {
        Ok(log) => {
            report.log_rows = log.rows;
            report.findings.extend(log.findings);
        }
        // A log that will be there in a moment is no finding; damage of the journal is told all the same.
        Err(error @ QueryError::NotReady(LogStatus::Opening { .. } | LogStatus::Rebuilding { .. }))
            if report.findings.is_empty() =>
        {
            return Err(error.into());
        }
        Err(error) => report.findings.push(VerifyFinding {
            place: "the message log".to_owned(),
            what: format!("it could not be compared: {error}"),
            advice: "see the log's state in `aldis status`; it is built again from the journal".to_owned(),
        }),
    }
    report.ok = report.findings.is_empty();
    Ok(report)
}

/// What a receipt says of our journal. It was verified when it was written, so only its structure is read here.
fn named(receipted: &Receipted) -> Option<Witness> {
    let receipt = Receipt::from_journal(&receipted.receipt).ok()?;
    Some(Witness { commitment: receipt.witness()?, by: receipt.from, at: receipt.stored_at })
}

/// The report on the journal. Whether all is well is known only after the log.
fn shown(report: journal::VerifyReport) -> VerifyReport {
    let mut findings: Vec<VerifyFinding> = report.findings.iter().map(finding).collect();
    if report.further_findings > 0 {
        findings.push(VerifyFinding {
            place: "journal".to_owned(),
            what: format!("{} further places are damaged", report.further_findings),
            advice: "see to the ones that are named, then verify again".to_owned(),
        });
    }
    VerifyReport {
        ok: false,
        records: report.records,
        segments: report.segments,
        log_rows: 0,
        witnesses: report.witnesses,
        witness_peers: report.witness_peers,
        findings,
    }
}

fn finding(finding: &journal::Finding) -> VerifyFinding {
    let record = finding.record.map_or_else(String::new, |record| format!(" (record {record})"));
    VerifyFinding {
        place: format!("{} at byte {}{record}", finding.file, finding.offset),
        what: finding.what.clone(),
        advice: finding.advice.to_owned(),
    }
}

#[cfg(test)]
#[path = "verification_tests.rs"]
mod tests;
