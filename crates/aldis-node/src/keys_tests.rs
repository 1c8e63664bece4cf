use super::fixtures::{given, keyring, sealing};
use super::*;
use crate::clock::Clock;
use crate::init::{self, NewNode};
use crate::tls;
use data_encoding::BASE64;
use rustix::fs::CWD;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

pub(super) const SEED: [u8; 32] = [7; 32];

pub(super) fn node() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

pub(super) fn sealer() -> Sealer {
    Sealer::new(&Secret::new(fixtures::PASSPHRASE.into()), Stretch::THROWAWAY).unwrap()
}

/// A directory with a good key file.
fn made() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    sealer().create_identity(&path, &node(), &SEED).unwrap();
    (dir, path)
}

fn load(path: &Path) -> Result<IdentityKey, KeyError> {
    load_identity(path, &node(), &mut keyring())
}

fn refused(path: &Path) -> KeyError {
    match load(path) {
        Err(error) => error,
        Ok(_) => panic!("{} was taken", path.display()),
    }
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A whole node, with the configuration it was made with.
pub(super) fn made_node(dir: &Path) -> Config {
    let node = NewNode {
        dir: dir.to_owned(),
        id: node(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    };
    init::init(&node, &sealing(), &Clock::system()).unwrap().0
}

pub(super) fn load_all(config: &Config) -> Result<OwnKeys, KeyError> {
    OwnKeys::load(config, &mut keyring(), Clock::system().system_time())
}

pub(super) fn all_refused(config: &Config) -> KeyError {
    match load_all(config) {
        Err(error) => error,
        Ok(_) => panic!("the keys were taken"),
    }
}

#[test]
fn a_key_survives_its_file() {
    let (_dir, path) = made();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(load(&path).unwrap().public(), IdentityKey::from_seed(&SEED).public());
    set_mode(&path, 0o400);
    assert!(load(&path).is_ok());
}

/// The one unit test that pays the real price.
#[test]
fn a_key_sealed_as_in_production_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    let sealer = Sealer::new(&Secret::new(fixtures::PASSPHRASE.into()), Stretch::RECOMMENDED).unwrap();
    sealer.create_identity(&path, &node(), &SEED).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("memory_kib = 65536\npasses = 3\nlanes = 4\n"));
    assert_eq!(load(&path).unwrap().public(), IdentityKey::from_seed(&SEED).public());
}

#[test]
fn nothing_of_a_key_stands_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let (_pem_certificate, pem) = tls::generate("cert.br", 30, Clock::system().system_time()).unwrap();
    let (identity, tls_key) = (dir.path().join("i"), dir.path().join("t"));
    sealer().create_identity(&identity, &node(), &SEED).unwrap();
    sealer().create_tls_key(&tls_key, &node(), pem.expose()).unwrap();
    let text = fs::read_to_string(&identity).unwrap();
    assert!(!text.contains(&BASE64.encode(&SEED)) && !text.contains("0707070707"), "{text}");
    for path in [&tls_key, &config.keys.tls_key] {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("PRIVATE") && !text.contains(pem.expose().lines().nth(1).unwrap()), "{text}");
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let (dir, path) = made();
    let before = fs::read(&path).unwrap();
    assert!(matches!(sealer().create_identity(&path, &node(), &[8; 32]), Err(KeyError::Exists { .. })));
    assert!(matches!(sealer().create_tls_key(&path, &node(), "x"), Err(KeyError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    // Nor through a link to nowhere, which `exists` would not see.
    let link = dir.path().join("link");
    symlink(dir.path().join("nowhere"), &link).unwrap();
    assert!(matches!(sealer().create_identity(&link, &node(), &SEED), Err(KeyError::Exists { .. })));
}

#[test]
fn a_key_that_others_may_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    for path in [&config.keys.identity, &config.keys.tls_key] {
        for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
            set_mode(path, 0o600 | bit);
            let error = all_refused(&config);
            assert!(matches!(error, KeyError::OpenToOthers { mode, .. } if mode == 0o600 | bit), "{error}");
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        set_mode(path, 0o600);
    }
    load_all(&config).unwrap();
}

#[test]
fn a_key_of_another_user_is_refused_and_one_of_root_is_not() {
    let path = Path::new("/k");
    let refused = files::check_guarded(path, 0o100_600, 1001, 1000);
    assert!(matches!(refused, Err(KeyError::WrongOwner { owner: 1001, user: 1000, .. })));
    assert!(files::check_guarded(path, 0o100_600, 0, 1000).is_ok());
    assert!(files::check_guarded(path, 0o100_600, 1000, 1000).is_ok());
}

#[test]
fn only_a_regular_file_is_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    for path in [&config.keys.identity, &config.keys.tls_key] {
        let aside = dir.path().join("aside");
        fs::rename(path, &aside).unwrap();
        assert!(matches!(all_refused(&config), KeyError::Missing { .. }));
        symlink(&aside, path).unwrap();
        assert!(matches!(all_refused(&config), KeyError::SymbolicLink { .. }));
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        assert!(matches!(all_refused(&config), KeyError::NotAFile { .. }));
        fs::remove_dir(path).unwrap();
        // Nobody writes into the pipe: a blocking open would never return.
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(all_refused(&config), KeyError::NotAFile { .. }));
        fs::rename(&aside, path).unwrap();
    }
}

