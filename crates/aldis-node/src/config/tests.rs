use super::*;
use crate::access::{Desks, Entry, Name};
use aldis_control::Role;
use aldis_wire::codes::Desk;
use proptest::prelude::*;

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/aldisd.toml"));
const FILE: &str = "/etc/aldis/aldisd.toml";

/// Three lines on which every other test builds, so that what follows begins on line 4.
const BASE: &str =
    "node = { id = \"cert.br\", name = \"CERT\", country = \"BR\" }\nnetwork.listen = [\"127.0.0.1:0\"]\n\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new(FILE))
}

/// The line, field and problem for which a text is refused.
fn refused(text: &str) -> (usize, String, String) {
    match parse(text) {
        Err(ConfigError::Invalid { place, problem, .. }) => (place.line, place.field, problem),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("accepted: {text}"),
    }
}

/// The reference with every commented key made real.
fn uncommented() -> String {
    let is_key = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    REFERENCE.lines().map(|line| if is_key(line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") }).collect()
}

/// All keys of the schema, found by asking each section about a key that it does not have.
fn schema(section: &str) -> Vec<String> {
    let text = match section {
        "" => format!("zz = 1\n{BASE}"),
        "node" => "node = { zz = 1 }".to_owned(),
        "network" => "node = { id = \"a\", name = \"A\", country = \"BR\" }\nnetwork = { zz = 1 }".to_owned(),
        "contacts" | "access" | "calendars" | "ladder" | "peer_deadlines" | "alerts" => {
            format!("{BASE}[[{section}]]\nzz = 1\n")
        }
        other => format!("{BASE}[{other}]\nzz = 1\n"),
    };
    let error = toml::from_str::<ConfigFile>(&text).err().unwrap();
    let message = error.message();
    assert!(message.starts_with("unknown field `zz`"), "{message}");
    message.split('`').skip(3).step_by(2).map(ToOwned::to_owned).collect()
}

#[test]
fn the_reference_shows_every_default() {
    let plain = parse(REFERENCE).unwrap();
    let mut full = parse(&uncommented()).unwrap();
    assert_eq!(full.contacts.len(), 1, "the reference shows a contact");
    full.contacts.clear();
    assert_eq!(full.access.entries().len(), 2, "the reference shows who may do what");
    full.access = Rules::default();
    let (shown, default) = (Arc::clone(&full.limits.core.ladder), Ladder::default());
    assert_eq!(
        (shown.steps.len(), shown.calendars.len(), shown.per_peer.len()),
        (2, 2, 1),
        "the reference shows a ladder"
    );
    assert_eq!(format!("{:?}", shown.deadlines), format!("{:?}", default.deadlines));
    assert_eq!((shown.on_arrival, shown.grace_ms), (default.on_arrival, default.grace_ms));
    full.limits.core.ladder = Arc::new(default);
    assert_eq!(full.alerts.channels.len(), 3, "the reference shows each sort of channel");
    full.alerts = Settings::default();
    assert_eq!(format!("{full:#?}"), format!("{plain:#?}"));
    // The core by itself checks nobody; a node checks machines.
    let drill = Drill { machine_every_ms: HOUR_MS, ..Drill::default() };
    assert_eq!(format!("{:?}", plain.limits.core), format!("{:?}", Limits { drill, ..Limits::default() }));
    assert_eq!(plain.limits.admission, admission::Limits::default());
}

#[test]
fn the_reference_holds_every_key() {
    let document: toml::Table = toml::from_str(&uncommented()).unwrap();
    let sections = schema("");
    assert_eq!(sections.len(), 22, "{sections:?}");
    for section in sections {
        let value = document.get(&section).unwrap_or_else(|| panic!("[{section}] is missing"));
        // What one entry does not show another does.
        let entries = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        let shown: BTreeSet<&String> = entries.iter().flat_map(|entry| entry.as_table().unwrap().keys()).collect();
        let known = schema(&section);
        for key in &known {
            assert!(shown.contains(key), "{section}.{key} is missing");
        }
        assert_eq!(shown.len(), known.len());
    }
}

#[test]
fn checks_are_made_as_written_and_in_hours_that_there_are() {
    let text = format!(
        "{BASE}[drill]\nmachine_every_h = 6\nhuman_every_days = 30\nhuman_hours = \"always\"\nwake = true\n\
        machine_wait_s = 5\nhuman_wait_min = 2\nmissed_alarm = 1\nmachine_per_hour = 7\njitter_percent = 0\n"
    );
    let drill = parse(&text).unwrap().limits.core.drill;
    assert_eq!((drill.machine_every_ms, drill.human_every_ms), (6 * HOUR_MS, 30 * DAY_MS));
    assert_eq!((drill.machine_wait_ms, drill.human_wait_ms), (5_000, 120_000));
    assert_eq!((drill.missed_alarm, drill.machine_per_hour, drill.jitter_percent), (1, 7, 0));
    assert_eq!((drill.human_hours, drill.wake), (None, true));
    let default = parse(BASE).unwrap().limits.core.drill;
    assert_eq!((default.machine_every_ms, default.jitter_percent), (HOUR_MS, 20), "machines are checked by default");
    assert_eq!((default.human_every_ms, default.human_hours), (0, Some(0)), "people are not, and only on weekdays");
    let never = parse(&format!("{BASE}[drill]\nmachine_every_h = 0\n")).unwrap().limits.core.drill;
    assert_eq!(never.machine_every_ms, 0);
    let (line, field, problem) = refused(&format!("{BASE}[drill]\nhuman_hours = \"nights\"\n"));
    assert_eq!((line, field.as_str()), (5, "drill.human_hours"));
    assert!(problem.contains("`nights`"), "{problem}");
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = parse(BASE).unwrap();
    assert_eq!(config.node.data_dir, Path::new("/etc/aldis/data"));
    assert_eq!(config.control_socket, Path::new("/etc/aldis/aldis.sock"));
    assert_eq!(config.keys.identity, Path::new("/etc/aldis/keys/identity.key"));
    let config = parse(&format!("{BASE}control.socket = \"/run/aldis.sock\"\n")).unwrap();
    assert_eq!(config.control_socket, Path::new("/run/aldis.sock"));
}

#[test]
fn values_arrive_where_they_belong() {
    let text = format!(
        "{BASE}[limits]\nretry_initial_ms = 60\nheartbeat_ms = 100\nsilence_ms = 200\nhandshake_s = 3\nheld_days = 2\n\
        [journal]\nsegment_mib = 2\nreserve_mib = 3\n[log]\ncache_mib = 8\n[logging]\nfilter = \"warn\"\nformat = \"json\"\n\
        [scrub]\nenabled = false\nhour_utc = 23\n[backup]\ndirectory = \"b\"\nkeep = 7\nalarm_hours = 30\n"
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.limits.core.retry_initial_ms, 60);
    assert_eq!(config.limits.core.held_ms, 2 * 86_400_000);
    assert_eq!(config.limits.link.heartbeat, Duration::from_millis(100));
    assert_eq!(config.limits.link.silence, Duration::from_millis(200));
    assert_eq!(config.limits.admission.handshake_limit, Duration::from_secs(3));
    assert_eq!((config.journal.segment_bytes, config.journal.reserve_bytes), (2 << 20, 3 << 20));
    assert_eq!((config.log.cache_bytes, config.log.free_space_floor_bytes), (8 << 20, 3 << 20));
    assert_eq!((config.scrub.enabled, config.scrub.hour_utc), (false, 23));
    assert_eq!(config.backup.directory, Path::new(FILE).parent().map(|dir| dir.join("b")));
    assert_eq!((config.backup.keep, config.backup.alarm_hours), (7, Some(30)));
    assert_eq!(parse(BASE).unwrap().backup, backup::Settings::default(), "none is made that nobody asked for");
    assert_eq!((config.logging.filter.as_str(), config.logging.format), ("warn", LogFormat::Json));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_key() {
    let (line, field, problem) = refused(&format!("{BASE}[limits]\nretry_inital_ms = 1000\n"));
    assert_eq!((line, field.as_str()), (5, "limits.retry_inital_ms"));
    assert_eq!(problem, "unknown key `retry_inital_ms`; did you mean `retry_initial_ms`?");
    let (line, field, problem) = refused(&format!("{BASE}[loging]\nfilter = \"info\"\n"));
    assert_eq!((line, field.as_str()), (4, "loging"));
    assert!(problem.contains("`logging`?") || problem.contains("`log`?"), "{problem}");
    let (_, _, problem) = refused(&format!("{BASE}[log]\nzzzz = 1\n"));
    assert_eq!(problem, "unknown key `zzzz`; known here: cache_mib");
}

#[test]
fn every_wrong_value_is_refused_with_its_place() {
    for (addition, line, field, part) in [
        ("limits.heartbeat_ms = 99", 4, "limits.heartbeat_ms", "99 is out of range: write 100 to 300000"),
        ("limits.heartbeat_ms = -1", 4, "limits.heartbeat_ms", "out of range"),
        ("limits.heartbeat_ms = \"10s\"", 4, "limits.heartbeat_ms", "a whole number from 100 to 300000"),
        ("limits.heartbeat_ms = 1.5", 4, "limits.heartbeat_ms", "a whole number"),
        ("[limits]\nretry_initial_ms = 5000\nretry_max_ms = 4000", 6, "limits.retry_max_ms", "shorter than"),
        ("limits.silence_ms = 15000", 4, "limits.silence_ms", "at least twice heartbeat_ms, 20000"),
        ("limits.connections = 4", 4, "limits.connections_per_address", "more than connections (4)"),
        ("network.endpoints = [\"cert.br\"]", 4, "network.endpoints", "it has no port"),
        ("network.endpoints = [\"cert.br:0\"]", 4, "network.endpoints", "1 to 65535"),
        ("network.endpoints = [\"cert.br:+1\"]", 4, "network.endpoints", "1 to 65535"),
        ("network.endpoints = [\"[::]:1\"]", 4, "network.endpoints", "nobody can dial"),
        ("network.endpoints = [\"2001:db8::1:1\"]", 4, "network.endpoints", "in brackets"),
        ("network.endpoints = [\"300.1.1.1:1\"]", 4, "network.endpoints", "neither a name nor an address"),
        ("network.endpoints = [\"a b:1\"]", 4, "network.endpoints", "neither a name nor an address"),
        ("keys.tls_name = \"*.cert.br\"", 4, "keys.tls_name", "is no DNS name"),
        ("keys.tls_name = \"a.cert.br\"", 4, "keys.tls_name", "also write tls_authority"),
        ("keys.tls_authority = \"ca.pem\"", 4, "keys.tls_authority", "also write tls_name"),
        ("backup.keep = 0", 4, "backup.keep", "0 is out of range: write 1 to 1000"),
        ("scrub.hour_utc = 24", 4, "scrub.hour_utc", "24 is out of range: write 0 to 23"),
        ("tls.crls = [\"\"]", 4, "tls.crls", "expected a path"),
        ("control.socket = \"\"", 4, "control.socket", "expected a path"),
        ("logging.filter = \"info,x=loud\"", 4, "logging.filter", "is no filter"),
        ("logging.filter = \"\"", 4, "logging.filter", "is no filter"),
        ("logging.format = \"xml\"", 4, "logging.format", "`text`"),
        (
            "[[contacts]]\ndesk = \"kitchen\"\nname = \"x\"",
            5,
            "contacts.desk",
            "technical, diplomatic or law-enforcement",
        ),
        ("[[contacts]]\ndesk = \"technical\"", 4, "contacts", "`name` is missing"),
        ("[[contacts]]\ndesk = \"technical\"\nname = \"a\\u202eb\"", 6, "contacts.name", "\\u{202e}"),
        ("[[contacts]]\ndesk = \"technical\"\nname = \" \"", 6, "contacts.name", "is empty"),
        (
            "[[contacts]]\ndesk = \"technical\"\nname = \"n\"\nlanguages = [\"português\"]",
            7,
            "contacts.languages",
            "BCP 47",
        ),
        ("logging.filter = ", 4, "", ""),
    ] {
        let (found_line, found_field, problem) = refused(&format!("{BASE}{addition}\n"));
        assert!(problem.contains(part), "{addition}: {problem}");
        assert!(found_field == field || part.is_empty(), "{addition}: {found_field}");
        assert_eq!(found_line, line, "{addition}");
    }
}

#[test]
fn a_wrong_node_or_network_section_is_refused() {
    let node = |id: &str, name: &str, country: &str| {
        format!("node = {{ id = \"{id}\", name = \"{name}\", country = \"{country}\" }}\nnetwork.listen = []\n")
    };
    assert!(parse(&node("cert.br", "CERT", "BR")).is_ok());
    let long = "x".repeat(201);
    for (text, field) in [
        (node("Cert.BR", "CERT", "BR"), "node.id"),
        (node("cert.br", "", "BR"), "node.name"),
        (node("cert.br", &long, "BR"), "node.name"),
        (node("cert.br", "CERT", "br"), "node.country"),
        (node("cert.br", "CERT", "B"), "node.country"),
        (BASE.replace("127.0.0.1:0", "localhost:1"), "network.listen"),
        (BASE.replace("127.0.0.1:0", "127.0.0.1"), "network.listen"),
        (BASE.replace("\"127.0.0.1:0\"", "\"127.0.0.1:7\", \"127.0.0.1:7\""), "network.listen"),
        (BASE.replace("\"127.0.0.1:0\"", &"\"127.0.0.1:0\", ".repeat(9)), "network.listen"),
    ] {
        assert_eq!(refused(&text).1, field, "{text}");
    }
    assert!(refused("network.listen = []\n").2.contains("`node` is missing"));
}

#[test]
fn a_socket_path_that_the_kernel_cannot_take_is_refused() {
    let at = |bytes: usize| format!("{BASE}control.socket = \"/{}\"\n", "s".repeat(bytes - 1));
    assert!(parse(&at(107)).is_ok());
    let (line, field, problem) = refused(&at(108));
    assert_eq!((line, field.as_str()), (4, "control.socket"));
    assert!(problem.contains("has 108 bytes"), "{problem}");
}

#[test]
fn a_file_that_is_absent_too_large_or_no_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("aldisd.toml");
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("aldisd init"), "{error}");
    std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::TooLarge { .. })));
    std::fs::write(&path, b"\xff").unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::Unreadable { .. })));
    std::fs::write(&path, format!("{BASE}x = 1\n")).unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:4: x: unknown key `x`", path.display())), "{error}");
}

