//! Own certificates of an authority, and revocation lists, as they come from disk.

use super::*;

/// The files of a node whose certificate this leaf is.
fn own(dir: &TempDir, root: &Ca, leaf: &Leaf, name: &str) -> Result<OwnIdentity, SetupError> {
    let pem = |der: &Vec<u8>| {
        let text = data_encoding::BASE64.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    let (chain, authority) = (dir.path().join("tls.crt"), dir.path().join("authority.crt"));
    fs::write(&chain, leaf.chain.iter().map(pem).collect::<String>()).unwrap();
    fs::write(&authority, root.certificate.pem()).unwrap();
    write_key(dir, &leaf.key.serialize_pem());
    let authority = AuthorityFile { path: authority, name: TlsName::new(name).unwrap() };
    OwnIdentity::load_issued(&chain, &dir.path().join("tls.key"), &authority, now())
}

#[tokio::test]
async fn i4_an_own_chain_is_loaded_and_taken_by_a_peer() {
    let (root, dir) = (Ca::root("Root"), TempDir::new().unwrap());
    let below = root.below("Below", 2, |_| {});
    let chile = own(&dir, &root, &below.proper(CHILE), CHILE).unwrap();
    assert_eq!(chile.card_certificate().fingerprint(), root.as_pin().fingerprint());
    assert_eq!(chile.card_name().map(TlsName::as_str), Some(CHILE));
    let brazil = Node::new("cert.br");
    let pins = issued(&root, &[root.crl(&[]), below.crl(&[])]);
    let client = client_config(&chile, &super::super::pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    let outcome = handshake(&server_config(&brazil.own, &pins).unwrap(), &client).await;
    assert_eq!(outcome.server.unwrap().peer, "cert.cl");
    let server = server_config(&chile, &super::super::pins(&[("cert.br", &brazil)])).unwrap();
    let client = client_config(&brazil.own, &pins, "cert.cl").unwrap();
    assert_eq!(handshake(&server, &client).await.client.unwrap().peer, "cert.cl");
}

#[test]
fn an_own_chain_that_peers_would_refuse_is_refused_at_home() {
    let (root, dir) = (Ca::root("Root"), TempDir::new().unwrap());
    let refused = |root: &Ca, leaf: &Leaf, name: &str| own(&dir, root, leaf, name).err().expect("it is refused");
    let proper = root.proper(CHILE);
    assert!(matches!(refused(&root, &proper, PERU), SetupError::UnfitChain { .. }));
    assert!(matches!(refused(&Ca::root("Other"), &proper, CHILE), SetupError::UnfitChain { .. }));
    let only_client = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    assert!(matches!(refused(&root, &root.leaf(&[CHILE], only_client), CHILE), SetupError::UnfitChain { .. }));
    assert!(matches!(refused(&root, &root.leaf(&[CHILE], expired), CHILE), SetupError::OutsideValidity { .. }));
    let mut swapped = root.below("Below", 2, |_| {}).proper(CHILE);
    swapped.chain.swap(0, 1);
    assert!(matches!(refused(&root, &swapped, CHILE), SetupError::Mismatch { .. }));
    let long = Leaf { chain: vec![proper.chain[0].clone(); 5], key: KeyPair::generate().unwrap() };
    assert!(matches!(refused(&root, &long, CHILE), SetupError::NotAChain { .. }));
    let below = root.below("Below", 2, |_| {});
    let gap = Leaf { chain: vec![below.proper(CHILE).chain[0].clone()], key: KeyPair::generate().unwrap() };
    assert!(matches!(refused(&root, &gap, CHILE), SetupError::Mismatch { .. }));
}

#[test]
fn i7_a_bad_list_is_named_and_what_was_known_stays() {
    let (root, dir) = (Ca::root("Root"), TempDir::new().unwrap());
    let path = dir.path().join("root.crl");
    let paths = [path.clone()];
    let load = |earlier: &Crls| Crls::load(&paths, earlier);
    let fault = |crls: &Crls| crls.faults().next().map(|(_, fault)| fault.clone());
    assert!(matches!(fault(&load(&Crls::default())), Some(CrlFault::Unreadable(_))));
    fs::write(&path, root.crl(&[7]).der()).unwrap();
    let good = load(&Crls::default());
    assert_eq!((fault(&good), good.is_empty()), (None, false));
    assert!(good == load(&good), "nothing has changed");
    assert_eq!(good.expired(now()).count(), 0);
    assert_eq!(good.expired(now() + days(8)).count(), 1);
    let big = usize::try_from(MAX_CRL_BYTES).unwrap() + 1;
    for (bytes, expected) in [
        (vec![b'x'; big], CrlFault::TooLarge),
        (b"no list".to_vec(), CrlFault::NotACrl),
        (root.crl(&[]).der()[..60].to_vec(), CrlFault::NotACrl),
        (root.certificate.der().to_vec(), CrlFault::NotACrl),
        (root.crl(&[]).pem().unwrap().repeat(17).into_bytes(), CrlFault::NotACrl),
    ] {
        fs::write(&path, bytes).unwrap();
        let kept = load(&good);
        assert_eq!(fault(&kept), Some(expected));
        assert_eq!(kept.ders().count(), 1, "the list known before stays");
    }
}
