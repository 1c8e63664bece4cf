use super::*;
use crate::clock::Clock;
use crate::init::{self, NewNode};
use crate::keys::fixtures::{given, sealing};
use crate::keys::{OwnKeys, Secret, Source};
use aldis_wire::ids::NodeId;
use std::collections::BTreeMap;
use std::fs;

const NEW: &str = "an entirely different secret";

fn other() -> Source {
    Source::Given(Secret::new(NEW.into()))
}

fn made() -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let node = NewNode {
        dir: dir.path().to_owned(),
        id: NodeId::new("cert.br").unwrap(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    };
    let (config, _) = init::init(&node, &sealing(), &Clock::system()).unwrap();
    (dir, config)
}

fn load(config: &Config, source: Source) -> Result<OwnKeys, KeyError> {
    OwnKeys::load(config, &mut Keyring::new(source), Clock::system().system_time())
}

/// The files of keys and certificates with their content.
fn files(config: &Config) -> BTreeMap<PathBuf, Vec<u8>> {
    let dirs = [&config.keys.identity, &config.keys.tls_key].map(|path| path.parent().unwrap());
    let entries = dirs.into_iter().flat_map(|dir| fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn resealed_keys_are_the_same_keys_under_the_new_secret_alone() {
    let (_dir, config) = made();
    let before = load(&config, given()).unwrap();
    let sealed = reseal(&config, given(), other(), Stretch::THROWAWAY).unwrap();
    assert_eq!(sealed, [config.keys.tls_key.clone(), config.keys.identity.clone()]);
    assert!(matches!(load(&config, given()), Err(KeyError::WrongSecret { .. })));
    let after = load(&config, other()).unwrap();
    assert_eq!(after.identities.newest_configured().public(), before.identities.newest_configured().public());
    assert_eq!(after.configured_tls().certificate().der(), before.configured_tls().certificate().der());
}

#[test]
fn a_wrong_old_secret_changes_nothing() {
    let (_dir, config) = made();
    let before = files(&config);
    assert!(matches!(reseal(&config, other(), other(), Stretch::THROWAWAY), Err(KeyError::WrongSecret { .. })));
    assert_eq!(files(&config), before);
}

#[test]
fn a_failure_before_a_move_leaves_the_old_file_and_the_same_command_finishes() {
    for fail_at in 0..2 {
        let (_dir, config) = made();
        let before = files(&config);
        let mut moved = 0;
        let mut fail = |_: &Path| {
            moved += 1;
            if moved > fail_at { Err(io::Error::other("the power is cut")) } else { Ok(()) }
        };
        let outcome = reseal_until(&config, &mut Keyring::new(given()), other(), Stretch::THROWAWAY, &mut fail);
        assert!(matches!(outcome, Err(KeyError::Io { .. })));
        let after = files(&config);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "nothing is left beside");
        assert_eq!(after[&config.keys.identity], before[&config.keys.identity]);
        assert_eq!(after[&config.keys.tls_key] == before[&config.keys.tls_key], fail_at == 0);
        reseal(&config, given(), other(), Stretch::THROWAWAY).unwrap();
        load(&config, other()).unwrap();
    }
}

#[test]
fn plain_keys_are_sealed_in_place() {
    let (_dir, config) = made();
    let now = Clock::system().system_time();
    let (certificate, key) = tls::generate("cert.br", 30, now).unwrap();
    let plain = [
        (&config.keys.identity, crate::keys::tests::plain_identity(&[7; 32])),
        (&config.keys.tls_key, key.expose().to_owned()),
        (&config.keys.tls_certificate, certificate),
    ];
    plain.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
    assert!(matches!(load(&config, given()), Err(KeyError::NotSealed { .. })));
    assert!(matches!(reseal(&config, given(), other(), Stretch::THROWAWAY), Err(KeyError::NotSealed { .. })));
    let sealed = seal(&config, given(), Stretch::THROWAWAY).unwrap();
    assert_eq!(sealed, [config.keys.identity.clone(), config.keys.tls_key.clone()]);
    assert_eq!(load(&config, given()).unwrap().identities.newest_configured().seed(), [7; 32].into());
    assert!(seal(&config, other(), Stretch::THROWAWAY).unwrap().is_empty(), "nothing is left to seal");
}

#[test]
fn a_plain_key_beside_a_sealed_one_goes_under_the_same_secret_and_salt() {
    let (_dir, config) = made();
    let mut running = Keyring::new(given());
    let now = Clock::system().system_time();
    OwnKeys::load(&config, &mut running, now).unwrap();
    running.forget_secret();
    let (certificate, key) = tls::generate("cert.br", 30, now).unwrap();
    fs::write(&config.keys.tls_certificate, &certificate).unwrap();
    fs::write(&config.keys.tls_key, key.expose()).unwrap();
    assert!(matches!(seal(&config, other(), Stretch::THROWAWAY), Err(KeyError::WrongSecret { .. })));
    assert_eq!(fs::read_to_string(&config.keys.tls_key).unwrap(), key.expose(), "nothing was changed");
    seal(&config, given(), Stretch::THROWAWAY).unwrap();
    // A running node takes the new pair on SIGHUP without the passphrase.
    let keys = OwnKeys::load(&config, &mut running, now).unwrap();
    assert_eq!(keys.configured_tls().certificate().der(), tls::Certificate::from_pem(&certificate).unwrap().der());
}

#[test]
fn what_is_no_key_is_not_sealed() {
    let (_dir, config) = made();
    for text in ["-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n", "nothing", ""] {
        fs::write(&config.keys.tls_key, text).unwrap();
        assert!(matches!(seal(&config, given(), Stretch::THROWAWAY), Err(KeyError::Damaged { .. })), "{text}");
        assert_eq!(fs::read_to_string(&config.keys.tls_key).unwrap(), text);
    }
}
