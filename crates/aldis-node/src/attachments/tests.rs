use super::*;
use crate::journal::tests::script::{Failure, Script};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use tempfile::TempDir;

const MIB: usize = 1 << 20;

struct World {
    dir: TempDir,
    store: Attachments,
    script: Arc<Script>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, script) = opened(&dir);
        Self { dir, store, script }
    }

    /// The same directory after a restart.
    fn restarted(self) -> Self {
        let (store, script) = opened(&self.dir);
        Self { dir: self.dir, store, script }
    }

    fn upload(&self, content: &[u8]) -> Digest {
        let mut upload = self.store.upload(content.len() as u64).unwrap();
        upload.write(content).unwrap();
        upload.finish().unwrap().0
    }

    /// The size of a file of ours, if it is whole.
    fn size_of_ours(&self, digest: Digest) -> Option<u64> {
        self.store.read_ours(digest).unwrap().map(|file| file.size())
    }

    /// The names in a directory of the store, sorted.
    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(ATTACHMENTS_DIR).join(dir)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn opened(dir: &TempDir) -> (Attachments, Arc<Script>) {
    let script = Arc::new(Script::default());
    let disk = Disk { script: Some(Arc::clone(&script)) };
    (Attachments::open_on(disk, dir.path(), 0).unwrap(), script)
}

fn peer() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

/// Bytes that differ everywhere.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

fn read(complete: &Complete) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(complete.size()).unwrap() + 10];
    let read = complete.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(read);
    bytes
}

#[test]
fn an_upload_is_read_as_it_was_handed_in() {
    let world = World::new();
    let sent = content(3 * MIB + 17);
    let mut upload = world.store.upload(sent.len() as u64).unwrap();
    for piece in sent.chunks(100_003) {
        upload.write(piece).unwrap();
    }
    let (digest, size) = upload.finish().unwrap();
    assert_eq!((digest, size), (Digest::of(&[&sent]), sent.len() as u64));
    assert_eq!(read(&world.store.read_ours(digest).unwrap().unwrap()), sent);
    assert_eq!(world.size_of_ours(digest), Some(size));
    assert_eq!(world.size_of_ours(Digest::ZERO), None);
    assert_eq!(world.names("ours"), [format!("{digest}.unnamed")]);
}

#[test]
fn an_upload_that_is_not_as_long_as_announced_leaves_nothing() {
    let world = World::new();
    let mut upload = world.store.upload(10).unwrap();
    upload.write(&[1; 9]).unwrap();
    assert!(matches!(upload.finish(), Err(StoreError::OtherLength { announced_bytes: 10, found_bytes: 9 })));
    let mut upload = world.store.upload(10).unwrap();
    assert!(matches!(upload.write(&[1; 11]), Err(StoreError::OtherLength { found_bytes: 11, .. })));
    drop(upload);
    assert!(world.names("ours").is_empty());
}

#[test]
fn i7_no_more_is_taken_than_may_wait_for_a_message_to_name_it() {
    let world = World::new();
    let first = world.store.upload(UNNAMED_MAX_BYTES - 10).unwrap();
    let second = world.store.upload(10).unwrap();
    assert!(matches!(world.store.upload(1), Err(StoreError::TooMuchUnnamed { .. })));
    drop(first);
    let digest = world.upload(b"here");
    drop(second);
    assert!(matches!(world.store.upload(UNNAMED_MAX_BYTES), Err(StoreError::TooMuchUnnamed { waiting_bytes: 4, .. })));
    world.store.name(digest).unwrap().unwrap().keep();
    drop(world.store.upload(UNNAMED_MAX_BYTES).unwrap());
}

#[test]
fn what_no_message_names_goes_and_what_one_names_stays() {
    let world = World::new();
    let (named, unnamed) = (world.upload(b"named"), world.upload(b"unnamed"));
    let mut holder = world.store.name(named).unwrap().unwrap();
    assert_eq!(holder.size(), 5);
    holder.keep();
    drop(holder);
    assert!(world.store.name(Digest::ZERO).unwrap().is_none());
    assert_eq!(world.store.forget_unnamed(Duration::from_hours(1)).unwrap(), 0);
    assert_eq!(world.store.forget_unnamed(Duration::ZERO).unwrap(), 1);
    assert_eq!(world.size_of_ours(unnamed), None);
    let again = world.upload(b"unnamed");
    let mut cut_off = world.store.upload(2_000_000).unwrap();
    cut_off.write(&content(1_000_000)).unwrap();
    assert_eq!(world.names("ours").len(), 3);
    // As a crash leaves it: nothing is dropped.
    std::mem::forget(cut_off);
    let world = world.restarted();
    assert_eq!(world.names("ours"), [named.to_hex()]);
    assert_eq!((world.size_of_ours(named), world.size_of_ours(again)), (Some(5), None));
}

