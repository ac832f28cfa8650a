//! The command line: clap types, one file per verb, the printer. The only code that prints, reads the environment or
//! exits. stdout is data, stderr is talk.

// What cannot be said, because nobody listens any more or a disk is full, must not end a build: the standard library's
// macros of these names panic.
macro_rules! eprint {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stderr(), $($words)*);
    }};
}
macro_rules! eprintln {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod args;
mod attested;
mod build;
mod bump;
mod cache;
mod check;
mod collect;
mod compare;
mod cve;
mod diff;
mod doctor;
mod document;
mod error;
mod facts;
mod fetch;
mod golden;
mod graph;
mod legal;
mod lint;
mod log;
mod means;
mod memory;
mod new;
mod outdated;
mod packed;
mod place;
mod plan;
mod printer;
mod project;
mod quantity;
mod report;
mod rpm;
mod shell;
mod table;
mod verify;
mod whole;
mod why;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Verb};
use error::CliError;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // k3sroot starts itself again inside every sandbox, and for every build that `check` does.
    if let Some(code) = sandbox::helper_main() {
        return code;
    }
    if let Some(ended) = ::check::helper_main() {
        return ended.map_or_else(
            |error| {
                eprintln!("error: cannot set up a build's conditions: {error}");
                ExitCode::from(2)
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", error.render(colour(&io::stderr())));
            error.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), CliError> {
    let global = &cli.global;
    check_temporary()?;
    match &cli.verb {
        Verb::Build(args) => build::run(global, args),
        Verb::Fetch(args) => fetch::run(global, args),
        Verb::Graph(args) => graph::run(global, args),
        Verb::Lint(args) => lint::run(global, args),
        Verb::New(args) => new::run(global, args),
        Verb::Outdated(args) => outdated::run(global, args),
        Verb::Bump(args) => bump::run(global, args),
        Verb::Plan(args) => plan::run(global, args),
        Verb::Why(args) => why::run(global, args),
        Verb::Log(args) => log::run(global, args),
        Verb::Report(args) => report::run(global, args),
        Verb::Shell(args) => shell::run(global, args),
        Verb::Check(args) => check::run(global, args),
        Verb::Verify(args) if args.golden => golden::run(global, args),
        Verb::Verify(args) => match &args.attested.provenance {
            Some(statement) => attested::run(global, args, statement),
            None => verify::run(global, args),
        },
        Verb::Diff(args) => diff::run(args),
        Verb::Sbom(args) => document::sbom(global, args),
        Verb::Provenance(args) => document::provenance(global, args),
        Verb::Vex(args) => document::vex(global, args),
        Verb::Cve(args) => cve::run(global, args),
        Verb::Legal(args) => legal::run(global, args),
        Verb::Compare(args) => compare::run(global, args),
        Verb::Rpm(args) => rpm::run(global, args),
        Verb::Cache(args) => cache::run(global, args),
        Verb::Doctor(args) => doctor::run(global, args),
        Verb::Completions(args) => {
            let mut text = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "k3sroot", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
        Verb::Man(args) => std::fs::create_dir_all(&args.out)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.out))
            .map_err(place::io_error("write to", &args.out)),
    }
}

/// Whether people who look at `stream` want colours.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Refuses a folder for temporary files that does not do, before anything is begun.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn check_temporary() -> Result<(), CliError> {
    let Some(folder) = std::env::var_os("TMPDIR").map(PathBuf::from) else { return Ok(()) };
    match tempfile::tempfile_in(&folder) {
        Ok(_) => Ok(()),
        Err(source) => Err(CliError::Temporary { folder, source }),
    }
}

/// Prints data; a reader that has seen enough (`| head`) is not an error.
fn print(text: &str) -> Result<(), CliError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::Io { what: "write to standard output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::Io { what: "write JSON".to_owned(), source: error.into() })?;
    print(&(text + "\n"))
}