#[test]
fn no_byte_of_a_sealed_file_can_change() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    // One keyring for all of it, so that files with the right salt are tried with a key that is known to be right.
    let mut keyring = keyring();
    for path in [&config.keys.identity, &config.keys.tls_key] {
        let good = fs::read(path).unwrap();
        for at in 0..good.len() {
            for bit in [0x01, 0x02, 0x20] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                assert_refused(&config, &mut keyring, path, &bad, at);
            }
            let cut = [&good[..at], &good[at + 1..]].concat();
            assert_refused(&config, &mut keyring, path, &cut, at);
            assert_refused(&config, &mut keyring, path, &good[..at], at);
        }
        fs::write(path, [good.as_slice(), b"\n"].concat()).unwrap();
        assert_refused(&config, &mut keyring, path, &[good.as_slice(), b"\n"].concat(), good.len());
        fs::write(path, &good).unwrap();
    }
    OwnKeys::load(&config, &mut keyring, Clock::system().system_time()).unwrap();
}

fn assert_refused(config: &Config, keyring: &mut Keyring, path: &Path, bad: &[u8], at: usize) {
    fs::write(path, bad).unwrap();
    let loaded = OwnKeys::load(config, keyring, Clock::system().system_time());
    assert!(loaded.is_err(), "byte {at} of {} may change", path.display());
}

#[test]
fn no_line_of_a_sealed_file_can_go_come_twice_or_be_another_files() {
    let (dir, path) = made();
    let other = dir.path().join("other.key");
    // The same secret, salt, cost and node: only seed, public half and nonce differ.
    let (sealer, mut keyring) = (sealer(), keyring());
    fs::remove_file(&path).unwrap();
    sealer.create_identity(&path, &node(), &SEED).unwrap();
    sealer.create_identity(&other, &node(), &[8; 32]).unwrap();
    let (good, foreign) = (fs::read_to_string(&path).unwrap(), fs::read_to_string(&other).unwrap());
    let (good, foreign): (Vec<&str>, Vec<&str>) = (good.lines().collect(), foreign.lines().collect());
    let mut refused = |lines: &[&str], what: &str| {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert!(load_identity(&path, &node(), &mut keyring).is_err(), "{what}");
    };
    for at in 0..good.len() {
        let (before, after) = good.split_at(at);
        refused(&[before, &after[1..]].concat(), "a line is gone");
        refused(&[before, &after[..1], after].concat(), "a line stands twice");
        if good[at] != foreign[at] {
            refused(&[before, &foreign[at..=at], &after[1..]].concat(), good[at]);
        }
        if at + 1 < good.len() {
            refused(&[before, &[good[at + 1], good[at]], &after[2..]].concat(), "two lines changed places");
        }
    }
    fs::write(&path, good.join("\n") + "\n").unwrap();
    load(&path).unwrap();
}

#[test]
fn one_kind_of_key_is_not_taken_for_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let text = fs::read_to_string(&config.keys.tls_key).unwrap();
    fs::write(&config.keys.identity, &text).unwrap();
    assert!(matches!(all_refused(&config), KeyError::Damaged { .. }));
    fs::write(&config.keys.identity, text.replace("ALDIS TLS", "ALDIS IDENTITY")).unwrap();
    assert!(matches!(all_refused(&config), KeyError::Damaged { .. }));
    let public = "scheme = argon2id\npublic = 0000000000000000000000000000000000000000000000000000000000000000";
    let text = text.replace("ALDIS TLS", "ALDIS IDENTITY").replace("scheme = argon2id", public);
    fs::write(&config.keys.identity, text).unwrap();
    assert!(matches!(all_refused(&config), KeyError::WrongSecret { .. }));
}

