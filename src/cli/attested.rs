//! `k3sroot verify --provenance`: whether a statement is about these tarballs, and who says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{Compiler, Global, Selection, ToolchainChoice, Verify};
use super::error::{CliError, causes};
use super::packed::About;
use super::place::io_error;
use super::project::{Project, open_store};
use super::table::{Paint, Tone};
use super::{colour, print, print_json};
use base::beneath;
use base::digest::Sha256;
use base::name::PackageName;
use root::attest::dsse::PublicKey;
use root::attest::provenance::dependencies;
use root::attest::{Contents, Statement, StatementError};

/// Most names that are told of what is different.
const NAMED: usize = 8;

/// What is said of a statement.
#[derive(Serialize)]
struct Judged {
    file: PathBuf,
    holds: bool,
    /// Why nothing in it can be relied on.
    error: Option<String>,
    builder: Option<String>,
    signed_by: Option<String>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    what: &'static str,
    verdict: Verdict,
    said: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Note,
    Wrong,
}

pub(super) fn run(global: &Global, args: &Verify, path: &Path) -> Result<(), CliError> {
    let keys = args.attested.key.iter().map(|path| key(path)).collect::<Result<Vec<_>, _>>();
    // That a key cannot be used says nothing of the statement.
    let keys = keys.map_err(|error| CliError::NoAnswer(Box::new(error)))?;
    let statement = match Statement::read(&text(path)?, &keys) {
        Ok(statement) => statement,
        Err(source) => {
            if args.json {
                print_json(&Judged::refused(path, &source))?;
            }
            return Err(CliError::Statement { path: path.to_owned(), source });
        }
    };
    let mut checks = vec![signature(&statement)];
    if let Some(wanted) = &args.attested.builder_id {
        let holds = *wanted == statement.builder;
        let other = if holds { String::new() } else { format!(", not by {wanted}") };
        let said = format!("built by {}{other}", statement.builder);
        checks.push(match &statement.signed_by {
            None if holds => Check::note("builder", format!("{said}, as anybody can have written")),
            _ => Check::new("builder", holds, said),
        });
    }
    for tar in &args.tars {
        checks.push(tarball(&statement, tar)?);
    }
    if args.attested.checkout {
        // That the checkout cannot be looked at says nothing of the statement.
        checks.push(checkout(global, &statement).map_err(|error| CliError::NoAnswer(Box::new(error)))?);
    }
    let wrong = checks.iter().filter(|check| check.verdict == Verdict::Wrong).count();
    let judged = Judged {
        file: path.to_owned(),
        holds: wrong == 0,
        error: None,
        builder: Some(statement.builder.clone()),
        signed_by: statement.signed_by.clone(),
        checks,
    };
    if args.json {
        print_json(&judged)?;
    } else {
        print(&judged.text(&statement, Paint(colour(&io::stdout()))))?;
    }
    if wrong > 0 { Err(CliError::NotAttested { wrong }) } else { Ok(()) }
}

fn text(path: &Path) -> Result<String, CliError> {
    beneath::read_named_to_string(path).map_err(io_error("read", path))
}

fn key(path: &Path) -> Result<PublicKey, CliError> {
    PublicKey::from_pem(&text(path)?).map_err(|source| CliError::Key { path: path.to_owned(), source })
}

impl Check {
    fn new(what: &'static str, holds: bool, said: String) -> Self {
        Self { what, verdict: if holds { Verdict::Ok } else { Verdict::Wrong }, said }
    }

    fn note(what: &'static str, said: String) -> Self {
        Self { what, verdict: Verdict::Note, said }
    }
}

impl Judged {
    fn refused(path: &Path, error: &StatementError) -> Self {
        let reasons = iter::once(error.to_string()).chain(causes(error).map(ToString::to_string));
        Self {
            file: path.to_owned(),
            holds: false,
            error: Some(reasons.collect::<Vec<_>>().join(": ")),
            builder: None,
            signed_by: None,
            checks: Vec::new(),
        }
    }

