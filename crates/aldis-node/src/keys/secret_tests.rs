use super::*;
use crate::keys::{FIRST_WAIT, KeyError, Keyring, Sealer, Stretch, TRIES, load_identity};
use aldis_wire::ids::NodeId;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const GOOD: &str = "correct horse battery staple";

fn node() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

/// What a terminal showed, and its two ends: whoever still reads must not lose it.
struct Typed {
    shown: String,
    _terminal: (File, File),
}

/// A terminal, and a person at it who gives these answers, one a question. What the terminal shows comes back at the
/// end.
fn person(answers: &'static [&'static str]) -> (Terminal, std::thread::JoinHandle<Typed>) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_bytes();
    let path = PathBuf::from(std::ffi::OsString::from_vec(name));
    // Held open, so that the terminal outlives each question.
    let theirs = File::options().read(true).write(true).open(&path).unwrap();
    let typing = std::thread::spawn(move || {
        let (mut ours, mut shown) = (File::from(ours), Vec::new());
        for answer in answers {
            let before = shown.len();
            while !shown[before..].ends_with(b": ") {
                let mut byte = [0];
                assert_eq!(ours.read(&mut byte).unwrap(), 1);
                shown.push(byte[0]);
            }
            ours.write_all(format!("{answer}\n").as_bytes()).unwrap();
            // The end of the line is shown, by and by.
            while !shown.ends_with(b"\n") {
                let mut byte = [0];
                assert_eq!(ours.read(&mut byte).unwrap(), 1);
                shown.push(byte[0]);
            }
        }
        Typed { shown: String::from_utf8(shown).unwrap(), _terminal: (ours, theirs) }
    });
    (Terminal::at(path), typing)
}

/// What comes of asking, which must not ask more often than the person answers.
fn bounded<T: Send + 'static>(asking: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(asking()));
    outcome.recv_timeout(Duration::from_secs(30)).expect("no question is left without an answer")
}

/// A sealed key file, and a keyring that asks `source` and notes how long it would have waited.
fn sealed(source: Source) -> (tempfile::TempDir, PathBuf, Keyring, Arc<Mutex<Vec<Duration>>>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    let sealer = Sealer::new(&Secret::new(GOOD.into()), Stretch::THROWAWAY).unwrap();
    sealer.create_identity(&path, &node(), &[7; 32]).unwrap();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let keyring = Keyring::with_pause(source, Box::new(move |wait| noted.lock().unwrap().push(wait)));
    (dir, path, keyring, waits)
}

#[test]
fn a_person_has_three_tries_and_waits_longer_each_time() {
    let (terminal, typing) = person(&["wrong horse 1", "wrong horse 2", "wrong horse 3"]);
    let (_dir, path, mut keyring, waits) = sealed(Source::Terminal(terminal));
    let error = bounded(move || load_identity(&path, &node(), &mut keyring)).err().unwrap();
    assert!(matches!(error, KeyError::WrongSecret { .. }), "{error}");
    assert_eq!(TRIES, 3);
    assert_eq!(*waits.lock().unwrap(), [FIRST_WAIT, FIRST_WAIT * 2]);
    assert_eq!(FIRST_WAIT, Duration::from_secs(1));
    let shown = typing.join().unwrap().shown;
    assert!(!shown.contains("horse"), "what is typed is not shown: {shown}");
    assert_eq!(shown.matches("Passphrase of this node's keys: ").count(), 3, "{shown}");
    assert_eq!(shown.matches("It does not open them. ").count(), 2, "{shown}");
}

#[test]
fn the_right_passphrase_opens_at_any_try_and_is_asked_once() {
    let (terminal, typing) = person(&["wrong horse 1", GOOD]);
    let (dir, path, mut keyring, waits) = sealed(Source::Terminal(terminal));
    load_identity(&path, &node(), &mut keyring).unwrap();
    assert_eq!(*waits.lock().unwrap(), [FIRST_WAIT]);
    assert!(!typing.join().unwrap().shown.contains("horse"));
    // A second file with another salt opens without a question; one of another secret is refused without one.
    let second = dir.path().join("second.key");
    Sealer::new(&Secret::new(GOOD.into()), Stretch::THROWAWAY)
        .unwrap()
        .create_identity(&second, &node(), &[8; 32])
        .unwrap();
    load_identity(&second, &node(), &mut keyring).unwrap();
    let third = dir.path().join("third.key");
    let other = Sealer::new(&Secret::new("another secret".into()), Stretch::THROWAWAY).unwrap();
    other.create_identity(&third, &node(), &[9; 32]).unwrap();
    assert!(matches!(load_identity(&third, &node(), &mut keyring), Err(KeyError::WrongSecret { .. })));
    load_identity(&second, &node(), &mut keyring).unwrap();
    assert_eq!(waits.lock().unwrap().len(), 1);
}

#[test]
fn a_descriptor_or_credential_has_one_try() {
    let (_dir, path, mut keyring, waits) = sealed(Source::Given(Secret::new("wrong horse".into())));
    assert!(matches!(load_identity(&path, &node(), &mut keyring), Err(KeyError::WrongSecret { .. })));
    assert!(waits.lock().unwrap().is_empty());
}

