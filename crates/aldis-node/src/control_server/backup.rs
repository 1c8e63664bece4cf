//! Making a backup: answers in lines of JSON, progress first, one report last. The node writes it, into the directory that
//! its configuration names; whoever asks neither names one nor gets a byte of it.

use super::failure::Failure;
use super::{Context, Shared, convert, lines};
use crate::backup::{self, BackupError, BackupState, Job, Pace, Written};
use crate::config::Config;
use crate::journal::Disk;
use aldis_control::{ApiError, BackupLine, BackupOutcome, BackupReport, BackupView, VerifyProgress};
use axum::extract::State;
use axum::response::Response;
use tokio::sync::mpsc;

/// Makes a backup.
pub(super) async fn backup(State(server): Shared) -> Result<Response, Failure> {
    let (lines, waiting) = mpsc::channel(lines::LINES_WAITING_MAX);
    let work = tokio::task::spawn_blocking({
        let (context, lines) = (server.context.clone(), lines.clone());
        move || make(&context, &lines)
    });
    let broke_off = BackupLine::Error(Failure::internal("the backup broke off").into_error());
    Ok(lines::answer(work, lines, waiting, broke_off, server.stopping.clone()))
}

/// The latest backup, for `status`.
pub(super) fn view(backups: &BackupState) -> BackupView {
    let latest = backups.latest().map(|outcome| BackupOutcome {
        at: convert::time(outcome.at),
        records: outcome.records,
        bytes: outcome.bytes,
        written_bytes: outcome.written_bytes,
        failed: outcome.failed,
    });
    let settings = backups.settings();
    let directory = settings.directory.as_ref().map(|dir| dir.display().to_string());
    BackupView { directory, latest, good_at: backups.good_at().map(convert::time) }
}

/// The work itself; returns the last line.
fn make(context: &Context, lines: &mpsc::Sender<BackupLine>) -> BackupLine {
    let mut pace = Pace::new(context.clock.clone());
    let made = job(context).and_then(|job| {
        backup::write(&job, &mut |done, total, what| {
            let progress = VerifyProgress { done, total, what: what.to_owned() };
            lines::tell(lines, BackupLine::Progress(progress));
            pace.keep();
        })
    });
    if !matches!(made, Err(BackupError::NotConfigured | BackupError::Busy { .. })) {
        backup::note(&context.backups, context.clock.wall(), &made);
    }
    match made {
        Ok(written) => {
            tracing::info!(generation = %written.generation.display(), records = written.head.size, "backed up");
            BackupLine::Report(report(&written))
        }
        Err(error) => {
            tracing::warn!(%error, "no backup was made");
            let advice = "see to that, then run `aldis backup` again";
            BackupLine::Error(ApiError::new(error.exit(), "no-backup", error.to_string(), advice))
        }
    }
}

fn job(context: &Context) -> Result<Job, BackupError> {
    let backups = &context.backups;
    let directory = backups.settings().directory.clone().ok_or(BackupError::NotConfigured)?;
    // Read anew: a reload may have brought other files.
    let files = match backups.config_path() {
        Some(path) => backup::files_of(&Config::load(path)?)?,
        None => Vec::new(),
    };
    Ok(Job {
        disk: Disk::default(),
        node: context.own.id().clone(),
        directory,
        keep: backups.settings().keep,
        data_dir: backups.data_dir().to_owned(),
        journal_dir: context.journal_dir.clone(),
        journal: context.journal.clone(),
        files,
        now: context.clock.wall(),
    })
}

fn report(written: &Written) -> BackupReport {
    BackupReport {
        generation: written.generation.display().to_string(),
        records: written.head.size,
        root: written.head.root.to_hex(),
        files: written.files,
        bytes: written.bytes,
        written_bytes: written.written_bytes,
    }
}
