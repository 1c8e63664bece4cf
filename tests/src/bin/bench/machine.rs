//! The machine that is measured on, as far as figures depend on it, and what a process of it uses. Read from /proc and
//! from git; nothing here changes anything.

use crate::Failure;
use crate::results::number;
use aldis_control::UnixMillis;
use aldis_node::clock::Clock;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Kernel clock ticks per second in /proc: fixed for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long the processors are watched before a run.
const WATCHED: Duration = Duration::from_secs(1);
/// The share of the processors, in percent, that others may use before a run for it to be a quiet one.
const QUIET_PERCENT: f64 = 10.0;
/// The load of the last minute up to which the machine counts as quiet.
const QUIET_LOAD: f64 = 0.5;
/// File systems that keep nothing when the power goes: what is measured there is no disk.
const VOLATILE: [&str; 3] = ["tmpfs", "ramfs", "overlay"];

/// What is known of the machine, the program and the moment.
pub(crate) struct Machine {
    commit: String,
    date: String,
    model: String,
    cores: usize,
    kernel: String,
    memory_mib: u64,
    file_system: String,
    load_1_min: f64,
    busy_percent: f64,
    optimised: bool,
}

impl Machine {
    /// Looks at the machine for a second. `dir` is where the nodes will keep their files.
    pub(crate) fn look(dir: &Path) -> Result<Self, Failure> {
        Ok(Self {
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            date: UnixMillis(Clock::system().wall().get()).to_string(),
            model: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            memory_mib: kib(field("/proc/meminfo", "MemTotal")) / 1_024,
            file_system: file_system(dir)?,
            load_1_min: std::fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().parse()?,
            busy_percent: busy_percent()?,
            optimised: !cfg!(debug_assertions),
        })
    }

    /// Why the figures of a run now would mean little.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.is_quiet() {
            let (busy, load) = (self.busy_percent, self.load_1_min);
            warnings.push(format!("the machine is not quiet: {busy:.0} % busy with other things, load {load:.2}"));
        }
        if !self.optimised {
            warnings.push("this is a build without optimisation; run it with --release".to_owned());
        }
        if VOLATILE.contains(&self.file_system.as_str()) {
            warnings
                .push(format!("the nodes' files lie on {}, which is no disk; name one with --dir", self.file_system));
        }
        warnings
    }

    fn is_quiet(&self) -> bool {
        self.busy_percent <= QUIET_PERCENT && self.load_1_min <= QUIET_LOAD
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "commit": self.commit, "date": self.date, "model": self.model, "cores": self.cores, "kernel": self.kernel,
            "memory_mib": self.memory_mib, "file_system": self.file_system, "load_1_min": self.load_1_min,
            "busy_percent": self.busy_percent, "quiet": self.is_quiet(), "optimised": self.optimised,
        })
    }

    /// A machine for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        let text = str::to_owned;
        Self {
            commit: text("0123abc"),
            date: text("2026-11-23T00:00:00.000Z"),
            model: text("a processor"),
            cores: 2,
            kernel: text("6.1"),
            memory_mib: 24_000,
            file_system: text("ext4"),
            load_1_min: 0.1,
            busy_percent: 1.0,
            optimised: true,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, date, model, cores, kernel, memory_mib, file_system, load_1_min, busy_percent, .. } = self;
        let build = if self.optimised { "" } else { " built WITHOUT optimisation" };
        let quiet = if self.is_quiet() { "quiet" } else { "NOT quiet" };
        write!(
            f,
            "commit {commit}{build}, {date}, {cores} x {model}, {memory_mib} MiB, Linux {kernel}, {file_system}; {quiet} before \
             the run: load {load_1_min:.2}, {busy_percent:.0} % busy"
        )
    }
}

/// CPU seconds a process has used since it started.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| -> Result<f64, Failure> { Ok(fields.get(field).ok_or("a short stat line")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Resident memory of a process in MiB.
pub(crate) fn resident_mib(pid: u32) -> Result<f64, Failure> {
    let status = Path::new("/proc").join(pid.to_string()).join("status");
    let resident = field(&status, "VmRSS").ok_or_else(|| format!("process {pid} is gone"))?;
    Ok(number(kib(Some(resident))) / 1_024.0)
}

/// How many bytes of disk the files below a directory take, in whole blocks as the file system counts them.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        // The kernel counts blocks of 512 bytes, whatever the file system has.
        bytes += if about.is_dir() { disk_bytes(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(bytes)
}

/// The value of the first line of that name.
fn field(file: impl AsRef<Path>, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The number before ` kB`; 0 where there is none.
fn kib(value: Option<String>) -> u64 {
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    Some(format!("{}{}", commit.trim(), if changed { " and changes" } else { "" }))
}

/// The type of the file system that holds a directory: the mount with the longest path above it.
fn file_system(dir: &Path) -> Result<String, Failure> {
    let dir = dir.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((PathBuf::from(fields.next()?), fields.next()?))
    });
    let above = mounts.filter(|(at, _)| dir.starts_with(at)).max_by_key(|(at, _)| at.as_os_str().len());
    Ok(above.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned()))
}

/// The share of all processors that is used within a second, in percent.
fn busy_percent() -> Result<f64, Failure> {
    let (before, begun) = (idle_ticks()?, Instant::now());
    std::thread::park_timeout(WATCHED);
    let (idle, watched) = (idle_ticks()? - before, begun.elapsed().as_secs_f64());
    let cores = crate::results::length(std::thread::available_parallelism()?.get());
    Ok((100.0 - 100.0 * idle / (TICKS_PER_SECOND * watched * cores)).clamp(0.0, 100.0))
}

/// For how many ticks all processors together have been idle, or waited for a disk.
fn idle_ticks() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<&str> = stat.lines().next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| -> Result<f64, Failure> { Ok(fields.get(field).ok_or("a short stat line")?.parse()?) };
    Ok(ticks(4)? + ticks(5)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_process_can_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::look(dir.path()).unwrap();
        assert!(machine.cores > 0 && machine.memory_mib > 100 && machine.file_system != "unknown", "{machine}");
        let own = std::process::id();
        assert!(resident_mib(own).unwrap() > 1.0 && cpu_seconds(own).unwrap() >= 0.0);
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("below").join("file"), vec![1; 100_000]).unwrap();
        std::fs::File::open(dir.path().join("below").join("file")).unwrap().sync_all().unwrap();
        assert!((100_000..400_000).contains(&disk_bytes(dir.path()).unwrap()));
    }

    #[test]
    fn a_machine_that_does_other_things_is_warned_of() {
        assert!(Machine::sample().warnings().is_empty());
        for loud in [
            Machine { load_1_min: 3.0, ..Machine::sample() },
            Machine { busy_percent: 50.0, ..Machine::sample() },
            Machine { file_system: "tmpfs".to_owned(), ..Machine::sample() },
            Machine { optimised: false, ..Machine::sample() },
        ] {
            assert_eq!(loud.warnings().len(), 1, "{loud}");
        }
    }
}
