//! Comm checks: what came of those just made, and the figures of the latest.

use aldis_control::{CheckEnd, CheckResultView, CheckStatistics, ChecksView, DrillView};

use super::Page;
use crate::paint::Tone;
use crate::table::{Cell, Table};
use crate::when;

/// What came of a drill, one line for each peer.
pub(crate) fn drilled(drilled: &[DrillView], page: Page) -> String {
    if drilled.is_empty() {
        return "No peer is verified, so there is nobody to check.\n".into();
    }
    let mut table = Table::new(&["PEER", "CHECK", "STATE", "TOOK", "CLOCK", "CERTIFICATE", "REMARK"]);
    for view in drilled {
        let result = view.result.as_ref();
        let (state, tone) = match (&view.declined, result) {
            (Some(_), _) => ("not sent", Tone::Bad),
            (None, None) => ("open", Tone::Heading),
            (None, Some(result)) => (result.end.as_str(), end_tone(result.end)),
        };
        let declined = view.declined.as_ref().map(|error| error.message.as_str());
        let code = result.and_then(|result| result.code.as_deref());
        table.push(vec![
            Cell::new(&view.peer),
            Cell::new(&view.id.as_ref().map(ToString::to_string).unwrap_or_default()),
            Cell::toned(state, tone),
            Cell::new(&milliseconds(result.and_then(|result| result.round_trip_ms))).right(),
            Cell::new(&result.and_then(clock).unwrap_or_default()).right(),
            Cell::new(&result.and_then(certificate).unwrap_or_default()).right(),
            Cell::new(declined.or(code).unwrap_or_default()),
        ]);
    }
    let mut shown = table.render(page.paint);
    if drilled.iter().any(|view| view.id.is_some() && view.result.is_none()) {
        shown.push_str("\nWhat is open ends by itself; see: aldis drill --statistics\n");
    }
    shown
}

/// The figures of each peer, machines before people; then what is open.
pub(crate) fn checks(checks: &[ChecksView], page: Page) -> String {
    if checks.is_empty() {
        return "No peer is enrolled yet.\n".into();
    }
    let mut table = Table::new(&["PEER", "OF", "CHECKS", "MISSED", "P50", "P95", "TREND", "LATEST"]);
    for view in checks {
        for (of, figures) in [("machine", &view.machine), ("people", &view.human)] {
            table.push(row(&view.peer, of, figures, page));
        }
    }
    let mut shown = table.render(page.paint);
    for view in checks {
        if let Some(open) = &view.open {
            let text = format!("{}, until {}", open.id, when::full(open.until, page.now));
            shown.push_str(&page.field("Open", &text));
        }
        if let Some(asked) = &view.asked {
            let text = format!("{}, until {}", asked.id, when::full(asked.until, page.now));
            shown.push_str(&page.toned_field("WAITS HERE", &text, Tone::Bad));
            shown.push_str(&page.field("Next", &format!("`aldis answer {} acknowledge`", asked.id)));
        }
    }
    shown
}

fn row(peer: &str, of: &str, figures: &CheckStatistics, page: Page) -> Vec<Cell> {
    let tone = if figures.missed_in_a_row > 0 { Tone::Bad } else { Tone::Plain };
    let latest = figures.latest.as_ref().map(|latest| latest_text(latest, page)).unwrap_or_default();
    vec![
        Cell::new(peer),
        Cell::new(of),
        Cell::new(&figures.count.to_string()).right(),
        Cell::toned(&figures.missed.to_string(), tone).right(),
        Cell::new(&milliseconds(figures.p50_ms)).right(),
        Cell::new(&milliseconds(figures.p95_ms)).right(),
        Cell::new(&trend(figures)).right(),
        Cell::new(&latest),
    ]
}

fn latest_text(latest: &CheckResultView, page: Page) -> String {
    let code = latest.code.as_ref().map_or(String::new(), |code| format!(" ({code})"));
    let parts = [clock(latest).map(|clock| format!("clock {clock}")), certificate(latest)];
    let parts: String = parts.into_iter().flatten().map(|part| format!(", {part}")).collect();
    format!("{}{code} {} ago{parts}", latest.end.as_str(), when::age(latest.at, page.now))
}

