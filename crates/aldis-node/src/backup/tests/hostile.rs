//! Backups that are not what was written: flipped bits, and manifests by somebody who means harm.

use super::super::error::RestoreError;
use super::super::manifest::{FileName, MANIFEST_NAME, SUM_NAME};
use super::super::restore;
use super::*;
use aldis_wire::digest::Digest;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

/// A small backup.
fn backup() -> (World, PathBuf) {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 12);
    let generation = world.back_up(&journal).unwrap().generation;
    (world, generation)
}

/// Why it is not restored, which it must not be.
fn refused(world: &World) -> RestoreError {
    let refused = restore(&world.wanted("again"), &mut |_, _, _| {}).unwrap_err();
    assert!(!world.path("again/journal").exists() && !world.path("again/restored").exists());
    refused
}

/// Puts a changed manifest in the place of the good one, with a digest that fits.
fn forge(generation: &Path, change: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&fs::read(generation.join(MANIFEST_NAME)).unwrap()).unwrap();
    change(&mut manifest);
    let text = serde_json::to_vec(&manifest).unwrap();
    fs::write(generation.join(SUM_NAME), format!("{}  {MANIFEST_NAME}\n", Digest::of(&[&text]).to_hex())).unwrap();
    fs::write(generation.join(MANIFEST_NAME), text).unwrap();
}

#[test]
fn i9_no_flipped_bit_in_a_backup_stays_unseen() {
    let (world, generation) = backup();
    let mut flips = 0;
    for path in files(&generation) {
        let good = fs::read(&path).unwrap();
        let step = (good.len() / 120).max(1);
        for at in (0..good.len()).step_by(step) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            let place = format!("{} at {at}", path.display());
            match check(&generation, &mut |_, _, _| {}) {
                Ok(checked) => {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    assert!(checked.findings.iter().any(|finding| finding.contains(name)), "{place}");
                }
                Err(error) => assert_eq!(error.exit(), aldis_control::Exit::Integrity, "{place}: {error}"),
            }
            if at % (step * 10) == 0 {
                assert_eq!(refused(&world).exit(), aldis_control::Exit::Integrity, "{place}");
            }
            flips += 1;
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(flips > 300, "{flips}");
    assert_eq!(world.checked().findings, Vec::<String>::new());
}

#[test]
fn i9_a_backup_that_was_cut_is_found() {
    let (world, generation) = backup();
    for path in files(&generation) {
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(refused(&world).exit(), aldis_control::Exit::Integrity, "{}", path.display());
        fs::remove_file(&path).unwrap();
        if path.file_name().unwrap() != MANIFEST_NAME {
            assert_eq!(refused(&world).exit(), aldis_control::Exit::Integrity, "{}", path.display());
        }
        fs::write(&path, &good).unwrap();
    }
}

#[test]
fn i7_a_name_in_a_manifest_leads_nowhere_else() {
    for bad in [
        "",
        "/etc/passwd",
        "journal",
        "journal/",
        "journal/../x",
        "../journal/anchor",
        "journal/anchor/../../x",
        "journal/lock",
        "journal/clean-stop",
        "journal/7.seg",
        "journal/00000000000000000000.seg/x",
        "node/..",
        "node/.hidden",
        "node/identity.key",
        "node/00-a/b",
        "node/00-a\\b",
        "node/00-\u{202e}",
        "node/00-\0",
        "log/db",
    ] {
        assert!(FileName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        let (world, generation) = backup();
        forge(&generation, |manifest| manifest["files"][0]["name"] = bad.into());
        assert!(matches!(refused(&world), RestoreError::Manifest { .. }), "{bad:?}");
    }
    let long = format!("node/00-{}", "a".repeat(200));
    assert!(FileName::try_from(long).is_err());
    for good in ["journal/anchor", "journal/00000000000000000000.seg", "node/00-aldisd.toml"] {
        assert!(FileName::try_from(good.to_owned()).is_ok(), "{good}");
    }
}

#[test]
fn i7_what_a_manifest_claims_is_only_a_claim() {
    let claims: [(&str, fn(&mut Value)); 9] = [
        ("a length beyond memory", |m| m["files"][0]["bytes"] = u64::MAX.into()),
        ("lengths beyond counting", |m| {
            m["files"].as_array_mut().unwrap().iter_mut().for_each(|f| f["bytes"] = u64::MAX.into())
        }),
        ("another digest", |m| m["files"][0]["sha256"] = "00".repeat(32).into()),
        ("no digest", |m| m["files"][0]["sha256"] = "zz".into()),
        ("more records", |m| m["records"] = json!(m["records"].as_u64().unwrap() + 1)),
        ("another root", |m| m["root"] = "11".repeat(32).into()),
        ("a newer form", |m| m["format"] = 2.into()),
        ("a key nobody knows", |m| m["run"] = "this".into()),
        ("a file twice", |m| {
            let first = m["files"][0].clone();
            m["files"].as_array_mut().unwrap().push(first);
        }),
    ];
    for (what, change) in claims {
        let (world, generation) = backup();
        forge(&generation, change);
        assert_eq!(refused(&world).exit(), aldis_control::Exit::Integrity, "{what}");
    }
    // A list of nothing restores nothing.
    let (world, generation) = backup();
    forge(&generation, |manifest| manifest["files"] = json!([]));
    assert!(matches!(refused(&world), RestoreError::Manifest { .. }));
    fs::write(generation.join(MANIFEST_NAME), vec![b' '; (64 << 20) + 1]).unwrap();
    assert!(refused(&world).to_string().contains("far too long"));
}

#[test]
fn i7_what_is_no_plain_file_is_not_followed() {
    let (world, generation) = backup();
    let segment = files(&generation.join("journal")).remove(0);
    let elsewhere = world.path("elsewhere");
    fs::rename(&segment, &elsewhere).unwrap();
    symlink(&elsewhere, &segment).unwrap();
    assert!(matches!(refused(&world), RestoreError::Damaged { .. }), "the same bytes behind a link");
    fs::remove_file(&segment).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &segment,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(matches!(refused(&world), RestoreError::Damaged { .. }), "a pipe that nobody writes to");
    fs::remove_file(&segment).unwrap();
    fs::rename(&elsewhere, &segment).unwrap();
    let extra = generation.join("journal/99999999999999999999.seg");
    fs::write(&extra, b"").unwrap();
    assert!(world.checked().findings[0].contains("does not name it"));
    fs::remove_file(&extra).unwrap();
    let aside = world.path("moved");
    fs::rename(generation.join("journal"), &aside).unwrap();
    symlink(&aside, generation.join("journal")).unwrap();
    assert!(matches!(refused(&world), RestoreError::Damaged { .. }), "a directory behind a link");
}
