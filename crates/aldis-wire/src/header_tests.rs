use super::*;
use crate::codec::Blob;
use crate::codes::Extension;
use crate::samples::{self, damaged, digest, list, node, text};
use proptest::prelude::*;

type Change = fn(&mut Header);

fn sample() -> Header {
    samples::header(b"body")
}

/// What is wrong with a header that differs from the sample by `change`.
fn broken(change: impl FnOnce(&mut Header)) -> HeaderError {
    let mut header = sample();
    change(&mut header);
    let encoded = ExactHeader::encode(header.clone()).expect_err("we would not write it");
    let parsed = ExactHeader::parse(Bytes::from(codec::encode(&header))).expect_err("and do not read it");
    assert_eq!(encoded, parsed);
    parsed
}

#[test]
fn i6_a_header_survives_its_bytes_and_keeps_them() {
    let header = ExactHeader::encode(sample()).unwrap();
    let again = ExactHeader::parse(header.bytes().clone()).unwrap();
    assert_eq!(again, header);
    assert_eq!(again.bytes().as_ptr(), header.bytes().as_ptr(), "parsing copies nothing");
    let stored = codec::encode(&header);
    assert_eq!(codec::decode::<ExactHeader>(&stored).unwrap(), header);
}

#[test]
fn a_headers_digest_is_its_leaf_hash() {
    let header = ExactHeader::encode(sample()).unwrap();
    assert_eq!(header.digest(), Digest::of(&[&[0], header.bytes()]));
}

#[test]
fn every_contradiction_is_refused_at_both_ends() {
    let contradictions: [(&str, Change); 11] = [
        ("same", |h| h.to = h.from.clone()),
        ("among", |h| h.also_to = list(vec![h.to.clone()])),
        ("previous", |h| h.seq = Seq::FIRST),
        ("previous", |h| h.previous = Digest::ZERO),
        ("incarnation", |h| h.incarnation = Incarnation(0)),
        ("kind version", |h| h.kind_version = 0),
        ("longer", |h| h.body_length = 49_153),
        ("longer", |h| h.body_length = u32::MAX),
        ("author", |h| h.author = text("")),
        ("exercise", |h| h.exercise = Some(text(""))),
        ("TLP", |h| h.tlp = Tlp(0)),
    ];
    for (word, change) in contradictions {
        let error = broken(change);
        assert!(matches!(error, HeaderError::Contradiction(what) if what.contains(word)), "{word}: {error}");
    }
    assert_eq!(broken(|h| h.version = 2), HeaderError::Version(2));
}

#[test]
fn the_first_of_a_lane_has_no_previous_and_the_longest_body_is_allowed() {
    let first = Header { seq: Seq::FIRST, previous: Digest::ZERO, body_length: 49_152, ..sample() };
    assert!(ExactHeader::encode(first).is_ok());
}

#[test]
fn i10_unknown_codes_are_kept() {
    let mut header = sample();
    header.desk = Desk(77);
    header.tlp = Tlp(999);
    header.kind = Code::known("poem");
    header.kind_version = 9;
    let role = ReferenceRole(12);
    header.references = list(header.references.iter().cloned().map(|one| Reference { role, ..one }).collect());
    let bytes = ExactHeader::encode(header.clone()).unwrap().bytes().clone();
    assert_eq!(*ExactHeader::parse(bytes).unwrap(), header);
}

#[test]
fn i7_the_longest_header_is_the_longest_taken() {
    let with_author_of = |bytes: usize| {
        let extension = |tag, length| Extension { tag, bytes: Blob::new(vec![7; length]).unwrap() };
        let extensions = (1..8).map(|tag| extension(tag, 1024)).chain([extension(8, 600)]).collect();
        Header { author: text(&"a".repeat(bytes)), extensions: Extensions::new(extensions).unwrap(), ..sample() }
    };
    let spare = HEADER_MAX_BYTES - codec::encode(&with_author_of(1)).len();
    assert!(spare < 120, "the sample is nearly as long as allowed: {spare} bytes to go");
    let longest = ExactHeader::encode(with_author_of(1 + spare)).unwrap();
    assert_eq!(longest.bytes().len(), HEADER_MAX_BYTES);
    assert!(ExactHeader::parse(longest.bytes().clone()).is_ok());
    let longer = with_author_of(2 + spare);
    let bytes = Bytes::from(codec::encode(&longer));
    assert_eq!(ExactHeader::encode(longer), Err(HeaderError::TooLong(HEADER_MAX_BYTES + 1)));
    assert_eq!(ExactHeader::parse(bytes), Err(HeaderError::TooLong(HEADER_MAX_BYTES + 1)));
}

