//! `k3sroot compare`: what two userlands have in common, and what the one lacks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;

use super::args::{Compare, CompareFormat, Global};
use super::error::CliError;
use super::place::io_error;
use super::project::Project;
use super::table::{Paint, Tone, table};
use super::{colour, print, print_json};
use base::beneath;
use root::compare::{Comparison, Count, Direct, Found, Program, Side, Todo, compare, dpkg_status, rpm_list};
use root::pack::layout::base_name;
use root::pack::{Archive, ArchiveType, program_version, tells_version};

/// Where programs are, in the order in which a shell would look; a name counts once.
const FOLDERS: [&str; 7] =
    ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin", "bin/aux"];
const DPKG: &str = "var/lib/dpkg";

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    left_side: &'a Path,
    right_side: &'a Path,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

pub(super) fn run(global: &Global, args: &Compare) -> Result<(), CliError> {
    // Whose program a name is, is told by the layout, if there is a checkout around.
    let project = Project::load(global).ok();
    let owners = project.as_ref().map(owners).unwrap_or_default();
    let (left, right) = (read(&args.left, &owners)?, read(&args.right, &owners)?);
    for (path, side) in [(&args.left, &left), (&args.right, &right)] {
        if side.packages.is_none() && side.programs.as_ref().is_none_or(BTreeMap::is_empty) {
            return Err(CliError::NoPrograms { path: path.clone() });
        }
    }
    let comparison = compare(&left, &right);
    match args.format {
        CompareFormat::Text => print(&text(args, &comparison, Paint(colour(&io::stdout())))),
        CompareFormat::Markdown => print(&markdown(args, &comparison)),
        CompareFormat::Csv => print(&csv(&comparison)?),
        CompareFormat::Json => {
            print_json(&Printed { left_side: &args.left, right_side: &args.right, comparison: &comparison })
        }
    }
}

/// The package that each program of our own root comes from, by the program's name.
fn owners(project: &Project) -> BTreeMap<String, String> {
    let files = project.layout.files();
    files.map(|(package, path)| (base_name(path).to_owned(), package.to_string())).collect()
}

/// Reads a side, whatever it is.
fn read(path: &Path, owners: &BTreeMap<String, String>) -> Result<Side, CliError> {
    if path.is_dir() {
        return folder(path).map_err(io_error("read", path));
    }
    let bytes = beneath::read_named(path).map_err(io_error("read", path))?;
    let listed = |source| CliError::List { path: path.to_owned(), source };
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.starts_with("Package:") => {
            Ok(Side { programs: None, packages: Some(dpkg_status(text).map_err(listed)?) })
        }
        Ok(text) if !text.contains('\0') => {
            Ok(Side { programs: None, packages: Some(rpm_list(text).map_err(listed)?) })
        }
        _ => tarball(path, &bytes, owners),
    }
}

fn tarball(path: &Path, bytes: &[u8], owners: &BTreeMap<String, String>) -> Result<Side, CliError> {
    let archive =
        Archive::read(bytes).map_err(|source| CliError::Archive { path: path.to_owned(), source })?;
    let mut programs = BTreeMap::new();
    for member in &archive.members {
        let name = base_name(&member.name).to_owned();
        let link = match &member.what {
            ArchiveType::Link(target) | ArchiveType::HardLink(target) => Some(target.clone()),
            ArchiveType::File(_) if member.mode & 0o111 != 0 => None,
            _ => continue,
        };
        // A link's program is that of the file that it leads to.
        let owner = owners.get(link.as_deref().map_or(name.as_str(), base_name)).cloned();
        let version = match member.what {
            ArchiveType::File(contents) => program_version(&name, contents),
            _ => None,
        };
        insert(&mut programs, name, Program { link, version, package: owner });
    }
    Ok(Side { programs: Some(programs), packages: None })
}

/// Of two with one name, a program counts before a link.
fn insert(programs: &mut BTreeMap<String, Program>, name: String, program: Program) {
    match programs.get(&name) {
        Some(known) if known.link.is_none() || program.link.is_some() => {}
        _ => {
            programs.insert(name, program);
        }
    }
}

/// The programs of a folder that a system or a root lies in, and the packages that dpkg knows there.
fn folder(root: &Path) -> io::Result<Side> {
    let owners = dpkg_owners(root)?;
    let mut programs = BTreeMap::new();
    for folder in FOLDERS {
        // What is a link to another of these folders is seen there; it must not lead out of the root.
        let Ok(true) = root.join(folder).symlink_metadata().map(|meta| meta.is_dir()) else { continue };
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let (name, kind) = (entry.file_name().to_string_lossy().into_owned(), entry.file_type()?);
            let (link, version) = if kind.is_symlink() {
                (Some(fs::read_link(entry.path())?.display().to_string()), None)
            } else if kind.is_file() && entry.metadata()?.permissions().mode() & 0o111 != 0 {
                // Who may not read a program still knows that it is there.
                let bytes = tells_version(&name).then(|| fs::read(entry.path()).ok()).flatten();
                (None, bytes.and_then(|bytes| program_version(&name, &bytes)))
            } else {
                continue;
            };
            let package = owners.get(&name).cloned();
            insert(&mut programs, name, Program { link, version, package });
        }
    }
    let status = match beneath::read_named_to_string(&root.join(DPKG).join("status")) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let packages = status.map(|text| dpkg_status(&text)).transpose().map_err(io::Error::other)?;
    Ok(Side { programs: Some(programs), packages })
}

