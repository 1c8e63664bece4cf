//! What happened in a run, by name. A run in which one of these never happened tried less than it says, and fails.

use std::collections::BTreeMap;

/// Whatever must happen at least once in a run of many seeds.
const MUST: [&str; 51] = [
    "traffic: files",
    "network: cut with frames on their way",
    "network: a frame came twice",
    "network: an envelope was sent again",
    "network: links overtook each other",
    "network: partition",
    "network: slow",
    "network: credit ran dry",
    "network: a peer that never receipts",
    "network: half-open",
    "network: silence closed a link",
    "storage: nothing of the last commit",
    "storage: all of the last commit, untold",
    "storage: torn last commit",
    "storage: crash at a snapshot",
    "storage: crash before an erasure",
    "storage: full, declined",
    "storage: full, ended",
    "storage: error",
    "storage: an older copy restored",
    "storage: the loss was noticed",
    "storage: a copy from before a change of keys",
    "process: crash between two effects",
    "process: crash in a start",
    "process: restart",
    "clock: seconds",
    "clock: days",
    "clock: a year on",
    "clock: a year back",
    "clock: stands still",
    "trust: key rotation",
    "trust: next key in force",
    "trust: revoked",
    "trust: suspended",
    "trust: let in again",
    "trust: agreement changed",
    "trust: not agreed",
    "trust: equivocation",
    "traffic: several recipients",
    "traffic: expired before it was relayed",
    "traffic: recalled before it was relayed",
    "traffic: recall accepted",
    "traffic: draft released",
    "traffic: hotline picked up",
    "traffic: check answered",
    "traffic: exercise",
    "traffic: answer accepted",
    "traffic: refused",
    "traffic: unknown kind",
    "mesh: more than two nodes",
    "alerts: channels fail",
];

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(super) fn note(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(super) fn add(&mut self, what: &'static str, times: u64) {
        debug_assert!(MUST.contains(&what) || what.starts_with("count"), "{what} is not in the list");
        *self.0.entry(what).or_default() += times;
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        for (what, times) in other.0 {
            self.add(what, times);
        }
        self
    }

    /// Fails if anything never happened.
    pub(super) fn check(&self) {
        let never: Vec<&str> = MUST.into_iter().filter(|what| !self.0.contains_key(what)).collect();
        assert!(never.is_empty(), "never happened, so never tried: {never:?}");
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>9}  {what}"))
    }
}
