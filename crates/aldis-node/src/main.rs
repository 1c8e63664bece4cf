//! `aldisd`: reads its arguments, calls the library, and turns the outcome into an exit code: 0 done, 1 the machine,
//! 2 the arguments or the configuration, 6 a damaged journal or card.

use aldis_node::backup::{self, Restore, RestoreError};
use aldis_node::card_text::{self, CardFileError};
use aldis_node::check;
use aldis_node::clock::Clock;
use aldis_node::config::{Config, Country, Endpoint, SealedBy};
use aldis_node::init::{self, NewNode, Sealing};
use aldis_node::keys::{self, KeyError, Source, Stretch};
use aldis_node::run::{self, RunError};
use aldis_node::{demo, log, memory, verification};
use aldis_wire::card::CardError;
use aldis_wire::ids::NodeId;
use clap::{Args, Parser, Subcommand};
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Each message is some hundred pieces of memory that one thread takes and another gives back: a quarter of all
/// processor time with the allocator of the C library (decision 0044).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
        #[command(flatten)]
        passphrase: PassphraseArg,
    },
    /// Run the node until SIGTERM. SIGHUP reads the reporting filter, the TLS files and the card again.
    Run {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArg,
    },
    /// The files that hold this node's own keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Verify the journal of a node that need not run: every damaged place is named.
    Verify {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
    },
    /// Verify a backup: every file against its manifest, the journal in it from its first record to its last.
    VerifyBackup {
        /// The directory of the backups, of which the newest is taken, or one of them.
        dir: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a backup back into a data directory that no daemon uses.
    Restore(RestoreArgs),
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

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a new identity key where the old one is lost. Move what is left of it and card.aldis away first.
    New {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArg,
    },
    /// Seal the key files that are not sealed yet, in place.
    Seal {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArg,
    },
    /// Seal all key files anew, in place: change the passphrase, or go over to a credential or back.
    Reseal {
        /// The configuration file.
        #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
        config: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArg,
        /// Read the new passphrase, one line, from this open file descriptor instead of asking for it.
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<u32>,
        /// With what from now on: passphrase or credential. As the configuration says when absent.
        #[arg(long, value_name = "HOW")]
        seal: Option<SealedBy>,
    },
}

#[derive(Args)]
struct PassphraseArg {
    /// Read the passphrase, one line, from this open file descriptor instead of asking for it on the terminal.
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
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
    /// One administrator alone may let peers in. It stands in the card, and peers see it.
    #[arg(long)]
    single_administrator: bool,
    /// With what the keys are sealed: a passphrase, asked for at each start, or a credential from systemd.
    #[arg(long, value_name = "HOW", default_value = "passphrase")]
    seal: SealedBy,
    #[command(flatten)]
    passphrase: PassphraseArg,
}

#[derive(Args)]
struct RestoreArgs {
    /// The directory of the backups, of which the newest is taken, or one of them.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The node's data directory.
    #[arg(long, value_name = "DATA_DIR")]
    to: PathBuf,
    /// The node's configuration, which says whose backup it must be.
    #[arg(long, default_value = "/etc/aldis/aldisd.toml")]
    config: PathBuf,
    /// The node's id, where its configuration is lost.
    #[arg(long, value_name = "ID", conflicts_with = "config")]
    node: Option<String>,
    /// Rename a journal and a log that are there; nothing is deleted.
    #[arg(long)]
    set_aside: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Init(args) => make_node(args),
        Command::Check { config, passphrase } => examine(&config, passphrase.passphrase_fd),
        Command::Run { config, passphrase } => run_node(&config, passphrase.passphrase_fd),
        Command::Key(command) => seal_keys(command),
        Command::Verify { config } => verify_node(&config),
        Command::VerifyBackup { dir, json } => verify_backup(&dir, json),
        Command::Restore(args) => restore(args),
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
        single_administrator: args.single_administrator,
    };
    keep_private()?;
    let source = Source::of(args.seal, args.passphrase.passphrase_fd);
    let sealing = Sealing { by: args.seal, source, stretch: Stretch::RECOMMENDED };
    let made = init::init(&node, &sealing, &Clock::system());
    let (config, card) = made.map_err(|error| failure(if error.is_usage() { USAGE } else { ENVIRONMENT })(&error))?;
    print(&init::next_steps(&config, &card))
}

/// Other programs must not read a passphrase or a key out of this one.
fn keep_private() -> Result<(), Failure> {
    memory::keep_private().map_err(|error| failure(ENVIRONMENT)(&RunError::Memory(error)))
}

