//! Holding the log against the journal: every message of the journal has its row and is found by every index, no row is
//! without a message, and the store is what was written to it. It repairs nothing; building the log again does.

use aldis_control::VerifyFinding;
use aldis_core::record::Record;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::UnixMillis;

use super::case_index::{Epoch, case_prefix};
use super::pending::decode;
use super::query::{Query, QueryError};
use super::rows::{MESSAGE, Message, Moment, Way};
use super::rows::{kind_prefix, message_key, name, peer_prefix, time_prefix};
use super::scan::{Direction, PAGE_ROWS_MAX};
use super::store::StoreError;
use crate::journal::{ReadError, RecordSeq};

/// The most findings that are told; more of the same say nothing new.
const FINDINGS_MAX: usize = 1_000;
/// How many steps lie between two calls of the progress.
const PROGRESS_EVERY: u64 = 256;
const ADVICE: &str =
    "nothing is lost: stop the daemon, move the log's directory away, start again; it is built from the journal";

/// What holding the log against the journal came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogVerification {
    /// Journal records looked at.
    pub records: u64,
    /// Message rows compared.
    pub rows: u64,
    /// What does not agree, at most 1,000.
    pub findings: Vec<VerifyFinding>,
}

impl Query {
    /// Compares the log, as far as it has come now, with the journal. `progress` gets steps done and steps in all, and says
    /// whether to go on; if not, what was found so far is returned. Damage of the journal itself is not looked for: where
    /// it cannot be read there is nothing to compare with.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<LogVerification, QueryError> {
        let position = self.store().position();
        let total = position.records_applied.saturating_add(position.rows);
        let mut found = LogVerification::default();
        let mut next = 0;
        let mut records = self.reader().iter_from(RecordSeq(0));
        while next < position.records_applied {
            match records.next() {
                Some(Ok(record)) => self.compare_record(next, &record.record, &mut found)?,
                Some(Err(ReadError::Damaged(_))) => records = self.reader().iter_from(RecordSeq(next + 1)),
                Some(Err(error)) => return Err(error.into()),
                None => break,
            }
            next += 1;
            if next % PROGRESS_EVERY == 0 && !progress(next, total) {
                return Ok(found);
            }
        }
        found.records = next;
        self.compare_count(next, &mut found)?;
        let mut go_on = true;
        let checked = self.store().check(&mut |rows, _| go_on &= progress((next + rows).min(total), total));
        match checked {
            Ok(()) => {}
            Err(error) if error.is_rebuild_needed() => {
                found.add("the store".to_owned(), error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        progress(total, total);
        Ok(found)
    }

    fn compare_record(&self, number: u64, record: &[u8], found: &mut LogVerification) -> Result<(), QueryError> {
        let (header, at, way) = match Record::decode(record) {
            Ok(Record::Sent(sent)) => {
                let header = sent.draft.header;
                (header.clone(), header.sent_at, Way::Out)
            }
            Ok(Record::Recovered(found)) => {
                let ours = found.header.from == *self.own();
                let (way, at) = if ours { (Way::Out, found.header.sent_at) } else { (Way::In, found.at) };
                (found.header, at, way)
            }
            Ok(Record::Received(received)) => (received.header, received.at, Way::In),
            _ => return Ok(()),
        };
        found.rows += 1;
        let key = message_key(&header.id());
        let row: Option<Message> = match self.store().get(&key)? {
            Some(value) => Some(decode(self.store(), &key, &value)?),
            None => None,
        };
        let place = || format!("record {number}, message {}", header.id());
        match row {
            None => found.add(place(), "the message is missing in the log".to_owned()),
            Some(row) => {
                for what in differences(&row, number, &header, at, way) {
                    found.add(place(), format!("the log has another {what} than the journal"));
                }
                for what in self.missing_indexes(&row, &header)? {
                    found.add(place(), format!("the message is missing in the log's index by {what}"));
                }
            }
        }
        Ok(())
    }

    fn missing_indexes(&self, row: &Message, header: &ExactHeader) -> Result<Vec<&'static str>, StoreError> {
        let moment = Moment { at: row.at, record: row.record };
        let peer = if row.way == Way::In { &header.from } else { &header.to };
        let indexes = [
            ("time", time_prefix()),
            ("peer", peer_prefix(peer)),
            ("kind", kind_prefix(&header.kind)),
            ("case", case_prefix(Epoch::of(row.record), header.case)),
        ];
        let mut missing = Vec::new();
        for (what, prefix) in indexes {
            if self.store().get(&moment.under(prefix))? != Some(name(&header.id())) {
                missing.push(what);
            }
        }
        Ok(missing)
    }

    /// Every message row belongs to a record that was seen.
    fn compare_count(&self, records: u64, found: &mut LogVerification) -> Result<(), QueryError> {
        let (mut rows, mut from) = (0, None);
        loop {
            let page = self.store().scan_prefix(&[MESSAGE], from.as_deref(), Direction::Ascending, PAGE_ROWS_MAX)?;
            for row in &page.rows {
                let message: Message = decode(self.store(), &row.key, &row.value)?;
                rows += u64::from(message.record < records);
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        if rows != found.rows {
            let what = format!("the log has {rows} messages and the journal, as far as it can be read, {}", found.rows);
            found.add("the log".to_owned(), what);
        }
        Ok(())
    }
}

impl LogVerification {
    fn add(&mut self, place: String, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(VerifyFinding { place, what, advice: ADVICE.to_owned() });
        }
    }
}

fn differences(row: &Message, number: u64, header: &ExactHeader, at: UnixMillis, way: Way) -> Vec<&'static str> {
    let same = [
        (row.record == number, "record number"),
        (row.digest == header.digest(), "digest"),
        (row.way == way, "direction"),
        ((row.at, row.sent_at, row.expires_at) == (at, header.sent_at, header.expires_at), "time"),
        (row.case == header.case, "case"),
        (row.kind == header.kind && row.kind_version == header.kind_version, "kind"),
        (row.tlp == header.tlp.0 && row.desk == header.desk.0, "marking or desk"),
        (row.exercise == header.exercise, "exercise"),
    ];
    same.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect()
}
