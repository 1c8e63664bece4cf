use super::*;
use crate::keys::fixtures::{keyring, sealing};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

fn new_node(dir: &Path) -> NewNode {
    NewNode {
        dir: dir.to_owned(),
        id: NodeId::new("cert.br").unwrap(),
        name: "CERT \"Brasil\" \\ São Paulo".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:7443".parse().unwrap(), "[::1]:7443".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_node_is_whole_and_private() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let (config, card) = init(&new_node(&dir), &sealing(), &Clock::system()).unwrap();
    assert_eq!(names(&dir), ["aldisd.toml", "card.aldis", "data", "keys", "tls"].map(String::from).into());
    assert_eq!([mode(&config.keys.identity), mode(&config.keys.tls_key)], [0o600, 0o600]);
    assert_eq!([mode(&dir.join("keys")), mode(&dir.join("tls")), mode(&config.node.data_dir)], [0o700; 3]);
    let loaded = Config::load(&dir.join(CONFIG_FILE)).unwrap();
    assert_eq!(format!("{loaded:?}"), format!("{config:?}"));
    assert_eq!(&*loaded.node.name, "CERT \"Brasil\" \\ São Paulo");
    assert_eq!(loaded.network.listen.len(), 2);
    assert_eq!(
        loaded.network.endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>(),
        ["127.0.0.1:7443", "[::1]:7443"]
    );
    let keys = OwnKeys::load(&loaded, &mut keyring(), Clock::system().system_time()).unwrap();
    assert_eq!(own_card::kept(&loaded, &keys).unwrap().unwrap(), card);
}

#[test]
fn two_nodes_have_different_keys() {
    let parent = tempfile::tempdir().unwrap();
    let make = |name: &str| init(&new_node(&parent.path().join(name)), &sealing(), &Clock::system()).unwrap().1;
    let (one, other) = (make("one"), make("other"));
    assert_ne!(one.key(), other.key());
    assert_ne!(one.card().tls_certificate, other.card().tls_certificate);
}

#[test]
fn nothing_is_ever_overwritten() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    init(&new_node(&dir), &sealing(), &Clock::system()).unwrap();
    let key = fs::read(dir.join("keys/identity.key")).unwrap();
    let error = init(&new_node(&dir), &sealing(), &Clock::system()).unwrap_err();
    assert!(matches!(error, InitError::NotEmpty { .. }), "{error}");
    assert!(error.is_usage());
    assert_eq!(fs::read(dir.join("keys/identity.key")).unwrap(), key);
    let other = parent.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes.txt"), "mine").unwrap();
    assert!(matches!(init(&new_node(&other), &sealing(), &Clock::system()), Err(InitError::NotEmpty { .. })));
    assert_eq!(names(&other), ["notes.txt".to_owned()].into());
}

#[test]
fn an_empty_directory_is_taken_and_a_file_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    init(&new_node(&empty), &sealing(), &Clock::system()).unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = init(&new_node(&file), &sealing(), &Clock::system()).unwrap_err();
    assert!(matches!(error, InitError::Io { .. }) && !error.is_usage(), "{error}");
}

#[test]
fn bad_options_leave_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let good = new_node(&dir);
    let every_address = NewNode { listen: vec!["[::]:7443".parse().unwrap()], ..good.clone() };
    let no_name = NewNode { name: String::new(), ..good.clone() };
    let hidden = NewNode { name: "a\u{202e}b".to_owned(), ..good.clone() };
    let deep = NewNode { dir: parent.path().join("d".repeat(120)), ..good.clone() };
    for bad in [&every_address, &no_name, &hidden, &deep] {
        let error = init(bad, &sealing(), &Clock::system()).unwrap_err();
        assert!(error.is_usage(), "{error}");
    }
    let no_parent = NewNode { dir: parent.path().join("none/node"), ..good.clone() };
    assert!(matches!(init(&no_parent, &sealing(), &Clock::system()), Err(InitError::Io { .. })));
    assert_eq!(names(parent.path()), BTreeSet::new());
    let outside = NewNode { endpoints: vec!["aldis.cert.br:7443".parse().unwrap()], ..every_address };
    init(&outside, &sealing(), &Clock::system()).unwrap();
}

#[test]
fn a_failure_half_way_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    // A clock centuries ahead: the identity key is written by then, and the certificate cannot be made.
    let clock = Clock::system();
    clock.shift(2_000 * 365 * 86_400_000);
    let error = init(&new_node(&dir), &sealing(), &clock).unwrap_err();
    assert!(matches!(error, InitError::Tls(_)), "{error}");
    assert_eq!(names(parent.path()), BTreeSet::new());
}

#[test]
fn the_next_steps_name_this_node() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let (config, card) = init(&new_node(&dir), &sealing(), &Clock::system()).unwrap();
    let steps = next_steps(&config, &card);
    for part in [card.fingerprint(), format!("aldisd check {}", dir.join(CONFIG_FILE).display()), "cert.br".to_owned()]
    {
        assert!(steps.contains(&part), "{part} is not in: {steps}");
    }
}
