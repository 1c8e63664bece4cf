use super::*;
use crate::clock::Clock;
use crate::init::{self, NewNode};
use crate::keys::fixtures;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;

const DAY_MS: u64 = 86_400_000;

struct Made {
    _dir: tempfile::TempDir,
    config: Config,
    keys: OwnKeys,
    now: UnixMillis,
}

fn made() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let node = NewNode {
        dir: dir.path().to_owned(),
        id: NodeId::new("cert.br").unwrap(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:7443".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    };
    let (config, _) = init::init(&node, &fixtures::sealing(), &clock).unwrap();
    let keys = OwnKeys::load(&config, &mut fixtures::keyring(), clock.system_time()).unwrap();
    Made { _dir: dir, config, keys, now: clock.wall() }
}

#[test]
fn a_card_says_what_the_configuration_says() {
    let made = made();
    let card = refresh(&made.config, &made.keys, made.now).unwrap();
    let said = card.card();
    assert_eq!((said.id.as_str(), &*said.name, &*said.country), ("cert.br", "CERT", "BR"));
    assert_eq!(said.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:7443"]);
    assert_eq!(&*said.tls_certificate, made.keys.configured_tls().certificate().der());
    assert_eq!(said.kinds, kinds::kind_versions());
    assert_eq!(card.key(), &made.keys.identities.newest_configured().public());
}

#[test]
fn a_card_that_says_the_same_stays_the_same_bytes() {
    let made = made();
    let first = refresh(&made.config, &made.keys, made.now).unwrap();
    let later = refresh(&made.config, &made.keys, made.now.plus_ms(100 * DAY_MS)).unwrap();
    assert_eq!(later.signed_bytes(), first.signed_bytes());
}

#[test]
fn a_card_is_signed_again_when_it_says_something_new() {
    let mut made = made();
    let first = refresh(&made.config, &made.keys, made.now).unwrap();
    made.config.node.name = Text::new("CERT Brasil").unwrap();
    let second = refresh(&made.config, &made.keys, made.now).unwrap();
    assert_eq!(&*second.card().name, "CERT Brasil");
    assert!(second.card().sequence > first.card().sequence, "within the same second too");
    assert_eq!(kept(&made.config, &made.keys).unwrap().unwrap(), second);
}

#[test]
fn a_card_is_signed_again_before_it_runs_out_and_after_a_clock_ran_ahead() {
    let made = made();
    let first = refresh(&made.config, &made.keys, made.now).unwrap();
    let old = refresh(&made.config, &made.keys, made.now.plus_ms(190 * DAY_MS)).unwrap();
    assert!(old.card().valid_until > first.card().valid_until);
    let back = refresh(&made.config, &made.keys, made.now).unwrap();
    assert_eq!(back.card().issued_at, made.now);
    assert!(back.card().sequence > old.card().sequence, "the higher one replaces the lower one at the peers");
}

#[test]
fn a_lost_card_gets_a_higher_number() {
    let made = made();
    let first = refresh(&made.config, &made.keys, made.now).unwrap();
    fs::remove_file(&made.config.node.card).unwrap();
    let second = refresh(&made.config, &made.keys, made.now.plus_ms(2_000)).unwrap();
    assert!(second.card().sequence > first.card().sequence);
}

#[test]
fn a_damaged_or_foreign_card_is_never_overwritten() {
    let (one, other) = (made(), made());
    let foreign = fs::read(&other.config.node.card).unwrap();
    fs::write(&one.config.node.card, &foreign).unwrap();
    let error = refresh(&one.config, &one.keys, one.now).unwrap_err();
    assert!(matches!(error, OwnCardError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&one.config.node.card).unwrap(), foreign);
    fs::write(&one.config.node.card, "no card").unwrap();
    let error = refresh(&one.config, &one.keys, one.now).unwrap_err();
    assert!(error.to_string().contains("move the file away"), "{error}");
    assert_eq!(fs::read(&one.config.node.card).unwrap(), b"no card");
}
