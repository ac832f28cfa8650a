//! `k3sroot log`: the log of a unit's newest build.

use std::fs;
use std::io::{self, IsTerminal as _};

use super::args::{Global, Log};
use super::error::CliError;
use super::place::io_error;
use super::print;
use super::project::{Project, existing_store};
use super::table::shown;
use base::name::{Machine, Unit};
use execute::log_path;

pub(super) fn run(global: &Global, args: &Log) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let unit = unit(&project, &args.package, &args.arch)?;
    project.recipe(&unit.package)?;
    let store = existing_store(global)?;
    let tool = Unit { package: unit.package.clone(), machine: Machine::Build };
    // What only ever runs here has no log for a target.
    let path = [&unit, &tool].map(|unit| log_path(&store, unit)).into_iter().find(|path| path.exists());
    let path = path.unwrap_or_else(|| log_path(&store, &unit));
    match fs::read(&path) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            // A terminal acts on control characters; a file or a program gets what the build wrote.
            if io::stdout().is_terminal() { print(&shown(&text, &['\n', '\t'])) } else { print(&text) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(CliError::NoLog { unit: unit.to_string() })
        }
        Err(error) => Err(io_error("read", &path)(error)),
    }
}

/// The unit that `text` names: itself, or the package as it is built for `arch`.
pub(super) fn unit(project: &Project, text: &str, arch: &str) -> Result<Unit, CliError> {
    if text.contains('@') {
        return Ok(text.parse()?);
    }
    let package = text.parse()?;
    let arch = project.arches.find(arch)?.name.clone();
    let cross = project.recipes.get(&package).is_some_and(|recipe| recipe.build.cross);
    let machine = if cross { Machine::Cross(arch) } else { Machine::Target(arch) };
    Ok(Unit { package, machine })
}
