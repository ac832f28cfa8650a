//! What sets two descriptions of a unit apart, down to the word of a command and the file of a tree.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Description, Keep, OriginDescription, PatchDescription, SourceDescription};
use base::digest::{ActionDigest, CompilerDigest};
use base::name::Unit;

/// A phase by its name, with the words of each step.
type PhaseDescription = (String, Vec<Vec<String>>);

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// A value is another one.
    Value {
        /// Of what.
        field: String,
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// A list has other members; with none removed and none added, it has the same ones in another order.
    List {
        /// Of what.
        field: String,
        /// What it had.
        removed: Vec<String>,
        /// What it has.
        added: Vec<String>,
    },
    /// A file of a tree.
    File {
        /// Which tree.
        of: String,
        /// Its path there.
        path: String,
        /// What became of it.
        change: Change,
    },
    /// A patch.
    Patch {
        /// Its file's name.
        name: String,
        /// What became of it.
        change: Change,
    },
    /// Something that must be built before.
    Need {
        /// What it is needed for.
        role: Role,
        /// The need.
        unit: Unit,
        /// What became of it.
        change: Change,
    },
}

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    Added,
    /// It is there no more.
    Removed,
    /// It is another one.
    Changed,
}

/// What a need is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It runs during the build.
    Tool,
    /// It is linked against.
    Sysroot,
}

/// What sets `new` apart from `old`. None where both have the same digest.
pub fn differences(old: &Description, new: &Description) -> Vec<Difference> {
    if old.digest == new.digest {
        return Vec::new();
    }
    // Named one by one, so that a new field cannot be forgotten.
    let Description {
        unit,
        version,
        digest: _,
        encoding,
        sources,
        compiler,
        tools,
        sysroot,
        env,
        phases,
        keep,
        installed_under,
    } = new;
    let mut found = Found::default();
    found.value("encoding of digests", &old.encoding, encoding);
    found.value("unit", &old.unit.to_string(), &unit.to_string());
    found.value("version", old.version.as_str(), version.as_str());
    found.sources(&old.sources, sources);
    let of_compiler = |compiler: &Option<CompilerDigest>| {
        compiler.map_or_else(|| "none of this machine".to_owned(), |digest| digest.short())
    };
    found.value("compiler", &of_compiler(&old.compiler), &of_compiler(compiler));
    found.env(&old.env, env);
    found.phases(&old.phases, phases);
    found.list("kept files", &kept(&old.keep), &kept(keep));
    found.value("folder that is taken", &old.installed_under, installed_under);
    found.needs(Role::Tool, &old.tools, tools);
    found.needs(Role::Sysroot, &old.sysroot, sysroot);
    found.0
}

