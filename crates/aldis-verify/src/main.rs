//! Checks evidence files offline and says in plain words what they prove, by whom and when, and what they do not.
//! Leaves with 0 if everything verifies, 6 if anything does not, 2 if it was asked for something it cannot do.

use aldis_verify::compare::{Fork, compare};
use aldis_verify::container::FILE_MAX_BYTES;
use aldis_verify::trust::Trusted;
use aldis_verify::{Facts, Opened, check, escape, words};
use aldis_wire::card::{CARD_MAX_BYTES, VerifiedCard};
use clap::Parser;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const DOES_NOT_VERIFY: u8 = 6;
const USAGE: u8 = 2;

/// Check an evidence file made by `aldis export --evidence`, or compare two sides' files.
#[derive(Debug, Parser)]
#[command(name = "aldis-verify", version)]
struct Arguments {
    /// The evidence file; with a second one the two are compared.
    #[arg(required = true, num_args = 1..=2, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A fingerprint you have from the node's people themselves; may be given again for further keys and nodes.
    #[arg(long, value_name = "NODE=FINGERPRINT")]
    fingerprint: Vec<String>,
    /// A card you have from the node's people themselves.
    #[arg(long, value_name = "CARD")]
    card: Vec<PathBuf>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// Why nothing could be checked. Whoever called the program is to blame.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{0}` is not NODE=FINGERPRINT; a fingerprint has 64 hexadecimal digits")]
    Fingerprint(String),
    #[error("{}: {error}", .path.display())]
    Card { path: PathBuf, error: String },
}

/// What became of one file: what it proves, or what does not verify.
type Verdict = Result<(Opened, Facts), Vec<(String, String)>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok((text, is_good)) => {
            // Whoever reads may have closed the pipe; the verdict stands in the exit code all the same.
            let _closed = io::stdout().write_all(text.as_bytes());
            if is_good { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_VERIFY) }
        }
        Err(error) => {
            eprintln!("aldis-verify: {}", escape::line(&error.to_string()));
            ExitCode::from(USAGE)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(String, bool), UsageError> {
    let trusted = trusted(arguments)?;
    let mut verdicts = Vec::new();
    for path in &arguments.files {
        verdicts.push(judge(&read(path, FILE_MAX_BYTES)?, &trusted));
    }
    let forks = match &verdicts[..] {
        [Ok((one, _)), Ok((other, _))] => Some(compare(one, other)),
        _ => None,
    };
    let is_good = verdicts.iter().all(Result::is_ok) && forks.as_ref().is_none_or(Vec::is_empty);
    let text = if arguments.json {
        let mut text = in_json(&verdicts, forks.as_deref()).to_string();
        text.push('\n');
        text
    } else {
        in_words(&arguments.files, &verdicts, forks.as_deref(), &trusted)
    };
    Ok((text, is_good))
}

fn trusted(arguments: &Arguments) -> Result<Trusted, UsageError> {
    let mut trusted = Trusted::default();
    for text in &arguments.fingerprint {
        trusted.add_text(text).ok_or_else(|| UsageError::Fingerprint(text.clone()))?;
    }
    for path in &arguments.card {
        let text = read(path, CARD_MAX_BYTES * 4)?;
        let card = VerifiedCard::from_text(&String::from_utf8_lossy(&text));
        let card = card.map_err(|error| UsageError::Card { path: path.clone(), error: error.to_string() })?;
        trusted.add_card(&card);
    }
    Ok(trusted)
}

/// Reads a file, and one byte more than allowed of one that is too long, which its reader refuses.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, UsageError> {
    let failed = |source| UsageError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn judge(file: &[u8], trusted: &Trusted) -> Verdict {
    let whole = |error: String| vec![("the file".to_owned(), error)];
    let opened = Opened::read(file).map_err(|error| whole(error.to_string()))?;
    let facts = check(&opened).map_err(|problems| {
        problems.into_iter().map(|problem| (problem.file, problem.what.to_owned())).collect::<Vec<_>>()
    })?;
    trusted.check(&facts).map_err(|error| whole(error.to_string()))?;
    Ok((opened, facts))
}

fn in_json(verdicts: &[Verdict], forks: Option<&[Fork]>) -> Value {
    let mut shown: Vec<Value> = verdicts.iter().map(verdict_json).collect();
    match (verdicts.len(), forks) {
        (1, _) => shown.remove(0),
        (_, forks) => {
            let is_good = verdicts.iter().all(Result::is_ok) && forks.is_some_and(<[Fork]>::is_empty);
            json!({ "verdict": if is_good { "good" } else { "bad" }, "files": shown, "forks": forks })
        }
    }
}

fn verdict_json(verdict: &Verdict) -> Value {
    match verdict {
        Ok((_, facts)) => json!({ "verdict": "good", "facts": facts }),
        Err(problems) => {
            let problems = problems.iter();
            let problems: Vec<Value> = problems
                .map(|(file, what)| json!({ "file": escape::line(file), "what": escape::line(what) }))
                .collect();
            json!({ "verdict": "bad", "problems": problems })
        }
    }
}

fn in_words(files: &[PathBuf], verdicts: &[Verdict], forks: Option<&[Fork]>, trusted: &Trusted) -> String {
    let mut text = String::new();
    for (path, verdict) in files.iter().zip(verdicts) {
        if files.len() > 1 {
            text.push_str(&format!("== {}\n\n", escape::line(&path.display().to_string())));
        }
        match verdict {
            Ok((opened, facts)) => text.push_str(&words::facts(&opened.evidence, facts, trusted)),
            Err(problems) => {
                text.push_str("BAD: this file proves nothing.\n\n");
                for (file, what) in problems {
                    text.push_str(&format!("  {}: {}\n", escape::line(file), escape::line(what)));
                }
            }
        }
        if files.len() > 1 {
            text.push('\n');
        }
    }
    text.push_str(&forks.map(words::forks).unwrap_or_default());
    text
}