/// How the latest round trips compare with those before: `+12%` is slower.
fn trend(figures: &CheckStatistics) -> String {
    let (Some(latest_ms), Some(before_ms)) = (figures.latest_ms, figures.before_ms) else { return String::new() };
    let signed = |ms: u64| i128::from(ms.max(1));
    let change = (signed(latest_ms) - signed(before_ms)) * 100 / signed(before_ms);
    format!("{change:+}%")
}

fn milliseconds(ms: Option<u64>) -> String {
    match ms {
        None => String::new(),
        Some(ms) if ms < 10_000 => format!("{ms} ms"),
        Some(ms) => format!("{} s", ms / 1_000),
    }
}

fn clock(result: &CheckResultView) -> Option<String> {
    result.clock_difference_ms.map(|ms| format!("{ms:+} ms"))
}

fn certificate(result: &CheckResultView) -> Option<String> {
    result.certificate_days.map(|days| format!("{days} days"))
}

fn end_tone(end: CheckEnd) -> Tone {
    match end {
        CheckEnd::Replied | CheckEnd::Answered => Tone::Good,
        CheckEnd::Refused | CheckEnd::Missed => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use aldis_control::UnixMillis;

    use super::*;
    use crate::paint::Paint;

    const PAGE: Page = Page { now: UnixMillis(1_795_316_400_000), paint: Paint::off() };

    fn result(end: CheckEnd) -> CheckResultView {
        let replied = end == CheckEnd::Replied;
        CheckResultView {
            human: false,
            sent_at: UnixMillis(1_795_316_000_000),
            at: UnixMillis(1_795_316_000_012),
            end,
            code: (end == CheckEnd::Refused).then(|| "over-rate\u{202e}".to_owned()),
            round_trip_ms: replied.then_some(12),
            clock_difference_ms: replied.then_some(-340),
            certificate_days: replied.then_some(90),
            commitment: None,
        }
    }

    #[test]
    fn a_drill_shows_one_line_for_each_peer_and_what_came_of_it() {
        let view =
            |peer: &str, end| DrillView { peer: peer.into(), id: None, result: Some(result(end)), declined: None };
        let views =
            [view("cert.cl", CheckEnd::Replied), view("cert.uy", CheckEnd::Refused), view("cert.ar", CheckEnd::Missed)];
        let shown = drilled(&views, PAGE);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 4, "{shown}");
        assert!(lines[1].contains("replied") && lines[1].contains("12 ms") && lines[1].contains("-340 ms"), "{shown}");
        assert!(lines[1].contains("90 days") && lines[3].contains("missed"), "{shown}");
        assert!(lines[2].contains("over-rate") && !shown.contains('\u{202e}'), "{shown}");
        assert!(drilled(&[], PAGE).contains("nobody to check"));
    }

    #[test]
    fn the_figures_show_what_got_worse_and_who_is_waited_for() {
        let machine = CheckStatistics {
            count: 40,
            missed: 2,
            missed_in_a_row: 2,
            p50_ms: Some(12),
            p95_ms: Some(15_500),
            latest_ms: Some(15),
            before_ms: Some(12),
            latest: Some(result(CheckEnd::Missed)),
            ..CheckStatistics::default()
        };
        let open = aldis_control::OpenCheckView {
            id: "cert.cl/cert.br/I7".parse().unwrap(),
            human: true,
            until: UnixMillis(1_795_318_000_000),
        };
        let human = CheckStatistics::default();
        let view = ChecksView { peer: "cert.cl".into(), open: None, asked: Some(open), machine, human };
        let shown = checks(&[view], PAGE);
        for expected in ["40", "12 ms", "15 s", "+25%", "missed", "WAITS HERE", "aldis answer cert.cl/cert.br/I7"] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
    }
}
