//! What was measured: rows of figures, each with the value of every run. Names are stable and end in their unit; nothing
//! here knows what a figure means.

use crate::machine::Machine;
use serde_json::{Map, Value, json};

/// The version of the JSON form. It grows when a name changes its meaning or goes away.
const FORMAT: u32 = 1;

/// A setting of a measure, such as 32 in flight; none where there is only one.
pub(crate) type Setting = Option<(&'static str, u64)>;

/// Everything that was measured, in the order in which it first was.
#[derive(Default)]
pub(crate) struct Results {
    rows: Vec<Row>,
}

/// One measure at one setting.
pub(crate) struct Row {
    /// Such as `pair`.
    pub(crate) measure: &'static str,
    /// Such as 32 in flight.
    pub(crate) setting: Setting,
    /// In the order in which they were taken.
    pub(crate) figures: Vec<Figure>,
}

/// One figure, with its value in each run.
pub(crate) struct Figure {
    /// Such as `p99_us`.
    pub(crate) name: &'static str,
    samples: Vec<f64>,
}

impl Results {
    /// Adds the figures of one run.
    pub(crate) fn add(&mut self, measure: &'static str, setting: Setting, figures: &[(&'static str, f64)]) {
        let at = self.rows.iter().position(|row| row.measure == measure && row.setting == setting);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row { measure, setting, figures: Vec::new() });
            self.rows.len() - 1
        });
        figures.iter().for_each(|(name, value)| self.rows[at].add(name, *value));
    }

    /// The rows of a measure.
    pub(crate) fn rows(&self, measure: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.measure == measure)
    }

    /// All rows.
    pub(crate) fn all(&self) -> &[Row] {
        &self.rows
    }

    /// How a figure of a row stands to the bare limit of the same run at the same setting; `None` if that was not taken.
    pub(crate) fn of_limit(&self, row: &Row, figure: &Figure) -> Option<f64> {
        if row.measure != "pair" {
            return None;
        }
        let limit = self.rows("limits").find(|limit| limit.setting == row.setting)?;
        let limit = limit.figure(figure.name)?.median();
        (limit > 0.0).then(|| figure.median() / limit)
    }

    /// All of it, for programs.
    pub(crate) fn to_json(&self, machine: &Machine, seconds: u64, runs: u32) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row_json(row)).collect();
        json!({ "format": FORMAT, "machine": machine.to_json(), "runs": runs, "seconds": seconds, "rows": rows })
    }

    fn row_json(&self, row: &Row) -> Value {
        let figures: Map<String, Value> = row.figures.iter().map(|figure| self.figure_json(row, figure)).collect();
        let mut json = json!({ "measure": row.measure, "figures": figures });
        if let Some((name, value)) = row.setting {
            json[name] = value.into();
        }
        json
    }

    fn figure_json(&self, row: &Row, figure: &Figure) -> (String, Value) {
        let (least, most) = figure.range();
        let mut json = json!({ "median": figure.median(), "min": least, "max": most, "runs": figure.samples });
        if let Some(ratio) = self.of_limit(row, figure) {
            json["of_limit"] = ratio.into();
        }
        (figure.name.to_owned(), json)
    }
}

impl Row {
    /// The figure of a name.
    pub(crate) fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    fn add(&mut self, name: &'static str, value: f64) {
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.samples.push(value),
            None => self.figures.push(Figure { name, samples: vec![value] }),
        }
    }
}

impl Figure {
    /// The middle of all runs; of an even number, the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    /// The least and the most of all runs.
    pub(crate) fn range(&self) -> (f64, f64) {
        let first = self.samples[0];
        self.samples.iter().fold((first, first), |(least, most), value| (least.min(*value), most.max(*value)))
    }
}

/// The value below which so many of a hundred lie, of sorted ones; 0 where there is none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

/// A count as a number that can be divided. Exact up to 2^53, which no count here comes near.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

/// The same of a length.
pub(crate) fn length(count: usize) -> f64 {
    number(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_runs_with_least_and_most() {
        let figure = |samples: &[f64]| Figure { name: "p50_us", samples: samples.to_vec() };
        assert_eq!(figure(&[9.0, 1.0, 5.0]).median().to_bits(), 5.0_f64.to_bits());
        assert_eq!(figure(&[9.0, 1.0, 5.0, 7.0]).median().to_bits(), 6.0_f64.to_bits());
        assert_eq!(figure(&[9.0, 1.0, 5.0]).range(), (1.0, 9.0));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&sorted, percent)), [1, 51, 100, 100]);
        assert_eq!((percentile(&[7], 99), percentile(&[], 50)), (7, 0));
    }

    #[test]
    fn the_json_keeps_its_names_and_has_the_ratio_where_a_limit_was_taken() {
        let mut results = Results::default();
        let flying = Some(("in_flight", 32));
        for rate in [100.0, 300.0, 200.0] {
            results.add("pair", flying, &[("notices_per_s", rate), ("resident_mib", 30.0)]);
            results.add("limits", flying, &[("notices_per_s", 10.0 * rate)]);
        }
        results.add("idle", None, &[("resident_mib", 20.0)]);
        let json = results.to_json(&Machine::sample(), 5, 3);
        let expected = json!([
            { "measure": "pair", "in_flight": 32, "figures": {
                "notices_per_s": { "median": 200.0, "min": 100.0, "max": 300.0, "runs": [100.0, 300.0, 200.0], "of_limit": 0.1 },
                "resident_mib": { "median": 30.0, "min": 30.0, "max": 30.0, "runs": [30.0, 30.0, 30.0] } } },
            { "measure": "limits", "in_flight": 32, "figures": {
                "notices_per_s": { "median": 2000.0, "min": 1000.0, "max": 3000.0, "runs": [1000.0, 3000.0, 2000.0] } } },
            { "measure": "idle", "figures": {
                "resident_mib": { "median": 20.0, "min": 20.0, "max": 20.0, "runs": [20.0] } } },
        ]);
        assert_eq!(json["rows"], expected);
        assert_eq!((&json["format"], &json["runs"], &json["seconds"]), (&json!(1), &json!(3), &json!(5)));
        let machine = json["machine"].as_object().unwrap();
        let names =
            ["commit", "date", "model", "cores", "kernel", "memory_mib", "file_system", "load_1_min", "busy_percent"];
        assert!(names.iter().all(|name| machine.contains_key(*name)), "{machine:?}");
    }
}
