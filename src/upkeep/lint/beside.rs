//! Rules that look at what lies beside the recipes: patches and our own files.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Finding, LintError, Rule};
use model::recipe::{Patch, Recipes};

/// `locals` are the folders of our own files that recipes take.
pub(super) fn look(
    folder: &Path,
    recipes: &Recipes,
    locals: &BTreeSet<String>,
    findings: &mut Vec<Finding>,
) -> Result<(), LintError> {
    let patches = folder.with_file_name("patches");
    let mut stray = |path: PathBuf, message: String| {
        findings.push(Finding { rule: Rule::Stray, path, text: String::new(), span: 0..0, message });
    };
    for (path, name) in entries(&patches)? {
        let Some((_, recipe)) = recipes.iter().find(|(package, _)| package.as_str() == name) else {
            stray(path, "no recipe has this name".to_owned());
            continue;
        };
        let listed: BTreeSet<&str> = recipe
            .sources
            .iter()
            .flat_map(|source| &source.patches)
            .map(|patch| patch.name.as_str())
            .collect();
        for (path, name) in entries(&path)? {
            if !listed.contains(name.as_str()) {
                stray(path, format!("`{}` does not list it", recipe.path.display()));
            }
        }
    }
    for (path, name) in entries(&folder.join("files"))? {
        if !locals.contains(&name) {
            stray(path, format!("no source says `local = \"{name}\"`"));
        }
    }
    for (package, recipe) in recipes {
        for patch in recipe.sources.iter().flat_map(|source| &source.patches) {
            let path = patches.join(package.as_str()).join(&patch.name);
            findings.extend(header(patch).map(|message| Finding {
                rule: Rule::PatchHeader,
                path,
                text: patch.text.clone(),
                span: 0..patch.text.find('\n').unwrap_or(0),
                message: message.to_owned(),
            }));
            let unsaid = named(patch).filter(|(id, _)| recipe.cves.iter().all(|cve| cve.id != *id));
            findings.extend(unsaid.map(|(id, span)| Finding {
                rule: Rule::PatchCve,
                path: patches.join(package.as_str()).join(&patch.name),
                text: patch.text.clone(),
                span,
                message: format!("`{}` has no `[[cve]]` entry for {id}", recipe.path.display()),
            }));
        }
    }
    Ok(())
}

/// The lines of a patch before its first file.
fn begin(patch: &Patch) -> impl Iterator<Item = &str> {
    patch
        .text
        .lines()
        .take_while(|line| !["--- ", "diff ", "Index: "].iter().any(|start| line.starts_with(start)))
}

/// The vulnerabilities that a patch's header names, each where it is first named.
fn named(patch: &Patch) -> impl Iterator<Item = (&str, Range<usize>)> {
    let end = begin(patch).map(|line| line.len() + 1).sum::<usize>().min(patch.text.len());
    let text = &patch.text[..end];
    let id = |(start, _): (usize, &str)| {
        let number = text[start + 4..].trim_start_matches(|c: char| c.is_ascii_digit());
        let number = number.strip_prefix('-')?.trim_start_matches(|c: char| c.is_ascii_digit());
        let end = text.len() - number.len();
        Some((&text[start..end], start..end))
    };
    let mut seen = BTreeSet::new();
    text.match_indices("CVE-").filter_map(id).filter(move |(id, _)| seen.insert(*id))
}

/// What is wrong with a patch's header.
fn header(patch: &Patch) -> Option<&'static str> {
    let paragraphs: Vec<String> = begin(patch)
        .collect::<Vec<_>>()
        .split(|line| line.trim().is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join(" "))
        .filter(|paragraph| !paragraph.starts_with("cves = "))
        .collect();
    match paragraphs.len() {
        0 => Some("nothing says what the patch does"),
        1 => Some("nothing says why the patch is needed"),
        _ => None,
    }
}

/// What is in a folder, with names, in order; nothing if there is none.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, LintError> {
    let failed = |source| LintError { path: folder.to_owned(), source };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        found.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
    }
    found.sort();
    Ok(found)
}
