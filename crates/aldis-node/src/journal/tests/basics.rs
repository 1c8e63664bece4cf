//! Create, commit, read, rotate, reopen.

use super::super::*;
use super::support::*;

#[test]
fn i1_what_was_committed_is_there_after_reopening() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let mut rng = Rng(1);
    fill(&mut journal, 300, &mut rng);
    let (size, root) = (journal.size(), journal.root());
    let reader = journal.reader();
    for seq in 0..size {
        let found = reader.read(RecordSeq(seq)).unwrap();
        let (record, body) = content(seq);
        assert_eq!(found.record, record);
        assert_eq!(found.body, body.map_or(Body::None, |body| Body::Present(body.into())));
    }
    drop(journal);
    let (recovered, replica) = open(&world.dir()).unwrap();
    assert_eq!((recovered.journal.size(), recovered.journal.root()), (size, root));
    assert!(recovered.report.degraded.is_empty(), "{:?}", recovered.report);
    assert_whole(&replica, size);
    let all: Vec<_> = recovered.journal.reader().iter_from(RecordSeq(0)).map(|record| record.unwrap().seq.0).collect();
    assert_eq!(all, (0..size).collect::<Vec<_>>());
}
