use crate::alerts::{TlsBegins, Way};
use crate::config::{Config, ConfigError};
use aldis_control::Tlp;
use aldis_core::ladder::{AnswerBy, LadderError, Serves};
use aldis_wire::ids::{NodeId, UnixMillis};
use std::path::Path;
use std::time::Duration;

/// Three lines, so that what follows begins on line 4.
const BASE: &str =
    "node = { id = \"cert.br\", name = \"CERT\", country = \"BR\" }\nnetwork.listen = [\"127.0.0.1:0\"]\n\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(&format!("{BASE}{text}"), Path::new("/etc/aldis/aldisd.toml"))
}

fn refused(text: &str) -> (usize, String, String) {
    match parse(text) {
        Err(ConfigError::Invalid { place, problem, .. }) => (place.line, place.field, problem),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("accepted: {text}"),
    }
}

const NIGHTS: &str = "[[calendars]]\nname = \"nights\"\nzone = \"Europe/Lisbon\"\nsun = [\"18:00-08:00\"]\n";
const MAIL: &str = "[[alerts]]\nname = \"mail\"\ntype = \"smtp\"\nserver = \"m.example\"\nca_file = \"ca.pem\"\n\
    from = \"a@b.example\"\n";
const PAGER: &str = "[[alerts]]\nname = \"pager\"\ntype = \"command\"\ncommand = [\"/bin/true\", \"x\"]\n";
const HOOK: &str = "[[alerts]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://h.example/x\"\n\
    secret_file = \"s\"\nca_file = \"/ca.pem\"\n";

fn step(name: &str, people: &str) -> String {
    format!("[[ladder]]\nname = \"{name}\"\nwait_s = [1, 2, 3, 4]\npeople = [{people}]\n")
}

#[test]
fn without_any_of_it_the_ladder_is_the_default() {
    let config = parse("").unwrap();
    assert_eq!(format!("{:?}", config.limits.core.ladder), format!("{:?}", aldis_core::ladder::Ladder::default()));
    assert!(config.alerts.channels.is_empty() && config.alerts.addresses.is_empty());
}

#[test]
fn a_ladder_arrives_with_its_hours_deadlines_and_channels() {
    let officer =
        step("officer", "{ name = \"ana\", hours = \"nights\", email = \"ana@b.example\", channels = [\"mail\"] }");
    let head = step("head", "{ name = \"head\", channels = [\"watch\", \"pager\"] }")
        .replace("wait_s", "for = \"sent\"\nwait_s");
    let all = step("all", "{ name = \"x\", channels = [\"hook\"] }");
    let text = format!(
        "{NIGHTS}{officer}{head}{all}[deadlines]\nreceipt_s = [1, 2, 3, 4]\n\
        acknowledge = [\"90s\", \"5m\", \"3h\", \"next-business-day\"]\nbusiness_days = \"nights\"\non_arrival = [\"flash\"]\n\
        grace_s = 7\n[[peer_deadlines]]\npeer = \"cert.cl\"\npick_up_s = 9\n{MAIL}{PAGER}{HOOK}tlp = \"amber\"\ntimeout_s = 3\n\
        probe_hours = 2\n"
    );
    let config = parse(&text).unwrap();
    let ladder = &config.limits.core.ladder;
    assert_eq!(ladder.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["officer", "head", "all"]);
    assert_eq!(ladder.steps[0].wait_ms, [1_000, 2_000, 3_000, 4_000]);
    assert_eq!((ladder.steps[1].serves, ladder.steps[2].serves), (Serves::Sent, Serves::All));
    assert_eq!(ladder.steps[0].people[0].hours, Some(1), "behind the built-in one");
    assert_eq!(ladder.deadlines.receipt_ms, [1_000, 2_000, 3_000, 4_000]);
    let within = AnswerBy::Within;
    let expected = [within(90_000), within(300_000), within(10_800_000), AnswerBy::NextBusinessDay(1)];
    assert_eq!(ladder.deadlines.acknowledge, expected);
    let peer = &ladder.per_peer[&NodeId::new("cert.cl").unwrap()];
    assert_eq!((peer.pick_up_ms, peer.acknowledge, peer.receipt_ms[0]), (9_000, expected, 1_000));
    assert_eq!((ladder.on_arrival, ladder.grace_ms), ([true, false, false, false], 7_000));
    // Sunday evening and Monday morning in Lisbon; not Sunday morning.
    let covers = |text: &str| ladder.calendars[1].covers(text.parse::<UnixMillis>().unwrap());
    assert!(covers("2026-11-22T23:59:00Z") && covers("2026-11-23T07:59:00Z"));
    assert!(!covers("2026-11-22T07:00:00Z") && !covers("2026-11-23T08:00:00Z"));
    let [mail, pager, hook] = config.alerts.channels.as_slice() else { panic!("three channels") };
    let Way::Smtp(smtp) = &mail.way else { panic!("a mail server") };
    assert_eq!(
        (smtp.port, smtp.begin, smtp.ca_file.as_path()),
        (465, TlsBegins::AtOnce, Path::new("/etc/aldis/ca.pem"))
    );
    let Way::Command(command) = &pager.way else { panic!("a command") };
    assert_eq!(
        (command.program.as_path(), command.arguments.as_slice()),
        (Path::new("/bin/true"), &["x".to_owned()][..])
    );
    let Way::Webhook(webhook) = &hook.way else { panic!("a webhook") };
    assert_eq!(
        (webhook.secret_file.as_path(), webhook.ca_file.as_path()),
        (Path::new("/etc/aldis/s"), Path::new("/ca.pem"))
    );
    assert_eq!(
        (hook.clearance, hook.timeout, hook.probe_every),
        (Tlp::Amber, Duration::from_secs(3), Duration::from_secs(7_200))
    );
    assert_eq!((mail.clearance, mail.timeout), (Tlp::Clear, Duration::from_secs(20)));
    assert_eq!(config.alerts.addresses.len(), 1);
}

