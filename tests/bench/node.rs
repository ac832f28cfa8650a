//! The benchmark of what a node runs: rules as kube-proxy writes them and large sets, with the programs of the root and
//! with Debian's, in turn on the same kernel. What counts is their ratio within one run.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use crate::measure::{Figures, measure};
use crate::record::{self, Machine, Record, Scenario, Setting};
use crate::workload;
use crate::{Args, Result};

/// How often everything is measured; the median counts. One run differs from the next by a third.
const ROUNDS: usize = 15;
/// How often memory is looked at. The programs run for a fraction of a second.
const INTERVAL: Duration = Duration::from_millis(2);
/// A ratio to Debian's build above this is called slower: runs differ by some percent.
const NOTABLE: f64 = 1.05;

/// The programs of one origin.
struct Programs {
    name: &'static str,
    /// The folder that has them.
    folder: PathBuf,
    /// Where their shared libraries and extensions are, if that is not where the machine looks.
    libraries: Option<PathBuf>,
}

/// One command of a workload.
struct Step {
    /// What it is measured as; nothing if it only prepares or tidies up.
    name: Option<&'static str>,
    words: &'static [&'static str],
    /// The file that it reads.
    input: Option<&'static str>,
    /// How often it is run, one after the other, and measured as a whole.
    times: u32,
}

const fn quiet(words: &'static [&'static str], input: Option<&'static str>) -> Step {
    Step { name: None, words, input, times: 1 }
}

const fn step(name: &'static str, words: &'static [&'static str], input: Option<&'static str>) -> Step {
    Step { name: Some(name), words, input, times: 1 }
}

const fn often(name: &'static str, words: &'static [&'static str]) -> Step {
    Step { name: Some(name), words, input: None, times: 100 }
}

/// What is measured: programs take turns at each of these.
const WORKLOADS: [&[Step]; 3] = [
    &[
        quiet(&["iptables-legacy-restore"], Some("empty")),
        often("legacy -S x100", &["iptables-legacy", "-S"]),
        step("legacy restore", &["iptables-legacy-restore"], Some("rules")),
        step("legacy save", &["iptables-legacy-save", "-t", "nat"], None),
        quiet(&["iptables-legacy-restore"], Some("empty")),
    ],
    &[
        quiet(&["nft", "flush", "ruleset"], None),
        often("nft mode -S x100", &["iptables-nft", "-S"]),
        step("nft mode restore", &["iptables-nft-restore"], Some("rules")),
        step("nft mode save", &["iptables-nft-save", "-t", "nat"], None),
        quiet(&["nft", "flush", "ruleset"], None),
    ],
    &[
        quiet(&["nft", "flush", "ruleset"], None),
        step("nft set", &["nft", "-f", "-"], Some("set")),
        step("nft list", &["nft", "list", "ruleset"], None),
        quiet(&["nft", "flush", "ruleset"], None),
    ],
];

/// Measures the root, and keeps a record.
pub(crate) fn run(args: &Args, work: &Path) -> Result<()> {
    let commit = record::commit()?;
    let root = work.join("root");
    fs::create_dir(&root)?;
    let tar = args.dist.join(format!("k3s-root-{}.tar", args.arch));
    plain(Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(&root)).map_err(|error| {
        format!("`{}`: {error}; build the root first, or name its folder with --dist", tar.display())
    })?;
    let ours = Programs { name: "ours", folder: root.join("bin/aux"), libraries: None };
    let mut all = vec![ours];
    match debian(work) {
        Ok(programs) => all.push(programs),
        Err(error) => println!("SKIPPED what compares with Debian's programs: {error}"),
    }
    for (name, text) in
        [("empty", "*nat\nCOMMIT\n".to_owned()), ("rules", workload::rules()), ("set", workload::set())]
    {
        fs::write(work.join(name), text)?;
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET))
    {
        println!("SKIPPED: this kernel gives us no network namespace: {error}");
        return Ok(());
    }
    let versions = all.iter().flat_map(versions).collect();
    let mut found: Vec<(String, Vec<Figures>)> = Vec::new();
    for steps in WORKLOADS {
        if let Some(error) = all.iter().find_map(|programs| programs.run(work, &steps[0]).err()) {
            let names: Vec<_> = steps.iter().filter_map(|step| step.name).collect();
            println!("SKIPPED {}: {error}", names.join(", "));
            continue;
        }
        for _ in 0..ROUNDS {
            for programs in &all {
                for step in steps {
                    let figures = programs.run(work, step)?;
                    let Some(name) = step.name else { continue };
                    let name = format!("{name} ({})", programs.name);
                    match found.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, list)) => list.push(figures),
                        None => found.push((name, vec![figures])),
                    }
                }
            }
        }
    }
    let scenarios =
        found.into_iter().map(|(name, figures)| Scenario { name, figures: median(figures) }).collect();
    let setting = Setting {
        toolchain: "node".to_owned(),
        arch: args.arch.clone(),
        second: String::new(),
        missing: Vec::new(),
        overridden: Vec::new(),
    };
    let record = Record { commit, machine: Machine::this()?, setting, versions, scenarios };
    if record.scenarios.is_empty() {
        return Ok(());
    }
    let (path, table) = record.keep("node")?;
    println!("{table}\n{}\n{}", ratios(&record.scenarios), path.display());
    Ok(())
}

