//! What is in a pack, for machines and for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::contents::{Component, Contents, LIBGCC, Role};
use super::super::name;
use super::{Missing, PackFile, PackGiven, UsedArchive, concerned, text_path};
use crate::pack::FileKind;
use base::name::PackageName;
use model::recipe::Source;

/// What the columns are called.
const COLUMNS: [&str; 12] = [
    "component",
    "version",
    "license",
    "role",
    "archive",
    "inside",
    "digest",
    "address",
    "patches",
    "license_texts",
    "linked_into",
    "recipe",
];

/// A source of a component; lists are separated by blanks.
pub(super) type Row = [String; COLUMNS.len()];

/// A row for every source of every component, and one for what a compiler of the machine left in programs.
pub(super) fn rows(given: PackGiven<'_>, files: &BTreeMap<String, PackFile>) -> Vec<Row> {
    let PackGiven { contents, used, .. } = given;
    let mut rows = Vec::new();
    for (package, component) in concerned(contents) {
        let linked_into: Vec<&str> = contents
            .components
            .iter()
            .filter(|(_, other)| other.role == Role::Shipped && other.linked.contains(*package))
            .map(|(other, _)| other.as_str())
            .collect();
        let row = |[archive, inside, digest, address, patches]: [String; 5]| -> Row {
            let recipe = component.recipe;
            let mut texts = texts(package, component);
            if component.overridden.is_some() {
                texts.retain(|path| files.contains_key(path));
            }
            [
                package.to_string(),
                component.shown_version().to_owned(),
                recipe.license.spdx.clone(),
                component.role.word().to_owned(),
                archive,
                inside,
                digest,
                address,
                patches,
                texts.join(" "),
                linked_into.join(" "),
                format!("recipes/{package}.toml"),
            ]
        };
        if component.overridden.is_some() {
            rows.push(row([
                "a local tree".to_owned(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ]));
            continue;
        }
        for (number, source) in component.numbered_sources() {
            let patches = patches(package, source);
            rows.push(row(match number {
                None => [format!("sources/{package}/"), String::new(), String::new(), String::new(), patches],
                Some(number) => {
                    let Some(archive) = used.get(&((*package).clone(), number)) else { continue };
                    let UsedArchive { file, digest, address, nested, is_here } = archive;
                    [
                        if *is_here { format!("sources/{file}") } else { String::new() },
                        nested.clone().unwrap_or_default(),
                        digest.to_string(),
                        address.clone().unwrap_or_default(),
                        patches,
                    ]
                }
            }));
        }
    }
    if let Some(compiler) = contents.compiler {
        let files = contents.tarballs.iter().flat_map(|tarball| &tarball.files);
        let programs = files.filter(|file| file.kind == FileKind::Program).filter_map(|file| file.package);
        let packages: BTreeSet<&str> = programs.map(PackageName::as_str).collect();
        let linked_into = packages.into_iter().collect::<Vec<_>>().join(" ");
        let known = ["libgcc", compiler.words, LIBGCC, "linked", "", "", "", "", "", "", &linked_into, ""];
        rows.push(known.map(str::to_owned));
    }
    rows
}

fn texts(package: &PackageName, component: &Component<'_>) -> Vec<String> {
    component.recipe.license.files.keys().map(|path| text_path(package, path)).collect()
}

fn patches(package: &PackageName, source: &Source) -> String {
    let path = |patch: &model::recipe::Patch| format!("patches/{package}/{}", patch.name);
    source.patches.iter().map(path).collect::<Vec<_>>().join(" ")
}

/// The rows for machines.
pub(super) fn csv(rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = || -> csv::Result<()> {
        writer.write_record(COLUMNS)?;
        rows.iter().try_for_each(|row| writer.write_record(row))
    };
    write().expect("memory takes records of one length");
    let bytes = writer.into_inner().expect("memory takes every byte");
    String::from_utf8(bytes).expect("text stays text")
}

/// What the rows for people begin with: which tarballs they are about.
pub(super) fn heading(contents: &Contents<'_>) -> String {
    let mut text = format!("# Licences and sources of {}\n\n", name(contents));
    for tarball in &contents.tarballs {
        let _ = writeln!(text, "- `{}`: sha256 `{}`", tarball.file, tarball.sha256);
    }
    text + "\n"
}

/// The rows for people, and what is not in the pack.
pub(super) fn markdown(contents: &Contents<'_>, rows: &[Row], missing: &[Missing]) -> String {
    let mut text = heading(contents);
    text += "`shipped`: files of it are in a tarball. `linked`: its code is in programs there. Every archive is as it was\n\
             published; patches are applied in the order in which they are named.\n\n";
    text += "| component | version | licence | role | source | digest | patches | licence texts | linked into |\n";
    text += "|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        let [component, version, license, role, archive, inside, digest, address, patches, texts, linked, _] =
            row;
        let mut source = if archive.is_empty() { String::new() } else { code(archive) };
        for (part, before) in
            [(inside, "in it "), (address, "")].into_iter().filter(|(part, _)| !part.is_empty())
        {
            let _ = write!(source, "{}{before}{part}", if source.is_empty() { "" } else { ", " });
        }
        let short = |text: &String| {
            let names = text.split_whitespace().map(|path| code(path.rsplit('/').next().unwrap_or(path)));
            names.collect::<Vec<_>>().join(", ")
        };
        let digest = if digest.is_empty() { String::new() } else { code(digest) };
        let cells = [component, version, license, role, &source, &digest, &short(patches), &short(texts)];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} | {} |", cells.join(" | "), linked.replace(' ', ", "));
    }
    if !missing.is_empty() {
        text += "\n## Not in this folder\n\n";
        for one in missing {
            let _ = writeln!(text, "- {one}");
        }
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