#[test]
fn every_calendar_that_is_none_is_refused_with_its_line() {
    let calendar = |rest: &str| format!("[[calendars]]\nname = \"x\"\nzone = \"UTC\"\n{rest}\n");
    for (text, line, part) in [
        (calendar(""), 4, "covers no moment"),
        (calendar("mon = [\"8-18\"]"), 7, "no span of hours"),
        (calendar("mon = [\"08:00-08:00\"]"), 7, "no span of hours"),
        (calendar("mon = [\"24:00-08:00\"]"), 7, "no span of hours"),
        (calendar("mon = [\"08:60-18:00\"]"), 7, "no span of hours"),
        (calendar("mon = [\"08:00-24:01\"]"), 7, "no span of hours"),
        (calendar("monday = [\"08:00-24:00\"]"), 7, "did you mean `mon`?"),
        (calendar("mon = [\"08:00-18:00\"]\nholidays = [\"25/12/2026\"]"), 4, "is not a date"),
        (calendar("mon = [\"08:00-18:00\"]").replace("UTC", "Lisboa"), 4, "no time zone `Lisboa`"),
        (calendar("mon = [\"08:00-18:00\"]").repeat(2), 4, "two calendars are called `x`"),
    ] {
        let (found, field, problem) = refused(&text);
        assert!(problem.contains(part) && field.starts_with("calendars"), "{text}: {field}: {problem}");
        assert_eq!(found, line, "{text}: {problem}");
    }
}

#[test]
fn i8_a_ladder_that_would_reach_nobody_is_refused_with_what_to_do() {
    let person = |rest: &str| step("officer", &format!("{{ name = \"ana\", {rest} }}"));
    let good = person("channels = [\"watch\"]");
    for (text, part) in [
        (step("officer", ""), "needs 1 to 32 people"),
        (person("channels = []"), "has no channel"),
        (person("channels = [\"pager\"]"), "no [[alerts]] has that name"),
        (person("hours = \"nights\", channels = [\"watch\"]"), "no [[calendars]] has that name"),
        (format!("{}{MAIL}", person("channels = [\"mail\"]")), "needs `email`"),
        (good.repeat(2), "two steps are called `officer`"),
        (good.replace("wait_s", "for = \"sent\"\nwait_s"), "serves"),
        (good.replace("wait_s", "for = \"received\"\nwait_s"), "serves"),
        (good.replace("[1, 2, 3, 4]", "[1, 2, 3]"), "length 3"),
        (good.replace("[1, 2, 3, 4]", "[0, 2, 3, 4]"), "out of range"),
        (good.replace("wait_s", "for = \"nobody\"\nwait_s"), "`received`"),
        (good.replace("ana", "a\\u202eb"), "invisible"),
        ((0..17).map(|n| good.replace("officer", &format!("s{n}"))).collect(), "more than 16 steps"),
    ] {
        let (_, field, problem) = refused(&text);
        assert!(problem.contains(part) && field.starts_with("ladder"), "{text}: {field}: {problem}");
    }
    let two = step("a", "{ name = \"ana\", email = \"a@b.example\", channels = [\"watch\"] }")
        + &step("b", "{ name = \"ana\", email = \"c@d.example\", channels = [\"watch\"] }");
    assert!(refused(&two).2.contains("two addresses"));
}

