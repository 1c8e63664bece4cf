//! The node itself: its status, what a verification found, and the vocabulary.

use aldis_control::{
    AlertTestResponse, BackupOutcome, BackupReport, BackupView, ChannelView, LogState, ScrubView, SilenceView, Status,
    VerifyReport, Vocabulary, You,
};

use super::{Page, bytes, count, peers};
use crate::paint::Tone;
use crate::when;

/// The node at a glance; alarms first, for they need a person. So do requests, which only a second person can end.
pub(crate) fn status(status: &Status, requests: usize, page: Page) -> String {
    let mut shown = page.heading(&format!("{}  aldisd {}", status.node, status.version));
    for alarm in &status.alarms {
        let peer = alarm.peer.as_deref().map(|peer| format!(" {peer}")).unwrap_or_default();
        let text = format!("{}{peer}: {} {}", alarm.code, alarm.text, when::full(alarm.raised_at, page.now));
        shown.push_str(&page.toned_field("ALARM", &text, Tone::Bad));
    }
    shown.push_str(&silences(&status.silences, page));
    if requests > 0 {
        let text = format!("{} for a second administrator: `aldis requests`", waiting(requests));
        shown.push_str(&page.toned_field("REQUESTS", &text, Tone::Heading));
    }
    let (ready, tone) = if status.ready { ("yes", Tone::Good) } else { ("not yet", Tone::Bad) };
    shown.push_str(&page.toned_field("Ready", ready, tone));
    shown.push_str(&page.field("Started", &when::full(status.started_at, page.now)));
    shown.push_str(&page.field("Incarnation", &status.incarnation));
    let (log, tone) = log_state(&status.log);
    shown.push_str(&page.toned_field("Log", &log, tone));
    let journal = &status.journal;
    shown.push_str(&page.field("Journal", &format!("{} records, {}", journal.records, bytes(journal.bytes))));
    shown.push_str(&page.field("Root", &journal.root));
    let tone = if status.waiting_in == 0 { Tone::Plain } else { Tone::Heading };
    let waiting = format!("{} to answer, {} to deliver", status.waiting_in, status.waiting_out);
    shown.push_str(&page.toned_field("Waiting", &waiting, tone));
    if status.exercise_in + status.exercise_out > 0 {
        let waiting = format!("{} to answer, {} to deliver", status.exercise_in, status.exercise_out);
        shown.push_str(&page.toned_field("EXERCISE", &waiting, Tone::Exercise));
    }
    for channel in &status.channels {
        let (text, tone) = channel_state(channel, page);
        shown.push_str(&page.toned_field("Channel", &format!("{}: {text}", channel.name), tone));
    }
    let (scrubbed, tone) = scrub(&status.scrub, page);
    shown.push_str(&page.toned_field("Scrub", &scrubbed, tone));
    let (backed_up, tone) = backup(&status.backup, page);
    shown.push_str(&page.toned_field("Backup", &backed_up, tone));
    shown.push_str(&page.field("You", &you(&status.you)));
    shown.push('\n');
    shown.push_str(&peers(&status.peers, page));
    shown
}

/// Who is silent about what, and how far the ladder has climbed; exercises are named.
pub(crate) fn silences(silences: &[SilenceView], page: Page) -> String {
    let shown = silences.iter().map(|one| {
        let messages = if one.messages == 1 { "1 message".to_owned() } else { format!("{} messages", one.messages) };
        let what = match one.silence.as_str() {
            "unanswered-here" => format!("nobody here answers {messages} of {}", one.peer),
            "no-acknowledgement" => format!("nobody at {} answers {messages} of ours", one.peer),
            "no-receipt" => format!("the node of {} does not receipt {messages} of ours", one.peer),
            other => format!("{other}: {messages}, {}", one.peer),
        };
        let text = format!("{what}: step {} of {}", one.step, one.of);
        match &one.exercise {
            Some(name) => page.toned_field("EXERCISE", &format!("{name}: {text}"), Tone::Exercise),
            None => page.toned_field("SILENCE", &text, Tone::Bad),
        }
    });
    shown.collect()
}

/// What the latest nightly verification came to, and when the next begins.
fn scrub(scrub: &ScrubView, page: Page) -> (String, Tone) {
    let next = scrub.next_at.map_or("switched off".to_owned(), |at| format!("next {}", when::full(at, page.now)));
    match &scrub.latest {
        None => (format!("none yet; {next}"), Tone::Quiet),
        Some(latest) if latest.findings == 0 => {
            (format!("everything verified {}; {next}", when::full(latest.at, page.now)), Tone::Good)
        }
        Some(latest) => {
            let (found, at) = (places(usize::try_from(latest.findings).unwrap_or(usize::MAX)), latest.at);
            let first = latest.first.as_deref().unwrap_or_default();
            (format!("{found} not verify {}: {first}; {next}", when::full(at, page.now)), Tone::Bad)
        }
    }
}

/// What the latest backup came to.
fn backup(backup: &BackupView, page: Page) -> (String, Tone) {
    let at = |at| when::full(at, page.now);
    let good =
        || backup.good_at.map_or("none was ever made".to_owned(), |good| format!("the latest good one {}", at(good)));
    match &backup.latest {
        None if backup.directory.is_none() => ("none configured".to_owned(), Tone::Quiet),
        None => ("none yet".to_owned(), Tone::Quiet),
        Some(BackupOutcome { failed: Some(why), at: failed_at, .. }) => {
            (format!("FAILED {}: {why}; {}", at(*failed_at), good()), Tone::Bad)
        }
        Some(latest) => {
            let held = format!("{} records, {}", latest.records, bytes(latest.bytes));
            (format!("verified {}: {held}, {} written", at(latest.at), bytes(latest.written_bytes)), Tone::Good)
        }
    }
}

