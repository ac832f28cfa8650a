//! What goes into an action, by name: a form that can be printed, kept, and compared with that of another time.
//!
//! It says all that decides the action's digest and nothing else, save for names that make it readable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::action::{ENCODING, Parts, assignments};
use super::{Action, Input, Keep, Override, Step};
use crate::recipe::{Archive, LocalFile, Origin, Source};
use base::digest::{ActionDigest, BlobDigest, CompilerDigest, TreeDigest};
use base::name::{Unit, Version};

/// An action, described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What it makes.
    pub unit: Unit,
    /// The package's version.
    pub version: Version,
    /// Its digest.
    pub digest: ActionDigest,
    /// The version of the encoding that the digest is made with.
    pub encoding: String,
    /// The trees that are put in place, in order.
    pub sources: Vec<SourceDescription>,
    /// The build machine's own compiler, if it is used.
    pub compiler: Option<CompilerDigest>,
    /// Units merged at `/tools`.
    pub tools: BTreeMap<Unit, ActionDigest>,
    /// Units merged at `/sysroot`.
    pub sysroot: BTreeMap<Unit, ActionDigest>,
    /// The environment of every command.
    pub env: BTreeMap<String, String>,
    /// The phases by name, with the words of each step.
    pub phases: Vec<(String, Vec<Vec<String>>)>,
    /// Which of the installed files are kept.
    pub keep: Keep,
    /// The folder under `/out` that becomes the outcome's tree.
    pub installed_under: String,
}

/// One tree that is put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDescription {
    /// The folder under `/src`; empty for `/src` itself.
    pub into: String,
    /// Globs of the parts that are needed; empty for all.
    pub only: Vec<String>,
    /// Patches, in order.
    pub patches: Vec<PatchDescription>,
    /// Where its bytes come from.
    pub origin: OriginDescription,
}

/// A patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchDescription {
    /// The file's name, which decides nothing.
    pub name: String,
    /// The digest of its text.
    pub digest: BlobDigest,
}

/// Where a tree's bytes come from. What is at a path is told by a word for its kind and a digest or target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginDescription {
    /// Archives that would each do.
    Archives(Vec<String>),
    /// Files that live beside the recipes, by path.
    Local(BTreeMap<String, String>),
    /// A local tree in place of the recipe's source.
    Override {
        /// What is in it.
        tree: TreeDigest,
        /// The same, by path.
        files: BTreeMap<String, String>,
    },
}

impl Action {
    /// The action, described. `listing` says what is in an override, by path.
    pub fn describe<E>(
        &self,
        listing: impl Fn(&TreeDigest) -> Result<BTreeMap<String, String>, E>,
    ) -> Result<Description, E> {
        // Named one by one, so that a new field cannot be forgotten.
        let Parts {
            unit,
            version,
            recipe: _,
            inputs,
            license: _,
            compiler,
            tools,
            sysroot,
            env,
            phases,
            keep,
            installed_under,
        } = self.parts();
        let phases = phases.iter().map(|phase| {
            let steps = phase.steps.iter().map(describe_step).collect();
            (phase.name.to_owned(), steps)
        });
        Ok(Description {
            unit: unit.clone(),
            version: version.clone(),
            digest: self.digest(),
            encoding: ENCODING.to_string(),
            sources: inputs.iter().map(|input| describe_input(input, &listing)).collect::<Result<_, E>>()?,
            compiler: *compiler,
            tools: tools.clone(),
            sysroot: sysroot.clone(),
            env: env.clone(),
            phases: phases.collect(),
            keep: keep.clone(),
            installed_under: (*installed_under).to_owned(),
        })
    }
}

fn describe_input<E>(
    input: &Input,
    listing: impl Fn(&TreeDigest) -> Result<BTreeMap<String, String>, E>,
) -> Result<SourceDescription, E> {
    Ok(match input {
        Input::Source(Source { origin, into, only, patches }) => SourceDescription {
            into: into.clone().unwrap_or_default(),
            only: only.clone(),
            patches: patches
                .iter()
                .map(|patch| PatchDescription {
                    name: patch.name.clone(),
                    digest: BlobDigest::of(patch.text.as_bytes()),
                })
                .collect(),
            origin: match origin {
                Origin::Archives(archives) => {
                    OriginDescription::Archives(archives.iter().map(describe_archive).collect())
                }
                Origin::Local(files) => OriginDescription::Local(
                    files.iter().map(|(path, file)| (path.clone(), describe_file(file))).collect(),
                ),
            },
        },
        Input::Override(Override { path: _, tree, version: _ }) => SourceDescription {
            into: String::new(),
            only: Vec::new(),
            patches: Vec::new(),
            origin: OriginDescription::Override { tree: *tree, files: listing(tree)? },
        },
    })
}

fn describe_archive(archive: &Archive) -> String {
    let Archive { urls: _, digest, nested } = archive;
    match nested {
        None => digest.to_string(),
        Some(glob) => format!("{digest}, in it {glob}"),
    }
}

fn describe_file(file: &LocalFile) -> String {
    let LocalFile { contents, executable } = file;
    format!("{} {}", if *executable { "program" } else { "file" }, BlobDigest::of(contents))
}

/// A step in words; those of a text that is written are its lines.
fn describe_step(step: &Step) -> Vec<String> {
    let (head, words) = match step {
        Step::Run { argv, cwd } => (["run in", cwd], argv.clone()),
        Step::Write { path, contents } => {
            (["write", path], contents.split('\n').map(str::to_owned).collect())
        }
        Step::SetSymbols { path, symbols } => (["set in", path], assignments(symbols).collect()),
        Step::RequireSymbols { path, symbols } => (["require in", path], assignments(symbols).collect()),
    };
    head.into_iter().map(str::to_owned).chain(words).collect()
}
