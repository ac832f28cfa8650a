//! `k3sroot doctor`: what this machine lacks to run builds, and the command that installs it.
//!
//! [`examine`] looks at the machine and makes rows; what follows from them ([`Diagnosis`]) is pure.

mod distribution;
mod needs;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::args::{Compiler, Doctor, Global, ToolchainChoice};
use super::error::CliError;
use super::means::{gap, is_noexec};
use super::printer::bytes;
use super::project::{Project, cache_folder};
use super::{print, print_json};
use base::locks;
use base::name::ArchName;
use distribution::{Distribution, Packages};
use execute::HostCompiler;
use needs::{BUILD_PATH, C_LIBRARY, CERTIFICATES, CXX_LIBRARY, Check, PROGRAMS, Program};
use sandbox::Sandbox;

/// A cold build of one arch with all its tools needs less than this, in bytes.
const ROOM: u64 = 8 << 30;

/// Where distributions keep the certificates that TLS libraries read.
const CERTIFICATE_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How well a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is there.
    Ok,
    /// No build works without it.
    Missing,
    /// Builds work without it, with a restriction that the row names.
    Note,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    state: State,
    thing: String,
    detail: String,
    /// The package that brings it, on this distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<String>,
}

/// Everything that was found, and what to do.
#[derive(Debug, Serialize)]
struct Diagnosis {
    fit: bool,
    /// The command that installs what is missing.
    install: Option<String>,
    /// The `AppArmor` profile without which there are no namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    apparmor: Option<String>,
    rows: Vec<Row>,
}

const NAMESPACES: &str = "namespaces";

/// What this machine's `os-release`(5) says.
pub(super) fn os_release() -> Option<String> {
    ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| fs::read_to_string(path).ok())
}

pub(super) fn run(global: &Global, args: &Doctor) -> Result<(), CliError> {
    let distribution = Distribution::of(&os_release().unwrap_or_default());
    let mut rows = examine(distribution, &cache_folder(global)?);
    // What needs no project works without one.
    if !args.arch.is_empty() {
        let project = Project::load(global)?;
        let arches = project.arches(&args.arch)?;
        if args.compiler.toolchain == ToolchainChoice::Host {
            rows.extend(compilers(distribution, &project, &args.compiler, &arches)?);
        }
    }
    let diagnosis = Diagnosis::new(distribution, rows);
    if args.json {
        print_json(&diagnosis)?;
    } else {
        print(&diagnosis.text())?;
    }
    if diagnosis.fit { Ok(()) } else { Err(CliError::Unfit) }
}

impl Diagnosis {
    fn new(distribution: Distribution, rows: Vec<Row>) -> Self {
        let wanting = || rows.iter().filter(|row| row.state != State::Ok);
        let packages: BTreeSet<&str> = wanting().filter_map(|row| row.package.as_deref()).collect();
        let install = match distribution.installer() {
            Some(installer) if !packages.is_empty() => {
                Some(format!("{installer} {}", packages.into_iter().collect::<Vec<_>>().join(" ")))
            }
            _ => None,
        };
        let lacks = |thing: &str| wanting().any(|row| row.thing == thing);
        let helper = std::env::current_exe().ok().filter(|_| lacks(NAMESPACES));
        let apparmor = helper.and_then(|helper| Sandbox::apparmor_profile(&helper));
        Self { apparmor, fit: rows.iter().all(|row| row.state != State::Missing), install, rows }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Row { state, thing, detail, .. } in &self.rows {
            let state = match state {
                State::Ok => "ok",
                State::Missing => "missing",
                State::Note => "note",
            };
            let _ = writeln!(text, "{state:8} {thing:16} {detail}");
        }
        if let Some(install) = &self.install {
            let _ = write!(text, "\nAs root, this installs what is not there:\n  {install}\n");
        }
        if let Some(profile) = &self.apparmor {
            let _ = write!(
                text,
                "\nAs root, this lets k3sroot make namespaces:\n\
                 cat >/etc/apparmor.d/k3sroot <<'END'\n{profile}END\napparmor_parser -r /etc/apparmor.d/k3sroot\n"
            );
        }
        text
    }
}