/// A backup that was made.
pub(crate) fn backed_up(report: &BackupReport, page: Page) -> String {
    let held = format!("{} records, {} files, {}", report.records, report.files, bytes(report.bytes));
    [
        page.toned_field("Verified", &report.generation, Tone::Good),
        page.field("Holds", &held),
        page.field("Written", &format!("{}; the rest was there", bytes(report.written_bytes))),
        page.field("Root", &report.root),
    ]
    .concat()
}

/// How a channel of alerts is.
fn channel_state(channel: &ChannelView, page: Page) -> (String, Tone) {
    match (&channel.failing, channel.last_success) {
        (Some(why), _) => (format!("FAILS, {why}"), Tone::Bad),
        (None, Some(at)) => (format!("works, {}", when::full(at, page.now)), Tone::Good),
        (None, None) => ("not tried yet in this run".to_owned(), Tone::Quiet),
    }
}

/// What became of a test of a channel.
pub(crate) fn alerts_tested(response: &AlertTestResponse, page: Page) -> String {
    let reached = response.reached.iter().map(|person| page.toned_field("Reached", person, Tone::Good));
    let failed = response.failed.iter();
    let failed = failed.map(|not| page.toned_field("NOT REACHED", &format!("{}: {}", not.person, not.why), Tone::Bad));
    reached.chain(failed).collect()
}

/// What a verification found, place by place.
pub(crate) fn verify_report(report: &VerifyReport, page: Page) -> String {
    let walked = format!("{} records in {} segments, {} log rows", report.records, report.segments, report.log_rows);
    let mut shown = page.field("Walked", &walked);
    shown.push_str(&page.field("Witnesses", &witnesses(report)));
    if report.ok && report.findings.is_empty() {
        shown.push_str(&page.toned_field("Result", "everything verifies", Tone::Good));
        return shown;
    }
    let result = format!("{} not verify", places(report.findings.len()));
    shown.push_str(&page.toned_field("Result", &result, Tone::Bad));
    for finding in &report.findings {
        shown.push('\n');
        shown.push_str(&page.toned_field("Place", &finding.place, Tone::Heading));
        shown.push_str(&page.field("What", &finding.what));
        shown.push_str(&page.field("Advice", &finding.advice));
    }
    shown
}

/// What peers signed about our journal, and that was looked for in it.
fn witnesses(report: &VerifyReport) -> String {
    let peers = usize::try_from(report.witness_peers).unwrap_or(usize::MAX);
    format!("{} checked, by {}", report.witnesses, count(peers, "peer"))
}

/// Every list of codes, each under its option.
pub(crate) fn vocabulary(vocabulary: &Vocabulary, page: Page) -> String {
    let mut shown = page.heading("--class: --type");
    for class in &vocabulary.classes {
        shown.push_str(&page.field("", &format!("{}: {}", class.code, class.types.join(", "))));
    }
    let lists = [
        ("--tlp", &vocabulary.tlp),
        ("--precedence", &vocabulary.precedences),
        ("--kind", &vocabulary.kinds),
        ("--desk", &vocabulary.desks),
        ("--severity", &vocabulary.severities),
        ("--stage", &vocabulary.stages),
        ("--sector", &vocabulary.sectors),
        ("--indicator", &vocabulary.indicator_kinds),
        ("--action", &vocabulary.actions),
        ("--source", &vocabulary.source_reliabilities),
        ("--credibility", &vocabulary.information_credibilities),
        ("--likelihood", &vocabulary.likelihoods),
        ("--intent", &vocabulary.intents),
        ("--confidence", &vocabulary.confidences),
        ("--reason", &vocabulary.justifications),
    ];
    for (option, codes) in lists {
        shown.push_str(&page.field(option, &codes.join(", ")));
    }
    shown
}

/// Who is asking and what they may do: roles, then desks where they are not the same for reading and for sending.
fn you(you: &You) -> String {
    if you.user.is_empty() {
        return String::new();
    }
    let roles: Vec<&str> = you.roles.iter().map(|role| role.as_str()).collect();
    let mut shown = format!("{}: {}", you.user, roles.join(", "));
    for (what, desks) in [("reads", &you.desks), ("sends for", &you.sends_for)] {
        if !desks.is_empty() {
            shown.push_str(&format!("; {what} {}", desks.join(", ")));
        }
    }
    shown
}

fn log_state(state: &LogState) -> (String, Tone) {
    match state {
        LogState::Following => ("follows the journal".into(), Tone::Good),
        LogState::Opening => ("is being opened; searching has to wait".into(), Tone::Plain),
        LogState::Rebuilding { done, total } => (format!("is being rebuilt, {done} of {total} records"), Tone::Plain),
        LogState::Degraded { reason } => (format!("degraded: {reason}"), Tone::Bad),
    }
}

fn waiting(requests: usize) -> String {
    if requests == 1 { "1 waits".into() } else { format!("{requests} wait") }
}

fn places(number: usize) -> String {
    if number == 1 { "1 place does".into() } else { format!("{} do", count(number, "place")) }
}
