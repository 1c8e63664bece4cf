//! Frames, each with its length before it.

use super::super::raw::Raw;
use super::{NOW, Set, extensions, longer, shorter};

pub(super) fn add(set: &mut Set) {
    valid(set);
    defects(set);
    lengths(set);
}

fn one(set: &mut Set, name: &str, outcome: &str, what: &str, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len() + 1).expect("a vector is short");
    let bytes = [length.to_be_bytes().as_slice(), &[kind], payload].concat();
    set.add(&format!("frame-{name}"), outcome, what, &[("check", "frame")], bytes);
}

fn credit() -> Vec<u8> {
    Raw::default().fixed(&[3]).number(512).0
}

fn goodbye(code: u64, lane: Option<u8>, text: &str) -> Vec<u8> {
    Raw::default().number(code).optional(lane.as_ref(), |raw, lane| raw.fixed(&[*lane])).text(text).0
}

fn chunk(length: usize) -> Vec<u8> {
    Raw::default().fixed(&[0xa7; 32]).number(61_440).bytes(&vec![0xd7; length]).0
}

fn want(offset: u64, bytes: u64) -> Vec<u8> {
    Raw::default().fixed(&[0xa7; 32]).number(offset).number(bytes).0
}

fn history(length: usize, tags: &[u64]) -> Vec<u8> {
    let raw = Raw::default().text("cert.cl").fixed(&[2]).number(17).bytes(&vec![0xe1; length]);
    raw.extensions(&extensions(tags, &[1; 1024])).0
}

fn valid(set: &mut Set) {
    one(set, "hello", "ok", "its payload is opaque here", 0, b"signed hello");
    one(set, "envelope", "ok", "its payload is opaque here", 1, b"envelope");
    one(set, "receipt", "ok", "its payload is opaque here", 2, b"signed receipt");
    one(set, "credit", "ok", "512 frames of ROUTINE in all", 3, &credit());
    one(set, "ping", "ok", "a ping", 4, &Raw::default().number(u64::MAX).0);
    one(set, "pong", "ok", "a pong with a clock", 5, &Raw::default().number(u64::MAX).number(NOW).0);
    one(set, "goodbye", "ok", "the node stops", 6, &goodbye(1, None, "for maintenance"));
    one(set, "goodbye-lane", "ok", "lane PRIORITY is blocked", 6, &goodbye(5, Some(2), "three envelopes"));
    one(set, "goodbye-unknown", "ok", "an unknown reason is read", 6, &goodbye(4_711, None, ""));
    one(set, "chunk", "ok", "a piece of an attachment", 7, &chunk(40));
    one(set, "chunk-empty", "ok", "what was asked for is not held", 7, &chunk(0));
    one(set, "want", "ok", "a range of an attachment is wanted", 8, &want(61_440, 1_048_576));
    one(set, "want-held", "ok", "an attachment of 4 GiB is held and was verified", 8, &want(4_294_967_296, 0));
    one(set, "want-most", "ok", "more than a link's end grants is still a frame", 8, &want(u64::MAX, u32::MAX.into()));
    let fetch = Raw::default().text("cert.cl").fixed(&[2]).number(17).number(300).0;
    one(set, "fetch", "ok", "envelopes of the past are wanted", 9, &fetch);
    one(set, "history", "ok", "an envelope of the past", 10, &history(60, &[]));
    one(set, "history-empty", "ok", "a place that is not held", 10, &history(0, &[]));
    one(set, "history-extension", "ok", "with a field of a newer version", 10, &history(60, &[900]));
}

fn defects(set: &mut Set) {
    one(set, "unknown-type", "unknown-type", "type 11", 11, b"");
    one(set, "unknown-type-255", "unknown-type", "type 255", 255, &credit());
    one(set, "credit-cut", "malformed", "the last byte is missing", 3, &shorter(&credit()));
    one(set, "credit-trailing", "malformed", "a byte follows", 3, &longer(&credit()));
    one(set, "credit-lane", "malformed", "no such lane", 3, &[4, 1]);
    one(set, "credit-wide", "malformed", "a number in a wider form", 3, &[3, 251, 0, 7]);
    one(set, "goodbye-option", "malformed", "an optional that begins with 2", 6, &[1, 2, 0, 0]);
    one(set, "goodbye-long", "malformed", "a text of 201 bytes", 6, &goodbye(1, None, &"x".repeat(201)));
    one(set, "pong-far", "malformed", "a clock beyond the year 9999", 5, &Raw::default().number(1).number(u64::MAX).0);
    one(set, "fetch-id", "malformed", "a node id with a space", 9, &Raw::default().text("cert cl").fixed(&[2, 1, 1]).0);
    one(set, "chunk-long", "malformed", "61,441 bytes", 7, &chunk(61_441));
    one(set, "want-far", "malformed", "4 GiB at once", 8, &want(0, 4_294_967_296));
    one(set, "history-long", "malformed", "61,441 bytes", 10, &history(61_441, &[]));
}

fn lengths(set: &mut Set) {
    one(set, "longest", "ok", "65,536 bytes, all of a history's room used", 10, &{
        let spare = 65_535 - history(0, &[1, 2, 3, 4, 5, 6, 7, 8]).len() - 2;
        history(spare, &[1, 2, 3, 4, 5, 6, 7, 8])
    });
    let inputs = [("check", "frame")];
    set.add("frame-length-zero", "length", "a frame without a type", &inputs, vec![0, 0, 0, 0]);
    set.add("frame-length-over", "length", "65,537 bytes are announced", &inputs, vec![0, 1, 0, 1]);
    set.add("frame-length-most", "length", "4 GiB are announced", &inputs, vec![0xff; 4]);
}
