//! `k3sroot verify`: whether tarballs are what K3s expects and their programs are hardened.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::args::{Global, Verify};
use super::error::CliError;
use super::place::io_error;
use super::printer::bytes;
use super::project::arch_records;
use super::table::{Column, Paint, Tone, table};
use super::{colour, print, print_json};
use base::beneath;
use root::pack::{self, Finding, Program, Report, Verdict, VerifyError};

/// Most members that are named with one finding.
const NAMED: usize = 8;

/// What is said of one file.
#[derive(Serialize)]
struct Verified {
    file: PathBuf,
    /// Nobody knows if it cannot be read.
    sound: Option<bool>,
    /// Why there is no report.
    error: Option<String>,
    report: Option<Report>,
}

pub(super) fn run(global: &Global, args: &Verify) -> Result<(), CliError> {
    let (verified, unread) = look(global, args).map_err(|error| CliError::NoAnswer(Box::new(error)))?;
    if args.json {
        print_json(&verified)?;
    } else {
        let paint = Paint(colour(&io::stdout()));
        let texts: Vec<String> = verified.iter().map(|one| one.text(paint)).collect();
        print(&texts.join("\n"))?;
    }
    if let Some(error) = unread {
        return Err(CliError::NoAnswer(Box::new(error)));
    }
    match verified.iter().filter(|one| one.sound == Some(false)).count() {
        0 => Ok(()),
        wrong => Err(CliError::NotSound { wrong, all: verified.len() }),
    }
}

/// What is to be said of each file, and of the first that cannot be read why: the others have an answer all the same.
fn look(global: &Global, args: &Verify) -> Result<(Vec<Verified>, Option<CliError>), CliError> {
    let arches = arch_records(global)?;
    let forced = args.arch.as_deref().map(|arch| arches.find(arch)).transpose()?;
    let (mut all, mut unread) = (Vec::new(), None);
    for path in &args.tars {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        all.push(match beneath::read_named(path) {
            Ok(contents) => Verified::new(path.clone(), pack::verify(&name, &contents, &arches, forced)),
            Err(source) => {
                let error = Some(format!("cannot be read: {source}"));
                unread.get_or_insert_with(|| io_error("read", path)(source));
                Verified { file: path.clone(), sound: None, error, report: None }
            }
        });
    }
    Ok((all, unread))
}

impl Verified {
    fn new(file: PathBuf, outcome: Result<Report, VerifyError>) -> Self {
        match outcome {
            Ok(report) => Self { file, sound: Some(report.is_sound()), error: None, report: Some(report) },
            Err(error) => Self { file, sound: Some(false), error: Some(error.to_string()), report: None },
        }
    }

    fn text(&self, paint: Paint) -> String {
        let verdict = match self.sound {
            Some(true) => paint.word(Tone::Good, "sound"),
            Some(false) => paint.word(Tone::Bad, "not sound"),
            None => paint.word(Tone::Odd, "not looked at"),
        };
        let mut text = format!("{}: {verdict}\n", self.file.display());
        if let Some(error) = &self.error {
            let _ = writeln!(text, "  {error}");
        }
        if let Some(report) = &self.report {
            let Report { tarball, arch, size, sha256, .. } = report;
            let size = bytes(*size as u64);
            let _ = write!(text, "  {tarball} tarball for {arch}, {size}, sha256 {sha256}\n\n");
            for checked in &report.checks {
                let (word, tone) = word(checked.verdict);
                let blanks = " ".repeat(7 - word.len());
                let _ = writeln!(
                    text,
                    "  {}{blanks}{:17}{}",
                    paint.word(tone, word),
                    checked.check.to_string(),
                    checked.said
                );
            }
            let _ = write!(text, "\n{}", programs(&report.programs, paint));
            text += &findings(&report.findings, paint);
        }
        text
    }
}

fn word(verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Ok => ("ok", Tone::Good),
        Verdict::Note => ("note", Tone::Odd),
        Verdict::Wrong => ("wrong", Tone::Bad),
    }
}

/// A row per program.
fn programs(programs: &[Program], paint: Paint) -> String {
    let Some(first) = programs.first() else { return "There is no program.\n".to_owned() };
    let hardening = first.facts.hardening().map(|(head, _)| (head, head == "page"));
    let columns: Vec<Column> =
        [("program", false), ("version", false), ("size", true)].into_iter().chain(hardening).collect();
    let rows: Vec<Vec<(String, Tone)>> = programs
        .iter()
        .map(|program| {
            let name = program.name.strip_prefix("./").unwrap_or(&program.name).to_owned();
            let words = program.facts.hardening().map(|(_, word)| {
                let tone = match word.as_str() {
                    "yes" | "full" => Tone::Good,
                    "no" | "partial" => Tone::Bad,
                    "not visible" => Tone::Odd,
                    _ => Tone::Plain,
                };
                (word, tone)
            });
            let version = program.version.clone().unwrap_or_else(|| "-".to_owned());
            let first = [name, version, program.size.to_string()].map(|word| (word, Tone::Plain));
            first.into_iter().chain(words).collect()
        })
        .collect();
    table(&columns, &rows, paint)
}

/// What was found, the same about several members together.
fn findings(findings: &[Finding], paint: Paint) -> String {
    let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for Finding { check, verdict, text, member, remedy } in findings {
        let key = (std::cmp::Reverse(*verdict), *check, text, remedy);
        groups.entry(key).or_default().extend(member.as_deref());
    }
    let mut text = String::new();
    for ((verdict, check, said, remedy), members) in groups {
        let (word, tone) = word(verdict.0);
        let _ = write!(text, "\n{} ({check})", paint.word(tone, word));
        let shown: Vec<String> = members.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
        let _ = match members.len() {
            0 => writeln!(text, ": {said}"),
            1 => writeln!(text, ": {} {said}", shown[0]),
            count => {
                let more = count.saturating_sub(NAMED);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                writeln!(text, ": each of {count} members {said}\n  {}{more}", shown.join(" "))
            }
        };
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "  remedy: {remedy}");
        }
    }
    text
}