fn seal_keys(command: KeyCommand) -> Result<(), Failure> {
    keep_private()?;
    let load = |path: &Path| Config::load(path).map_err(|error| failure(USAGE)(&error));
    let failed = |error: KeyError| failure(USAGE)(&error);
    let (sealed, advice) = match command {
        KeyCommand::New { config, passphrase } => return replace_lost_key(&load(&config)?, passphrase.passphrase_fd),
        KeyCommand::Seal { config, passphrase } => {
            let config = load(&config)?;
            let source = Source::of(config.keys.seal, passphrase.passphrase_fd);
            let sealed = keys::seal(&config, source, Stretch::RECOMMENDED).map_err(failed)?;
            (
                sealed,
                "Old blocks of the disk may still hold the plain key: make new keys if others ever had it.".to_owned(),
            )
        }
        KeyCommand::Reseal { config, passphrase, new_passphrase_fd, seal } => {
            let config = load(&config)?;
            let (before, after) = (config.keys.seal, seal.unwrap_or(config.keys.seal));
            let old = Source::of(before, passphrase.passphrase_fd);
            let new = Source::of_new(after, new_passphrase_fd);
            let sealed = keys::reseal(&config, old, new, Stretch::RECOMMENDED).map_err(failed)?;
            let how = after.as_str();
            (sealed, format!("In {} it must say: seal = \"{how}\". Restart a node that runs.", config.path.display()))
        }
    };
    if sealed.is_empty() {
        return print("All key files are sealed already.\n");
    }
    let lines: Vec<String> = sealed.iter().map(|path| format!("sealed  {}\n", path.display())).collect();
    print(&format!("{}{advice}\n", lines.concat()))
}

fn replace_lost_key(config: &Config, passphrase_fd: Option<u32>) -> Result<(), Failure> {
    let source = Source::of(config.keys.seal, passphrase_fd);
    let key = keys::replace_lost(config, source, Clock::system().system_time());
    let key = key.map_err(|error: KeyError| failure(USAGE)(&error))?;
    print(&format!(
        "made    {}, key {key}\nMove {} away, start the node, and give its new card to every peer by hand: their \
         administrators\nadd it with `aldis peer add FILE`, compare the words by voice, and take the key with `aldis peer \
         rotate {}`.\n",
        config.keys.identity.display(),
        config.node.card.display(),
        config.node.id
    ))
}

fn examine(path: &Path, passphrase_fd: Option<u32>) -> Result<(), Failure> {
    keep_private()?;
    let findings = check::check(path, |by| Source::of(by, passphrase_fd), &Clock::system())
        .map_err(|error| failure(USAGE)(&error))?;
    let lines: Vec<String> = findings.iter().map(|finding| format!("{finding}\n")).collect();
    print(&lines.concat())?;
    if check::is_fit(&findings) {
        return Ok(());
    }
    Err(failure(USAGE)(&format!("{} is not fit to run: mend what is marked PROBLEM", path.display())))
}

fn run_node(path: &Path, passphrase_fd: Option<u32>) -> Result<(), Failure> {
    let ended = |error: RunError| Failure { code: error.exit_code(), text: error.to_string() };
    let config = Config::load(path).map_err(|error| ended(error.into()))?;
    let runtime = threads()?;
    let source = Source::of(config.keys.seal, passphrase_fd);
    let outcome = runtime.block_on(run::run(config, source));
    // Tasks that still hang have nothing left that was confirmed to anybody.
    runtime.shutdown_background();
    outcome.map_err(ended)
}

/// A worker that always has something to do looks only now and then what has come in from sockets and from the loop; a FLASH
/// among it must not wait for the usual sixty turns.
const LOOKS_AFTER_TURNS: u32 = 2;

fn threads() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.event_interval(LOOKS_AFTER_TURNS).global_queue_interval(LOOKS_AFTER_TURNS);
    let runtime = builder.enable_all().build();
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
    let report = verification::of_journal(&config.journal_dir(), floor, &mut |done, total, segment| {
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(segment.to_owned());
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| failure(ENVIRONMENT)(&error))?;
    let lines: Vec<String> = report.findings.iter().map(|finding| format!("{finding}\n")).collect();
    print(&lines.concat())?;
    print(&format!("{} records in {} segments, {}\n", report.records, report.segments, report.head))?;
    print(&format!("{} witnesses checked, by {} peers\n", report.witnesses, report.witness_peers))?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let places = report.findings.len() as u64 + report.further_findings;
    Err(failure(INTEGRITY)(&format!("the journal does not verify in {places} place(s)")))
}

fn verify_backup(dir: &Path, json: bool) -> Result<(), Failure> {
    let bar = indicatif::ProgressBar::new(0);
    let checked = backup::check(dir, &mut advance(&bar));
    bar.finish_and_clear();
    let checked = checked.map_err(refused)?;
    print(&if json { checked.json() } else { checked.text() })?;
    checked.refuse_damage().map_err(refused)
}

fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let node = match args.node {
        Some(id) => NodeId::new(&id).map_err(|error| failure(USAGE)(&error))?,
        None => Config::load(&args.config).map_err(|error| failure(USAGE)(&error))?.node.id,
    };
    let user = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(user).ok().flatten().map_or_else(String::new, |user| user.name);
    let by = format!("{name} (uid {user})");
    let now = Clock::system().wall();
    let wanted = Restore { from: args.from, to: args.to, node, set_aside: args.set_aside, by, now };
    let bar = indicatif::ProgressBar::new(0);
    let restored = backup::restore(&wanted, &mut advance(&bar));
    bar.finish_and_clear();
    let restored = restored.map_err(refused)?;
    print(&if args.json { restored.json() } else { restored.text() })
}

/// Moves a bar, which goes to standard error and draws nothing unless that is a terminal.
fn advance(bar: &indicatif::ProgressBar) -> impl FnMut(u64, u64, &str) {
    move |done, total, what| {
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(what.to_owned());
    }
}

fn refused(error: RestoreError) -> Failure {
    failure(error.exit().code())(&error)
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
