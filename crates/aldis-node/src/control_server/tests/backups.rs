//! Backups of a running node, over its control API.

use super::support::{Cert, api};
use crate::access::Desks;
use crate::backup::{BackupState, Restore, Settings, check, restore};
use crate::control_server::accept::Limits;
use crate::verification;
use aldis_control::{BackupLine, BackupReport, ClientError, Role};
use aldis_wire::ids::NodeId;
use futures_util::StreamExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

async fn backed_up(cert: &Cert) -> Result<BackupReport, ClientError> {
    let mut lines = cert.client.backup().await?;
    let mut last = None;
    while let Some(line) = lines.next().await {
        last = Some(line?);
    }
    match last {
        Some(BackupLine::Report(report)) => Ok(report),
        other => panic!("{other:?}"),
    }
}

async fn with_backups(directory: Option<PathBuf>) -> Cert {
    Cert::changed(Limits::default(), "cert.br", |context, dir| {
        let settings = Settings { directory, alarm_hours: Some(30), ..Settings::default() };
        context.backups = BackupState::load(settings, dir, None);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_running_node_is_backed_up_and_its_status_says_so() {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let br = with_backups(Some(place.path().to_owned())).await;
    assert_eq!(br.client.status().await.unwrap().backup.latest, None);
    let before = br.client.status().await.unwrap().journal.records;
    let report = backed_up(&br).await.unwrap();
    assert!(report.records >= before && report.written_bytes == report.bytes, "{report:?}");
    let shown = br.client.status().await.unwrap().backup;
    let latest = shown.latest.unwrap();
    assert_eq!((latest.records, latest.failed, shown.good_at), (report.records, None, Some(latest.at)));
    assert!(backed_up(&br).await.unwrap().written_bytes < report.bytes, "the second writes what is new");
    let checked = check(place.path(), &mut |_, _, _| {}).unwrap();
    assert_eq!((checked.findings, checked.manifest.node.as_str()), (vec![], "cert.br"));
    let to = place.path().join("again");
    let wanted = Restore {
        from: place.path().to_owned(),
        to: to.clone(),
        node: NodeId::new("cert.br").unwrap(),
        set_aside: false,
        by: "ana (uid 7)".to_owned(),
        now: br.context.clock.wall(),
    };
    restore(&wanted, &mut |_, _, _| {}).unwrap();
    let walked = verification::of_journal(&to.join("journal"), None, &mut |_, _, _| {}).unwrap();
    assert_eq!((walked.findings, walked.head), (vec![], checked.manifest.head()));
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_backup_that_cannot_be_made_says_why_and_the_status_keeps_it() {
    let br = with_backups(None).await;
    let error = api(backed_up(&br).await);
    assert!((error.exit, error.code.as_str()) == (2, "no-backup") && error.message.contains("[backup]"), "{error:?}");
    let lost = with_backups(Some(PathBuf::from("/nowhere/at/all"))).await;
    let error = api(backed_up(&lost).await);
    assert!(error.exit == 2 && error.message.contains("mount it"), "{error:?}");
    let latest = lost.client.status().await.unwrap().backup.latest.unwrap();
    assert!(latest.failed.unwrap().contains("/nowhere/at/all"));
    lost.give(&[(Role::Operator, Desks::All), (Role::Auditor, Desks::All)]);
    assert_eq!(api(backed_up(&lost).await).code, "missing-role");
}
