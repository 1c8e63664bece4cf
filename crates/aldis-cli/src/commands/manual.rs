//! Shell completions and man pages, both made from the definition of the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Failure;

/// The completions for a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "aldis", &mut script);
    script
}

/// Writes one man page for each command, such as `aldis-peer-add.1`.
pub(crate) fn write_pages(dir: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::File { doing: "write man pages to", path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    for (name, page) in pages().map_err(failed)? {
        fs::write(dir.join(name), page).map_err(failed)?;
    }
    Ok(())
}

/// Every page with its file name.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect_pages(&command, &mut pages)?;
    Ok(pages)
}

fn collect_pages(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().filter(|inner| !inner.is_hide_set()).try_for_each(|inner| collect_pages(inner, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_man_page() {
        let pages = pages().unwrap();
        let names = [
            "aldis.1",
            "aldis-send.1",
            "aldis-peer-add.1",
            "aldis-peer-verify.1",
            "aldis-peer-rotate.1",
            "aldis-peer-suspend.1",
            "aldis-peer-resume.1",
            "aldis-peer-revoke.1",
            "aldis-requests.1",
            "aldis-approve.1",
            "aldis-key-list.1",
            "aldis-key-rotate.1",
            "aldis-card-show.1",
            "aldis-export.1",
            "aldis-verify.1",
        ];
        for name in names {
            let (_, page) = pages.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("{name}"));
            assert!(String::from_utf8_lossy(page).contains(".SH SYNOPSIS"), "{name}");
        }
        assert!(pages.iter().all(|(name, _)| name != "aldis-man.1"));
    }

    #[test]
    fn every_shell_gets_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = String::from_utf8(completions(shell)).unwrap();
            for word in ["precedence", "suspend", "withdraw", "identity"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
