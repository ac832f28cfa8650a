//! `k3s-root-<arch>.run.json`: what is different each time a root is built.
//!
//! When, where, by which command and how long: nothing of it is in the statement of where the root came from, which is
//! the same for everybody. This names that statement.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::args::Global;
use super::doctor::os_release;
use super::error::CliError;
use super::packed::Document;
use super::project::Planned;
use base::beneath;
use base::digest::Sha256;
use base::name::ArchName;
use report::{Record, UnitRecord};
use root::pack::{self, Rendered};

/// Its name.
pub(super) fn file(arch: &ArchName) -> String {
    format!("k3s-root-{arch}.run.json")
}

/// Writes it beside the statement; nothing where there is no statement.
#[expect(clippy::disallowed_methods, reason = "these are the facts that the clock belongs to")]
pub(super) fn write(
    global: &Global,
    arch: &ArchName,
    out: &Path,
    record: &Record,
    planned: &Planned,
) -> Result<(), CliError> {
    let name = Document::Provenance.file(arch);
    let statement = match beneath::read_named(&out.join(&name)) {
        Ok(statement) => statement,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(CliError::Io { what: format!("read `{name}`"), source }),
    };
    let ended = SystemTime::now();
    let began = ended - Duration::try_from_secs_f64(record.seconds).unwrap_or_default();
    let time = |time| humantime::format_rfc3339_millis(time).to_string();
    let units = record.units.iter().filter(|unit| unit.unit.machine.arch().is_none_or(|other| other == arch));
    let kernel = rustix::system::uname();
    let value = json!({
        "statement": { "name": name, "digest": { "sha256": Sha256::of(&statement).to_string() } },
        "metadata": { "invocationId": record.id, "startedOn": time(began), "finishedOn": time(ended) },
        "commandLine": record.words,
        "jobs": record.jobs,
        "machine": {
            "arch": std::env::consts::ARCH,
            "kernel": format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy()),
            "distribution": distribution(),
            "compiler": planned.compilers.get(arch).map(execute::HostCompiler::describe),
        },
        "units": units.map(unit).collect::<Vec<_>>(),
    });
    let written = pack::write_files(out, &[Rendered::new(file(arch), format!("{value:#}\n").into_bytes())])?;
    for file in written {
        global.say(&format!("{}  written", file.path.display()));
    }
    Ok(())
}

/// What became of a unit; its processor time is that of its build, whenever that was.
fn unit(unit: &UnitRecord) -> Value {
    json!({ "unit": unit.unit, "state": unit.state, "cpuSeconds": unit.cpu_seconds })
}

/// What the build machine calls itself.
fn distribution() -> Option<String> {
    let text = os_release()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches(['"', '\'']).to_owned())
}
