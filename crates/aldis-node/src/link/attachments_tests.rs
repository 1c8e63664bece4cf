use super::*;
use aldis_wire::codec::Blob;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn want(byte: u8, offset: u64, bytes: u32) -> Want {
    Want { attachment: digest(byte), offset, bytes }
}

fn chunk(byte: u8, offset: u64, bytes: usize) -> Chunk {
    Chunk { attachment: digest(byte), offset, bytes: Blob::new(vec![0; bytes]).unwrap() }
}

#[test]
fn i7_a_chunk_is_taken_only_where_and_as_long_as_it_was_asked_for() {
    let mut files = FileQueue::default();
    assert_eq!(files.came(&chunk(1, 0, 1)), Err(FileFault::Unasked), "nothing was asked for");
    files.want(want(1, 5, 100_000));
    files.want(want(2, 0, 10));
    assert_eq!(files.came(&chunk(2, 0, 10)), Err(FileFault::Unasked), "out of order");
    assert_eq!(files.came(&chunk(1, 6, CHUNK_MAX_BYTES)), Err(FileFault::Unasked), "another offset");
    assert_eq!(files.came(&chunk(1, 5, CHUNK_MAX_BYTES - 1)), Err(FileFault::Length), "short, so there would be more");
    assert_eq!(files.came(&chunk(1, 5, CHUNK_MAX_BYTES)), Ok(()));
    assert_eq!(files.came(&chunk(1, 5 + CHUNK_MAX_BYTES as u64, CHUNK_MAX_BYTES)), Err(FileFault::Length), "too long");
    assert_eq!(files.came(&chunk(1, 5 + CHUNK_MAX_BYTES as u64, 100_000 - CHUNK_MAX_BYTES)), Ok(()));
    assert_eq!(files.came(&chunk(2, 0, 0)), Ok(()), "it is not held");
    assert_eq!(files.came(&chunk(2, 0, 10)), Err(FileFault::Unasked), "answered");
}

#[test]
fn i7_a_peer_has_eight_wants_without_an_answer_and_none_too_long() {
    let mut files = FileQueue::default();
    assert_eq!(files.is_wanted(&want(1, 0, WANT_MAX_BYTES + 1)), Err(FileFault::WantTooLong));
    for number in 0..8 {
        assert_eq!(files.is_wanted(&want(1, number, 1)), Ok(()));
    }
    assert_eq!(files.is_wanted(&want(1, 9, 0)), Ok(()), "a word needs no answer");
    files.answered();
    assert_eq!(files.is_wanted(&want(1, 8, 1)), Ok(()));
    assert_eq!(files.is_wanted(&want(1, 9, 1)), Err(FileFault::TooManyWants));
}

#[test]
fn wants_are_read_in_pieces_and_in_their_order() {
    let mut files = FileQueue::default();
    let most = u64::from(WANT_MAX_BYTES);
    files.serve(want(1, 7, WANT_MAX_BYTES), Some(7 + most));
    files.serve(want(2, 0, 5), None);
    files.serve(want(3, 3, 2), Some(4));
    let pieces: Vec<Piece> = std::iter::from_fn(|| files.next_piece()).collect();
    let (first, rest) = pieces.split_at(pieces.len() - 2);
    assert_eq!(first.iter().map(|piece| piece.bytes).sum::<u64>(), most);
    assert!(first.windows(2).all(|two| two[0].offset + two[0].bytes == two[1].offset && !two[0].ends));
    assert!(first.last().is_some_and(|piece| piece.ends));
    assert!(rest.iter().all(|piece| piece.bytes == 0 && piece.ends), "not the peer's, and beyond the end");
    files.serve(want(1, 0, WANT_MAX_BYTES), Some(most));
    let piece = files.next_piece().unwrap();
    files.give_up(piece.want);
    assert_eq!(files.next_piece(), None);
}

#[test]
fn i14_the_file_of_a_more_urgent_message_is_fetched_first() {
    let mut files = FileQueue::default();
    for (lane, byte) in [(Lane::Routine, 1), (Lane::Flash, 2), (Lane::Routine, 3), (Lane::Flash, 4)] {
        files.obtain(Obtain { lane, attachment: digest(byte), size: 1 });
    }
    let order: Vec<Digest> = std::iter::from_fn(|| files.next_obtain()).map(|obtain| obtain.attachment).collect();
    assert_eq!(order, [2, 4, 1, 3].map(digest));
}
