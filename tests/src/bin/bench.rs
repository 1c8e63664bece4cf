//! The benchmark: two real daemons over loopback TLS, every notice durable on both sides and receipted.
//!
//! `cargo build --release && cargo run --release -p aldis-tests --bin bench [-- --seconds 5] [--json FILE]`
//!
//! For each number of notices in flight it prints notices per second, p50 and p99 from submission to the verified receipt
//! on the sender's disk, CPU seconds per 1,000 notices and resident memory of both daemons. Bodies are 1 KiB. They go over
//! one bulk stream of the control API, and are timed from handing in the line to its answer.

use aldis_control::{BulkLine, BulkOutcome, Client, DeliveryState, Precedence, SendRequest, Tlp, Wait};
use aldis_node::demo::process::{self, Process};
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How many notices are on their way at once, run by run.
const IN_FLIGHT: [usize; 3] = [1, 32, 1_024];
/// The length of the narrative that brings a body to 1 KiB.
const NARRATIVE_BYTES: usize = 952;
/// How many lines go into one piece of the request, if so many are there.
const LINES_PER_PIECE: usize = 64;
/// Kernel clock ticks per second in /proc: fixed for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug)]
struct Measured {
    in_flight: usize,
    notices: usize,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    cpu_s_per_1000: f64,
    resident_mib: [f64; 2],
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds: u64 = option(&arguments, "--seconds").map_or(Ok(5), str::parse)?;
    let dir = tempfile::tempdir()?;
    let program = daemon_program()?;
    let mut br = Process::init(&program, dir.path(), "cert.br", "bench", "BR").await?;
    let mut cl = Process::init(&program, dir.path(), "cert.cl", "bench", "CL").await?;
    for node in [&br, &cl] {
        lift_bounds(node)?;
    }
    br.start().await?;
    cl.start().await?;
    introduce(&br, &cl).await?;
    println!("two daemons on loopback, mutual TLS 1.3, 1 KiB bodies, durable on both sides, {seconds} s each");
    println!(
        "{:>9} {:>9} {:>11} {:>9} {:>9} {:>13} {:>15}",
        "in flight", "notices", "notices/s", "p50 us", "p99 us", "CPU s/1000", "RSS MiB br/cl"
    );
    let mut results = Vec::new();
    for in_flight in IN_FLIGHT {
        let measured = measure(&br, &cl, in_flight, Duration::from_secs(seconds)).await?;
        println!(
            "{:>9} {:>9} {:>11.0} {:>9} {:>9} {:>13.4} {:>7.1}/{:.1}",
            measured.in_flight,
            measured.notices,
            measured.per_second,
            measured.p50_us,
            measured.p99_us,
            measured.cpu_s_per_1000,
            measured.resident_mib[0],
            measured.resident_mib[1]
        );
        results.push(measured);
    }
    if let Some(file) = option(&arguments, "--json") {
        std::fs::write(file, serde_json::to_string_pretty(&to_json(&results))?)?;
    }
    br.stop().await?;
    cl.stop().await?;
    Ok(())
}

/// Lets a node take from its peer whatever comes: what is measured is not the bound.
fn lift_bounds(node: &Process) -> Result<(), Failure> {
    let lifted = "[limits]\nintake_kib_s = 1048576\nintake_burst_kib = 67108864\nunanswered_per_peer = 10000000";
    let text = std::fs::read_to_string(node.config())?;
    if !text.contains("\n[limits]\n") {
        return Err("the configuration has no [limits]".into());
    }
    Ok(std::fs::write(node.config(), text.replacen("[limits]", lifted, 1))?)
}

/// The daemon that was built beside this program.
fn daemon_program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("aldisd");
    if !program.exists() {
        return Err(format!("{} is missing; build it first: cargo build --release", program.display()).into());
    }
    Ok(program)
}

async fn introduce(br: &Process, cl: &Process) -> Result<(), Failure> {
    process::introduce(&br.client(), &cl.client()).await?;
    // The first notice is not counted: it waits for the link.
    let sent = br.client().send(&notice()).await?;
    check_stored(&BulkOutcome::Sent(sent))
}