#[test]
fn a_new_passphrase_is_typed_twice_and_long_enough() {
    let ask = |answers: &'static [&'static str]| {
        let (terminal, typing) = person(answers);
        let secret = bounded(move || Source::Terminal(terminal).ask_new());
        let shown = typing.join().unwrap().shown;
        assert!(answers.iter().all(|answer| answer.is_empty() || !shown.contains(answer)), "{shown}");
        secret
    };
    assert_eq!(ask(&[GOOD, GOOD]).unwrap().expose(), GOOD.as_bytes());
    assert!(matches!(ask(&[GOOD, "correct horse battery stable"]), Err(SecretError::Differ)));
    assert!(matches!(ask(&["elevenchars"]), Err(SecretError::TooShort { chars: 11, least: 12 })));
    // Characters count, not bytes.
    assert!(ask(&["çççççççççççç", "çççççççççççç"]).is_ok());
    assert!(matches!(ask(&["ççççççççççç"]), Err(SecretError::TooShort { chars: 11, .. })));
    assert!(matches!(ask(&[""]), Err(SecretError::Empty)));
}

#[test]
fn without_a_terminal_the_error_says_what_to_do() {
    for path in ["/dev/null", "/nowhere/tty"] {
        let error = Source::Terminal(Terminal::at(path.into())).ask(false).err().unwrap();
        assert!(matches!(error, SecretError::NoTerminal), "{error}");
        assert!(error.to_string().contains("--passphrase-fd"), "{error}");
    }
}

#[test]
fn i7_one_bounded_line_is_read_and_nothing_after_it() {
    let read = |text: &[u8]| read_line(text, &"x").map(|secret| secret.expose().to_vec());
    assert_eq!(read(b"correct horse\nsecond line").unwrap(), b"correct horse");
    assert_eq!(read(b"correct horse").unwrap(), b"correct horse");
    assert_eq!(read(b"correct horse\r\n").unwrap(), b"correct horse");
    assert_eq!(read(b" a b \n").unwrap(), b" a b ");
    assert!(matches!(read(b""), Err(SecretError::Empty)));
    assert!(matches!(read(b"\nx"), Err(SecretError::Empty)));
    assert_eq!(read(&[b'x'; MAX_PASSPHRASE_BYTES]).unwrap().len(), MAX_PASSPHRASE_BYTES);
    assert!(matches!(read(&[b'x'; MAX_PASSPHRASE_BYTES + 1]), Err(SecretError::TooLong { .. })));
    // It never ends, and is not waited for.
    assert!(matches!(read_line(io::repeat(b'x'), &"x"), Err(SecretError::TooLong { .. })));
}

#[test]
fn a_descriptor_that_is_not_open_is_named() {
    let error = Source::Descriptor(1_000_000).ask(false).err().unwrap().to_string();
    assert!(error.contains("file descriptor 1000000"), "{error}");
}

/// A directory with a credential of this content and mode.
fn credential(content: &[u8], mode: u32) -> (tempfile::TempDir, Source) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CREDENTIAL);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let source = Source::credential_in(dir.path());
    (dir, source)
}

#[test]
fn a_credential_is_taken_to_the_byte() {
    let (_dir, source) = credential(b"0123456789abcdef\n", 0o400);
    assert_eq!(source.ask(false).unwrap().expose(), b"0123456789abcdef\n");
    let (_dir, source) = credential(&[0xff; MAX_CREDENTIAL_BYTES], 0o600);
    assert_eq!(source.ask_new().unwrap().expose().len(), MAX_CREDENTIAL_BYTES);
}

#[test]
fn a_credential_that_is_short_long_open_or_no_file_is_refused() {
    let (least, most) = (MIN_CREDENTIAL_BYTES, MAX_CREDENTIAL_BYTES);
    let empty = tempfile::tempdir().unwrap();
    let error = Source::credential_in(empty.path()).ask(false).err().unwrap().to_string();
    for advice in ["systemd-creds setup", "systemd-creds encrypt", "LoadCredentialEncrypted=aldis-seal"] {
        assert!(error.contains(advice), "{advice} is not in: {error}");
    }
    for (content, mode) in [(vec![1; least - 1], 0o400), (vec![1; most + 1], 0o400), (Vec::new(), 0o400)] {
        let (_dir, source) = credential(&content, mode);
        let error = source.ask(false).err().unwrap();
        assert!(matches!(error, SecretError::CredentialLength { .. }), "{error}");
    }
    for mode in [0o440, 0o420, 0o410, 0o404, 0o402, 0o401] {
        let (_dir, source) = credential(&[1; 32], mode);
        let error = source.ask(false).err().unwrap();
        assert!(matches!(error, SecretError::CredentialOpen { .. }), "{mode:o}: {error}");
    }
    let (dir, source) = credential(&[1; 32], 0o400);
    fs::rename(dir.path().join(CREDENTIAL), dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join(CREDENTIAL)).unwrap();
    assert!(source.ask(false).is_err());
    fs::remove_file(dir.path().join(CREDENTIAL)).unwrap();
    fs::create_dir(dir.path().join(CREDENTIAL)).unwrap();
    assert!(source.ask(false).is_err());
    let none = Source::Credential { dir: None, name: CREDENTIAL };
    assert!(matches!(none.ask(false), Err(SecretError::NoCredential { .. })));
}

#[test]
fn a_credential_of_roots_may_show_the_mask_of_an_access_list() {
    assert!(guarded(0o100_440, 0, 1000).is_ok());
    assert!(guarded(0o100_400, 0, 1000).is_ok());
    assert!(guarded(0o100_400, 1000, 1000).is_ok());
    for (mode, owner) in [(0o444, 0), (0o460, 0), (0o441, 0), (0o440, 1000), (0o400, 1001)] {
        assert!(guarded(0o100_000 | mode, owner, 1000).is_err(), "{mode:o} {owner}");
    }
    assert!(guarded(0o100_440, 0, 0).is_err(), "root needs no access list");
}
