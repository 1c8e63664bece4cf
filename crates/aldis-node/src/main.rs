//! `aldisd`: reads its arguments, calls the library, and turns the outcome into an exit code: 0 done, 1 the machine,
//! 2 the arguments or the configuration, 6 a damaged journal or card.

use aldis_node::card_text::{self, CardFileError};
use aldis_node::check;
use aldis_node::clock::Clock;
use aldis_node::config::{Config, Country, Endpoint};
use aldis_node::init::{self, NewNode};
use aldis_node::run::{self, RunError};
use aldis_node::{demo, journal, log};
use aldis_wire::card::CardError;
use aldis_wire::ids::NodeId;
use clap::{Args, Parser, Subcommand};
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const ENVIRONMENT: u8 = 1;
const USAGE: u8 = 2;
const INTEGRITY: u8 = 6;

/// The daemon of an Aldis node: exchanges signed notices with the nodes of other CERTs.
#[derive(Parser)]
#[command(name = "aldisd", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new node in a directory: keys, certificate, configuration, card.
    Init(InitArgs),
    /// Examine a configuration and everything it names, without starting anything.
    Check {
        /// The configuration file.
        #[arg(default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
    },
    /// Run the node until SIGTERM. SIGHUP reads the reporting filter, the TLS files and the card again.
    Run {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
    },
    /// Verify the journal of a node that need not run: every damaged place is named.
    Verify {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
    },
    /// Two complete nodes on this machine do the main job, told as a story.
    Demo {
        /// Leave both nodes running at the end.
        #[arg(long)]
        keep: bool,
        /// Where to put them; a temporary directory when absent.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Verify a card in a file and show what it says.
    CardShow {
        /// The card file; mail around the card is ignored.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct InitArgs {
    /// The directory to make; it must not exist, or be empty.
    dir: PathBuf,
    /// The node's id: a lower-case name such as cert.br. It is for ever.
    #[arg(long)]
    id: String,
    /// The CERT's name in words.
    #[arg(long)]
    name: String,
    /// Its ISO 3166 country code, such as BR, or an organisation, such as OAS.
    #[arg(long)]
    country: Country,
    /// Where to listen for peers; may be repeated.
    #[arg(long, value_name = "ADDRESS:PORT", required = true)]
    listen: Vec<SocketAddr>,
    /// Where peers reach this node; may be repeated. The listen addresses when absent.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Vec<Endpoint>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Init(args) => make_node(args),
        Command::Check { config } => examine(&config),
        Command::Run { config } => run_node(&config),
        Command::Verify { config } => verify_node(&config),
        Command::Demo { keep, dir } => demonstrate(demo::Options { keep, dir }),
        Command::CardShow { file, json } => show_card(&file, json),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            // If standard error is gone, the exit code alone must do.
            let _gone = writeln!(io::stderr(), "aldisd: {text}");
            ExitCode::from(code)
        }
    }
}

struct Failure {
    code: u8,
    text: String,
}

fn failure(code: u8) -> impl Fn(&dyn Display) -> Failure {
    move |error| Failure { code, text: error.to_string() }
}

fn make_node(args: InitArgs) -> Result<(), Failure> {
    let id = NodeId::new(&args.id).map_err(|error| failure(USAGE)(&error))?;
    let node = NewNode {
        dir: args.dir,
        id,
        name: args.name,
        country: args.country,
        listen: args.listen,
        endpoints: args.endpoint,
    };
    let made = init::init(&node, &Clock::system());
    let (config, card) = made.map_err(|error| failure(if error.is_usage() { USAGE } else { ENVIRONMENT })(&error))?;
    print(&init::next_steps(&config, &card))
}

fn examine(path: &Path) -> Result<(), Failure> {
    let findings = check::check(path, &Clock::system()).map_err(|error| failure(USAGE)(&error))?;
    let lines: Vec<String> = findings.iter().map(|finding| format!("{finding}\n")).collect();
    print(&lines.concat())?;
    if check::is_fit(&findings) {
        return Ok(());
    }
    Err(failure(USAGE)(&format!("{} is not fit to run: mend what is marked PROBLEM", path.display())))
}

fn run_node(path: &Path) -> Result<(), Failure> {
    let ended = |error: RunError| Failure { code: error.exit_code(), text: error.to_string() };
    let config = Config::load(path).map_err(|error| ended(error.into()))?;
    let runtime = threads()?;
    let outcome = runtime.block_on(run::run(config));
    // Tasks that still hang have nothing left that was confirmed to anybody.
    runtime.shutdown_background();
    outcome.map_err(ended)
}

fn threads() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| failure(ENVIRONMENT)(&format!("cannot start threads: {error}")))
}

fn demonstrate(options: demo::Options) -> Result<(), Failure> {
    let outcome = threads()?.block_on(demo::run(options));
    outcome.map_err(|error| failure(ENVIRONMENT)(&format!("the demonstration failed: {error:#}")))
}

/// What `aldis verify` asks of a running node, for one that does not run or refuses to.
fn verify_node(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path).map_err(|error| failure(USAGE)(&error))?;
    let bar = indicatif::ProgressBar::new(0);
    let floor = log::durable_position(&config.log_dir());
    let report = journal::verify(&config.journal_dir(), floor, &|_| false, &mut |done, total, segment| {
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(segment.to_owned());
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| failure(ENVIRONMENT)(&error))?;
    let lines: Vec<String> = report.findings.iter().map(|finding| format!("{finding}\n")).collect();
    print(&lines.concat())?;
    print(&format!("{} records in {} segments, {}\n", report.records, report.segments, report.head))?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let places = report.findings.len() as u64 + report.further_findings;
    Err(failure(INTEGRITY)(&format!("the journal is damaged in {places} place(s)")))
}

fn show_card(file: &Path, json: bool) -> Result<(), Failure> {
    let card = card_text::load(file).map_err(|error| {
        let code = match &error {
            CardFileError::Unreadable { .. } => ENVIRONMENT,
            CardFileError::NotACard { source: CardError::Signature, .. } => INTEGRITY,
            CardFileError::NotACard { .. } => USAGE,
        };
        failure(code)(&error)
    })?;
    let now = Clock::system().wall();
    print(&if json { card_text::json(&card, now) + "\n" } else { card_text::text(&card, now) })
}

/// Writes to standard output. A reader that went away, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failure(ENVIRONMENT)(&format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
