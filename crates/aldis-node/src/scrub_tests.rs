use super::*;

fn own() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

/// A time of the third day of 1970, as hours and minutes.
fn at(hour: u64, minute: u64) -> UnixMillis {
    UnixMillis::new(2 * DAY_MS + hour * HOUR_MS + minute * 60_000)
}

fn due(ended: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
    Settings::default().due(&own(), ended, now)
}

#[test]
fn one_that_was_missed_begins_within_an_hour_of_the_start() {
    let yesterday = UnixMillis::new(at(3, 30).get() - DAY_MS);
    for (ended, now) in [
        (None, at(12, 0)),
        (Some(yesterday), at(5, 0)),
        (Some(UnixMillis::new(1)), at(2, 0)),
        // Noted by a clock that was ahead.
        (Some(at(20, 0)), at(12, 0)),
    ] {
        let due = due(ended, now);
        assert!(due >= now && due < now.plus_ms(HOUR_MS), "{ended:?} at {now}: {due}");
    }
}

#[test]
fn the_next_begins_in_its_hour_and_never_twice_a_night() {
    let tomorrow = |time: UnixMillis| time.plus_ms(DAY_MS);
    for (ended, begins) in [
        (at(0, 10), at(3, 0)),
        (at(2, 59), at(3, 0)),
        (at(3, 0), tomorrow(at(3, 0))),
        (at(3, 59), tomorrow(at(3, 0))),
        (at(23, 0), tomorrow(at(3, 0))),
    ] {
        let due = due(Some(ended), ended);
        assert!(due >= begins && due < begins.plus_ms(HOUR_MS), "after {ended}: {due}");
        assert!(due <= ended.plus_ms(FARTHEST_MS));
    }
    let other = Settings::default().due(&NodeId::new("cert.cl").unwrap(), Some(at(4, 0)), at(4, 0));
    assert_ne!(other, due(Some(at(4, 0)), at(4, 0)), "no two nodes in step");
    let evening = Settings { hour_utc: 22, ..Settings::default() };
    let due = evening.due(&own(), Some(at(4, 0)), at(4, 0));
    assert!(due >= at(22, 0) && due < at(23, 0), "{due}");
}

#[test]
fn the_walk_ends_when_the_node_does() {
    let clock = Clock::system();
    let (alive, stopped) = mpsc::channel();
    let mut pace = Pace { worked_since_ms: clock.monotonic_ms(), clock, stopped };
    pace.keep();
    drop(alive);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pace.keep())).unwrap_err();
    assert!(unwound.is::<Abandoned>());
}

#[test]
fn nine_tenths_of_the_time_are_pauses() {
    let clock = Clock::system();
    let (_alive, stopped) = mpsc::channel();
    let mut pace = Pace { worked_since_ms: clock.monotonic_ms(), clock: clock.clone(), stopped };
    let (began, mut worked_ms) = (clock.monotonic_ms(), 0);
    for _ in 0..5 {
        let begun = clock.monotonic_ms();
        while clock.monotonic_ms() < begun + 2 * WORK_MS {
            std::hint::spin_loop();
        }
        worked_ms += clock.monotonic_ms() - begun;
        pace.keep();
    }
    let all_ms = clock.monotonic_ms() - began;
    assert!(all_ms >= worked_ms * PAUSE_SHARE, "{worked_ms} of {all_ms} ms are work");
}

#[test]
fn its_end_is_kept_and_a_file_without_sense_is_none() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(dir.path()), None);
    let outcome =
        Outcome { at: at(3, 7), records: 9, witnesses: 2, findings: 1, first: Some("a place: broken".to_owned()) };
    write(dir.path(), &outcome).unwrap();
    assert_eq!(read(dir.path()), Some(outcome.clone()));
    assert!(outcome.alarm().unwrap().contains("a place: broken"));
    assert_eq!(Outcome { first: None, findings: 0, ..outcome }.alarm(), None);
    for bytes in [&b"{"[..], b"", &[b' '; 9_000]] {
        fs::write(dir.path().join(FILE), bytes).unwrap();
        assert_eq!(read(dir.path()), None);
    }
}
