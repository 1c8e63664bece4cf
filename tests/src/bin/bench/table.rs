//! The results as a page shows them: how they stand to what was asked for, and every figure; put between two markers of a
//! Markdown file.

use crate::Failure;
use crate::machine::Machine;
use crate::results::{Figure, Results, Row};
use crate::targets;
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";
/// The longest line of a page.
const COLUMNS: usize = 120;

/// The results in Markdown.
pub(crate) fn written(machine: &Machine, results: &Results) -> String {
    let mut text = wrapped(&machine.to_string());
    let standings = targets::standings(results);
    if !standings.is_empty() {
        text.push_str("\n| asked for | measured | must | aim | |\n|---|---|---|---|---|\n");
    }
    for found in standings {
        let (target, verdict) = (found.target, found.verdict());
        let [value, must, aim] = [found.value, target.must, target.aim].map(shown);
        let _infallible =
            writeln!(text, "| {} | {value} {unit} | {must} | {aim} | {verdict} |", target.what, unit = target.unit);
    }
    text.push_str("\n| measure | figure | median | least to most | of the bare limit |\n|---|---|---|---|---|\n");
    for row in results.all() {
        row.figures.iter().for_each(|figure| text.push_str(&line(results, row, figure)));
    }
    text
}

/// A page to put them into must have the markers.
pub(crate) fn check_page(page: &Path) -> Result<(), Failure> {
    replaced(&std::fs::read_to_string(page)?, "").map(|_| ())
}

/// Puts them into a page, in the place of what was there.
pub(crate) fn put(page: &Path, text: &str) -> Result<(), Failure> {
    let old = std::fs::read_to_string(page)?;
    Ok(std::fs::write(page, replaced(&old, text)?)?)
}

fn replaced(page: &str, text: &str) -> Result<String, Failure> {
    let missing = || format!("the page lacks `{BEGIN}` or `{END}` behind it");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim_end()))
}

fn line(results: &Results, row: &Row, figure: &Figure) -> String {
    let setting = row.setting.map_or_else(String::new, |(name, value)| format!(", {name} {}", grouped(value)));
    let (least, most) = figure.range();
    let of_limit = results.of_limit(row, figure).map_or_else(String::new, shown);
    let [median, least, most] = [figure.median(), least, most].map(shown);
    format!("| {}{setting} | {} | {median} | {least} to {most} | {of_limit} |\n", row.measure, figure.name)
}

/// A number with three digits that count.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its absolute value is shown")]
        size if size >= 1_000.0 => format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped(size.round() as u64)),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A number with a comma before each three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let comma = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if comma(at) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

fn wrapped(text: &str) -> String {
    let (mut lines, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.len() > COLUMNS {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += word.len();
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_performance_has_the_markers() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
        check_page(&page).unwrap();
        let text = std::fs::read_to_string(page).unwrap();
        assert_eq!([BEGIN, END].map(|marker| text.matches(marker).count()), [1, 1]);
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page = format!("before\n\n{BEGIN}\nold\n{END}\n\nafter\n");
        let once = replaced(&page, "| new |\n").unwrap();
        assert_eq!(once, format!("before\n\n{BEGIN}\n\n| new |\n\n{END}\n\nafter\n"));
        assert_eq!(replaced(&once, "| new |\n").unwrap(), once);
        assert!(replaced(&format!("{END} {BEGIN}"), "").is_err() && replaced("", "").is_err());
    }

    #[test]
    fn every_figure_has_a_line_that_fits_the_page() {
        let mut results = Results::default();
        let setting = Some(("bulk_in_flight", 1_024));
        results.add("flash", setting, &[("p50_ms", 1.234_56), ("p99_ms", 12_345.6)]);
        results.add("idle", None, &[("resident_mib", 0.0)]);
        let text = written(&Machine::sample(), &results);
        assert!(text.contains("| flash, bulk_in_flight 1,024 | p50_ms | 1.23 | 1.23 to 1.23 |  |\n"), "{text}");
        assert!(
            text.contains("| FLASH beside bulk and a file of 1 GiB, p99 | 12,346 ms | 20.0 | 5.00 | **not met** |\n"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
    }

    #[test]
    fn numbers_show_three_digits_that_count() {
        let numbers = [1_234_567.0, 123_456.0, 999.6, 25.04, 0.126, 0.012_34, 0.0];
        assert_eq!(numbers.map(shown), ["1,234,567", "123,456", "1000", "25.0", "0.13", "0.0123", "0.00"]);
    }
}
