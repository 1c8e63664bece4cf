//! What was asked for before anything was tuned: a bound that must hold and one to aim at, each for one figure at one
//! setting. A setting that a short run does not have has no row in the table.

use crate::attachment;
use crate::results::{Figure, Results, Row, Setting};

/// One thing that was asked for.
pub(crate) struct Target {
    /// In words.
    pub(crate) what: &'static str,
    /// The unit in which a person reads it.
    pub(crate) unit: &'static str,
    /// The row it is about.
    pub(crate) measure: &'static str,
    setting: Setting,
    figure: &'static str,
    /// Divides the figure into that unit.
    per_unit: f64,
    compared: Compared,
    better: Better,
    /// What must hold.
    pub(crate) must: f64,
    /// What is aimed at.
    pub(crate) aim: f64,
}

/// With what a bound is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// The median itself.
    Median,
    /// Its ratio to the bare limit of the same run.
    OfLimit,
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// More is.
    More,
    /// Less is.
    Less,
}

/// How a figure stands to its target.
pub(crate) struct Standing<'a> {
    /// What was asked for.
    pub(crate) target: &'a Target,
    /// What is compared with it.
    pub(crate) value: f64,
}

impl Target {
    const fn new(what: &'static str, unit: &'static str, of: (&'static str, Setting, &'static str)) -> Self {
        let (measure, setting, figure) = of;
        let (compared, better, per_unit) = (Compared::Median, Better::Less, 1.0);
        Self { what, unit, measure, setting, figure, per_unit, compared, better, must: 0.0, aim: 0.0 }
    }

    const fn at_most(self, must: f64, aim: f64) -> Self {
        Self { better: Better::Less, must, aim, ..self }
    }

    const fn at_least(self, must: f64, aim: f64) -> Self {
        Self { better: Better::More, must, aim, ..self }
    }

    const fn of_limit(self) -> Self {
        Self { compared: Compared::OfLimit, ..self }
    }

    const fn in_seconds(self) -> Self {
        Self { per_unit: 1_000.0, ..self }
    }

    fn value(&self, results: &Results, row: &Row, figure: &Figure) -> Option<f64> {
        match self.compared {
            Compared::Median => Some(figure.median() / self.per_unit),
            Compared::OfLimit => results.of_limit(row, figure),
        }
    }
}

impl Standing<'_> {
    /// How far it came.
    pub(crate) fn verdict(&self) -> &'static str {
        let holds = |bound: f64| match self.target.better {
            Better::More => self.value >= bound,
            Better::Less => self.value <= bound,
        };
        match (holds(self.target.must), holds(self.target.aim)) {
            (_, true) => "aim met",
            (true, false) => "met",
            (false, false) => "**not met**",
        }
    }
}

const IN_FLIGHT_1: Setting = Some(("in_flight", 1));
const IN_FLIGHT_1024: Setting = Some(("in_flight", 1_024));
const PEERS: Setting = Some(("peers", 200));
const FILE: Setting = Some(("mib", attachment::FILE_MIB));
const MILLION: Setting = Some(("notices", 1_000_000));
const TWO_MILLION: Setting = Some(("messages", 2_000_000));

/// What version 0.1 was asked for. The notices a second are eight and twenty-five times what the fastest durable and
/// signed peer did on the same machine; those peers are not run here.
const TARGETS: [Target; 19] = [
    Target::new("notices a second, 1,024 in flight", "/s", ("pair", IN_FLIGHT_1024, "notices_per_s"))
        .at_least(25_000.0, 75_000.0),
    Target::new("the same, of the bare limit", "x", ("pair", IN_FLIGHT_1024, "notices_per_s"))
        .of_limit()
        .at_least(1.0 / 8.0, 1.0 / 3.0),
    Target::new("submit to receipt at 1 in flight, p50, of the bare limit", "x", ("pair", IN_FLIGHT_1, "p50_us"))
        .of_limit()
        .at_most(2.0, 1.3),
    Target::new("CPU seconds per 1,000 notices, both nodes", "s", ("pair", IN_FLIGHT_1024, "cpu_s_per_1000"))
        .at_most(0.08, 0.03),
    Target::new(
        "FLASH beside bulk and a file of 1 GiB, p99",
        "ms",
        ("flash", Some(("bulk_in_flight", 1_024)), "p99_ms"),
    )
    .at_most(20.0, 5.0),
    Target::new("an attachment, node to node", "MB/s", ("attachment", FILE, "between_nodes_mb_s"))
        .at_least(150.0, 400.0),
    Target::new("one notice to 200 peers, all receipts", "s", ("fanout", PEERS, "all_receipts_ms"))
        .in_seconds()
        .at_most(1.0, 0.2),
    Target::new("memory of an idle node", "MiB", ("idle", None, "resident_mib")).at_most(40.0, 20.0),
    Target::new("memory of an idle link", "KiB", ("idle", PEERS, "per_link_kib")).at_most(256.0, 64.0),
    Target::new("memory with a million queued notices", "MiB", ("queued", MILLION, "resident_mib"))
        .at_most(300.0, 100.0),
    Target::new("ready after a clean stop, 2 million messages", "s", ("size", TWO_MILLION, "ready_after_stop_ms"))
        .in_seconds()
        .at_most(5.0, 1.0),
    Target::new("ready after kill -9, 2 million messages", "s", ("size", TWO_MILLION, "ready_after_kill_ms"))
        .in_seconds()
        .at_most(10.0, 2.0),
    search("inbox, 2 million messages, p99", "inbox_p99_ms"),
    search("a case, 2 million messages, p99", "case_p99_ms"),
    search("search by peer, 2 million messages, p99", "search_by_peer_p99_ms"),
    search("search by time, 2 million messages, p99", "search_by_time_p99_ms"),
    search("search by kind, 2 million messages, p99", "search_by_kind_p99_ms"),
    disk("disk per received notice of 1 KiB", "receiver_disk_kib_per_notice"),
    disk("disk per sent notice of 1 KiB", "sender_disk_kib_per_notice"),
];

const fn search(what: &'static str, figure: &'static str) -> Target {
    Target::new(what, "ms", ("size", TWO_MILLION, figure)).at_most(100.0, 20.0)
}

const fn disk(what: &'static str, figure: &'static str) -> Target {
    Target::new(what, "KiB", ("size", TWO_MILLION, figure)).at_most(6.0, 3.0)
}

/// How what was measured stands to what was asked for.
pub(crate) fn standings(results: &Results) -> Vec<Standing<'static>> {
    let standing = |target: &'static Target| {
        let row = results.rows(target.measure).find(|row| row.setting == target.setting)?;
        let value = target.value(results, row, row.figure(target.figure)?)?;
        Some(Standing { target, value })
    };
    TARGETS.iter().filter_map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_compared_in_its_unit_and_in_its_direction() {
        let mut results = Results::default();
        results.add("pair", IN_FLIGHT_1024, &[("notices_per_s", 30_000.0), ("cpu_s_per_1000", 0.09)]);
        results.add("limits", IN_FLIGHT_1024, &[("notices_per_s", 60_000.0)]);
        results.add("fanout", PEERS, &[("all_receipts_ms", 150.0)]);
        let found: Vec<_> = standings(&results).iter().map(|found| (found.value, found.verdict())).collect();
        assert_eq!(found, [(30_000.0, "met"), (0.5, "aim met"), (0.09, "**not met**"), (0.15, "aim met")]);
    }
}
