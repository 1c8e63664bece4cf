use super::*;
use crate::samples::{cl, damaged, digest, longest_extensions, node, text};
use proptest::prelude::*;

fn written(frame: &Frame) -> Bytes {
    let mut out = BytesMut::new();
    frame.write(&mut out);
    out.freeze()
}

/// One of every type, in the order of the types.
fn one_of_each() -> Vec<Frame> {
    let history = History {
        from: cl(),
        lane: Lane::Flash,
        seq: 3,
        bytes: Blob::new(vec![1]).unwrap(),
        extensions: Extensions::default(),
    };
    vec![
        Frame::Hello(Bytes::from_static(b"hello")),
        Frame::Envelope(Bytes::from_static(b"envelope")),
        Frame::Receipt(Bytes::from_static(b"receipt")),
        Frame::Credit(Credit { lane: Lane::Routine, total: 512 }),
        Frame::Ping(Ping { nonce: 7 }),
        Frame::Pong(Pong { nonce: 7, at: UnixMillis::new(1_795_316_400_123) }),
        Frame::Goodbye(Goodbye { code: GoodbyeCode::STOPPING, lane: Some(Lane::Flash), text: text("bye") }),
        Frame::Chunk(Chunk { attachment: digest(1), offset: 9, bytes: Blob::new(vec![2]).unwrap() }),
        Frame::Want(Want { attachment: digest(1), offset: 9, bytes: WANT_MAX_BYTES }),
        Frame::Fetch(Fetch { from: cl(), lane: Lane::Flash, first: 1, last: 3 }),
        Frame::History(history),
    ]
}

#[test]
fn every_frame_survives_its_bytes_and_has_its_own_type() {
    for (kind, frame) in one_of_each().iter().enumerate() {
        let bytes = written(frame);
        let (length, rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(checked_length(*length), Ok(rest.len()));
        assert_eq!(usize::from(rest[0]), kind);
        assert_eq!(Frame::parse(&bytes.slice(LENGTH_BYTES..)).as_ref(), Ok(frame));
    }
}

#[test]
fn i7_the_length_is_checked_before_anything_else() {
    let refused = [0, 65_537, u32::MAX];
    for length in refused {
        assert_eq!(checked_length(length.to_be_bytes()), Err(FrameError::Length(length)));
    }
    assert_eq!(checked_length(1u32.to_be_bytes()), Ok(1));
    assert_eq!(checked_length(65_536u32.to_be_bytes()), Ok(FRAME_MAX_BYTES));
}

#[test]
fn an_unknown_type_and_an_empty_frame_are_refused() {
    assert_eq!(Frame::parse(&Bytes::new()), Err(FrameError::Length(0)));
    for kind in 11..=255 {
        assert_eq!(Frame::parse(&Bytes::from(vec![kind])), Err(FrameError::UnknownType(kind)));
    }
}

#[test]
fn a_cut_or_lengthened_payload_is_refused() {
    // The first three carry signed structures, which are checked where they are verified.
    for frame in &one_of_each()[3..] {
        let bytes = written(frame).slice(LENGTH_BYTES..);
        for end in 1..bytes.len() {
            assert!(matches!(Frame::parse(&bytes.slice(..end)), Err(FrameError::Payload { .. })), "{frame:?} at {end}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        let error = Frame::parse(&Bytes::from(longer)).unwrap_err();
        assert!(matches!(error, FrameError::Payload { source: CodecError::Trailing(1), .. }), "{frame:?}: {error}");
    }
}

#[test]
fn i7_the_longest_of_each_frame_fits() {
    let longest_id = node(&"a".repeat(63));
    let frames = [
        Frame::Goodbye(Goodbye {
            code: GoodbyeCode(u16::MAX),
            lane: Some(Lane::Routine),
            text: text(&"x".repeat(200)),
        }),
        Frame::Chunk(Chunk {
            attachment: digest(1),
            offset: u64::MAX,
            bytes: Blob::new(vec![2; CHUNK_MAX_BYTES]).unwrap(),
        }),
        Frame::Fetch(Fetch { from: longest_id.clone(), lane: Lane::Routine, first: u64::MAX, last: u64::MAX }),
        Frame::History(History {
            from: longest_id,
            lane: Lane::Routine,
            seq: u64::MAX,
            bytes: Blob::new(vec![2; 61_440]).unwrap(),
            extensions: Extensions::default(),
        }),
    ];
    for frame in frames {
        assert_eq!(Frame::parse(&written(&frame).slice(LENGTH_BYTES..)), Ok(frame));
    }
}

#[test]
fn i10_a_history_that_fills_its_frame_with_a_newer_nodes_fields_is_read() {
    let mut history =
        History { from: cl(), lane: Lane::Flash, seq: 3, bytes: Blob::default(), extensions: longest_extensions() };
    let spare = FRAME_MAX_BYTES - 1 - codec::encode(&history).len() - 2;
    history.bytes = Blob::new(vec![1; spare]).unwrap();
    let frame = Frame::History(history);
    let bytes = written(&frame);
    assert_eq!(bytes.len(), LENGTH_BYTES + FRAME_MAX_BYTES);
    assert_eq!(Frame::parse(&bytes.slice(LENGTH_BYTES..)), Ok(frame));
}

#[test]
fn i7_a_chunk_longer_than_allowed_is_refused() {
    let mut bytes = vec![7, 3];
    bytes.extend_from_slice(&[1; 32]);
    bytes.push(0);
    bytes.extend_from_slice(&[251, 0xf0, 0x01]); // 61,441
    bytes.resize(bytes.len() + 61_441, 2);
    assert!(matches!(Frame::parse(&Bytes::from(bytes)), Err(FrameError::Payload { kind: 7, .. })));
}

#[test]
fn i8_every_goodbye_has_a_name_and_an_unknown_one_is_read() {
    let names: std::collections::BTreeSet<_> = (1..=10).map(|code| GoodbyeCode(code).name()).collect();
    assert_eq!(names.len(), 10);
    assert!(!names.contains("unknown-code"));
    let frame = Frame::Goodbye(Goodbye { code: GoodbyeCode(4_711), lane: None, text: text("?") });
    assert_eq!(Frame::parse(&written(&frame).slice(LENGTH_BYTES..)), Ok(frame));
}

proptest! {
    #[test]
    fn i6_whatever_parses_is_written_the_same_way(
        bytes in prop::sample::select(one_of_each()).prop_flat_map(|frame| damaged(written(&frame)[LENGTH_BYTES..].to_vec()))
    ) {
        if let Ok(frame) = Frame::parse(&Bytes::from(bytes.clone())) {
            prop_assert_eq!(&written(&frame)[LENGTH_BYTES..], &bytes[..]);
        }
    }
}

#[test]
fn i6_a_chunk_written_from_where_its_bytes_are_is_the_same_frame() {
    for (offset, length) in [(0, 0), (9, 1), (250, 251), (1 << 32, CHUNK_MAX_BYTES)] {
        let bytes = Blob::new(vec![7; length]).unwrap();
        let frame = Frame::Chunk(Chunk { attachment: digest(1), offset, bytes: bytes.clone() });
        let mut out = BytesMut::new();
        Frame::write_chunk(&mut out, &digest(1), offset, &bytes);
        assert_eq!(out.freeze(), written(&frame), "{offset} {length}");
    }
}
