use super::fixtures::{keyring, sealing};
use super::tests::{load_all, made_node, set_mode};
use super::*;
use crate::clock::Clock;
use crate::init::{self, NewNode};
use crate::tls;
use data_encoding::BASE64;
use std::fs;

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
    tls::Certificate::from_pem(&pem).unwrap().not_before()
}

/// What must not be asked: the example starts without any secret.
fn silent() -> Keyring {
    Keyring::new(Source::Credential { dir: None, name: "aldis-seal" })
}

#[test]
fn the_published_keys_are_the_ones_this_program_knows() {
    let (_dir, config) = example();
    let keys = OwnKeys::load(&config, &mut silent(), example_time(&config)).unwrap();
    let identity = keys.identities.newest_configured().id();
    let certificate = keys.configured_tls().certificate().fingerprint();
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
        single_administrator: false,
    };
    init::init(&node, &sealing(), &Clock::system()).unwrap();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(read(&config.path), read(&made.path().join("aldisd.toml")));
}

#[test]
fn a_damaged_plain_key_is_refused_and_not_shown() {
    let (_dir, config) = example();
    let path = &config.keys.identity;
    let good = fs::read_to_string(path).unwrap();
    let seed = good.lines().find_map(|line| line.strip_prefix("seed = ")).unwrap();
    for (from, to) in [
        ("-----BEGIN ALDIS IDENTITY KEY-----", "-----BEGIN-----"),
        ("-----END ALDIS IDENTITY KEY-----", ""),
        ("scheme = ", "schema = "),
        ("scheme = plain", "scheme = plain\nscheme = plain"),
        ("seed = ", "sead = "),
        ("public = ", "publik = "),
        (seed, &seed[..40]),
        (seed, &BASE64.encode(&[9; 32])),
        (seed, "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"),
    ] {
        fs::write(path, good.replacen(from, to, 1)).unwrap();
        let error = OwnKeys::load(&config, &mut silent(), example_time(&config)).err().unwrap();
        assert!(matches!(error, KeyError::Damaged { .. }), "{from} -> {to}: {error}");
        assert!(!error.to_string().contains(seed), "{error}");
    }
}

#[test]
fn published_keys_are_refused_outside_loopback() {
    let (_dir, config) = example();
    let now = example_time(&config);
    let field = |config: &Config| match OwnKeys::load(config, &mut silent(), now) {
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
    let (_dir, published) = example();
    let now = example_time(&published);
    let dir = tempfile::tempdir().unwrap();
    let mut config = made_node(dir.path());
    config.network.endpoints = vec!["cert.br:7443".parse().unwrap()];
    assert!(!load_all(&config).unwrap().is_published());
    for (own, known) in [
        (&config.keys.tls_key, &published.keys.tls_key),
        (&config.keys.tls_certificate, &published.keys.tls_certificate),
    ] {
        fs::copy(known, own).unwrap();
    }
    let error = OwnKeys::load(&config, &mut keyring(), now).err().unwrap();
    assert!(matches!(error, KeyError::Published { what: "the TLS certificate", .. }), "{error}");
    fs::copy(&published.keys.identity, &config.keys.identity).unwrap();
    let error = OwnKeys::load(&config, &mut keyring(), now).err().unwrap();
    assert!(matches!(error, KeyError::Published { what: "the identity key", .. }), "{error}");
}