#[test]
fn a_message_that_was_not_sent_leaves_its_file_to_be_named_by_the_next() {
    let world = World::new();
    let digest = world.upload(b"evidence");
    let (first, second) = (world.store.name(digest).unwrap().unwrap(), world.store.name(digest).unwrap().unwrap());
    drop(first);
    assert_eq!(world.names("ours"), [digest.to_hex()], "the second still holds it");
    drop(second);
    assert_eq!(world.names("ours"), [format!("{digest}.unnamed")]);
    let (mut first, mut second) =
        (world.store.name(digest).unwrap().unwrap(), world.store.name(digest).unwrap().unwrap());
    first.keep();
    drop(first);
    second.keep();
    second.release();
    assert_eq!(world.names("ours"), [digest.to_hex()]);
    // A later message that fails takes nothing from the one that was sent.
    drop(world.store.name(digest).unwrap().unwrap());
    assert_eq!(world.names("ours"), [digest.to_hex()]);
    assert_eq!(world.upload(b"evidence"), digest);
    assert_eq!(world.names("ours"), [digest.to_hex()], "one copy, however often it is handed in");
}

#[test]
fn a_file_that_is_about_to_be_named_again_outlives_its_erasure() {
    let world = World::new();
    let digest = world.upload(b"evidence");
    world.store.name(digest).unwrap().unwrap().keep();
    let mut holder = world.store.name(digest).unwrap().unwrap();
    world.store.erase_ours(digest).unwrap();
    assert_eq!(world.size_of_ours(digest), Some(8));
    holder.keep();
    drop(holder);
    assert_eq!(world.names("ours"), [digest.to_hex()]);
    world.store.erase_ours(digest).unwrap();
    world.store.erase_ours(digest).unwrap();
    assert!(world.names("ours").is_empty());
}

#[test]
fn a_file_that_comes_in_pieces_is_gone_on_with_after_a_break_and_a_restart() {
    let world = World::new();
    let sent = content(2 * MIB);
    let digest = Digest::of(&[&sent]);
    let mut incoming = world.store.resume(&peer(), digest, sent.len() as u64).unwrap();
    assert_eq!(incoming.offset(), 0);
    incoming.write(&sent[..600_000]).unwrap();
    drop(incoming);
    let world = world.restarted();
    let there = usize::try_from(world.store.progress(&peer(), digest).unwrap()).unwrap();
    assert!(there > 500_000, "{there}");
    let mut incoming = world.store.resume(&peer(), digest, sent.len() as u64).unwrap();
    assert_eq!(incoming.offset(), there as u64);
    assert!(world.store.read_from(&peer(), digest).unwrap().is_none(), "not complete");
    for piece in sent[there..].chunks(61_440) {
        incoming.write(piece).unwrap();
    }
    assert!(matches!(incoming.write(&[0]), Err(StoreError::OtherLength { .. })));
    incoming.finish().unwrap();
    assert_eq!(read(&world.store.read_from(&peer(), digest).unwrap().unwrap()), sent);
    assert_eq!(world.names("from/cert.br"), [digest.to_hex()]);
    let again = world.store.resume(&peer(), digest, sent.len() as u64).unwrap();
    assert_eq!(again.offset(), sent.len() as u64);
    again.finish().unwrap();
    let other = world.store.resume(&peer(), digest, 5).unwrap();
    assert!(matches!(other.finish(), Err(IncomingError::OtherLength { named_bytes: 5, .. })));
    assert_eq!(world.names("from/cert.br"), [digest.to_hex()], "what is verified stays");
}