#[test]
fn a_gap_does_not_keep_a_node_from_its_start() {
    let person = step("officer", "{ name = \"ana\", hours = \"nights\", channels = [\"watch\"] }");
    let config = parse(&format!("{NIGHTS}{person}")).unwrap();
    let gap = config.limits.core.ladder.check("2026-11-22T00:00:00Z".parse().unwrap());
    assert!(matches!(gap, Err(LadderError::Gap { .. })));
}

#[test]
fn every_wrong_deadline_is_refused() {
    for (text, part) in [
        ("[deadlines]\nacknowledge = [\"10m\", \"30m\", \"3h\", \"tomorrow\"]", "is no time"),
        ("[deadlines]\nacknowledge = [\"10m\", \"30m\", \"3h\", \"0s\"]", "is no time"),
        ("[deadlines]\nacknowledge = [\"10m\", \"30m\", \"3h\", \"367d\"]", "is no time"),
        ("[deadlines]\nacknowledge = [\"10m\", \"30m\", \"3h\", \"99999999999999999999d\"]", "is no time"),
        ("[deadlines]\nacknowledge = [\"10m\"]", "length 1"),
        ("[deadlines]\nbusiness_days = \"x\"", "no [[calendars]] has that name"),
        (
            "[deadlines]\nacknowledge = [\"1m\", \"1m\", \"1m\", \"1m\"]\n[[peer_deadlines]]\npeer = \"cert.cl\"\n\
             acknowledge = [\"1m\", \"1m\", \"1m\", \"next-business-day\"]",
            "needs business_days",
        ),
        ("[deadlines]\non_arrival = [\"urgent\"]", "is no precedence"),
        ("[deadlines]\ngrace_s = 0", "out of range"),
        ("[[peer_deadlines]]\npeer = \"cert.cl\"\ngrace_s = 1", "unknown key `grace_s`"),
        ("[[peer_deadlines]]\npick_up_s = 1", "`peer` is missing"),
        ("[[peer_deadlines]]\npeer = \"cert.cl\"\n[[peer_deadlines]]\npeer = \"cert.cl\"", "stands there twice"),
    ] {
        let (_, field, problem) = refused(text);
        assert!(problem.contains(part) && field.contains("deadlines"), "{text}: {field}: {problem}");
    }
}

#[test]
fn every_wrong_channel_is_refused_with_its_line() {
    let of = |kind: &str, rest: &str| format!("[[alerts]]\nname = \"a\"\ntype = \"{kind}\"\n{rest}\n");
    for (text, part) in [
        (of("fax", ""), "`command`"),
        (of("command", ""), "write command"),
        (of("command", "command = []"), "`command` is empty"),
        (of("command", "command = [\"page\"]"), "absolute path"),
        (of("command", "command = [\"/x\"]\nurl = \"https://h.example/\""), "has no `url`"),
        (of("webhook", "secret_file = \"s\"\nca_file = \"c\""), "write url"),
        (of("webhook", "url = \"http://h.example/\"\nsecret_file = \"s\"\nca_file = \"c\""), "https://"),
        (of("webhook", "url = \"https://u:p@h.example/\"\nsecret_file = \"s\"\nca_file = \"c\""), "without a user"),
        (of("webhook", "url = \"https://h.example/\"\nca_file = \"c\""), "write secret_file"),
        (of("webhook", "url = \"https://h.example/\"\nsecret_file = \"s\""), "write ca_file"),
        (MAIL.replace("from = \"a@b.example\"\n", ""), "write from"),
        (MAIL.replace("a@b.example", "nobody"), "is no address"),
        (format!("{MAIL}username = \"x\"\n"), "both `username` and `password_file`"),
        (format!("{MAIL}password = \"x\"\n"), "did you mean `password_file`?"),
        (format!("{MAIL}tls = \"none\"\n"), "`starttls`"),
        (format!("{MAIL}tlp = \"RED\"\n"), "nothing of a TLP:RED message"),
        (format!("{MAIL}tlp = \"white\"\n"), "is no label"),
        (format!("{MAIL}timeout_s = 51\n"), "1 to 50"),
        (PAGER.replace("pager", "watch"), "choose another name"),
        (PAGER.replace("pager", "Pager"), "lower-case"),
        (PAGER.repeat(2), "two channels are called `pager`"),
        ((0..17).map(|n| PAGER.replace("pager", &format!("p{n}"))).collect(), "at most 16"),
    ] {
        let (line, field, problem) = refused(&text);
        assert!(problem.contains(part) && field.starts_with("alerts"), "{text}: {field}: {problem}");
        assert!((4..=12).contains(&line), "{text}: {line}");
    }
}
