//! Holds the one-way data flow of the modules: who may use whom, as data, checked against what the code says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Each module, in the order of the data's way, and the modules that it may use. A module may use only what stands above
/// it, and whatever is allowed here is used: a line that nothing needs any more goes.
const MODULES: &[(&str, &[&str])] = &[
    ("name", &[]),
    ("beneath", &[]),
    // Until when work may go on, for all that takes long.
    ("deadline", &[]),
    // What locks of files are worth, for the two folders that are shared: the store and the archives.
    ("locks", &[]),
    ("digest", &[]),
    // An arch record is called by an arch's name, and documents say which bytes it was read from.
    ("arch", &["beneath", "digest", "name"]),
    // Not `arch`: a recipe names arches, and whether there is a record of each is for the plan to find.
    ("recipe", &["beneath", "digest", "name"]),
    ("upkeep", &["digest", "name", "recipe"]),
    // `upkeep` for which of two versions is the later one.
    ("lint", &["beneath", "name", "recipe", "upkeep"]),
    ("graph", &["name", "recipe"]),
    ("plan", &["arch", "beneath", "digest", "graph", "name", "recipe"]),
    // Outcomes and build times are kept under the name of their unit.
    ("store", &["beneath", "deadline", "digest", "locks", "name"]),
    // Not `store`: it is given a folder to keep archives in.
    ("fetch", &["beneath", "deadline", "digest", "locks"]),
    ("sandbox", &[]),
    // `recipe`, because an action's inputs are the recipe's own sources and archives, as the plan carries them.
    (
        "execute",
        &["arch", "beneath", "deadline", "digest", "fetch", "name", "plan", "recipe", "sandbox", "store"],
    ),
    // Neither `recipe` nor `store`: the layout names packages, and what they installed is handed in as values.
    ("pack", &["arch", "digest", "name"]),
    // `arch`, `digest` and `name` besides what the design says; `upkeep` for which of two versions is the later one.
    ("attest", &["arch", "digest", "name", "pack", "plan", "recipe", "upkeep"]),
    // Components, how their recipes say they stand to vulnerabilities and where they come from; `upkeep` for the order of
    // versions.
    ("advisory", &["attest", "beneath", "name", "recipe", "upkeep"]),
    // `upkeep` for which of two versions is the later one.
    ("compare", &["name", "upkeep"]),
    // `fetch` for the archives that a build needs, `plan` for the time that everything has.
    ("rpm", &["attest", "digest", "name", "plan"]),
    // What is compared are outcomes in two stores.
    ("check", &["digest", "name", "store"]),
    // `graph` for where the units of a picture stand.
    ("report", &["execute", "fetch", "graph", "name", "plan", "store"]),
    (
        "cli",
        &[
            "advisory", "arch", "attest", "beneath", "check", "compare", "deadline", "digest", "execute",
            "fetch", "graph", "lint", "locks", "name", "pack", "plan", "recipe", "report", "rpm", "sandbox",
            "store", "upkeep",
        ],
    ),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules that `lib.rs` declares, in its order.
fn declared() -> Vec<String> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    text.lines()
        .filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned()))
        .collect()
}

/// `text` without its comments and string literals, so that what they mention does not count.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            3 + raw.find("\"#").map_or(raw.len(), |end| end + 2)
        } else if let Some(quote) = ["'\"'", "'\\\"'"].into_iter().find(|quote| rest.starts_with(quote)) {
            quote.len()
        } else if let Some(string) = rest.strip_prefix('"') {
            1 + string_length(string)
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// How long a string literal is from behind its opening quote to behind its closing one.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return index + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The modules that `text` reaches through `crate::`, alone or in a group over several lines.
fn used(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code(text).split("crate::").skip(1) {
        match after.trim_start().strip_prefix('{') {
            None => found.insert(first_word(after)),
            Some(group) => {
                found.extend(members(group).iter().map(|member| first_word(member)));
                true
            }
        };
    }
    found.remove("");
    found
}

/// The members of a group that has been opened, up to where it closes.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut members) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return members,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => members.last_mut().unwrap().push(c),
        }
    }
    members
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// What each module uses of the others, with one file of those that do.
fn uses() -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let modules = declared();
    let mut uses: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for entry in WalkDir::new(source()).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        let within = path.strip_prefix(source()).unwrap().with_extension("");
        let module =
            within.iter().next().map(|first| first.to_string_lossy().into_owned()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "rs") || !modules.contains(&module) {
            continue;
        }
        let of_module = uses.entry(module.clone()).or_default();
        for other in used(&fs::read_to_string(&path).unwrap()) {
            if other != module && modules.contains(&other) {
                of_module.entry(other).or_insert_with(|| path.clone());
            }
        }
    }
    uses
}

#[test]
fn every_module_uses_what_the_table_allows_and_no_more() {
    let uses = uses();
    let mut wrong = Vec::new();
    for (module, allowed) in MODULES {
        let found = &uses[*module];
        for (other, path) in found.iter().filter(|(other, _)| !allowed.contains(&other.as_str())) {
            wrong.push(format!("`{module}` must not use `{other}`: {}", path.display()));
        }
        for other in allowed.iter().filter(|other| !found.contains_key(**other)) {
            wrong.push(format!("`{module}` does not use `{other}`: take it out of the table"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_module_and_nothing_flows_back() {
    let names: Vec<&str> = MODULES.iter().map(|(module, _)| *module).collect();
    let (mut listed, mut declared) = (names.clone(), declared());
    listed.sort_unstable();
    declared.sort_unstable();
    assert_eq!(listed, declared, "the table and `src/lib.rs` have the same modules");
    for (index, (module, allowed)) in MODULES.iter().enumerate() {
        for other in *allowed {
            assert!(names[..index].contains(other), "`{other}` must stand above `{module}`, which uses it");
        }
    }
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    for entry in WalkDir::new(source()).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        // What tests print is nobody's business.
        let other = path.starts_with(source().join("cli")) || path.ends_with("tests.rs");
        if other || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = code(&fs::read_to_string(&path).unwrap());
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for word in ["println!(", "eprint!(", "eprintln!(", "env::var(", "env::var_os(", "process::exit("] {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let text = "
        use crate::name::{ArchName, Unit};
        use crate::{
            digest::{Framed, Sha256},
            recipe::{self, Recipes}, graph,
        };
        // crate::comment
        const QUOTE: char = '\"'; const TEXT: &str = \"crate::string \\\" crate::string\";
        fn f() -> crate::store::Store { r#\"crate::raw\"# }
    ";
    let found: Vec<String> = used(text).into_iter().collect();
    assert_eq!(found, ["digest", "graph", "name", "recipe", "store"]);
}