#[test]
fn i4_a_file_that_is_not_what_was_named_is_never_complete() {
    let world = World::new();
    let sent = content(MIB);
    let digest = Digest::of(&[&sent]);
    let mut incoming = world.store.resume(&peer(), digest, MIB as u64).unwrap();
    incoming.write(&sent[..MIB / 2]).unwrap();
    drop(incoming);
    // Somebody changes a byte of what is on the disk while nothing runs.
    let part = world.dir.path().join(format!("attachments/from/cert.br/{digest}.part"));
    let mut bytes = fs::read(&part).unwrap();
    bytes[77] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let mut incoming = world.store.resume(&peer(), digest, MIB as u64).unwrap();
    let there = usize::try_from(incoming.offset()).unwrap();
    incoming.write(&sent[there..]).unwrap();
    assert!(matches!(incoming.finish(), Err(IncomingError::Mismatch { wanted, .. }) if wanted == digest));
    assert!(world.names("from/cert.br").is_empty());
    assert_eq!(world.store.progress(&peer(), digest), None);
}

#[test]
fn a_part_that_is_longer_than_the_file_is_begun_anew() {
    let world = World::new();
    let digest = Digest::of(&[b"short"]);
    let mut incoming = world.store.resume(&peer(), digest, MIB as u64).unwrap();
    incoming.write(&content(MIB)).unwrap();
    drop(incoming);
    let mut incoming = world.store.resume(&peer(), digest, 5).unwrap();
    assert_eq!(incoming.offset(), 0);
    incoming.write(b"short").unwrap();
    incoming.finish().unwrap();
}

#[test]
fn only_the_latest_who_fetches_a_file_writes_it() {
    let world = World::new();
    let sent = content(2 * MIB);
    let digest = Digest::of(&[&sent]);
    let resume = || world.store.resume(&peer(), digest, sent.len() as u64).unwrap();
    let mut earlier = resume();
    earlier.write(&sent[..MIB]).unwrap();
    let mut later = resume();
    assert!(matches!(earlier.write(&sent[MIB..]), Err(StoreError::Superseded { .. })));
    assert!(matches!(earlier.finish(), Err(IncomingError::Store(StoreError::Superseded { .. }))));
    later.write(&sent[MIB..]).unwrap();
    later.finish().unwrap();
    let digest = Digest::of(&[b"erased"]);
    let mut erased = world.store.resume(&peer(), digest, 6).unwrap();
    world.store.erase_from(&peer(), digest).unwrap();
    assert!(matches!(erased.write(b"erased"), Err(StoreError::Superseded { .. })));
    assert_eq!(world.store.progress(&peer(), digest), None);
}

#[test]
fn each_peer_has_its_own_copy_and_erasing_one_leaves_the_other() {
    let world = World::new();
    let other = NodeId::new("cert.cl").unwrap();
    let digest = Digest::of(&[b"same"]);
    for peer in [&peer(), &other] {
        let mut incoming = world.store.resume(peer, digest, 4).unwrap();
        assert_eq!(incoming.offset(), 0, "what another peer sent is fetched all the same");
        incoming.write(b"same").unwrap();
        incoming.finish().unwrap();
    }
    world.store.erase_from(&other, digest).unwrap();
    world.store.erase_from(&other, digest).unwrap();
    assert!(world.store.read_from(&other, digest).unwrap().is_none());
    assert!(world.store.read_from(&peer(), digest).unwrap().is_some());
}

#[test]
fn what_nothing_names_after_a_crash_goes_at_the_next_start() {
    let world = World::new();
    let (kept, left) = (world.upload(b"kept"), world.upload(b"left"));
    for digest in [kept, left] {
        world.store.name(digest).unwrap().unwrap().keep();
    }
    let (arrived, begun) = (Digest::of(&[b"arrived"]), Digest::of(&[b"begun"]));
    let mut incoming = world.store.resume(&peer(), arrived, 7).unwrap();
    incoming.write(b"arrived").unwrap();
    incoming.finish().unwrap();
    world.store.resume(&peer(), begun, 7).unwrap();
    let foreign = world.dir.path().join("attachments/ours/notes.txt");
    fs::write(&foreign, "an administrator's").unwrap();
    let world = world.restarted();
    assert_eq!(world.store.keep_only(|_| true, |_, _| true).unwrap(), 0);
    let removed = world.store.keep_only(|ours| *ours == kept, |from, theirs| *from == peer() && *theirs == arrived);
    assert_eq!(removed.unwrap(), 2);
    assert_eq!(world.names("ours"), [kept.to_hex(), "notes.txt".to_owned()]);
    assert_eq!(world.names("from/cert.br"), [arrived.to_hex()]);
}

