//! Certificates, keys and pins as they come from disk and from cards.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa};

use super::{forged::*, *};

fn load(node: &Node) -> Result<OwnIdentity, SetupError> {
    OwnIdentity::load(&node.certificate_path(), &node.key_path(), now())
}

/// The error of loading, with its text checked for the file it is about.
fn refusal(node: &Node, about: &std::path::Path) -> SetupError {
    let error = load(node).err().expect("loading is refused");
    assert!(error.to_string().contains(about.to_str().unwrap()), "{error}");
    error
}

#[test]
fn a_generated_pair_loads_and_says_how_long_it_lasts() {
    let made = now();
    let own = Node::made_at("cert.br", made).own;
    assert_eq!(own.remaining_days(made), 30);
    assert_eq!(own.remaining_days(made + Duration::from_secs(1)), 29);
    assert_eq!(own.certificate().not_after(), made + days(30));
}

#[test]
fn remaining_days_become_negative() {
    let certificate = Node::new("cert.br").certificate();
    assert_eq!(certificate.remaining_days(certificate.not_after()), 0);
    assert_eq!(certificate.remaining_days(certificate.not_after() - days(3)), 3);
    assert_eq!(certificate.remaining_days(certificate.not_after() + Duration::from_secs(1)), -1);
    assert!(certificate.is_valid_at(certificate.not_after()));
    assert!(!certificate.is_valid_at(certificate.not_after() + Duration::from_secs(1)));
    assert!(!certificate.is_valid_at(certificate.not_before() - Duration::from_secs(1)));
}

