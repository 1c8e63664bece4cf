use super::*;
use crate::clock::Clock;
use crate::keys::fixtures::keyring;
use crate::keys::tests::{SEED, all_refused, load_all, made_node, node, sealer, set_mode};
use crate::keys::{KeyError, OwnKeys};
use crate::tls;
use aldis_wire::signing::IdentityKey;
use std::fs;

#[test]
fn keys_beside_the_configured_ones_are_found_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let (keys, tls_dir) = (dir.path().join("keys"), dir.path().join("tls"));
    let now = Clock::system().system_time();
    let mut keyring = keyring();
    let first = OwnKeys::load(&config, &mut keyring, now).unwrap();
    keyring.forget_secret();
    let sealer = keyring.sealer().unwrap();
    let other = IdentityKey::from_seed(&SEED);
    sealer.create_identity(&keys.join(identity_name(other.id())), &node(), &SEED).unwrap();
    // A copy of the configured key is no second one.
    fs::copy(&config.keys.identity, keys.join(identity_name(first.identities.newest_configured().id()))).unwrap();
    fs::write(keys.join("identity-x.key"), "not looked at").unwrap();
    fs::write(keys.join("identity-0000000g.key"), "not looked at").unwrap();
    let (certificate, key) = tls::generate("cert.br", 30, now).unwrap();
    let fingerprint = tls::Certificate::from_pem(&certificate).unwrap().fingerprint();
    let (certificate_name, key_name) = tls_names(fingerprint);
    sealer.create_tls_key(&tls_dir.join(key_name), &node(), key.expose()).unwrap();
    fs::write(tls_dir.join(certificate_name), certificate).unwrap();
    // The secret is forgotten: what the sealer made opens all the same.
    let found = OwnKeys::load(&config, &mut keyring, now).unwrap();
    assert_eq!(found.identities.iter().count(), 2);
    assert_eq!(found.identities.get(other.id()).unwrap().public(), other.public());
    assert_eq!(found.identities.newest_configured().public(), first.identities.newest_configured().public());
    assert!(found.identities.get(KeyId([0; 16])).is_none());
    let fingerprints: Vec<_> = found.tls.iter().map(|pair| pair.certificate().fingerprint()).collect();
    assert_eq!(fingerprints, [first.configured_tls().certificate().fingerprint(), fingerprint]);
    // After a year nobody can use the second pair any more; the node starts without it.
    let later = now + std::time::Duration::from_secs(365 * 86_400);
    assert_eq!(OwnKeys::load(&config, &mut keyring, later).unwrap().tls.len(), 1);
}

#[test]
fn a_key_beside_the_configured_one_that_cannot_be_used_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let path = dir.path().join("keys/identity-00000000.key");
    fs::write(&path, "damaged").unwrap();
    set_mode(&path, 0o600);
    assert!(matches!(all_refused(&config), KeyError::Damaged { path: named, .. } if named == path));
    fs::copy(&config.keys.identity, &path).unwrap();
    assert!(matches!(all_refused(&config), KeyError::Misnamed { path: named } if named == path));
    set_mode(&path, 0o640);
    assert!(matches!(all_refused(&config), KeyError::OpenToOthers { path: named, .. } if named == path));
    fs::remove_file(&path).unwrap();
    let pair = dir.path().join("tls/tls-00000000.crt");
    fs::copy(&config.keys.tls_certificate, &pair).unwrap();
    let key = pair.with_extension("key");
    assert!(matches!(all_refused(&config), KeyError::Missing { path: named } if named == key));
    fs::copy(&config.keys.tls_key, &key).unwrap();
    assert!(matches!(all_refused(&config), KeyError::Misnamed { path: named } if named == pair));
}

#[test]
fn i7_the_number_of_keys_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let config = made_node(dir.path());
    let sealer = sealer();
    for seed in 1..u8::try_from(MAX_KEYS).unwrap() {
        let name = identity_name(IdentityKey::from_seed(&[seed; 32]).id());
        sealer.create_identity(&dir.path().join("keys").join(name), &node(), &[seed; 32]).unwrap();
    }
    assert_eq!(load_all(&config).unwrap().identities.iter().count(), MAX_KEYS);
    let name = identity_name(IdentityKey::from_seed(&[99; 32]).id());
    sealer.create_identity(&dir.path().join("keys").join(name), &node(), &[99; 32]).unwrap();
    assert!(matches!(all_refused(&config), KeyError::TooMany { limit: MAX_KEYS, .. }));
}