#[test]
fn the_minimal_configuration_is_of_that_node() {
    let config = Config::minimal(Path::new("/tmp/n"), &NodeId::new("cert.cl").unwrap());
    assert_eq!(config.node.id.as_str(), "cert.cl");
    assert_eq!(config.journal_dir(), Path::new("/tmp/n/data/journal"));
    assert_eq!(config.log_dir(), Path::new("/tmp/n/data/log"));
}

#[test]
fn endpoints_know_loopback() {
    for (text, expected) in [
        ("127.0.0.1:1", true),
        ("127.8.9.1:1", true),
        ("localhost:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("[::ffff:1.2.3.4]:1", false),
        ("cert.br:1", false),
        ("localhost.cert.br:1", false),
        ("10.0.0.1:1", false),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap().is_loopback(), expected, "{text}");
    }
}

/// An entry that gives admin, so that only what stands before it can be wrong.
const ADMIN: &str = "[[access]]\nrole = \"admin\"\nusers = [\"root\"]\n";

#[test]
fn access_entries_arrive_with_names_numbers_and_desks() {
    let text = format!(
        "{BASE}[[access]]\nrole = \"operator\"\nusers = [\"ana\", \"uid:1001\"]\ngroups = [\"gid:0\"]\n\
        desks = [\"technical\"]\n{ADMIN}"
    );
    let config = parse(&text).unwrap();
    let name = |name: &str| Name::Name(name.to_owned());
    let operator = Entry {
        role: Role::Operator,
        users: vec![name("ana"), Name::Number(1_001)],
        groups: vec![Name::Number(0)],
        desks: Desks::Only([Desk::TECHNICAL].into()),
        flash: true,
    };
    let admin = Entry { role: Role::Admin, users: vec![name("root")], groups: vec![], desks: Desks::All, flash: true };
    assert_eq!(config.access, Rules::new(vec![operator, admin]));
}

