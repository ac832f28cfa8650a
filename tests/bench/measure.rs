//! What one command costs, with everything that it starts.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde::{Deserialize, Serialize};

use crate::Result;

/// How often the memory of a build is looked at, in the end.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

/// What a command cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) wall_seconds: f64,
    /// User and system time of all processes.
    pub(crate) cpu_seconds: f64,
    /// The processor time as a part of what the cores could have given.
    pub(crate) utilisation: f64,
    /// The greatest sum of the processes' resident memory that was seen, in bytes. What processes share counts for each.
    pub(crate) peak_memory: u64,
    /// Bytes that came from the disk; what the kernel still had in memory does not count.
    pub(crate) read: u64,
    /// Bytes that were written, to be on the disk sooner or later.
    pub(crate) written: u64,
}

/// Runs `command` to its end, and looks at its memory every `interval`, more often at first.
pub(crate) fn measure(command: &mut Command, interval: Duration) -> Result<(ExitStatus, Figures)> {
    let before = cpu(&getrusage(UsageWho::RUSAGE_CHILDREN)?);
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let over = AtomicBool::new(false);
    let (peak_memory, io) = thread::scope(|scope| -> Result<_> {
        let watch = scope.spawn(|| watch(child.id(), interval, &over));
        let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("a process has no number")?;
        // It stays a zombie, so that what its family read and wrote can still be asked for.
        let ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        over.store(true, Ordering::Relaxed);
        watch.thread().unpark();
        ended?;
        let io = fs::read_to_string(format!("/proc/{}/io", child.id()))?;
        let peak = watch.join().unwrap_or(0);
        Ok((peak, io))
    })?;
    let wall_seconds = start.elapsed().as_secs_f64();
    let status = child.wait()?;
    let cpu_seconds = cpu(&getrusage(UsageWho::RUSAGE_CHILDREN)?) - before;
    let cores = thread::available_parallelism()?.get() as f64;
    let figures = Figures {
        wall_seconds,
        cpu_seconds,
        utilisation: cpu_seconds / (wall_seconds * cores),
        peak_memory,
        read: counter(&io, "read_bytes")?,
        written: counter(&io, "write_bytes")?,
    };
    Ok((status, figures))
}

fn cpu(usage: &Usage) -> f64 {
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

fn counter(io: &str, name: &str) -> Result<u64> {
    let line = io.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Ok(line.ok_or_else(|| format!("/proc/PID/io has no {name}"))?.parse()?)
}

/// Looks at the memory of `pid` and all that comes of it, often at first; the most that was seen, in bytes.
fn watch(pid: u32, interval: Duration, over: &AtomicBool) -> u64 {
    let (mut peak, mut pause) = (0, Duration::from_millis(1));
    while !over.load(Ordering::Relaxed) {
        peak = peak.max(resident(pid));
        thread::park_timeout(pause);
        pause = (pause * 2).min(interval);
    }
    peak
}

/// The resident memory of a process and of all below it, in bytes. Processes come and go meanwhile: who is gone has none.
fn resident(pid: u32) -> u64 {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut kibibytes: BTreeMap<u32, u64> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        };
        if let Some(parent) = field("PPid:") {
            children.entry(u32::try_from(parent).unwrap_or(0)).or_default().push(number);
            kibibytes.insert(number, field("VmRSS:").unwrap_or(0));
        }
    }
    let (mut sum, mut open) = (0, vec![pid]);
    while let Some(next) = open.pop() {
        sum += kibibytes.get(&next).copied().unwrap_or(0) << 10;
        open.extend(children.remove(&next).unwrap_or_default());
    }
    sum
}