/// What builds borrow from the machine, as a spec requires it: Fedora's names of packages, and perl's modules.
pub(super) fn borrowed() -> BTreeSet<String> {
    let packages = PROGRAMS.iter().map(|program| &program.package).chain([&C_LIBRARY, &CXX_LIBRARY]);
    let mut names: BTreeSet<String> = packages.map(|packages| packages.fedora.to_owned()).collect();
    for program in PROGRAMS {
        if let Check::Succeeds { words, .. } = program.check {
            let modules = words.iter().filter_map(|word| word.strip_prefix("-M"));
            names.extend(modules.map(|module| format!("{}({module})", program.name)));
        }
    }
    names
}

/// Looks at everything.
fn examine(distribution: Distribution, cache: &Path) -> Vec<Row> {
    let folders = BUILD_PATH.map(PathBuf::from);
    let row = |thing: &str, verdict: Result<String, String>, wanting, packages: Option<&Packages>| {
        let package = packages.and_then(|packages| distribution.package(packages)).map(str::to_owned);
        let (state, detail) = match verdict {
            Ok(detail) => (State::Ok, detail),
            Err(detail) => (wanting, detail),
        };
        Row { state, thing: thing.to_owned(), detail, package }
    };
    let mut rows: Vec<Row> = PROGRAMS
        .iter()
        .map(|program| {
            let verdict = try_program(program, find(program.name, &folders).as_deref());
            row(program.name, verdict, State::Missing, Some(&program.package))
        })
        .collect();
    rows.extend([
        row("C programs", compile("gcc", "c", cache), State::Missing, Some(&C_LIBRARY)),
        row("C++ programs", compile("g++", "cc", cache), State::Missing, Some(&CXX_LIBRARY)),
        row(NAMESPACES, namespaces(), State::Note, None),
        row("system calls", calls(), State::Note, None),
        row("processes", processes(), State::Note, None),
        row("execution", execution(cache), State::Missing, None),
        row("disk", room(cache), State::Note, None),
        row("locks", locks::examine(existing(cache)), State::Note, None),
        row("certificates", certificates(), State::Note, Some(&CERTIFICATES)),
        row("debian: sources", debian_mirrors(), State::Note, None),
        row("pypi: sources", pypi_indexes(), State::Note, None),
    ]);
    rows
}

/// The machine's compilers for `--toolchain host`. Debian and Fedora call the package of a cross compiler after it.
fn compilers(
    distribution: Distribution,
    project: &Project,
    args: &Compiler,
    arches: &[ArchName],
) -> Result<Vec<Row>, CliError> {
    let named = !args.cross_prefix.is_empty();
    let look = |arch: &ArchName| -> Result<Row, CliError> {
        let alone = project.compilers(args, std::slice::from_ref(arch));
        let record = project.arches.get(arch)?;
        let usual = match distribution {
            Distribution::Debian => record.cross_gcc.first(),
            Distribution::Fedora => record.cross_gcc.last(),
            Distribution::Alpine | Distribution::Other => None,
        };
        let package = usual.filter(|_| !named).map(|prefix| format!("gcc-{}", prefix.trim_end_matches('-')));
        let (state, detail, package) = match alone {
            Ok(found) => (State::Ok, found.values().map(HostCompiler::describe).collect(), None),
            Err(error) => {
                (State::Missing, error.to_string().lines().next().unwrap_or_default().to_owned(), package)
            }
        };
        Ok(Row { state, thing: format!("gcc for {arch}"), detail, package })
    };
    arches.iter().map(look).collect()
}

/// The first executable file called `name` in `folders`.
fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    folders.iter().map(|folder| folder.join(name)).find(executable)
}

/// A command as builds would run it.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", BUILD_PATH.join(":")).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn try_program(program: &Program, path: Option<&Path>) -> Result<String, String> {
    let Some(path) = path else {
        return Err(format!("not in {}", BUILD_PATH.join(" ")));
    };
    let place = path.display();
    let run =
        |words: &[&str]| command(path).args(words).output().map_err(|error| format!("{place}: {error}"));
    match program.check {
        Check::Found => Ok(place.to_string()),
        Check::Succeeds { words, lacks } => {
            if run(words)?.status.success() {
                Ok(place.to_string())
            } else {
                Err(format!("{place}: {lacks}"))
            }
        }
        Check::Version { words, least } => {
            let answer = run(words)?;
            let text = String::from_utf8_lossy(&answer.stdout);
            match version(&text).filter(|_| answer.status.success()) {
                Some(version) if version >= least => Ok(format!("{place} {}.{}", version.0, version.1)),
                Some(version) => {
                    let ((major, minor), (least_major, least_minor)) = (version, least);
                    Err(format!("{place} is {major}.{minor}; {least_major}.{least_minor} or later is needed"))
                }
                None => Err(format!("{place} does not work: {}", last_line(&answer.stderr))),
            }
        }
    }
}