fn kept(keep: &Keep) -> Vec<String> {
    let (word, globs) = match keep {
        Keep::AllBut(globs) => ("all but", globs),
        Keep::Only(globs) => ("only", globs),
    };
    globs.iter().map(|glob| format!("{word} {glob}")).collect()
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn value(&mut self, field: &str, old: &str, new: &str) {
        if old != new {
            self.0.push(Difference::Value {
                field: field.to_owned(),
                old: old.to_owned(),
                new: new.to_owned(),
            });
        }
    }

    fn list<T: AsRef<str>>(&mut self, field: &str, old: &[T], new: &[T]) {
        let texts = |list: &[T]| list.iter().map(|text| text.as_ref().to_owned()).collect::<Vec<_>>();
        let (old, new) = (texts(old), texts(new));
        if old != new {
            let (removed, added) = (without(&old, &new), without(&new, &old));
            self.0.push(Difference::List { field: field.to_owned(), removed, added });
        }
    }

    fn files(&mut self, of: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        let changes = changes(old, new);
        self.0.extend(changes.map(|(path, change)| Difference::File {
            of: of.to_owned(),
            path: path.clone(),
            change,
        }));
    }

    fn needs(&mut self, role: Role, old: &BTreeMap<Unit, ActionDigest>, new: &BTreeMap<Unit, ActionDigest>) {
        let changes = changes(old, new);
        self.0.extend(changes.map(|(unit, change)| Difference::Need { role, unit: unit.clone(), change }));
    }

    fn env(&mut self, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        for (name, _) in changes(old, new) {
            let words = |env: &BTreeMap<String, String>| -> Vec<String> {
                let value = env.get(name).map(|value| value.split(' ').map(str::to_owned));
                value.into_iter().flatten().collect()
            };
            self.list(&format!("env {name}"), &words(old), &words(new));
        }
    }

    fn sources(&mut self, old: &[SourceDescription], new: &[SourceDescription]) {
        let label = |source: &SourceDescription| match source.into.as_str() {
            "" => "source".to_owned(),
            into => format!("source at {into}"),
        };
        let (old_labels, new_labels) = (numbered(old.iter().map(label)), numbered(new.iter().map(label)));
        self.list("sources", &old_labels, &new_labels);
        for (label, new) in new_labels.iter().zip(new) {
            if let Some((_, old)) = old_labels.iter().zip(old).find(|(old, _)| *old == label) {
                self.source(label, old, new);
            }
        }
    }

    fn source(&mut self, label: &str, old: &SourceDescription, new: &SourceDescription) {
        let SourceDescription { into: _, only, patches, origin } = new;
        match (&old.origin, origin) {
            (OriginDescription::Archives(old), OriginDescription::Archives(new)) => {
                self.list(&format!("archives of the {label}"), old, new);
            }
            (OriginDescription::Local(old), OriginDescription::Local(new)) => {
                self.files(&format!("the {label}"), old, new);
            }
            (
                OriginDescription::Override { tree: _, files: old },
                OriginDescription::Override { tree: _, files: new },
            ) => self.files("the override", old, new),
            (old, new) => {
                // Patches come and go with the archive that they are for.
                self.value(label, kind(old), kind(new));
                return;
            }
        }
        self.list(&format!("parts of the {label}"), &old.only, only);
        self.patches(label, &old.patches, patches);
    }

    /// A patch counts by its text, whatever it is called.
    fn patches(&mut self, label: &str, old: &[PatchDescription], new: &[PatchDescription]) {
        let digests =
            |patches: &[PatchDescription]| patches.iter().map(|patch| patch.digest).collect::<Vec<_>>();
        let (old_digests, new_digests) = (digests(old), digests(new));
        let other = |patches: &[PatchDescription], digests: &[_]| -> BTreeMap<String, String> {
            let other = patches.iter().filter(|patch| !digests.contains(&patch.digest));
            other.map(|patch| (patch.name.clone(), patch.digest.to_string())).collect()
        };
        let (removed, added) = (other(old, &new_digests), other(new, &old_digests));
        if removed.is_empty() && added.is_empty() && old_digests != new_digests {
            let names = |patches: &[PatchDescription]| -> Vec<String> {
                patches.iter().map(|patch| patch.name.clone()).collect()
            };
            self.list(&format!("patches of the {label}"), &names(old), &names(new));
        }
        let changes = changes(&removed, &added);
        self.0.extend(changes.map(|(name, change)| Difference::Patch { name: name.clone(), change }));
    }

    fn phases(&mut self, old: &[PhaseDescription], new: &[PhaseDescription]) {
        let names = |phases: &[PhaseDescription]| numbered(phases.iter().map(|(name, _)| name.clone()));
        let (old_names, new_names) = (names(old), names(new));
        self.list("phases", &old_names, &new_names);
        for (name, (_, new)) in new_names.iter().zip(new) {
            let old = old_names.iter().zip(old).find(|(old, _)| *old == name);
            if let Some((_, (_, old))) = old {
                self.steps(&format!("phase {name}"), old, new);
            }
        }
    }

    /// Steps in pairs, word by word, where as many are other ones as were; else as a whole.
    fn steps(&mut self, phase: &str, old: &[Vec<String>], new: &[Vec<String>]) {
        let before = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let (old, new) = (&old[before..], &new[before..]);
        let after = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        let (old, new) = (&old[..old.len() - after], &new[..new.len() - after]);
        if old.len() == new.len() {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                self.list(&format!("{phase}, step {}", before + index + 1), old, new);
            }
        } else {
            let joined = |steps: &[Vec<String>]| steps.iter().map(|step| step.join(" ")).collect::<Vec<_>>();
            self.list(phase, &joined(old), &joined(new));
        }
    }
}