/// Which of dpkg's packages has which program.
fn dpkg_owners(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut owners = BTreeMap::new();
    let lists = match fs::read_dir(root.join(DPKG).join("info")) {
        Ok(lists) => lists,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(owners),
        Err(error) => return Err(error),
    };
    for entry in lists {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".list")) else {
            continue;
        };
        // `libc6:amd64.list`
        let package = name.split(':').next().unwrap_or(name);
        for line in beneath::read_named_to_string(&path)?.lines() {
            let Some((folder, name)) = line.trim_start_matches('/').rsplit_once('/') else { continue };
            if FOLDERS.contains(&folder) {
                owners.insert(name.to_owned(), package.to_owned());
            }
        }
    }
    Ok(owners)
}

fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), T::to_string)
}

/// The figures of both sides: what is counted, left, right.
fn figures(comparison: &Comparison) -> Vec<[String; 3]> {
    let row = |what: &str, of: fn(&Count) -> Option<usize>| {
        [what.to_owned(), or_dash(of(&comparison.left).as_ref()), or_dash(of(&comparison.right).as_ref())]
    };
    let both = or_dash(comparison.both.as_ref().map(Vec::len).as_ref());
    let [left, right] = [&comparison.left_only, &comparison.right_only]
        .map(|only| or_dash(only.as_ref().map(Vec::len).as_ref()));
    vec![
        row("names", |count| count.total),
        row("programs", |count| count.direct),
        row("links", |count| count.links),
        row("packages", |count| count.packages),
        ["names on both sides".to_owned(), both.clone(), both],
        ["names on this side alone".to_owned(), left, right],
    ]
}

const HEADS: [&str; 7] =
    ["program", "package", "version", "there", "package there", "version there", "to do"];

fn cells(direct: &Direct) -> [String; 7] {
    let there = direct.program_there.map(|found| match found {
        Found::Program => "program",
        Found::Link => "link",
    });
    [
        direct.name.clone(),
        or_dash(direct.package.as_ref()),
        or_dash(direct.version.as_ref()),
        or_dash(there.as_ref()),
        or_dash(direct.package_there.as_ref()),
        or_dash(direct.version_there.as_ref()),
        direct.todo.words().to_owned(),
    ]
}

fn tone(todo: Todo) -> Tone {
    match todo {
        Todo::Add | Todo::Update | Todo::Enable => Tone::Odd,
        Todo::Nothing | Todo::Later => Tone::Good,
        Todo::LookAt => Tone::Plain,
    }
}

fn text(args: &Compare, comparison: &Comparison, paint: Paint) -> String {
    let mut text = format!("left:  {}\nright: {}\n\n", args.left.display(), args.right.display());
    let plain = |text: String| (text, Tone::Plain);
    let rows: Vec<_> = figures(comparison).into_iter().map(|row| row.map(plain).to_vec()).collect();
    text += &table(&[("", false), ("left", true), ("right", true)], &rows, paint);
    text.push('\n');
    let row = |direct: &Direct| {
        let mut row = cells(direct).map(plain).to_vec();
        if let Some((_, last)) = row.last_mut() {
            *last = tone(direct.todo);
        }
        row
    };
    let rows: Vec<_> = comparison.direct.iter().map(row).collect();
    text += &table(&HEADS.map(|head| (head, false)), &rows, paint);
    for (side, only) in [("left", &comparison.left_only), ("right", &comparison.right_only)] {
        if let Some(names) = only.as_ref().filter(|names| !names.is_empty()) {
            let _ = write!(text, "\n{side} alone: {}\n", names.join(" "));
        }
    }
    text
}

fn markdown(args: &Compare, comparison: &Comparison) -> String {
    // A bar would end the cell.
    let line = |cells: &[String]| {
        format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
    };
    let heads = |heads: &[&str]| {
        let cells: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        format!("{}|{}\n", line(&cells), "---|".repeat(heads.len()))
    };
    let mut text = format!("# `{}` beside `{}`\n\n", args.left.display(), args.right.display());
    text += &heads(&["", "left", "right"]);
    for row in figures(comparison) {
        text += &line(&row);
    }
    text.push('\n');
    text += &heads(&HEADS);
    for direct in &comparison.direct {
        text += &line(&cells(direct));
    }
    for (side, only) in [("left", &comparison.left_only), ("right", &comparison.right_only)] {
        if let Some(names) = only.as_ref().filter(|names| !names.is_empty()) {
            let _ = write!(text, "\n## On the {side} side alone\n\n`{}`\n", names.join("`, `"));
        }
    }
    text
}

/// A line for every name, with what is known of the programs.
fn csv(comparison: &Comparison) -> Result<String, CliError> {
    let failed = |error: csv::Error| CliError::Io { what: "write CSV".to_owned(), source: error.into() };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let direct: BTreeMap<&str, &Direct> =
        comparison.direct.iter().map(|direct| (direct.name.as_str(), direct)).collect();
    let sides =
        [("both", &comparison.both), ("left", &comparison.left_only), ("right", &comparison.right_only)];
    let mut names: Vec<(&str, &str)> = sides
        .into_iter()
        .flat_map(|(side, names)| names.iter().flatten().map(move |name| (name.as_str(), side)))
        .collect();
    if comparison.both.is_none() {
        names.extend(direct.keys().map(|name| (*name, "")));
    }
    names.sort_unstable();
    let heads = ["name", "side", "package", "version", "there", "package_there", "version_there", "todo"];
    writer.write_record(heads).map_err(failed)?;
    for (name, side) in names {
        let known = direct.get(name).filter(|_| side != "right").map(|direct| cells(direct));
        let known = known.unwrap_or_default();
        let plain = known.iter().skip(1).map(|cell| if cell == "-" { "" } else { cell.as_str() });
        writer.write_record([name, side].into_iter().chain(plain)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.into_error().into()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