async fn measure(br: &Process, cl: &Process, in_flight: usize, length: Duration) -> Result<Measured, Failure> {
    let pids = [br.pid().ok_or("cert.br does not run")?, cl.pid().ok_or("cert.cl does not run")?];
    let cpu_before = cpu_seconds(pids[0])? + cpu_seconds(pids[1])?;
    let begun = Instant::now();
    let mut latencies_us = send_many(&br.client(), in_flight, length).await?;
    let elapsed_s = begun.elapsed().as_secs_f64();
    let cpu_s = cpu_seconds(pids[0])? + cpu_seconds(pids[1])? - cpu_before;
    latencies_us.sort_unstable();
    let notices = latencies_us.len();
    let at = |percent: usize| latencies_us[(notices * percent / 100).min(notices - 1)];
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    let count = notices as f64;
    Ok(Measured {
        in_flight,
        notices,
        per_second: count / elapsed_s,
        p50_us: at(50),
        p99_us: at(99),
        cpu_s_per_1000: cpu_s * 1_000.0 / count,
        resident_mib: [resident_mib(pids[0])?, resident_mib(pids[1])?],
    })
}

/// Submits notices over one bulk stream, with so many unanswered at each moment, and returns how long each took from being
/// handed in until its verified receipt was on the sender's disk, in microseconds.
async fn send_many(client: &Client, in_flight: usize, length: Duration) -> Result<Vec<u64>, Failure> {
    let mut line = serde_json::to_vec(&notice())?;
    line.push(b'\n');
    let (to, lines) = mpsc::channel::<Vec<u8>>(in_flight);
    let lines = stream::unfold(lines, async |mut lines| lines.recv().await.map(|line| (line, lines)));
    let pieces = lines.boxed().ready_chunks(LINES_PER_PIECE).map(|lines| Ok(lines.concat()));
    let mut answers = client.send_bulk_lines(pieces).await?;
    let begun = Instant::now();
    let mut handed_in = vec![begun; in_flight];
    for _ in 0..in_flight {
        to.send(line.clone()).await?;
    }
    let mut to = Some(to);
    let mut latencies_us = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer? {
            BulkLine::Answer(answer) => {
                check_stored(&answer.outcome)?;
                let took = handed_in[usize::try_from(answer.line)? - 1].elapsed();
                latencies_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                // The end of its last sender ends the request.
                to = to.filter(|_| begun.elapsed() < length);
                if let Some(to) = &to {
                    handed_in.push(Instant::now());
                    to.send(line.clone()).await?;
                }
            }
            BulkLine::Progress(_) => {}
            BulkLine::Report(report) if report.stopped.is_none() => {}
            BulkLine::Report(report) => return Err(format!("the bulk was stopped: {report:?}").into()),
        }
    }
    Ok(latencies_us)
}

fn check_stored(outcome: &BulkOutcome) -> Result<(), Failure> {
    match outcome {
        BulkOutcome::Sent(sent) if sent.messages.iter().all(|message| message.state == DeliveryState::Stored) => Ok(()),
        other => Err(format!("the notice is not stored: {other:?}").into()),
    }
}

/// A notice whose sender waits for the verified receipt.
fn notice() -> SendRequest {
    let body =
        json!({ "subject": "benchmark", "class": "test", "type": "test", "narrative": "n".repeat(NARRATIVE_BYTES) });
    SendRequest {
        wait: Some(Wait::Stored),
        wait_ms: Some(30_000),
        ..SendRequest::new(&["cert.cl"], "incident", Precedence::Routine, Tlp::Green, body)
    }
}

/// CPU seconds a process has used, from /proc/PID/stat.
fn cpu_seconds(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| -> Result<f64, Failure> { Ok(fields.get(field).ok_or("a short stat line")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Resident memory of a process in MiB, from /proc/PID/status.
fn resident_mib(pid: u32) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS line")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("a short VmRSS line")?.parse()?;
    Ok(kib / 1_024.0)
}

fn to_json(results: &[Measured]) -> serde_json::Value {
    let rows = results.iter().map(|row| {
        json!({
            "in_flight": row.in_flight, "notices": row.notices, "per_second": row.per_second, "p50_us": row.p50_us,
            "p99_us": row.p99_us, "cpu_s_per_1000": row.cpu_s_per_1000, "resident_mib": row.resident_mib,
        })
    });
    json!({ "results": rows.collect::<Vec<_>>() })
}

fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let place = arguments.iter().position(|argument| argument == name)?;
    arguments.get(place + 1).map(String::as_str)
}
