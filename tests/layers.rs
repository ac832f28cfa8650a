//! Holds what Cargo cannot say of the rooms below `src/`: that no files of one need each other in a circle, and that only the
//! command line talks to people. Who may use which room is in the manifests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use walkdir::WalkDir;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms: the folders of `src/`, the command line's among them.
fn rooms() -> Vec<PathBuf> {
    let entries = fs::read_dir(source()).unwrap().map(|entry| entry.unwrap().path());
    let mut rooms: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    rooms.sort();
    assert!(rooms.len() > 10, "{rooms:?}");
    rooms
}

/// The code of a file, without comments, strings and its own tests.
fn read(path: &Path) -> String {
    let text = code(&fs::read_to_string(path).unwrap());
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
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

/// A path of modules and at last, perhaps, of what is in the last of them.
type Way = Vec<String>;

/// The files of a room, by module. A `lib.rs` or `mod.rs` is the face of its folder: it re-exports what the other files
/// define.
struct Room {
    files: BTreeMap<Way, String>,
    faces: BTreeSet<Way>,
}

impl Room {
    fn read(folder: &Path) -> Self {
        let (mut files, mut faces) = (BTreeMap::new(), BTreeSet::new());
        for entry in WalkDir::new(folder).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            let within = path.strip_prefix(folder).unwrap().with_extension("");
            let mut way: Way = within.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let is_test = way.iter().any(|part| part == "tests");
            if is_test || path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let is_face = path.ends_with("lib.rs") || path.ends_with("mod.rs");
            if is_face {
                way.pop();
            }
            if is_face || path.with_extension("").is_dir() {
                faces.insert(way.clone());
            }
            files.insert(way, read(&path));
        }
        Self { files, faces }
    }

    /// The module in which what `way` names is, seen from the module `from`: faces hand on what is in others.
    fn module(&self, from: &[String], way: &[String]) -> Option<Way> {
        let mut module = from.to_vec();
        let mut rest = way;
        while let [first, more @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => {
                    module.pop();
                }
                "self" => {}
                _ => {
                    let mut within = module.clone();
                    within.push(first.clone());
                    if !self.files.contains_key(&within) {
                        break;
                    }
                    module = within;
                }
            }
            rest = more;
        }
        let [item, ..] = rest else { return Some(module) };
        let handed_on = self.faces.contains(&module).then(|| {
            let ways = imports(self.files.get(&module)?).into_iter();
            ways.filter(|way| way.len() > 1 && way.last() == Some(item))
                .find_map(|way| self.module(&module, &way[..way.len() - 1]).filter(|found| *found != module))
        });
        handed_on.flatten().or(Some(module))
    }

    /// Which other files of the room each file needs.
    fn needs(&self) -> BTreeMap<&Way, BTreeSet<Way>> {
        let plain = |way: &Way| !self.faces.contains(way);
        let needs = self.files.iter().filter(|(way, _)| plain(way)).map(|(way, text)| {
            let inline = named(text);
            let ways = imports(text).into_iter().chain(inline);
            let relative = ways.filter(|way| ["crate", "super", "self"].contains(&way[0].as_str()));
            let found = relative.filter_map(|needed| self.module(way, &needed));
            (way, found.filter(|needed| needed != way && plain(needed)).collect())
        });
        needs.collect()
    }
}

/// What the `use` lines of `text` name, groups taken apart.
fn imports(text: &str) -> Vec<Way> {
    let lines = text.split(';').filter_map(|line| {
        let start = line.rfind("\nuse ").or_else(|| line.rfind(" use ")).or_else(|| line.find("use "))?;
        Some(line[start..].trim_start().strip_prefix("use ")?.trim())
    });
    let mut ways = Vec::new();
    lines.for_each(|line| take_apart(&[], line, &mut ways));
    ways
}