impl Programs {
    fn command(&self, words: &[&str], times: u32) -> Command {
        let program = self.folder.join(words[0]);
        let mut command = if times == 1 {
            Command::new(program)
        } else {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("for i in $(seq {times}); do \"$@\" || exit; done"));
            shell.arg("sh").arg(program);
            shell
        };
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries).env("XTABLES_LIBDIR", libraries.join("xtables"));
        }
        command
    }

    fn run(&self, work: &Path, step: &Step) -> Result<Figures> {
        let mut command = self.command(step.words, step.times);
        command.env("XTABLES_LOCKFILE", work.join("lock")).stderr(File::create(work.join("errors"))?);
        if let Some(input) = step.input {
            command.stdin(File::open(work.join(input))?);
        }
        let (status, figures) = measure(&mut command, INTERVAL)?;
        if status.success() {
            return Ok(figures);
        }
        let errors = fs::read_to_string(work.join("errors"))?;
        Err(format!("{} ({}): {status}: {}", step.words.join(" "), self.name, errors.trim()).into())
    }
}

/// What the programs call themselves.
fn versions(programs: &Programs) -> Vec<String> {
    let mut all = Vec::new();
    for program in ["iptables-legacy", "nft"] {
        let output = programs.command(&[program, "--version"], 1).stdout(Stdio::piped()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        all.push(format!("{}: {}", programs.name, text.unwrap_or_else(|error| error.to_string())));
    }
    all
}

/// Debian's programs: those that are installed, or else the packages of the release that this machine's apt is set up
/// for, unpacked into `work`.
fn debian(work: &Path) -> Result<Programs> {
    let name = "Debian";
    let folder = PathBuf::from("/usr/sbin");
    if Path::new("/etc/debian_version").exists()
        && ["iptables-legacy", "iptables-nft", "nft"].iter().all(|program| folder.join(program).exists())
    {
        return Ok(Programs { name, folder, libraries: None });
    }
    let (archives, tree) = (work.join("archives"), work.join("debian"));
    fs::create_dir_all(archives.join("partial"))?;
    let mut apt = Command::new("apt-get");
    apt.args(["-qq", "-y", "--download-only", "--no-install-recommends", "-o", "Debug::NoLocking=1"]);
    apt.args(["-o", "APT::Sandbox::User=", "-o"]).arg(format!("Dir::Cache::archives={}", archives.display()));
    plain(apt.args(["install", "iptables", "nftables"]))?;
    for entry in fs::read_dir(&archives)?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            plain(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&tree))?;
        }
    }
    let libraries = fs::read_dir(tree.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let libraries = libraries.into_iter().find(|path| path.join("xtables").is_dir());
    let libraries = libraries.ok_or("its package iptables has no extensions")?;
    Ok(Programs { name, folder: tree.join("usr/sbin"), libraries: Some(libraries) })
}

/// Runs a command that must succeed; the error is what it said.
fn plain(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into())
}

/// The one in the middle by processor time.
fn median(mut figures: Vec<Figures>) -> Figures {
    figures.sort_by(|a, b| a.cpu_seconds.total_cmp(&b.cpu_seconds));
    figures[figures.len() / 2]
}

/// How our programs compare with Debian's, a line for each workload.
fn ratios(scenarios: &[Scenario]) -> String {
    let mut text = format!("{:<24}{:>9}{:>10}{:>12}\n", "ours / Debian's", "CPU s", "wall s", "memory");
    for ours in scenarios {
        let Some(name) = ours.name.strip_suffix(" (ours)") else { continue };
        let theirs = format!("{name} (Debian)");
        let Some(theirs) = scenarios.iter().find(|scenario| scenario.name == theirs) else { continue };
        let (ours, theirs) = (&ours.figures, &theirs.figures);
        let cpu = ours.cpu_seconds / theirs.cpu_seconds.max(f64::EPSILON);
        let _ = writeln!(
            text,
            "{name:<24}{cpu:>9.2}{:>10.2}{:>12.2}{}",
            ours.wall_seconds / theirs.wall_seconds.max(f64::EPSILON),
            ours.peak_memory as f64 / (theirs.peak_memory as f64).max(1.0),
            if cpu > NOTABLE { "  SLOWER" } else { "" },
        );
    }
    text
}