fn kind(origin: &OriginDescription) -> &'static str {
    match origin {
        OriginDescription::Archives(_) => "an archive",
        OriginDescription::Local(_) => "files beside the recipes",
        OriginDescription::Override { .. } => "a local tree",
    }
}

/// Names, those that come again with their number, so that each is there once.
fn numbered(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    names
        .map(|name| {
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            if *count == 1 { name } else { format!("{name} ({count})") }
        })
        .collect()
}

/// The members of `list` that `other` does not have, or not so often.
fn without(list: &[String], other: &[String]) -> Vec<String> {
    let mut other: Vec<&String> = other.iter().collect();
    let mut rest = Vec::new();
    for member in list {
        match other.iter().position(|candidate| *candidate == member) {
            Some(index) => drop(other.swap_remove(index)),
            None => rest.push(member.clone()),
        }
    }
    rest
}

/// What was added, removed and changed, by key.
fn changes<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Change)> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter_map(|key| match (old.get(key), new.get(key)) {
        (None, _) => Some((key, Change::Added)),
        (_, None) => Some((key, Change::Removed)),
        (old, new) => (old != new).then_some((key, Change::Changed)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// What is removed and added where `old` and `new` are steps of a phase.
    fn steps(old: &[&str], new: &[&str]) -> Vec<(String, String)> {
        let mut found = Found::default();
        let words = |steps: &[&str]| -> Vec<Vec<String>> {
            steps.iter().map(|step| strings(&step.split(' ').collect::<Vec<_>>())).collect()
        };
        found.steps("phase build", &words(old), &words(new));
        found
            .0
            .into_iter()
            .map(|difference| match difference {
                Difference::List { removed, added, .. } => (removed.join("|"), added.join("|")),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(removed, added)| ((*removed).to_owned(), (*added).to_owned())).collect()
    }

    #[test]
    fn a_command_differs_by_its_words() {
        assert_eq!(steps(&["a", "b"], &["a", "b"]), []);
        let found = steps(&["first", "make -j all", "last"], &["first", "make all V=1", "last"]);
        assert_eq!(found, pairs(&[("-j", "V=1")]));
        assert_eq!(steps(&["make all install"], &["make install all"]), pairs(&[("", "")]));
        assert_eq!(steps(&["make -s -s"], &["make -s"]), pairs(&[("-s", "")]));
    }

    #[test]
    fn a_command_more_or_less_is_shown_whole() {
        assert_eq!(steps(&["a", "c"], &["a", "b -x", "c"]), pairs(&[("", "b -x")]));
        assert_eq!(steps(&["a", "a"], &["a"]), pairs(&[("a", "")]));
        assert_eq!(steps(&["a", "b", "c"], &["c"]), pairs(&[("a|b", "")]));
    }

    fn patches(names_and_texts: &[(&str, &str)]) -> Vec<PatchDescription> {
        let patch = |(name, text): &(&str, &str)| PatchDescription {
            name: (*name).to_owned(),
            digest: base::digest::BlobDigest::of(text.as_bytes()),
        };
        names_and_texts.iter().map(patch).collect()
    }

    #[test]
    fn patches_differ_by_name_and_a_new_name_alone_is_nothing() {
        let differ = |new: &[(&str, &str)]| {
            let mut found = Found::default();
            found.patches("source", &patches(&[("a", "A"), ("b", "B")]), &patches(new));
            serde_json::to_string(&found.0).unwrap()
        };
        assert_eq!(differ(&[("c", "A"), ("b", "B")]), "[]");
        assert_eq!(differ(&[("a", "A"), ("b", "!")]), r#"[{"kind":"patch","name":"b","change":"changed"}]"#);
        assert_eq!(differ(&[("b", "B")]), r#"[{"kind":"patch","name":"a","change":"removed"}]"#);
        assert_eq!(
            differ(&[("b", "B"), ("a", "A")]),
            r#"[{"kind":"list","field":"patches of the source","removed":[],"added":[]}]"#
        );
    }
}