fn take_apart(before: &[String], text: &str, ways: &mut Vec<Way>) {
    let (way, group) = text.split_once('{').map_or((text, None), |(way, group)| (way, Some(group)));
    let name = |part: &str| part.split_whitespace().next().map(str::to_owned);
    let mut whole = before.to_vec();
    whole.extend(way.split("::").filter_map(name));
    match group {
        Some(group) => members(group).iter().for_each(|member| take_apart(&whole, member.trim(), ways)),
        None if text.is_empty() => {}
        None => ways.push(whole),
    }
}

/// The members of a group that has been opened, up to where it closes.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut members) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return members,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(String::new());
                continue;
            }
            _ => {}
        }
        members.last_mut().unwrap().push(c);
    }
    members
}

/// What `text` names in the middle of code, from `crate::` or `super::` on.
fn named(text: &str) -> Vec<Way> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| word.contains("::"));
    let ways =
        words.map(|word| word.split("::").map(str::to_owned).filter(|part| !part.is_empty()).collect());
    ways.filter(|way: &Way| !way.is_empty()).collect()
}

/// The circles among `needs`.
fn circles(needs: &BTreeMap<&Way, BTreeSet<Way>>) -> Vec<Vec<String>> {
    let pairs = needs.iter().flat_map(|(way, needed)| needed.iter().map(|needed| (*way, needed)));
    let graph = DiGraphMap::<&Way, ()>::from_edges(pairs);
    let circles = tarjan_scc(&graph).into_iter().filter(|files| files.len() > 1);
    circles.map(|files| files.iter().map(|way| way.join("::")).collect()).collect()
}

#[test]
fn no_files_of_a_room_need_each_other_in_a_circle() {
    let (mut arrows, mut found) = (0, Vec::new());
    for folder in rooms() {
        let room = Room::read(&folder);
        let needs = room.needs();
        arrows += needs.values().map(BTreeSet::len).sum::<usize>();
        found.extend(circles(&needs).into_iter().map(|files| (folder.clone(), files)));
    }
    assert!(found.is_empty(), "these files need each other: {found:#?}");
    assert!(arrows > 200, "only {arrows} needs were seen: the reader of `use` lines is blind");
}

#[test]
fn only_the_command_line_talks_to_people() {
    for room in rooms().iter().filter(|room| !room.ends_with("cli")) {
        let manifest: toml::Table = fs::read_to_string(room.join("Cargo.toml")).unwrap().parse().unwrap();
        let needs = manifest["dependencies"].as_table().unwrap();
        for library in ["clap", "ctrlc", "indicatif", "miette"] {
            assert!(!needs.contains_key(library), "{} needs `{library}`", room.display());
        }
        for entry in WalkDir::new(room).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            // What tests print is nobody's business.
            let is_test = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
            if is_test || path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = read(&path);
            for word in ["println!(", "eprint!(", "eprintln!(", "env::var(", "env::var_os(", "process::exit("]
            {
                assert!(!text.contains(word), "{} has `{word}`", path.display());
            }
        }
    }
}

#[test]
fn a_circle_is_seen_through_a_face() {
    let way =
        |text: &str| -> Way { text.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect() };
    let face = "mod a;\nmod b;\npub use a::{First,\n Other as Second};\npub(crate) use b::Third;\n";
    let files = [
        ("", face),
        ("a", "use super::{\n c::Fourth, Third};\nfn a(_: Third) {}"),
        ("b", "// super::a::First\nconst A: &str = \"super::First\";\nfn b() { let _ = crate::First; }"),
        ("c", "use std::fs;"),
    ];
    let files = files.map(|(name, text)| (way(name), code(text)));
    let room = Room { files: files.into(), faces: [way("")].into() };
    assert_eq!(room.needs()[&way("a")], BTreeSet::from([way("b"), way("c")]));
    assert_eq!(room.needs()[&way("b")], BTreeSet::from([way("a")]));
    let mut circles = circles(&room.needs());
    circles[0].sort();
    assert_eq!(circles, [["a", "b"]]);
}
