//! `aldis send`: finds the text, puts the notice together and hands it to the daemon.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use aldis_control::{SendRequest, SendResponse, Tlp};
use serde_json::Map;
use tokio::process::Command;

use super::attach::{self, Attachable};
use super::card::read_text;
use super::{Session, compose, follow};
use crate::args::SendArgs;
use crate::failure::Failure;
use crate::render;

/// The longest text and the largest notice file that are read: 1 MiB. The daemon has its own, lower limit.
const MAX_TEXT_BYTES: u64 = 1024 * 1024;

/// What stands below this line in the editor is not part of the text.
const SCISSORS: &str = "------------------------ >8 ------------------------";

pub(crate) async fn run(session: &Session, mut args: SendArgs) -> Result<(), Failure> {
    let files = Attachable::all(&std::mem::take(&mut args.attach))?;
    let notice = match &args.notice {
        Some(path) => compose::parse_notice(&read_text(path, MAX_TEXT_BYTES)?, &path.display().to_string())?,
        None => Map::new(),
    };
    if !args.edit {
        let text = given_text(&args)?;
        let request = compose::request(notice, args, text, session.page)?;
        return submit(session, request, files).await;
    }
    // Whatever can be wrong with the options is said before somebody writes a text in vain.
    let begun = notice.get("body").and_then(|body| body["narrative"].as_str()).unwrap_or_default();
    let draft = Draft::new(begun)?;
    compose::request(notice.clone(), args.clone(), Some("to be written".into()), session.page)?;
    draft.edit().await?;
    let sent = async {
        let request = compose::request(notice, args, Some(draft.text()?), session.page)?;
        hand_over(session, request, files).await
    };
    match sent.await {
        Ok((request, sent)) => finish(session, &request, &sent).await,
        Err(failure) => {
            draft.keep();
            Err(failure)
        }
    }
}

async fn submit(session: &Session, request: SendRequest, files: Vec<Attachable>) -> Result<(), Failure> {
    let (request, sent) = hand_over(session, request, files).await?;
    finish(session, &request, &sent).await
}

/// Hands the files in, then the message that names them.
async fn hand_over(
    session: &Session,
    mut request: SendRequest,
    files: Vec<Attachable>,
) -> Result<(SendRequest, SendResponse), Failure> {
    if !files.is_empty() {
        request.attachments.extend(attach::hand_in(session, files).await?);
    }
    let sent = session.client.send(&request).await?;
    Ok((request, sent))
}

async fn finish(session: &Session, request: &SendRequest, sent: &SendResponse) -> Result<(), Failure> {
    session.show(sent, render::sent)?;
    released(request, sent)?;
    // Looking at a TLP:RED message is an opening, and goes on record.
    let is_followed = !request.attachments.is_empty() && request.tlp != Tlp::Red;
    if is_followed { follow::files(session, sent).await } else { Ok(()) }
}

/// Whoever waits until it is stored over there must not take a draft for that.
fn released(request: &SendRequest, sent: &SendResponse) -> Result<(), Failure> {
    match (request.wait, sent.draft) {
        (Some(_), Some(draft)) => {
            let advice = format!("have a releaser, another Unix user, run `aldis release {draft}`");
            Err(Failure::WaitsForRelease { draft, advice })
        }
        _ => Ok(()),
    }
}

/// The text from a file or from standard input; none when the notice file is to bring it.
fn given_text(args: &SendArgs) -> Result<Option<String>, Failure> {
    let path = match (&args.body, &args.notice) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) => return Ok(None),
        (None, None) if io::stdin().is_terminal() => {
            return Err(Failure::usage("there is no text to send", "add --body FILE or --edit, or pipe it in"));
        }
        (None, None) => PathBuf::from("-"),
    };
    read_text(&path, MAX_TEXT_BYTES).map(Some)
}

/// A text that is being written in an editor, in a file that only this user can read.
struct Draft {
    file: tempfile::NamedTempFile,
}

impl Draft {
    fn new(begun: &str) -> Result<Self, Failure> {
        let failed = |source| Failure::File { doing: "create a draft in", path: std::env::temp_dir(), source };
        let mut file = tempfile::Builder::new().prefix("aldis-").suffix(".txt").tempfile().map_err(failed)?;
        let help = format!("{begun}\n{SCISSORS}\nWrite the text above this line. An empty text sends nothing.\n");
        file.write_all(help.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
        Ok(Self { file })
    }

    /// Runs the editor and waits for it. The variable may hold options, so a shell takes it apart.
    async fn edit(&self) -> Result<(), Failure> {
        let editor = editor();
        let mut script = editor.clone();
        script.push(" \"$@\"");
        let failed = |reason: String| Failure::Program {
            program: editor.display().to_string(),
            reason,
            advice: "set VISUAL or EDITOR to your editor, or use --body FILE",
        };
        let status = Command::new("sh").arg("-c").arg(script).arg("editor").arg(self.path()).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("it ended with {status}; nothing was sent"))),
            Err(source) => Err(failed(source.to_string())),
        }
    }

    fn text(&self) -> Result<String, Failure> {
        let text = read_text(self.path(), MAX_TEXT_BYTES)?;
        let written = text.split(SCISSORS).next().unwrap_or_default();
        Ok(written.trim().to_owned())
    }

    /// Leaves the file where it is and says so, for the text must not be lost because sending failed.
    fn keep(self) {
        if self.text().is_ok_and(|text| text.is_empty()) {
            return;
        }
        match self.file.keep() {
            Ok((_, path)) => eprintln!("aldis: your text is kept in {}", path.display()),
            Err(error) => {
                eprintln!("aldis: your text could not be kept: {error}");
            }
        }
    }

    fn path(&self) -> &Path {
        self.file.path()
    }
}

fn editor() -> OsString {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into())
}
