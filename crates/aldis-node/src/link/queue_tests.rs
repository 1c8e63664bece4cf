use super::*;

#[test]
fn i7_a_peer_that_does_not_read_costs_no_bodies() {
    let queue = LinkQueue::default();
    for number in 1..=2_000 {
        let bytes = Bytes::from(vec![0; 40_000]);
        let fresh = Outgoing::Fresh { record: RecordSeq(number), bytes };
        queue.transmit(Lane::Routine, Seq::new(number).unwrap(), fresh);
    }
    let held: usize = lock(&queue.waiting).lanes.iter().flatten().map(|(_, outgoing)| fresh_bytes(outgoing)).sum();
    assert!(held <= FRESH_MAX_BYTES && held > 0, "{held} bytes are held");
    for number in 1..=2_000 {
        if let Some(Unread { lane, places }) = queue.unread() {
            assert!(places.iter().all(|(seq, record, _)| record.0 == seq.get()) && places.len() <= READ_MAX);
            queue.read(lane, places.into_iter().map(|(seq, record, _)| (seq, record, Bytes::new())).collect());
        }
        let Some(Next::Envelope(_, seq, _)) = queue.next() else { panic!("envelope {number} is gone") };
        assert_eq!(seq.get(), number);
    }
    assert_eq!(lock(&queue.waiting).fresh_bytes, 0);
}

#[test]
fn i14_flash_overtakes_whatever_waits() {
    let queue = LinkQueue::default();
    let stored = || Outgoing::Stored { record: RecordSeq(1), withhold: None };
    let fresh = || Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() };
    for lane in Lane::ALL.into_iter().rev() {
        for _ in 0..2 {
            queue.transmit(lane, Seq::FIRST, fresh());
        }
    }
    let lanes = std::iter::from_fn(|| match queue.next()? {
        Next::Envelope(lane, ..) => Some(lane),
        other => panic!("{other:?}"),
    });
    assert!(lanes.eq(Lane::ALL.into_iter().flat_map(|lane| [lane, lane])));

    queue.transmit(Lane::Immediate, Seq::FIRST, stored());
    queue.transmit(Lane::Flash, Seq::FIRST, fresh());
    queue.transmit(Lane::Routine, Seq::FIRST, fresh());
    let unread = queue.unread().unwrap();
    let lane = || match queue.next() {
        Some(Next::Envelope(lane, ..)) => Some(lane),
        _ => None,
    };
    assert_eq!([lane(), lane(), lane()], [Some(Lane::Flash), Some(Lane::Routine), None], "nothing waits for a read");
    queue.read(unread.lane, vec![(Seq::FIRST, RecordSeq(1), Bytes::new())]);
    queue.transmit(Lane::Immediate, Seq::FIRST.next(), stored());
    queue.transmit(Lane::Routine, Seq::FIRST, stored());
    assert_eq!(queue.unread().unwrap().lane, Lane::Immediate, "read ahead, behind what is at hand");
    assert_eq!(lane(), Some(Lane::Immediate));
}

#[test]
fn i14_no_lane_stands_still_behind_another_but_for_flash() {
    let queue = LinkQueue::default();
    let fresh = || Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() };
    let sent = |count: usize| -> Vec<Lane> {
        let lanes = std::iter::from_fn(|| match queue.next()? {
            Next::Envelope(lane, ..) => Some(lane),
            other => panic!("{other:?}"),
        });
        lanes.take(count).collect()
    };
    let per_lane = 4 * PASSED_OVER_MAX as usize;
    for lane in [Lane::Immediate, Lane::Priority, Lane::Routine] {
        (0..per_lane).for_each(|_| queue.transmit(lane, Seq::FIRST, fresh()));
    }
    let begun = sent(per_lane);
    let of = |lane, lanes: &[Lane]| lanes.iter().filter(|sent| **sent == lane).count();
    assert_eq!(of(Lane::Immediate, &begun[..PASSED_OVER_MAX as usize]), PASSED_OVER_MAX as usize);
    assert!((3..=4).contains(&of(Lane::Priority, &begun)) && (3..=4).contains(&of(Lane::Routine, &begun)), "{begun:?}");
    (0..per_lane).for_each(|_| queue.transmit(Lane::Flash, Seq::FIRST, fresh()));
    assert_eq!(sent(per_lane), vec![Lane::Flash; per_lane], "nothing goes before FLASH, however long it waited");
    assert_eq!(sent(usize::MAX).len(), 2 * per_lane);
}

