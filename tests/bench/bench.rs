//! The benchmark: what k3sroot's work costs, from an empty store to a build in which there is nothing to do; or, as
//! `node`, what the programs of a finished root cost a node.
//!
//! `make bench` runs it and keeps what it found beside this file, where the next run looks for something to compare with.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod measure;
mod node;
mod record;
mod workload;

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use tempfile::TempDir;
use walkdir::WalkDir;

use measure::{Figures, INTERVAL, measure};
use record::{Machine, Record, Scenario, Setting};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often a scenario that takes no time is run; the median counts.
const REPEATS: usize = 5;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Builds of the root.
    Builds,
    /// The root's programs, doing what they do on a node, next to Debian's.
    Node,
}

/// Measures builds of the real root, or its programs.
#[derive(Debug, Parser)]
struct Args {
    #[arg(default_value = "builds")]
    subject: Subject,
    /// For `node`: the folder of the tarballs.
    #[arg(long, default_value = "dist")]
    dist: PathBuf,
    /// Where the compiler comes from.
    #[arg(long, default_value = "source")]
    toolchain: String,
    #[arg(long, default_value = "amd64")]
    arch: String,
    /// The arch that is built after the first; none if empty.
    #[arg(long, default_value = "arm64")]
    second: String,
    /// A folder with room for the cache: 8 GiB [default: a temporary one].
    #[arg(long)]
    work: Option<PathBuf>,
    /// Cargo says this of itself.
    #[arg(long, hide = true)]
    bench: bool,
    /// Options for every build: `--distfiles`, `--override` and the like.
    #[arg(last = true)]
    more: Vec<String>,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    // Cargo says `--bench` last, wherever that is.
    args.more.retain(|word| word != "--bench");
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let work = match &args.work {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    if args.subject == Subject::Node {
        return node::run(args, work.path());
    }
    let bench = Bench { args, work };
    let commit = record::commit()?;
    let arches: Vec<&str> =
        [args.arch.as_str(), &args.second].into_iter().filter(|arch| !arch.is_empty()).collect();
    bench.fetch(&arches)?;
    let mut scenarios = Vec::new();
    let mut measured = |name: &str, figures: Figures| {
        eprintln!("{name}: {:.2} CPU s, {:.2} s", figures.cpu_seconds, figures.wall_seconds);
        scenarios.push(Scenario { name: name.to_owned(), figures });
    };
    measured("toolchain, cold", bench.build(&bench.checkout(&[])?, &args.arch, &["musl"])?);
    let plain = bench.checkout(&[])?;
    measured("packages, cold", bench.build(&plain, &args.arch, &[])?);
    let (missing, overridden) = (bench.noted(&args.arch, "missing")?, bench.noted(&args.arch, "overrides")?);
    measured("nothing to do", often(|| bench.build(&plain, &args.arch, &[]))?);
    bench.was(&Work { built: &[], others: false, cut_off: false })?;
    measured(
        "restored",
        often(|| {
            fs::remove_dir_all(bench.path("dist"))?;
            bench.build(&plain, &args.arch, &[])
        })?,
    );
    bench.was(&Work { built: &[], others: false, cut_off: false })?;
    // A variable that nothing looks at makes a package another one, with the same outcome.
    let variable = "\n[build.env]\nK3SROOT_BENCH = \"1\"\n";
    let flag = format!("\n[build.arch.{}]\ncflags = [\"-O1\"]\n", args.arch);
    measured("leaf changed (pigz)", bench.build(&bench.checkout(&[("pigz", &flag)])?, &args.arch, &[])?);
    bench.was(&Work { built: &["pigz"], others: false, cut_off: false })?;
    measured("library, same (zlib)", bench.build(&bench.checkout(&[("zlib", variable)])?, &args.arch, &[])?);
    bench.was(&Work { built: &["zlib"], others: false, cut_off: true })?;
    measured("library, other (zlib)", bench.build(&bench.checkout(&[("zlib", &flag)])?, &args.arch, &[])?);
    bench.was(&Work { built: &["zlib", "pigz"], others: true, cut_off: false })?;
    if !args.second.is_empty() {
        measured("second arch", bench.build(&plain, &args.second, &[])?);
    }
    let record = Record {
        commit,
        machine: Machine::this()?,
        setting: Setting {
            toolchain: args.toolchain.clone(),
            arch: args.arch.clone(),
            second: args.second.clone(),
            missing,
            overridden,
        },
        versions: Vec::new(),
        scenarios,
    };
    let (path, table) = record.keep(&args.toolchain)?;
    println!("{table}\n{}", path.display());
    Ok(())
}

/// What a scenario is meant to measure.
struct Work {
    /// Packages that are built.
    built: &'static [&'static str],
    /// Whether others may be, too.
    others: bool,
    /// Whether some are cut off.
    cut_off: bool,
}