#[test]
fn i7_absurd_parameters_in_a_file_are_refused_without_an_attempt() {
    let (_dir, path) = made();
    let good = fs::read_to_string(&path).unwrap();
    // A keyring that must not be asked: whoever derives asks first.
    let mut untouched = Keyring::new(Source::Credential { dir: None, name: "aldis-seal" });
    for (from, to) in [
        ("memory_kib = 8\n", "memory_kib = 4294967295\n"),
        ("memory_kib = 8\n", "memory_kib = 262145\n"),
        ("memory_kib = 8\n", "memory_kib = 99999999999999999999\n"),
        ("memory_kib = 8\n", "memory_kib = -8\n"),
        ("memory_kib = 8\n", "memory_kib = 0\n"),
        ("passes = 1\n", "passes = 1000000\n"),
        ("passes = 1\n", "passes = 0\n"),
        ("lanes = 1\n", "lanes = 16777216\n"),
        ("lanes = 1\n", "lanes = 2\n"),
    ] {
        assert!(good.contains(from));
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = load_identity(&path, &node(), &mut untouched).err().unwrap();
        assert!(matches!(error, KeyError::Damaged { .. }), "{to}: {error}");
    }
    fs::write(&path, vec![b'#'; files::MAX_FILE_BYTES + 1]).unwrap();
    assert!(refused(&path).to_string().contains("far too long"));
    fs::write(&path, b"\xff\xfe").unwrap();
    assert!(refused(&path).to_string().contains("not text"));
    fs::write(&path, good.replace("argon2id", "argon2x")).unwrap();
    assert!(matches!(refused(&path), KeyError::UnknownScheme { .. }));
}

#[test]
fn a_wrong_secret_and_a_changed_file_are_one_error() {
    let (_dir, path) = made();
    let wrong = |path: &Path, secret: &str| {
        let mut keyring = Keyring::new(Source::Given(Secret::new(secret.into())));
        load_identity(path, &node(), &mut keyring).err().unwrap().to_string()
    };
    let text = wrong(&path, "correct horse battery stapl");
    assert!(!text.contains("horse"), "{text}");
    let good = fs::read_to_string(&path).unwrap();
    let nonce = good.find("nonce = ").unwrap() + "nonce = ".len();
    let mut bad = good.into_bytes();
    bad[nonce] = if bad[nonce] == b'0' { b'1' } else { b'0' };
    fs::write(&path, bad).unwrap();
    assert_eq!(text, refused(&path).to_string());
}

#[test]
fn a_key_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    sealer().create_identity(&path, &NodeId::new("cert.cl").unwrap(), &SEED).unwrap();
    let error = refused(&path);
    assert!(matches!(error, KeyError::OfAnotherNode { .. }), "{error}");
    assert!(error.to_string().contains("cert.cl") && error.to_string().contains("cert.br"), "{error}");
}

#[test]
fn a_plain_key_of_ones_own_is_refused_and_says_what_to_run() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let sealed = fs::read(&config.keys.identity).unwrap();
    fs::write(&config.keys.identity, plain_identity(&SEED)).unwrap();
    let error = all_refused(&config);
    assert!(matches!(error, KeyError::NotSealed { .. }), "{error}");
    assert!(error.to_string().contains("`aldisd key seal`"), "{error}");
    assert!(!error.to_string().contains(&BASE64.encode(&SEED)), "{error}");
    fs::write(&config.keys.identity, sealed).unwrap();
    let (certificate, key) = tls::generate("cert.br", 30, Clock::system().system_time()).unwrap();
    fs::write(&config.keys.tls_certificate, certificate).unwrap();
    fs::write(&config.keys.tls_key, key.expose()).unwrap();
    let error = all_refused(&config);
    assert!(matches!(&error, KeyError::NotSealed { path } if *path == config.keys.tls_key), "{error}");
}

/// An identity key file as the first version made it.
pub(super) fn plain_identity(seed: &[u8; 32]) -> String {
    let public = data_encoding::HEXLOWER.encode(IdentityKey::from_seed(seed).public().as_bytes());
    let seed = BASE64.encode(seed);
    let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} ALDIS IDENTITY KEY-----"));
    format!("{begin}\nscheme = plain\npublic = {public}\nseed = {seed}\n{end}\n")
}

#[test]
fn a_file_sealed_anew_while_the_node_runs_needs_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let now = Clock::system().system_time();
    let mut keyring = keyring();
    OwnKeys::load(&config, &mut keyring, now).unwrap();
    keyring.forget_secret();
    OwnKeys::load(&config, &mut keyring, now).unwrap();
    seal_anew(&config);
    let error = OwnKeys::load(&config, &mut keyring, now).err().unwrap();
    assert!(matches!(error, KeyError::SealedAnew { .. }), "{error}");
}

fn seal_anew(config: &Config) {
    reseal(config, given(), given(), Stretch::THROWAWAY).unwrap();
}