#[test]
fn a_year_of_clock_error_at_the_peer_does_not_make_a_new_certificate_invalid() {
    let certificate = Node::new("cert.br").certificate();
    assert!(certificate.is_valid_at(now() - days(366)));
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let node = Node::new("cert.br");
    for mode in [0o640, 0o604, 0o620, 0o660, 0o644] {
        fs::set_permissions(node.key_path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = refusal(&node, &node.key_path());
        assert!(matches!(error, SetupError::OpenToOthers { mode: found, .. } if found == mode), "{error:?}");
        assert!(error.to_string().contains("chmod 0600"), "{error}");
    }
    fs::set_permissions(node.key_path(), fs::Permissions::from_mode(0o400)).unwrap();
    load(&node).unwrap();
}

#[test]
fn missing_files_and_what_is_no_file_are_refused() {
    let node = Node::new("cert.br");
    fs::remove_file(node.key_path()).unwrap();
    assert!(matches!(refusal(&node, &node.key_path()), SetupError::Unreadable { .. }));
    fs::create_dir(node.key_path()).unwrap();
    assert!(matches!(refusal(&node, &node.key_path()), SetupError::NotAFile { .. }));

    let node = Node::new("cert.br");
    fs::remove_file(node.certificate_path()).unwrap();
    assert!(matches!(refusal(&node, &node.certificate_path()), SetupError::Unreadable { .. }));
}

#[test]
fn a_pipe_in_place_of_the_key_does_not_stall_the_start() {
    let node = Node::new("cert.br");
    fs::remove_file(node.key_path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(node.key_path()).status().unwrap();
    assert!(made.success());
    let (done, outcome) = std::sync::mpsc::channel();
    let loading = std::thread::spawn(move || {
        let refused = matches!(refusal(&node, &node.key_path()), SetupError::NotAFile { .. });
        done.send(refused).unwrap();
    });
    assert!(outcome.recv_timeout(BOUND).expect("loading does not wait for a writer"));
    loading.join().unwrap();
}

#[test]
fn files_without_exactly_one_section_are_refused() {
    let node = Node::new("cert.br");
    let certificate = fs::read_to_string(node.certificate_path()).unwrap();
    let key = fs::read_to_string(node.key_path()).unwrap();
    for spoilt in ["", "nothing", &certificate.repeat(2), &key, &certificate[..certificate.len() / 2], "\u{0}\u{ff}"] {
        fs::write(node.certificate_path(), spoilt).unwrap();
        let error = refusal(&node, &node.certificate_path());
        assert!(matches!(error, SetupError::NotPem { what: "certificate", .. }), "{error:?}");
    }
    fs::write(node.certificate_path(), [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(refusal(&node, &node.certificate_path()), SetupError::NotPem { .. }));
    fs::write(node.certificate_path(), &certificate).unwrap();
    for spoilt in ["", &key.repeat(2), &certificate] {
        fs::write(node.key_path(), spoilt).unwrap();
        let error = refusal(&node, &node.key_path());
        assert!(matches!(error, SetupError::NotPem { what: "private key", .. }), "{error:?}");
    }
}

#[test]
fn i7_a_huge_file_is_not_read() {
    let node = Node::new("cert.br");
    fs::File::options().write(true).open(node.key_path()).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(refusal(&node, &node.key_path()), SetupError::TooLarge { .. }));
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_refused() {
    let (node, other) = (Node::new("cert.br"), Node::new("cert.br"));
    fs::copy(other.key_path(), node.key_path()).unwrap();
    let error = refusal(&node, &node.key_path());
    assert!(matches!(error, SetupError::Mismatch { .. }), "{error:?}");
    assert!(error.to_string().contains(node.certificate_path().to_str().unwrap()), "{error}");
}

#[test]
fn an_expired_own_certificate_is_refused_with_its_dates() {
    let node = Node::made_at("cert.br", now() - days(31));
    let error = refusal(&node, &node.certificate_path());
    assert!(matches!(error, SetupError::OutsideValidity { .. }), "{error:?}");
    let before = OwnIdentity::load(&node.certificate_path(), &node.key_path(), now() - days(3650));
    assert!(matches!(before.err().unwrap(), SetupError::OutsideValidity { .. }));
}

#[test]
fn options_outside_their_limits_make_no_certificate() {
    for (id, valid_days) in
        [("cert.br", 0), ("cert.br", MAX_VALID_DAYS + 1), ("", 1), ("CERT.BR", 1), ("a\u{202e}b", 1)]
    {
        assert!(
            matches!(generate(id, valid_days, now()).err(), Some(SetupError::BadOption { .. })),
            "{id} {valid_days}"
        );
    }
    assert!(generate(&"a".repeat(65), 1, now()).is_err());
    assert!(generate("cert.br", 1, UNIX_EPOCH + days(365 * 5000)).is_err());
    assert!(generate("cert.br", MAX_VALID_DAYS, now()).is_ok());
    assert!(generate("cert.br", 1, UNIX_EPOCH).is_ok());
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let der = Node::new("cert.br").certificate().der().to_vec();
    Certificate::from_der(&der).unwrap();
    assert!(Certificate::from_der(&[]).is_err());
    assert!(Certificate::from_der(&[der.as_slice(), &[0]].concat()).is_err(), "trailing bytes");
    assert!(Certificate::from_der(&vec![0x30; MAX_CERTIFICATE_BYTES + 1]).is_err());
    for length in 0..der.len() {
        assert!(Certificate::from_der(&der[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_certificate_no_handshake_would_accept_cannot_be_pinned() {
    let mut pins = Pins::new();
    pins.add("cert.cl", self_signed(&proper("cert.cl"))).unwrap();

    let mut ca = proper("cert.cl");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut server_only = proper("cert.cl");
    server_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut client_only = proper("cert.cl");
    client_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut other_name = proper("cert.cl");
    other_name.subject_alt_names = vec![rcgen::SanType::DnsName("cert.cl".try_into().unwrap())];
    let (issued, _) = issued_by(&Node::new("cert.br"), "cert.cl");
    let unfit = [&ca, &server_only, &client_only, &other_name].map(self_signed);
    for certificate in unfit.into_iter().chain([issued]) {
        let error = pins.add("cert.cl", certificate).unwrap_err();
        assert!(matches!(error, SetupError::UnfitPin { ref peer, .. } if peer == "cert.cl"), "{error:?}");
    }
    assert_eq!(pins.len(), 1);
}

#[test]
fn i4_one_certificate_belongs_to_one_peer() {
    let chile = Node::new("cert.cl");
    let mut pins = pins(&[("cert.cl", &chile)]);
    pins.add("cert.cl", chile.certificate()).unwrap();
    let error = pins.add("cert.pe", chile.certificate()).unwrap_err();
    assert!(matches!(error, SetupError::PinTaken { .. }), "{error:?}");
    assert_eq!(pins.certificates_of("cert.cl").count(), 1);
    assert_eq!(pins.certificates_of("cert.pe").count(), 0);
}

#[test]
fn dialling_a_peer_without_a_pin_is_refused() {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let error = client_config(&brazil.own, &pins(&[("cert.cl", &chile)]), "cert.pe").err().unwrap();
    assert!(matches!(error, SetupError::NoPin { .. }), "{error:?}");
}