/// The first version in a text: two numbers with a point between them.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}

fn last_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().last().unwrap_or("it says nothing").to_owned()
}

/// Compiles, links and runs a program that prints one word.
fn compile(compiler: &str, extension: &str, cache: &Path) -> Result<String, String> {
    // Builds run nothing in the folder for temporary files, which may be mounted `noexec`.
    let place = Some(std::env::temp_dir()).filter(|folder| !is_noexec(folder));
    let folder = tempfile::tempdir_in(place.as_deref().unwrap_or_else(|| existing(cache)));
    let folder = folder.map_err(|error| error.to_string())?;
    let (source, program) = (folder.path().join(format!("hello.{extension}")), folder.path().join("hello"));
    let text = match extension {
        "c" => "#include <stdio.h>\nint main(void) { return puts(\"works\") < 0; }\n",
        _ => "#include <iostream>\nint main() { std::cout << \"works\" << std::endl; }\n",
    };
    fs::write(&source, text).map_err(|error| error.to_string())?;
    let output = command(compiler).arg("-o").arg(&program).arg(&source).output();
    let output = output.map_err(|error| format!("{compiler}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{compiler} cannot make a program: {}", last_line(&output.stderr)));
    }
    match command(&program).output() {
        Ok(output) if output.stdout == b"works\n" => Ok("can be compiled, linked and run".to_owned()),
        Ok(output) => Err(format!("a program made by {compiler} fails: {}", last_line(&output.stderr))),
        Err(error) => Err(format!("a program made by {compiler} does not run: {error}")),
    }
}

fn namespaces() -> Result<String, String> {
    let helper = std::env::current_exe().map_err(|error| error.to_string())?;
    match Sandbox::probe(&helper) {
        Ok(()) if Sandbox::lists_processes(&helper).unwrap_or_default() => {
            Err("builds run apart from the machine and without a network, but a container around this one covers parts of \
             `/proc`: they see the names and arguments of the processes in it, and no more of those"
                .to_owned())
        }
        Ok(()) => Ok("builds run apart from the machine and without a network".to_owned()),
        Err(error) => Err(format!("{error}; without them {}", gap(Sandbox::fences()))),
    }
}

fn processes() -> Result<String, String> {
    match Sandbox::processes() {
        Some(most) => Ok(format!("a build has no more than {most}")),
        None => {
            Err("a build may have any number: cgroups v2 with `pids` that k3sroot may use would limit it"
                .to_owned())
        }
    }
}

fn calls() -> Result<String, String> {
    if Sandbox::fences().calls {
        Ok("those that no build needs are refused: keyrings, bpf, io_uring, mounts, other processes"
            .to_owned())
    } else {
        Err("this kernel does not filter them (seccomp), so that builds may make any".to_owned())
    }
}

/// Whether builds can run what they make.
fn execution(cache: &Path) -> Result<String, String> {
    let folder = existing(cache).display();
    if is_noexec(existing(cache)) {
        Err(format!(
            "`{folder}` is mounted `noexec`, where builds cannot run what they make: give `--cache DIR`"
        ))
    } else {
        Ok(format!("what builds make can be run in `{folder}`"))
    }
}

/// How much room there is for the cache: on the disk of the closest folder that exists.
fn room(cache: &Path) -> Result<String, String> {
    let disk = statvfs(existing(cache)).map_err(|error| format!("`{}`: {error}", cache.display()))?;
    enough_room(disk.blocks_available() * disk.fragment_size(), cache)
}

/// The closest folder of the cache's path that exists.
fn existing(cache: &Path) -> &Path {
    cache.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
}