#[test]
fn i14_what_we_ask_for_stands_still_behind_no_lane_but_flash() {
    let queue = LinkQueue::default();
    let fresh = || Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() };
    let turns = 3 * PASSED_OVER_MAX as usize;
    for lane in [Lane::Flash, Lane::Routine] {
        (0..turns).for_each(|_| queue.transmit(lane, Seq::FIRST, fresh()));
    }
    let want = |offset| Want { attachment: Digest::ZERO, offset, bytes: 1 };
    (0..2).for_each(|offset| queue.want(want(offset)));
    let (mut before, mut found) = (0, Vec::new());
    while let Some(next) = queue.next() {
        match next {
            Next::Envelope(..) => before += 1,
            Next::Frame(Frame::Want(_)) => found.push(before),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found, [turns, turns + PASSED_OVER_MAX as usize], "after all FLASH, then each after so many");
    assert_eq!(before, 2 * turns);
}

#[test]
fn i14_a_lane_that_is_all_to_be_read_keeps_none_below_from_being_read_but_flash_does() {
    let queue = LinkQueue::default();
    let stored = || Outgoing::Stored { record: RecordSeq(1), withhold: None };
    for lane in [Lane::Immediate, Lane::Routine] {
        queue.transmit(lane, Seq::FIRST, stored());
    }
    let mut read = || queue.unread().map(|unread| unread.lane);
    let lanes: Vec<Lane> = std::iter::from_fn(&mut read).take(2 * READS_PASSED_OVER_MAX as usize).collect();
    assert_eq!(lanes.iter().filter(|lane| **lane == Lane::Routine).count(), 1, "{lanes:?}");
    assert_eq!(lanes[READS_PASSED_OVER_MAX as usize], Lane::Routine);
    queue.transmit(Lane::Flash, Seq::FIRST, stored());
    assert!((0..100).all(|_| queue.unread().is_some_and(|unread| unread.lane == Lane::Flash)));
}

#[test]
fn i7_i14_a_history_waits_behind_everything_else_and_is_bounded() {
    let queue = LinkQueue::default();
    let from = NodeId::new("cert.br").unwrap();
    let fetch = || Fetch { from: from.clone(), lane: Lane::Routine, first: 1, last: 2 };
    let taken = (0..1_000).filter(|_| queue.serve(fetch(), 7)).count();
    assert_eq!(taken, FETCHES_MAX);
    queue.ask_history(fetch());
    queue.transmit(Lane::Routine, Seq::FIRST, Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() });
    assert!(matches!(queue.next(), Some(Next::Envelope(..))), "what is live goes first");
    assert!(matches!(queue.next(), Some(Next::Frame(Frame::Fetch(_)))));
    assert!(queue.next().is_none(), "a place is answered only when nothing else waits");
    let places: Vec<u64> = std::iter::from_fn(|| {
        let place = queue.next_place()?;
        queue.served();
        Some(place.seq)
    })
    .collect();
    assert_eq!(places.len(), 2 * FETCHES_MAX);
    assert!(places.chunks(2).all(|pair| pair == [1, 2]));
}

#[test]
fn a_ping_is_answered_once_and_by_its_own_nonce() {
    let queue = LinkQueue::default();
    assert!(!queue.answered(0));
    queue.ask(Ping { nonce: 5 });
    queue.ask(Ping { nonce: 9 });
    assert!(!queue.answered(5) && queue.answered(9) && !queue.answered(9));
}