#[test]
fn a_notice_to_255_others_with_names_of_20_bytes_fits() {
    let id = NodeId::new(&"n".repeat(63)).unwrap();
    let other = NodeId::new(&"m".repeat(63)).unwrap();
    let envelope = EnvelopeId { from: id.clone(), to: other.clone(), lane: Lane::Routine, seq: Seq::MAX };
    let reference = Reference { role: ReferenceRole(u16::MAX), envelope, digest: digest(1) };
    let header = Header {
        incarnation: Incarnation(u64::MAX),
        from: id,
        to: other,
        also_to: list((0..255).map(|i| node(&format!("cert-of-country-{i:04}"))).collect()),
        desk: Desk(u16::MAX),
        seq: Seq::MAX,
        references: list(vec![reference; 8]),
        author: text(&"a".repeat(128)),
        released_by: Some(text(&"a".repeat(128))),
        on_behalf_of: Some(text(&"a".repeat(128))),
        exercise: Some(text(&"a".repeat(64))),
        sent_at: UnixMillis::MAX,
        expires_at: UnixMillis::MAX,
        extensions: Extensions::default(),
        ..sample()
    };
    let header = ExactHeader::encode(header).unwrap();
    assert!(ExactHeader::parse(header.bytes().clone()).is_ok());
}

#[test]
fn a_cut_or_lengthened_header_is_refused() {
    let bytes = codec::encode(&sample());
    for end in 0..bytes.len() {
        assert!(ExactHeader::parse(Bytes::copy_from_slice(&bytes[..end])).is_err(), "cut at {end}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(ExactHeader::parse(Bytes::from(longer)), Err(HeaderError::Malformed(_))));
}

proptest! {
    #[test]
    fn i6_whatever_parses_encodes_to_the_same_bytes(bytes in damaged(codec::encode(&sample()))) {
        if let Ok(header) = ExactHeader::parse(Bytes::from(bytes.clone())) {
            prop_assert_eq!(codec::encode(&*header), bytes);
        }
    }

    #[test]
    fn nothing_a_peer_sends_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = ExactHeader::parse(Bytes::from(bytes));
    }
}

#[test]
fn a_wanted_acknowledgement_survives_the_bytes() {
    for within in [1, 900, 65_536, ACKNOWLEDGE_WITHIN_MAX_S] {
        let header = Header { extensions: Header::extensions_with(Some(within)), ..sample() };
        let bytes = ExactHeader::encode(header).unwrap().bytes().clone();
        assert_eq!(ExactHeader::parse(bytes).unwrap().acknowledge_within_s(), Some(within));
    }
    for nothing in [None, Some(0), Some(ACKNOWLEDGE_WITHIN_MAX_S + 1), Some(u32::MAX)] {
        assert_eq!(Header::extensions_with(nothing), Extensions::default(), "{nothing:?}");
    }
    assert_eq!(sample().acknowledge_within_s(), None, "other extensions say nothing of it");
}

#[test]
fn i7_a_wanted_acknowledgement_that_makes_no_sense_is_none_and_the_header_is_taken() {
    let too_long = codec::encode(&(ACKNOWLEDGE_WITHIN_MAX_S + 1));
    let nonsense: [&[u8]; 8] =
        [&[], &[0], &too_long, &[252, 0xff, 0xff, 0xff, 0xff], &[251, 0, 9], &[252, 0, 0, 3], &[9, 9], &[0xff; 1024]];
    for bytes in nonsense {
        let extension = Extension { tag: ACKNOWLEDGE_WITHIN_TAG, bytes: Blob::new(bytes.to_vec()).unwrap() };
        let header = Header { extensions: Extensions::new(vec![extension]).unwrap(), ..sample() };
        let exact = ExactHeader::encode(header).unwrap();
        let parsed = ExactHeader::parse(exact.bytes().clone()).unwrap();
        assert_eq!(parsed.acknowledge_within_s(), None, "{bytes:?}");
        assert_eq!(parsed, exact);
    }
}