#[test]
fn nobody_else_can_read_what_is_kept() {
    let world = World::new();
    let digest = world.upload(b"secret");
    world.store.name(digest).unwrap().unwrap().keep();
    let mut incoming = world.store.resume(&peer(), digest, 7).unwrap();
    incoming.write(b"secrets").unwrap();
    let top = world.dir.path().join(ATTACHMENTS_DIR);
    let mode = |path: &str| top.join(path).metadata().unwrap().mode() & 0o7777;
    for dir in ["", "ours", "from", "from/cert.br"] {
        assert_eq!(mode(dir), 0o700, "{dir}");
    }
    for file in [format!("ours/{digest}"), format!("from/cert.br/{digest}.part")] {
        assert_eq!(mode(&file), 0o600, "{file}");
    }
}

/// Whatever call of the disk fails, an upload that was not confirmed has no name that lasts, and the next one works.
#[test]
fn whatever_fails_an_upload_is_whole_or_not_there() {
    for failure in [Failure::Io, Failure::NoSpace, Failure::ShortWrite, Failure::Late] {
        let mut reached = 0;
        for call in 0.. {
            let world = World::new();
            let sent = content(2 * MIB);
            world.script.fail_at(call, failure);
            let uploaded = upload_and_name(&world.store, &sent);
            let digest = Digest::of(&[&sent]);
            match uploaded {
                Ok(()) => {
                    reached = call;
                    break;
                }
                Err(error) => assert!(error.to_string().contains("attachments"), "names the path: {error}"),
            }
            if let Some(complete) = world.store.read_ours(digest).unwrap() {
                assert_eq!(read(&complete), sent, "{failure:?} at {call}");
            }
            upload_and_name(&world.store, &sent).unwrap();
            // What a call left that worked and reported failure goes at the next start.
            assert_eq!(world.restarted().names("ours"), [digest.to_hex()], "{failure:?} at {call}");
        }
        assert!(reached >= 7, "the script reached every call, {reached} in all");
    }
}

fn upload_and_name(store: &Attachments, content: &[u8]) -> Result<(), StoreError> {
    let mut upload = store.upload(content.len() as u64)?;
    for piece in content.chunks(MIB) {
        upload.write(piece)?;
    }
    let (digest, _) = upload.finish()?;
    store.name(digest)?.expect("it was just handed in").keep();
    Ok(())
}

/// A name without a suffix is given only after the bytes were synced, and success told only after the name was.
#[test]
fn i2_a_file_is_synced_before_it_has_its_name_and_its_name_before_it_is_held() {
    let sent = content(MIB);
    let digest = Digest::of(&[&sent]);
    let mut seen = Vec::new();
    for call in 0.. {
        let world = World::new();
        let mut incoming = world.store.resume(&peer(), digest, MIB as u64).unwrap();
        incoming.write(&sent).unwrap();
        world.script.fail_at(call, Failure::Io);
        let finished = incoming.finish();
        if finished.is_ok() {
            break;
        }
        seen.push(world.store.read_from(&peer(), digest).unwrap().is_some());
        let incoming = world.store.resume(&peer(), digest, MIB as u64).unwrap();
        assert_eq!(incoming.offset(), MIB as u64, "nothing is fetched twice");
        incoming.finish().unwrap();
    }
    // The bytes' sync fails, the renaming fails, the directory's sync fails.
    assert_eq!(seen, [false, false, true]);
}

#[test]
fn a_disk_that_is_full_is_an_error_that_says_so() {
    let world = World::new();
    world.script.set_free_bytes(1_000);
    let error = world.store.upload(1_001).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("free some space"), "{error}");
    assert!(world.store.resume(&peer(), Digest::ZERO, 1_001).unwrap_err().is_full());
    let kept_free = Attachments::open_on(world.store.0.disk.clone(), world.dir.path(), 990).unwrap();
    assert!(kept_free.upload(11).unwrap_err().is_full());
    drop(kept_free.upload(10).unwrap());
}

#[test]
fn a_disk_that_fills_up_meanwhile_ends_only_the_upload() {
    let world = World::new();
    let piece = vec![7; 8 * MIB];
    let mut upload = world.store.upload(1 << 30).unwrap();
    let kept_free = Attachments::open_on(world.store.0.disk.clone(), world.dir.path(), 1_000).unwrap();
    let mut careful = kept_free.upload(1 << 30).unwrap();
    world.script.set_free_bytes(999);
    let ended = (0..12).find_map(|_| careful.write(&piece).err());
    assert!(ended.is_some_and(|error| error.is_full()));
    drop(careful);
    upload.write(&piece).unwrap();
}