struct Bench<'a> {
    args: &'a Args,
    work: TempDir,
}

impl Bench<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// k3sroot with the project's recipes, the benchmark's cache and the user's options.
    fn k3sroot(&self, verb: &str, recipes: &Path, arches: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3sroot"));
        command.arg(verb).arg("--recipes").arg(recipes).arg("--cache").arg(self.path("cache"));
        command.args(["--quiet", "--toolchain", &self.args.toolchain, "--arch", &arches.join(",")]);
        command.args(&self.args.more);
        command
    }

    /// Downloads what can be had, so that the network is not measured; the rest is said.
    fn fetch(&self, arches: &[&str]) -> Result<()> {
        let status = self.k3sroot("fetch", &self.checkout(&[])?, arches).status()?;
        match status.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(format!("k3sroot fetch: {status}").into()),
        }
    }

    /// The packages that the last build of the root had to leave out (`missing`), or took from elsewhere (`overrides`).
    fn noted(&self, arch: &str, kind: &str) -> Result<Vec<String>> {
        let note = self.note(arch, kind);
        let text = if note.exists() { fs::read_to_string(note)? } else { String::new() };
        Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    fn note(&self, arch: &str, kind: &str) -> PathBuf {
        self.path("dist").join(format!("k3s-root-{arch}.{kind}.txt"))
    }

    /// A copy of recipes, patches and arches, with more at the end of some recipes.
    fn checkout(&self, changes: &[(&str, &str)]) -> Result<PathBuf> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = tempfile::tempdir_in(self.work.path())?.keep();
        for folder in ["recipes", "patches", "sysroot"] {
            for entry in WalkDir::new(project.join(folder)) {
                let entry = entry?;
                let to = copy.join(entry.path().strip_prefix(project)?);
                if entry.file_type().is_dir() {
                    fs::create_dir(to)?;
                } else {
                    fs::copy(entry.path(), to)?;
                }
            }
        }
        for (package, more) in changes {
            let path = copy.join(format!("recipes/{package}.toml"));
            fs::OpenOptions::new().append(true).open(path)?.write_all(more.as_bytes())?;
        }
        Ok(copy.join("recipes"))
    }

    /// Makes sure that the last build did what it is measured for.
    fn was(&self, work: &Work) -> Result<()> {
        let output = Command::new(env!("CARGO_BIN_EXE_k3sroot"))
            .args(["report", "--json", "--cache"])
            .arg(self.path("cache"))
            .output()?;
        let record: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let state = |wanted: &str| -> Vec<&str> {
            let units = record["units"].as_array().into_iter().flatten();
            let found = units.filter(|unit| unit["state"] == wanted);
            found.filter_map(|unit| unit["unit"].as_str()?.split('@').next()).collect()
        };
        let (built, cut_off) = (state("built"), state("cut_off"));
        let all = work.built.iter().all(|package| built.contains(package));
        let none_else = work.others || built.len() == work.built.len();
        if all && none_else && cut_off.is_empty() != work.cut_off {
            return Ok(());
        }
        Err(format!("this build is not what is measured: it built {built:?} and cut off {cut_off:?}").into())
    }

    /// Builds packages, or the root, from the sources at hand.
    fn build(&self, recipes: &Path, arch: &str, packages: &[&str]) -> Result<Figures> {
        let mut command = self.k3sroot("build", recipes, &[arch]);
        command.args(["--offline", "--keep-going", "--out"]).arg(self.path("dist")).args(packages);
        // What an earlier scenario left out says nothing of this one.
        let _ = fs::remove_file(self.note(arch, "missing"));
        let (status, figures) = measure(&mut command, INTERVAL)?;
        if status.success() || (status.code() == Some(1) && self.note(arch, "missing").exists()) {
            Ok(figures)
        } else {
            Err(format!("{command:?}: {status}").into())
        }
    }
}

/// The median of several runs, by the time on the clock.
fn often(run: impl Fn() -> Result<Figures>) -> Result<Figures> {
    let mut all = (0..REPEATS).map(|_| run()).collect::<Result<Vec<_>>>()?;
    all.sort_by(|a, b| a.wall_seconds.total_cmp(&b.wall_seconds));
    Ok(all[REPEATS / 2])
}
