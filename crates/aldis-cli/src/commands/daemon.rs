//! Commands that need keys or cards but no running daemon: they run `aldisd`, for this program has neither.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::args::{InitArgs, RestoreArgs};
use crate::failure::Failure;

const PROGRAM: &str = "aldisd";

/// Makes a new node with `aldisd init`.
pub(crate) async fn init(args: &InitArgs) -> Result<(), Failure> {
    let mut words: Vec<OsString> = vec!["init".into(), args.dir.clone().into()];
    let options = [
        ("--id", &args.id),
        ("--name", &args.name),
        ("--country", &args.country),
        ("--listen", &args.listen),
        ("--seal", &args.seal),
    ];
    let endpoints = args.endpoint.iter().map(|endpoint| ("--endpoint", endpoint));
    let descriptor = args.passphrase_fd.map(|number| number.to_string());
    let descriptor = descriptor.as_ref().map(|number| ("--passphrase-fd", number));
    for (option, value) in options.into_iter().chain(endpoints).chain(descriptor) {
        // One word each, so that a value that begins with a dash is not taken for an option.
        words.push(format!("{option}={value}").into());
    }
    if args.single_administrator {
        words.push("--single-administrator".into());
    }
    run(words).await
}

/// Shows what a card says with `aldisd card-show`.
pub(crate) async fn card_show(file: &Path, json: bool) -> Result<(), Failure> {
    let mut words: Vec<OsString> = vec!["card-show".into()];
    if json {
        words.push("--json".into());
    }
    words.extend(["--".into(), file.into()]);
    run(words).await
}

/// Verifies a backup with `aldisd verify-backup`.
pub(crate) async fn verify_backup(dir: &Path, json: bool) -> Result<(), Failure> {
    let mut words: Vec<OsString> = vec!["verify-backup".into()];
    if json {
        words.push("--json".into());
    }
    words.extend(["--".into(), dir.into()]);
    run(words).await
}

/// Puts a backup back with `aldisd restore`.
pub(crate) async fn restore(args: &RestoreArgs, json: bool) -> Result<(), Failure> {
    let option = |name: &str, value: &OsStr| {
        let mut word = OsString::from(format!("--{name}="));
        word.push(value);
        word
    };
    let mut words: Vec<OsString> = vec!["restore".into()];
    words.push(option("from", args.from.as_os_str()));
    words.push(option("to", args.to.as_os_str()));
    words.extend(args.config.iter().map(|path| option("config", path.as_os_str())));
    words.extend(args.node.iter().map(|id| option("node", id.as_ref())));
    words.extend(args.set_aside.then(|| "--set-aside".into()));
    words.extend(json.then(|| "--json".into()));
    run(words).await
}

/// Runs the daemon's program with our own input and output, and ends with its exit code.
async fn run(words: Vec<OsString>) -> Result<(), Failure> {
    let program = beside_us().unwrap_or_else(|| PROGRAM.into());
    let status = Command::new(&program).args(words).status().await.map_err(|source| not_run(&program, &source))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::Explained(u8::try_from(code).unwrap_or(1))),
        None => Err(Failure::Program {
            program: program.display().to_string(),
            reason: format!("it was stopped ({status})"),
            advice: "see the system's log for what stopped it",
        }),
    }
}

/// The daemon's program in the directory of ours, so that the two are of one version.
fn beside_us() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    program.is_file().then_some(program)
}

fn not_run(program: &Path, source: &io::Error) -> Failure {
    let advice = match source.kind() {
        io::ErrorKind::NotFound => "install aldisd beside aldis, or add its directory to PATH",
        _ => "check that aldisd may be executed",
    };
    Failure::Program { program: program.display().to_string(), reason: source.to_string(), advice }
}
