//! The format's bytes, against bytes that another program made from docs/journal.md: a writer and a reader that are
//! wrong in the same way agree with each other.

use super::super::anchor;
use super::super::format::{self, Mark, RecordHead, Trailer};
use super::super::{Entry, TreeHead};
use aldis_wire::digest::Digest;
use aldis_wire::merkle;
use data_encoding::HEXLOWER;

const NONCE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn mark() -> Mark {
    Mark::from_stored(0x0123_4567_89AB_CDEF)
}

fn record(seq: u64, index: u32, record: &[u8], body: Option<&[&[u8]]>) -> (String, Digest) {
    let mut bytes = Vec::new();
    let leaf = format::encode_record(&mut bytes, mark(), seq, index, &Entry { nonce: NONCE, record, body });
    (HEXLOWER.encode(&bytes), leaf)
}

#[test]
fn i9_records_and_bodies_have_the_bytes_that_the_page_says() {
    let (bytes, leaf) = record(7, 2, b"a record", Some(&[b"a ", b"body"]));
    let expected = concat!(
        "efcdab8967452301080000000600000002000000000000000700000000000000000102030405060708090a0b0c0d0e0f",
        "61207265636f7264cc9cd266000000006120626f64790000a7e5d1b02be2983c"
    );
    assert_eq!(bytes, expected);
    assert_eq!(leaf, merkle::leaf_hash_of(&[&NONCE, b"a record"]));
    let (bytes, _) = record(8, 3, b"", None);
    let expected = concat!(
        "efcdab896745230100000000ffffffff03000000000000000800000000000000000102030405060708090a0b0c0d0e0f",
        "d1581f5800000000"
    );
    assert_eq!(bytes, expected);
    assert_eq!(HEXLOWER.encode(&format::erased_tail(7)), "581a2e4fead9877e");
}

#[test]
fn i7_a_head_that_names_too_long_a_record_or_body_is_refused() {
    let mut bytes = Vec::new();
    let parts: &[&[u8]] = &[b"body"];
    format::encode_record(&mut bytes, mark(), 7, 2, &Entry { nonce: NONCE, record: b"a record", body: Some(parts) });
    assert!(RecordHead::parse(&bytes, mark()).is_ok());
    for length_at in [8, 12] {
        let mut longer = bytes.clone();
        longer[length_at..length_at + 4].copy_from_slice(&0x7FFF_FFFF_u32.to_le_bytes());
        assert!(RecordHead::parse(&longer, mark()).is_err(), "the length at byte {length_at}");
    }
}

#[test]
fn i9_trailers_and_anchors_have_the_bytes_that_the_page_says() {
    let root = merkle::leaf_hash_of(&[&NONCE, b"a record"]);
    let head = TreeHead { size: 9, root };
    let mut trailer = Vec::new();
    Trailer { count: 3, head }.encode(&mut trailer, mark());
    let expected = concat!(
        "1032547698badcfe0300000000000000090000000000000053f3497b98d16e8cc23022f94712840e0249275dd1ad4710",
        "d41ed2f795e8ae5556efeb6c00000000"
    );
    assert_eq!(HEXLOWER.encode(&trailer), expected);
    let expected = concat!(
        "414c444953414e43090000000000000053f3497b98d16e8cc23022f94712840e0249275dd1ad4710d41ed2f795e8ae55",
        "000000000000000024cbaf5700000000"
    );
    assert_eq!(HEXLOWER.encode(&anchor::encode(&head)), expected);
}
