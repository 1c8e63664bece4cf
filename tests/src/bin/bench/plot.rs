//! Plots as SVG: horizontal bars of medians with a line from the least to the most of all runs, on an axis that begins at
//! zero, or is logarithmic and says so where the values lie far apart.

use crate::Failure;
use crate::results::{Figure, Results, Row, length};
use crate::table::shown;
use std::fmt::Write as _;
use std::path::Path;

/// From how many times the least value on an axis is logarithmic.
const FAR_APART: f64 = 30.0;
const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 48.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;

/// One plot: the figures of these names of these measures.
struct Plot {
    file: &'static str,
    title: &'static str,
    measures: &'static [&'static str],
    figures: &'static [&'static str],
}

const PLOTS: [Plot; 6] = [
    Plot {
        file: "notices.svg",
        title: "Notices a second, both sides durable and receipted",
        measures: &["pair", "limits"],
        figures: &["notices_per_s"],
    },
    Plot {
        file: "latency.svg",
        title: "Submit to verified receipt, microseconds",
        measures: &["pair", "limits"],
        figures: &["p50_us", "p99_us"],
    },
    Plot {
        file: "cpu.svg",
        title: "CPU seconds per 1,000 notices, both nodes",
        measures: &["pair", "limits"],
        figures: &["cpu_s_per_1000"],
    },
    Plot {
        file: "flash.svg",
        title: "FLASH beside bulk, milliseconds",
        measures: &["flash"],
        figures: &["p50_ms", "p99_ms", "max_ms"],
    },
    Plot {
        file: "starts.svg",
        title: "Start until ready, milliseconds",
        measures: &["size"],
        figures: &["ready_after_stop_ms", "ready_after_kill_ms"],
    },
    Plot {
        file: "searches.svg",
        title: "Questions about many messages, p99, milliseconds",
        measures: &["size"],
        figures: &[
            "inbox_p99_ms",
            "case_p99_ms",
            "search_by_peer_p99_ms",
            "search_by_time_p99_ms",
            "search_by_kind_p99_ms",
        ],
    },
];

/// Writes every plot of which something was measured.
pub(crate) fn write_all(dir: &Path, results: &Results) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    for plot in &PLOTS {
        let bars = plot.bars(results);
        if !bars.is_empty() {
            std::fs::write(dir.join(plot.file), drawn(plot.title, &bars))?;
        }
    }
    Ok(())
}

/// What is drawn of one figure.
struct Bar {
    label: String,
    median: f64,
    range: (f64, f64),
    /// Whether it is a bare limit and not Aldis.
    is_limit: bool,
}

impl Plot {
    fn bars(&self, results: &Results) -> Vec<Bar> {
        let rows = self.measures.iter().flat_map(|measure| results.rows(measure));
        let mut bars: Vec<(u64, Bar)> = Vec::new();
        for row in rows {
            let figures = self.figures.iter().filter_map(|name| row.figure(name));
            let order = row.setting.map_or(0, |(_, value)| value);
            bars.extend(figures.map(|figure| (order, Bar::of(row, figure))));
        }
        // What is to be compared stands together.
        bars.sort_by_key(|(order, _)| *order);
        bars.into_iter().map(|(_, bar)| bar).collect()
    }
}

impl Bar {
    fn of(row: &Row, figure: &Figure) -> Self {
        let setting =
            row.setting.map_or_else(String::new, |(name, value)| format!(" {value} {}", name.replace('_', " ")));
        let label = format!("{}{setting}, {}", row.measure, figure.name);
        Self { label, median: figure.median(), range: figure.range(), is_limit: row.measure == "limits" }
    }
}

/// From values to places.
struct Axis {
    /// The value at the left end, for a logarithmic one.
    from: Option<f64>,
    to: f64,
}

impl Axis {
    fn over(bars: &[Bar]) -> Self {
        let most = bars.iter().map(|bar| bar.range.1).fold(f64::MIN_POSITIVE, f64::max);
        let least = bars.iter().map(|bar| bar.range.0).fold(most, f64::min);
        let is_far = least > 0.0 && most / least > FAR_APART;
        // The lowest whole power of ten below, so that even the least bar has a length.
        Self { from: is_far.then(|| 10.0_f64.powf(least.log10().floor() - 0.3)), to: most }
    }

    fn at(&self, value: f64) -> f64 {
        let part = match self.from {
            Some(from) => (value.max(from) / from).ln() / (self.to / from).ln(),
            None => value / self.to,
        };
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }
}

fn drawn(title: &str, bars: &[Bar]) -> String {
    let axis = Axis::over(bars);
    let scale = if axis.from.is_some() { " (logarithmic)" } else { "" };
    let height = TOP + STEP * length(bars.len()) + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\">{}{scale}</text>\n",
        escaped(title)
    );
    for (number, bar) in bars.iter().enumerate() {
        let _infallible = writeln!(svg, "{}", drawn_bar(&axis, bar, TOP + STEP * length(number)));
    }
    svg + "</svg>\n"
}

fn drawn_bar(axis: &Axis, bar: &Bar, y: f64) -> String {
    let (end, middle, fill) = (axis.at(bar.median), y + BAR / 2.0, if bar.is_limit { "#9aa5b1" } else { "#2b6cb0" });
    let (least, most) = (axis.at(bar.range.0), axis.at(bar.range.1));
    let (width, text, beyond) = (end - LEFT, y + BAR - 5.0, most.max(end) + 6.0);
    format!(
        "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>\n\
         <line x1=\"{least:.1}\" x2=\"{most:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"black\"/>\n\
         <text x=\"{beyond:.1}\" y=\"{text:.1}\">{}</text>",
        LEFT - 6.0,
        escaped(&bar.label),
        shown(bar.median)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(median: f64) -> Bar {
        Bar { label: "pair 1 in flight".to_owned(), median, range: (median * 0.9, median * 1.1), is_limit: false }
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_begin_at_zero() {
        let axis = Axis::over(&[bar(50.0), bar(100.0)]);
        let ratio = (axis.at(100.0) - LEFT) / (axis.at(50.0) - LEFT);
        assert!(
            (ratio - 2.0).abs() < 1e-9 && (axis.at(0.0) - LEFT).abs() < 1e-9 && axis.at(110.0) <= WIDTH - RIGHT + 1e-9
        );
    }

    #[test]
    fn values_far_apart_are_drawn_logarithmically_and_that_is_said() {
        let bars = [bar(1.0), bar(10.0), bar(1_000.0)];
        let axis = Axis::over(&bars);
        let steps = [axis.at(10.0) - axis.at(1.0), axis.at(100.0) - axis.at(10.0)];
        assert!((steps[0] - steps[1]).abs() < 1e-6 && axis.at(0.9) > LEFT, "{steps:?}");
        assert!(drawn("a & b", &bars).contains("a &amp; b (logarithmic)"));
        assert!(!drawn("a", &bars[..1]).contains("logarithmic"));
    }

    #[test]
    fn a_plot_has_a_bar_for_each_setting_next_to_its_limit() {
        let mut results = Results::default();
        for flying in [1, 32] {
            results.add("pair", Some(("in_flight", flying)), &[("notices_per_s", 100.0)]);
        }
        results.add("limits", Some(("in_flight", 1)), &[("notices_per_s", 200.0)]);
        let labels: Vec<String> = PLOTS[0].bars(&results).into_iter().map(|bar| bar.label).collect();
        let expected = ["pair 1 in flight", "limits 1 in flight", "pair 32 in flight"];
        assert!(labels.iter().zip(expected).all(|(label, begins)| label.starts_with(begins)), "{labels:?}");
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path(), &results).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