    fn text(&self, statement: &Statement, paint: Paint) -> String {
        let verdict =
            if self.holds { paint.word(Tone::Good, "holds") } else { paint.word(Tone::Bad, "does not hold") };
        let mut text = format!(
            "{}: {verdict}\n  a root for {}, compiler from {}, made from {} files, built by {}\n\n",
            self.file.display(),
            statement.arch,
            statement.toolchain,
            statement.count(),
            statement.builder
        );
        for Check { what, verdict, said } in &self.checks {
            let (word, tone) = match verdict {
                Verdict::Ok => ("ok", Tone::Good),
                Verdict::Note => ("note", Tone::Odd),
                Verdict::Wrong => ("wrong", Tone::Bad),
            };
            let blanks = " ".repeat(7 - word.len());
            let _ = writeln!(text, "  {}{blanks}{what:11}{said}", paint.word(tone, word));
        }
        text
    }
}

fn signature(statement: &Statement) -> Check {
    match &statement.signed_by {
        Some(key) => Check::new("signature", true, format!("by key {key}")),
        None => Check::note("signature", "none: anybody can have written this".to_owned()),
    }
}

/// Whether the statement is about a tarball, whatever its file is called here.
fn tarball(statement: &Statement, path: &Path) -> Result<Check, CliError> {
    let bytes = beneath::read_named(path).map_err(io_error("read", path))?;
    let found = Sha256::of(&bytes).to_string();
    let shown = path.display();
    let subject = statement.subjects.iter().find(|(_, sha256)| **sha256 == found);
    if let Some((name, _)) = subject {
        return Ok(Check::new("tarball", true, format!("{shown} is its {name}, sha256 {found}")));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let other = match statement.subjects.get(name.as_ref()) {
        Some(expected) => format!("\n    expected: {expected}\n    computed: {found}"),
        None => format!(": it names {}", names(statement.subjects.keys().map(String::as_str))),
    };
    Ok(Check::new("tarball", false, format!("{shown} is not what it is about{other}")))
}

/// Whether what the root was made from is what the checkout has.
fn checkout(global: &Global, statement: &Statement) -> Result<Check, CliError> {
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let toolchain =
        if statement.toolchain == "host" { ToolchainChoice::Host } else { ToolchainChoice::Source };
    let selection = Selection {
        arch: vec![project.arches.find(&statement.arch)?.name.to_string()],
        packages: statement.packages.iter().map(ToString::to_string).collect(),
        overrides: Vec::new(),
        compiler: Compiler { toolchain, cross_prefix: Vec::new() },
    };
    let planned = project.plan(&selection, &store)?;
    // Of several archives any would do: which one was used here does not matter.
    let about = About::new(&project, &planned, &planned.arches[0], &store, &[])?;
    let packages: BTreeSet<&PackageName> = statement.packages.iter().collect();
    let known = dependencies(&Contents::of_packages(about.given()?, &packages));
    let differences = statement.differences(&known);
    // A key can sign what no build of this checkout makes.
    let files = project.layout.tarball_files(&planned.arches[0]);
    let strange = statement.subjects.keys().filter(|name| files.iter().all(|(_, file)| file != *name));
    let strange: Vec<&str> = strange.map(String::as_str).collect();
    if !strange.is_empty() {
        let said = format!("its root has no tarball {}", names(strange.into_iter()));
        return Ok(Check::new("checkout", false, said));
    }
    Ok(if differences.is_empty() {
        Check::new("checkout", true, "recipes, patches and sources are this checkout's".to_owned())
    } else {
        let said = format!("not as in this checkout: {}", names(differences.iter().copied()));
        Check::new("checkout", false, said)
    })
}

fn names<'a>(all: impl Iterator<Item = &'a str> + Clone) -> String {
    let shown: Vec<String> = all.clone().take(NAMED).map(|name| format!("`{name}`")).collect();
    let more = all.count() - shown.len();
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}