#[test]
fn every_wrong_access_entry_is_refused_with_its_line_and_what_to_do() {
    let operator = |rest: &str| format!("{BASE}[[access]]\nrole = \"operator\"\n{rest}\n{ADMIN}");
    let many = format!("users = [{}]", "\"a\", ".repeat(65));
    for (text, line, part) in [
        (operator("users = [\"ana\"]").replace("operator", "boss"), 5, "auditor, operator, releaser or admin"),
        (operator(""), 4, "names nobody"),
        (operator("users = []"), 4, "names nobody"),
        (operator("users = [\"\"]"), 6, "as `id` shows it"),
        (operator("users = [\"a b\"]"), 6, "as `id` shows it"),
        (operator("users = [\"uid:\"]"), 6, "such as uid:1001"),
        (operator("users = [\"uid:+1\"]"), 6, "such as uid:1001"),
        (operator("users = [\"uid:4294967295\"]"), 6, "such as uid:1001"),
        (operator("users = [\"gid:5\"]"), 6, "as `id` shows it"),
        (operator("groups = [\"uid:5\"]"), 6, "as `id` shows it"),
        (operator(&many), 4, "at most 64"),
        (operator("users = [\"ana\"]\ndesks = []"), 4, "leave it out for all"),
        (operator("users = [\"ana\"]\ndesks = [\"tecnical\"]"), 7, "technical, diplomatic or law-enforcement"),
        (operator("users = [\"ana\"]\nroles = 1"), 7, "did you mean `role`?"),
        (format!("{BASE}{ADMIN}desks = [\"technical\"]\n"), 4, "an admin reads no messages"),
        (format!("{BASE}{}", ADMIN.repeat(65)), 4, "at most 64"),
        (operator("users = [\"ana\"]").replace("admin", "auditor"), 4, "no entry has role = \"admin\""),
    ] {
        let (found, field, problem) = refused(&text);
        assert!(problem.contains(part), "{text}: {problem}");
        assert!(field.starts_with("access"), "{text}: {field}");
        assert_eq!(found, line, "{text}: {problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_panics(at in 0..REFERENCE.len(), insert in "[\\[\\]\"=\n#a.é{}\\\\]{0,6}", cut in 0..40_usize) {
        let mut bytes = uncommented().into_bytes();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at.min(end)..end, insert.bytes());
        let text = String::from_utf8_lossy(&bytes);
        if let Err(ConfigError::Invalid { place, .. }) = parse(&text) {
            prop_assert!(place.line <= 2 + text.lines().count());
        }
    }
}

#[test]
fn the_rules_for_what_is_urgent_arrive_and_flash_is_an_operators() {
    let text =
        format!("{BASE}[release]\nflash = true\nred = true\nlifetime_min = 5\n[flash]\nper_day = 0\nwords = 9\n");
    let expected = Discipline {
        release_flash: true,
        release_red: true,
        release_within_ms: 300_000,
        flash_words: 9,
        flash_per_day: 0,
    };
    assert_eq!(parse(&text).unwrap().limits.core.discipline, expected);
    assert_eq!(parse(BASE).unwrap().limits.core.discipline, Discipline::default());
    let silent = format!("{BASE}[[access]]\nrole = \"operator\"\nusers = [\"ana\"]\nflash = false\n{ADMIN}");
    assert!(!parse(&silent).unwrap().access.entries()[0].flash);
    let wrong = silent.replace("operator", "releaser");
    assert!(parse(&wrong).unwrap_err().to_string().contains("`flash` says whether an operator may send FLASH"));
}
