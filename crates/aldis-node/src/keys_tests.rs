use super::*;
use crate::clock::Clock;
use crate::init::{self, NewNode};
use rustix::fs::CWD;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

const SEED: [u8; 32] = [7; 32];

fn node() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

/// A directory with a good key file.
fn made() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    create_identity(&path, &node(), &SEED).unwrap();
    (dir, path)
}

fn refused(path: &Path) -> KeyError {
    match load_identity(path) {
        Err(error) => error,
        Ok(_) => panic!("{} was taken", path.display()),
    }
}

/// The good file with one text exchanged.
fn changed(path: &Path, from: &str, to: &str) -> KeyError {
    let good = fs::read_to_string(path).unwrap();
    let bad = good.replacen(from, to, 1);
    assert_ne!(good, bad, "nothing to exchange");
    fs::write(path, bad).unwrap();
    let error = refused(path);
    fs::write(path, good).unwrap();
    error
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_survives_its_file() {
    let (_dir, path) = made();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let key = load_identity(&path).unwrap();
    assert_eq!(key.public(), IdentityKey::from_seed(&SEED).public());
    set_mode(&path, 0o400);
    assert!(load_identity(&path).is_ok());
}

#[test]
fn a_key_is_never_overwritten() {
    let (dir, path) = made();
    let before = fs::read(&path).unwrap();
    assert!(matches!(create_identity(&path, &node(), &[8; 32]), Err(KeyError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    // Nor through a link to nowhere, which `exists` would not see.
    let link = dir.path().join("link");
    symlink(dir.path().join("nowhere"), &link).unwrap();
    assert!(matches!(create_identity(&link, &node(), &SEED), Err(KeyError::Exists { .. })));
}

#[test]
fn a_key_that_others_may_use_is_refused() {
    let (_dir, path) = made();
    for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
        set_mode(&path, 0o600 | bit);
        let error = refused(&path);
        assert!(matches!(error, KeyError::OpenToOthers { mode, .. } if mode == 0o600 | bit), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_key_of_another_user_is_refused_and_one_of_root_is_not() {
    let path = Path::new("/k");
    let refused = check_guarded(path, 0o100_600, 1001, 1000);
    assert!(matches!(refused, Err(KeyError::WrongOwner { owner: 1001, user: 1000, .. })));
    assert!(check_guarded(path, 0o100_600, 0, 1000).is_ok());
    assert!(check_guarded(path, 0o100_600, 1000, 1000).is_ok());
}

#[test]
fn only_a_regular_file_is_a_key() {
    let (dir, path) = made();
    assert!(matches!(refused(&dir.path().join("none")), KeyError::Missing { .. }));
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(refused(&link), KeyError::SymbolicLink { .. }));
    let inner = dir.path().join("dir");
    fs::create_dir(&inner).unwrap();
    assert!(matches!(refused(&inner), KeyError::NotAFile { .. }));
    // Nobody writes into the pipe: a blocking open would never return.
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    assert!(matches!(refused(&pipe), KeyError::NotAFile { .. }));
}

#[test]
fn a_damaged_key_is_refused_and_not_shown() {
    let (_dir, path) = made();
    let seed = BASE64.encode(&SEED);
    let short = BASE64.encode(&SEED[..31]);
    let other = BASE64.encode(&[9; 32]);
    for (from, to) in [
        (BEGIN, "-----BEGIN-----"),
        (END, ""),
        ("scheme = ", "schema = "),
        ("scheme = plain", "scheme = plain\nscheme = plain"),
        ("seed = ", "sead = "),
        ("public = ", "publik = "),
        (seed.as_str(), short.as_str()),
        (seed.as_str(), other.as_str()),
        (seed.as_str(), ""),
        (seed.as_str(), "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"),
    ] {
        let error = changed(&path, from, to);
        assert!(matches!(error, KeyError::Damaged { .. }), "{from} -> {to}: {error}");
        assert!(!error.to_string().contains(&seed), "{error}");
    }
    assert!(matches!(changed(&path, "scheme = plain", "scheme = argon2id"), KeyError::UnknownScheme { .. }));
    fs::write(&path, vec![b'#'; MAX_FILE_BYTES + 1]).unwrap();
    assert!(matches!(refused(&path), KeyError::Damaged { .. }));
    fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(refused(&path), KeyError::Damaged { .. }));
}

#[test]
fn no_letter_of_a_seed_can_change() {
    let (_dir, path) = made();
    let good = fs::read_to_string(&path).unwrap();
    let start = good.find("seed = ").unwrap() + "seed = ".len();
    for at in start..start + 44 {
        let mut bad = good.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        fs::write(&path, bad).unwrap();
        assert!(matches!(refused(&path), KeyError::Damaged { .. }), "letter {at}");
    }
}

/// The example in a place of its own, with the modes its README asks for.
fn example() -> (tempfile::TempDir, Config) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../certs-example");
    let dir = tempfile::tempdir().unwrap();
    for file in ["aldisd.toml", "card.aldis", "keys/identity.key", "tls/tls.key", "tls/tls.crt"] {
        let target = dir.path().join(file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, fs::read(source.join(file)).unwrap()).unwrap();
        set_mode(&target, 0o600);
    }
    let config = Config::load(&dir.path().join("aldisd.toml")).unwrap();
    (dir, config)
}

/// A moment at which the example's certificate is valid, however old the example is.
fn example_time(config: &Config) -> SystemTime {
    let pem = fs::read_to_string(&config.keys.tls_certificate).unwrap();
    crate::tls::Certificate::from_pem(&pem).unwrap().not_before()
}

#[test]
fn the_published_keys_are_the_ones_this_program_knows() {
    let (_dir, config) = example();
    let keys = OwnKeys::load(&config, example_time(&config)).unwrap();
    let (identity, certificate) = (keys.identity.id(), keys.tls.certificate().fingerprint());
    assert_eq!(
        (EXAMPLE_KEY_IDS, EXAMPLE_CERTIFICATES),
        ([identity], [certificate]),
        "put the right-hand side into keys.rs"
    );
    let card = crate::own_card::kept(&config, &keys).unwrap().unwrap();
    assert_eq!(card.card().id.as_str(), "cert.example");
}

#[test]
fn the_example_is_what_init_makes() {
    let (_dir, config) = example();
    let made = tempfile::tempdir().unwrap();
    let node = NewNode {
        dir: made.path().to_owned(),
        id: config.node.id.clone(),
        name: config.node.name.to_string(),
        country: config.node.country.clone(),
        listen: config.network.listen.clone(),
        endpoints: config.network.endpoints.clone(),
    };
    init::init(&node, &Clock::system()).unwrap();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(read(&config.path), read(&made.path().join("aldisd.toml")));
}

#[test]
fn published_keys_are_refused_outside_loopback() {
    let (_dir, config) = example();
    let now = example_time(&config);
    let field = |config: &Config| match OwnKeys::load(config, now) {
        Err(KeyError::Published { field, .. }) => Some(field),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    assert_eq!(field(&config), None);
    for address in ["0.0.0.0:7443", "[::]:7443", "192.0.2.1:7443", "[::ffff:192.0.2.1]:7443"] {
        let mut outside = config.clone();
        outside.network.listen.push(address.parse().unwrap());
        assert_eq!(field(&outside), Some("network.listen"), "{address}");
    }
    let mut outside = config.clone();
    outside.network.endpoints.push("cert.example:7443".parse().unwrap());
    assert_eq!(field(&outside), Some("network.endpoints"));
}

#[test]
fn one_published_key_of_the_two_is_enough_to_refuse() {
    assert!(is_published(EXAMPLE_KEY_IDS[0], [0; 32]));
    assert!(is_published(KeyId([0; 16]), EXAMPLE_CERTIFICATES[0]));
    assert!(!is_published(KeyId([0; 16]), [0; 32]));
}