fn enough_room(free: u64, cache: &Path) -> Result<String, String> {
    let text = format!("{} free for `{}`", bytes(free), cache.display());
    if free >= ROOM { Ok(text) } else { Err(format!("{text}; a cold build may need {}", bytes(ROOM))) }
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn certificates() -> Result<String, String> {
    let named =
        std::env::var_os("SSL_CERT_FILE").or_else(|| std::env::var_os("SSL_CERT_DIR")).map(PathBuf::from);
    let known = CERTIFICATE_FILES.iter().map(PathBuf::from);
    match named.into_iter().chain(known).find(|path| path.exists()) {
        Some(path) => Ok(path.display().to_string()),
        None => Err("there are none: `https:` downloads will fail".to_owned()),
    }
}

fn debian_mirrors() -> Result<String, String> {
    match fetch::debian_mirrors().len() {
        0 => {
            Err("apt is not set up here: give `--debian-mirror URL`, or these archives are not tried"
                .to_owned())
        }
        count => Ok(format!("mirrors in apt's configuration: {count}")),
    }
}

fn pypi_indexes() -> Result<String, String> {
    match fetch::pypi_indexes() {
        Ok(indexes) => Ok(format!("indexes in pip's configuration: {}", indexes.len())),
        Err(error) => Err(format!("{error}: give `--pypi-index URL`, or these archives are not tried")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, thing: &str, package: Option<&str>) -> Row {
        Row { state, thing: thing.to_owned(), detail: "…".to_owned(), package: package.map(str::to_owned) }
    }

    #[test]
    fn one_command_installs_all_that_is_not_there() {
        let rows = || {
            vec![
                row(State::Ok, "gcc", Some("gcc")),
                row(State::Missing, "ld", Some("binutils")),
                row(State::Missing, "as", Some("binutils")),
                row(State::Note, "certificates", Some("ca-certificates")),
                row(State::Note, "namespaces", None),
            ]
        };
        let install = |distribution| Diagnosis::new(distribution, rows()).install;
        assert_eq!(install(Distribution::Debian).unwrap(), "apt-get install binutils ca-certificates");
        assert_eq!(install(Distribution::Alpine).unwrap(), "apk add binutils ca-certificates");
        assert_eq!(install(Distribution::Other), None);
        insta::assert_snapshot!(Diagnosis::new(Distribution::Fedora, rows()).text(), @r"
        ok       gcc              …
        missing  ld               …
        missing  as               …
        note     certificates     …
        note     namespaces       …

        As root, this installs what is not there:
          dnf install binutils ca-certificates
        ");
    }

    #[test]
    fn only_what_every_build_needs_makes_a_machine_unfit() {
        let fit = |state| Diagnosis::new(Distribution::Debian, vec![row(state, "x", None)]).fit;
        assert_eq!([State::Ok, State::Note, State::Missing].map(fit), [true, true, false]);
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(version("GNU Make 4.4.1\nBuilt for x86_64-pc-linux-gnu\n"), Some((4, 4)));
        assert_eq!(version("3.12.0+\n"), Some((3, 12)));
        assert_eq!(version("make: unknown option 7\n"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn an_old_a_broken_and_an_absent_program_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = folder.path().join(name);
            // Renamed into place: a forked test must not hold it open for writing while it is run.
            let draft = folder.path().join(format!("{name}.draft"));
            fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(&draft, &path).unwrap();
        };
        script("old", "echo GNU Make 3.82");
        script("new", "echo GNU Make 4.0");
        script("broken", "echo no such library >&2; exit 127");
        fs::write(folder.path().join("data"), "").unwrap();
        let folders = [folder.path().to_owned()];
        let verdict = |name: &'static str| {
            let check = Check::Version { words: &["--version"], least: (4, 0) };
            let program = Program { name, package: Packages::same(name), check };
            let verdict = try_program(&program, find(name, &folders).as_deref());
            let tidy = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
            verdict.map(tidy).map_err(tidy)
        };
        assert_eq!(verdict("new").unwrap(), "new 4.0");
        assert_eq!(verdict("old").unwrap_err(), "old is 3.82; 4.0 or later is needed");
        assert_eq!(verdict("broken").unwrap_err(), "broken does not work: no such library");
        assert_eq!(verdict("data").unwrap_err(), "not in /usr/bin /bin /usr/sbin /sbin");
    }

    #[test]
    fn a_disk_that_may_be_too_small_is_a_note() {
        assert!(enough_room(ROOM, Path::new("/c")).is_ok());
        let text = enough_room(ROOM / 2, Path::new("/c")).unwrap_err();
        assert_eq!(text, "4.00 GiB free for `/c`; a cold build may need 8.00 GiB");
    }
}
