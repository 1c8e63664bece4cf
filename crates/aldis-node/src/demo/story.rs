//! How the demonstration is told: numbered chapters, what happened, what it proved, and what to try next.

use super::process::Process;
use std::cell::Cell;
use std::path::Path;

/// The story so far.
pub(super) struct Story {
    chapter: Cell<u32>,
}

#[expect(clippy::print_stdout, reason = "the story is what the command prints")]
impl Story {
    pub(super) fn begin(dir: &Path) -> Self {
        println!("Two national CERTs, cert.br and cert.cl, on this machine. Their files: {}", dir.display());
        println!("All traffic is marked as exercise \"demonstration\" in the signed bytes.");
        Self { chapter: Cell::new(0) }
    }

    pub(super) fn chapter(&self, title: &str) {
        self.chapter.set(self.chapter.get() + 1);
        println!("\n{}. {title}", self.chapter.get());
    }

    pub(super) fn happened(&self, what: &str) {
        println!("   - {what}");
    }

    pub(super) fn proved(&self, what: &str) {
        println!("   = {what}");
    }

    pub(super) fn end(&self, nodes: &[&Process], keep: bool) {
        println!("\nAll {} steps came true.", self.chapter.get());
        if !keep {
            println!("Run it with --keep to leave both nodes running and look around yourself.");
            return;
        }
        println!("\nBoth nodes run on. Try:");
        for node in nodes {
            println!("   aldis --socket {} inbox", node.socket().display());
        }
        let Some(first) = nodes.first() else { return };
        let socket = first.socket();
        println!("   aldis --socket {} send --to cert.cl --kind incident \\", socket.display());
        println!("       --precedence priority --tlp green --subject 'Hello from Brazil' --body -");
        println!("   aldis --socket {} outbox", socket.display());
        println!("   aldis --socket {} watch", socket.display());
        println!("   aldis --socket {} verify", socket.display());
        let pids: Vec<String> = nodes.iter().filter_map(|node| node.pid()).map(|pid| pid.to_string()).collect();
        println!("Stop them with: kill {}", pids.join(" "));
    }
}
