use super::*;

fn state(dir: &Path, alarm_hours: Option<u64>) -> BackupState {
    BackupState::load(Settings { alarm_hours, ..Settings::default() }, dir, None)
}

fn written() -> Written {
    let root = aldis_wire::digest::Digest::ZERO;
    let head = crate::journal::TreeHead { size: 9, root };
    Written { generation: PathBuf::from("00000001"), head, files: 3, bytes: 700, written_bytes: 70 }
}

#[test]
fn a_good_backup_ends_the_alarm_and_a_failed_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |hours: u64| UnixMillis::new(1_795_316_400_000 + hours * HOUR_MS);
    assert_eq!(state(dir.path(), None).alarm(at(0)), None, "whoever configures none is told nothing");
    let state = state(dir.path(), Some(30));
    assert!(state.alarm(at(0)).unwrap().contains("no good backup was made yet"));
    note(&state, at(1), &Ok(written()));
    assert_eq!((state.alarm(at(31)), state.good_at()), (None, Some(at(1))));
    note(&state, at(32), &Err(BackupError::NotConfigured));
    let text = state.alarm(at(32)).unwrap();
    assert!(text.contains("more than 30 hours ago") && text.contains("the last try: no directory"), "{text}");
    assert_eq!(state.good_at(), Some(at(1)));
    // An end that a wrong clock noted keeps no alarm away.
    note(&state, at(999), &Ok(written()));
    assert!(state.alarm(at(33)).is_some());
}

#[test]
fn its_end_is_kept_and_a_file_without_sense_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let at = UnixMillis::new(1_795_316_400_000);
    note(&state(dir.path(), None), at, &Ok(written()));
    let again = state(dir.path(), None);
    assert_eq!(again.latest().map(|latest| (latest.at, latest.records, latest.failed)), Some((at, 9, None)));
    for bytes in [&b"{"[..], b"", &[b' '; 9_000]] {
        fs::write(dir.path().join(FILE), bytes).unwrap();
        assert_eq!(state(dir.path(), None).latest(), None);
    }
}
