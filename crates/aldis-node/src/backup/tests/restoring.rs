//! What a restore puts where, and what it refuses.

use super::super::error::RestoreError;
use super::super::restore;
use super::*;
use aldis_control::Exit;
use serde_json::Value;

fn backed_up() -> (World, Journal) {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 50);
    world.back_up(&journal).unwrap();
    (world, journal)
}

fn refused(wanted: &Restore) -> RestoreError {
    restore(wanted, &mut |_, _, _| {}).unwrap_err()
}

#[test]
fn i9_a_restored_journal_opens_where_it_ended_and_says_that_it_was_restored() {
    let (world, _journal) = backed_up();
    let mut told = Vec::new();
    let restored =
        restore(&world.wanted("again"), &mut |done, total, what| told.push((done <= total, what.to_owned())));
    let restored = restored.unwrap();
    assert!(told.iter().all(|(within, _)| *within), "{told:?}");
    for what in ["files", "journal", "copy"] {
        assert!(told.iter().any(|(_, told)| told == what), "{what}");
    }
    let marker: Value = serde_json::from_slice(&fs::read(world.path("again/restored")).unwrap()).unwrap();
    assert_eq!(marker, serde_json::json!({ "by": "ana (uid 7)", "at": now().get(), "backup_of": now().get() }));
    let (beside, from) = &restored.beside[0];
    assert_eq!(fs::read_to_string(beside).unwrap(), CONFIGURATION);
    assert_eq!(*from, world.path("aldisd.toml").display().to_string());
    assert!(restored.text().contains("aldis peer recover PEER") && restored.json().contains("\"records\": 50"));
    for path in files(&world.path("again")) {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(opened(&world.path("again/journal")).size(), 50);
}

#[test]
fn a_daemon_that_runs_is_never_restored_under() {
    let (world, journal) = backed_up();
    let wanted = Restore { set_aside: true, ..world.wanted("data") };
    let error = refused(&wanted);
    assert!(matches!(error, RestoreError::Running { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Refused);
    assert!(!world.path("data/restored").exists());
    drop(journal);
    restore(&wanted, &mut |_, _, _| {}).unwrap();
}

#[test]
fn what_is_there_is_set_aside_on_demand_and_never_deleted() {
    let (world, mut journal) = backed_up();
    commit(&mut journal, 10);
    drop(journal);
    fs::create_dir(world.path("data/log")).unwrap();
    fs::write(world.path("data/log/rows"), b"rows").unwrap();
    fs::write(world.path("data/log.position"), b"ahead").unwrap();
    let wanted = world.wanted("data");
    assert!(matches!(refused(&wanted), RestoreError::Occupied { .. }));
    assert_eq!(opened(&world.journal_dir()).size(), 60, "nothing has changed");
    let restored = restore(&Restore { set_aside: true, ..wanted }, &mut |_, _, _| {}).unwrap();
    assert_eq!(opened(&world.journal_dir()).size(), 50);
    for name in ["data/log", "data/log.position"] {
        assert!(!world.path(name).exists(), "{name} would vouch for what is no more");
    }
    let [position, log, journal] = &restored.set_aside[..] else { panic!("{restored:?}") };
    let kept = [position.clone(), log.join("rows")].map(|path| fs::read(path).unwrap());
    assert_eq!((kept, opened(journal).size()), ([b"ahead".to_vec(), b"rows".to_vec()], 60));
    // A log, or its word alone, refuses too.
    for name in ["log", "log.position"] {
        private_dir(&world.path(&format!("half-{name}")));
        fs::create_dir(world.path(&format!("half-{name}/{name}"))).unwrap();
        assert!(matches!(refused(&world.wanted(&format!("half-{name}"))), RestoreError::Occupied { .. }));
    }
}

#[test]
fn another_nodes_backup_and_none_at_all_are_refused() {
    let (world, _journal) = backed_up();
    let error = refused(&Restore { node: NodeId::new("cert.cl").unwrap(), ..world.wanted("again") });
    assert!(matches!(&error, RestoreError::OtherNode { .. }), "{error}");
    assert!(!world.path("again").exists());
    private_dir(&world.path("empty"));
    let error = refused(&Restore { from: world.path("empty"), ..world.wanted("again") });
    assert!(matches!(error, RestoreError::NoBackup { .. }), "{error}");
    private_dir(&world.path("open"));
    fs::set_permissions(world.path("open"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(refused(&world.wanted("open")), RestoreError::Target { .. }));
}
