use super::*;

fn named(bytes: &[u8]) -> Vec<Named> {
    bytes.iter().map(|byte| Named { digest: digest(*byte), size: 100 }).collect()
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

#[test]
fn i14_what_is_open_is_asked_for_by_lane_then_by_age() {
    let mut files = Files::default();
    files.name(Lane::Routine, seq(1), RecordSeq(1), &named(&[9]));
    files.name(Lane::Routine, seq(2), RecordSeq(2), &named(&[3, 9]));
    files.name(Lane::Flash, seq(1), RecordSeq(3), &named(&[7]));
    assert!(files.open().map(|(_, one)| *one).eq([7, 9, 3].map(digest)));
    files.change(&digest(7), FileState::Held);
    files.change(&digest(9), FileState::Lost);
    assert!(files.open().map(|(_, one)| *one).eq([digest(3)]));
}

#[test]
fn i9_a_file_stays_as_long_as_a_message_names_it() {
    let mut files = Files::default();
    files.name(Lane::Routine, seq(1), RecordSeq(1), &named(&[1, 2]));
    files.name(Lane::Priority, seq(1), RecordSeq(2), &named(&[2, 3]));
    files.change(&digest(2), FileState::Held);
    assert_eq!(files.forget(Lane::Routine, seq(1)), [digest(1)]);
    assert_eq!((files.len(), files.bytes(), files.open().count()), (2, 200, 1));
    assert_eq!(files.forget(Lane::Routine, seq(1)), [], "once");
    assert_eq!(files.forget(Lane::Priority, seq(1)), [digest(2), digest(3)]);
    assert_eq!(files, Files::default(), "nothing is left over");
}

#[test]
fn i7_room_is_counted_in_files_and_bytes_and_given_back() {
    let mut files = Files::default();
    files.name(Lane::Routine, seq(1), RecordSeq(1), &named(&[1, 2]));
    assert!(files.has_room(&named(&[1, 2]), 2, 200), "what is there takes no more");
    assert!(files.has_room(&named(&[3]), 3, 300));
    assert!(!files.has_room(&named(&[3]), 2, 300) && !files.has_room(&named(&[3]), 3, 299));
    files.change(&digest(1), FileState::Lost);
    assert!(files.has_room(&named(&[3]), 3, 200), "what was given up takes no bytes");
    assert!(!files.has_room(&[Named { digest: digest(4), size: u64::MAX }], 9, u64::MAX - 1));
}

#[test]
fn i8_what_was_given_up_is_asked_for_again_when_it_is_named_again() {
    let mut files = Files::default();
    files.name(Lane::Routine, seq(1), RecordSeq(1), &named(&[1]));
    files.change(&digest(1), FileState::Lost);
    assert_eq!((files.lost(), files.open().count()), (1, 0));
    files.name(Lane::Flash, seq(1), RecordSeq(2), &[Named { digest: digest(1), size: 7 }]);
    let file = files.get(&digest(1)).unwrap();
    assert_eq!((file.size, file.state, files.lost(), files.bytes()), (7, FileState::Open, 0, 7));
    files.forget(Lane::Routine, seq(1));
    assert_eq!(files.len(), 1);
    files.forget(Lane::Flash, seq(1));
    assert_eq!(files, Files::default());
}

#[test]
fn i7_the_latest_outcomes_are_remembered_and_no_more() {
    let mut attachments = Attachments::default();
    for byte in 0..=200 {
        attachments.theirs.name(Lane::Routine, seq(u64::from(byte) + 1), RecordSeq(1), &named(&[byte]));
        attachments.ended(digest(byte), FileState::Held);
    }
    attachments.ended(digest(200), FileState::Held);
    assert_eq!(attachments.said.len(), SAID_MAX);
    assert_eq!(attachments.said.back(), Some(&digest(200)));
    assert_eq!(attachments.said.iter().filter(|said| **said == digest(200)).count(), 1);
}
