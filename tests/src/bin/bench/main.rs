//! The benchmark: real daemons of this machine over loopback TLS, measured from outside as a person or a program would
//! meet them. It decides nothing about what is good enough; `targets` says what was asked for, and the table shows both.
//!
//! `cargo run --release -p aldis-tests --bin bench`; see docs/performance.md for what each measure means.

mod attachment;
mod crowd;
mod daemons;
mod fanout;
mod flash;
mod idle;
mod limits;
mod load;
mod machine;
mod pair;
mod peers;
mod plot;
mod queued;
mod results;
mod searches;
mod size;
mod table;
mod targets;

use clap::{Parser, ValueEnum};
use crowd::Crowd;
use machine::Machine;
use results::Results;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Why a run ended early: the environment or a daemon is to blame, and the text says which.
type Failure = Box<dyn Error + Send + Sync>;

/// Measures Aldis on this machine and writes what it found.
#[derive(Parser, Clone, Debug)]
#[command(name = "bench")]
struct Arguments {
    /// What to measure, separated by commas; everything but the limits when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measure>,
    /// How often each measure is run; medians are reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Also measures the bare limits of this machine, in the same run, so that results are ratios.
    #[arg(long)]
    limits: bool,
    /// Measures at full size: a million queued notices, 500,000 and 2,000,000 messages.
    #[arg(long)]
    full: bool,
    /// Where the nodes keep their files: a disk like the one of a real node. The system's temporary directory when left
    /// out.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Writes everything that was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Puts the table between the two markers of this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Writes the plots into this directory.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Plays so many peers in this process, for the bench that started it.
    #[arg(long, hide = true)]
    play_peers: Option<usize>,
    /// The file with the card of the node whose peers they are.
    #[arg(long, hide = true, requires = "play_peers", default_value = "card.aldis")]
    play_peers_of: PathBuf,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Notices a second, latency, CPU and memory of two daemons.
    Pair,
    /// A large file from node to node.
    Attachment,
    /// FLASH while bulk and a large file saturate the link.
    Flash,
    /// One notice to 200 peers.
    Fanout,
    /// Memory of an idle node and of each idle link.
    Idle,
    /// Memory with a backlog for a peer that is down.
    Queued,
    /// Start-up, searches and disk with many messages.
    Size,
    /// The bare limits of this machine; the same as --limits.
    Limits,
}

impl Measure {
    const ALL: &[Self] =
        &[Self::Pair, Self::Attachment, Self::Flash, Self::Fanout, Self::Idle, Self::Queued, Self::Size];
}

/// What every measure is given.
struct Bench {
    runs: u32,
    length: Duration,
    limits: bool,
    full: bool,
    dir: PathBuf,
    daemon: PathBuf,
}

impl Bench {
    /// Says on standard error what is being done.
    fn progress(&self, what: &str, run: u32) {
        eprintln!("bench: {what}, run {} of {}", run + 1, self.runs);
    }

    /// A directory for the nodes of one run, removed with all they wrote when it is dropped.
    fn run_dir(&self) -> Result<tempfile::TempDir, Failure> {
        Ok(tempfile::Builder::new().prefix("aldis-bench").tempdir_in(&self.dir)?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if let Some(count) = arguments.play_peers {
        return peers::play(count, &arguments.play_peers_of).await;
    }
    if let Some(page) = &arguments.markdown {
        table::check_page(page)?;
    }
    let dir = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
    let daemon = daemons::built()?;
    let machine = Machine::look(&dir)?;
    eprintln!("{machine}");
    for warning in machine.warnings() {
        eprintln!("bench: WARNING: {warning}");
    }
    let (length, full) = (Duration::from_secs(arguments.seconds), arguments.full);
    let limits = arguments.limits || arguments.only.contains(&Measure::Limits);
    let bench = Bench { runs: arguments.runs, length, limits, full, dir, daemon };
    let mut results = Results::default();
    let chosen = if arguments.only.is_empty() { Measure::ALL } else { arguments.only.as_slice() };
    take(&bench, chosen, &mut results).await?;
    write(&arguments, &machine, &results)
}

/// Takes what was chosen, always in the same order.
async fn take(bench: &Bench, chosen: &[Measure], results: &mut Results) -> Result<(), Failure> {
    let is_chosen = |measure| chosen.contains(&measure);
    if is_chosen(Measure::Pair) {
        pair::measure(bench, results).await?;
    } else if bench.limits {
        limits::measure(bench, results)?;
    }
    if is_chosen(Measure::Attachment) {
        attachment::measure(bench, results).await?;
    }
    if is_chosen(Measure::Flash) {
        flash::measure(bench, results).await?;
    }
    if is_chosen(Measure::Fanout) || is_chosen(Measure::Idle) {
        // Enrolling so many takes a minute or two, so it is done once.
        eprintln!("bench: {} peers are enrolled", crowd::PEERS);
        let dir = bench.run_dir()?;
        let mut crowd = Crowd::start(bench, dir.path()).await?;
        if is_chosen(Measure::Fanout) {
            fanout::measure(bench, &crowd, results).await?;
        }
        if is_chosen(Measure::Idle) {
            idle::measure(bench, &mut crowd, results).await?;
        }
        crowd.stop().await?;
    }
    if is_chosen(Measure::Queued) {
        queued::measure(bench, results).await?;
    }
    if is_chosen(Measure::Size) {
        size::measure(bench, results).await?;
    }
    Ok(())
}

fn write(arguments: &Arguments, machine: &Machine, results: &Results) -> Result<(), Failure> {
    let text = table::written(machine, results);
    println!("{text}");
    if let Some(file) = &arguments.json {
        let json = results.to_json(machine, arguments.seconds, arguments.runs);
        std::fs::write(file, serde_json::to_string_pretty(&json)? + "\n")?;
    }
    if let Some(page) = &arguments.markdown {
        table::put(page, &text)?;
    }
    if let Some(dir) = &arguments.svg {
        plot::write_all(dir, results)?;
    }
    Ok(())
}
