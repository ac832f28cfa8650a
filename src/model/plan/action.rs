//! The action: the complete frozen description of one piece of work, and the two digests that name it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ResolveError;
use super::executor::EXECUTOR;
use super::local::{Override, UNKNOWN};
use crate::recipe::{Archive, Origin, Source};
use base::digest::{ActionDigest, CompilerDigest, Framed, ResolvedDigest, Sha256, SourceDigest, TreeDigest};
use base::name::{Unit, Version};

/// The version of the encoding and of how actions are carried out; a change of it changes every digest at once.
pub(super) const ENCODING: Encoding = Encoding { form: 3, executor: EXECUTOR };

/// What an action's digests are made with, beside the action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    /// Which of the forms in which an action was ever encoded.
    pub(super) form: u32,
    /// See [`EXECUTOR`].
    pub(super) executor: u32,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "form {}, executor {}", self.form, self.executor)
    }
}

/// One piece of work. It cannot be changed once it is made, so its digest always fits.
#[derive(Debug, Clone)]
pub struct Action {
    parts: Parts,
    digest: ActionDigest,
}

/// What an action is made of.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) unit: Unit,
    pub(super) version: Version,
    pub(super) recipe: PathBuf,
    pub(super) inputs: Vec<Input>,
    pub(super) license: BTreeMap<String, Sha256>,
    pub(super) compiler: Option<CompilerDigest>,
    pub(super) tools: BTreeMap<Unit, ActionDigest>,
    pub(super) sysroot: BTreeMap<Unit, ActionDigest>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) phases: Vec<Phase>,
    pub(super) keep: Keep,
    pub(super) installed_under: &'static str,
}

/// A tree that is put in place before the first phase.
#[derive(Debug, Clone)]
pub enum Input {
    /// A source of the recipe.
    Source(Source),
    /// A local tree in place of all sources.
    Override(Override),
}

/// A named part of an action: what a failure is reported as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// `configure`, `build`, `install` and the like.
    pub name: &'static str,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A command, in the sandbox.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The guest folder it starts in.
        cwd: String,
    },
    /// A file that is written.
    Write {
        /// The guest path.
        path: String,
        /// The text.
        contents: String,
    },
    /// Configuration symbols that are set, whatever they were.
    SetSymbols {
        /// The guest path of the configuration.
        path: String,
        /// Symbols with the value each gets (`y`, `n` or as written in the file).
        symbols: BTreeMap<String, String>,
    },
    /// Configuration symbols that must have survived.
    RequireSymbols {
        /// The guest path of the configuration.
        path: String,
        /// Symbols with the value each must have (`y`, `n` or as written in the file).
        symbols: BTreeMap<String, String>,
    },
}

impl Phase {
    pub(super) fn map_words(mut self, map: impl Fn(&str) -> String) -> Self {
        for step in &mut self.steps {
            match step {
                Step::Run { argv, .. } => argv.iter_mut().for_each(|word| *word = map(word)),
                Step::Write { contents, .. } => *contents = map(contents),
                Step::SetSymbols { .. } | Step::RequireSymbols { .. } => {}
            }
        }
        self
    }
}

/// Which of the installed files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// What matches none of these globs.
    AllBut(Vec<String>),
    /// What matches one of these globs, each of which must match something.
    Only(Vec<String>),
}

impl Action {
    pub(super) fn new(parts: Parts) -> Self {
        let digest = parts.digest(ENCODING);
        Self { parts, digest }
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What the action makes.
    pub fn unit(&self) -> &Unit {
        &self.parts.unit
    }

    /// The version of what is built: the recipe's, or that of the local tree, which may be unknown.
    pub fn version(&self) -> Option<&Version> {
        let over = self.parts.inputs.iter().find_map(|input| match input {
            Input::Override(over) => Some(over),
            Input::Source(_) => None,
        });
        over.map_or(Some(&self.parts.version), |over| over.version.as_ref())
    }

    /// The same in words.
    pub fn shown_version(&self) -> &str {
        self.version().map_or(UNKNOWN, Version::as_str)
    }

    /// The recipe it comes from, for messages.
    pub fn recipe(&self) -> &std::path::Path {
        &self.parts.recipe
    }

    /// The trees that are put in place before the first phase.
    pub fn inputs(&self) -> &[Input] {
        &self.parts.inputs
    }

    /// Licence texts that must be as the recipe knows them, by path under `/src`.
    pub fn license(&self) -> &BTreeMap<String, Sha256> {
        &self.parts.license
    }

    /// The build machine's own compiler that it is built with, if it is.
    pub fn compiler(&self) -> Option<CompilerDigest> {
        self.parts.compiler
    }

    /// Units merged at `/tools`.
    pub fn tools(&self) -> &BTreeMap<Unit, ActionDigest> {
        &self.parts.tools
    }

    /// Units merged at `/sysroot`.
    pub fn sysroot(&self) -> &BTreeMap<Unit, ActionDigest> {
        &self.parts.sysroot
    }

    /// The environment of every command, complete.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.parts.env
    }

    /// What is done, in order.
    pub fn phases(&self) -> &[Phase] {
        &self.parts.phases
    }

    /// Which of the installed files are kept.
    pub fn keep(&self) -> &Keep {
        &self.parts.keep
    }

    /// The folder under `/out` that becomes the outcome's tree; empty for all of it.
    pub fn installed_under(&self) -> &'static str {
        self.parts.installed_under
    }

    /// The archives that would do for each source that comes from archives, in order.
    pub fn archives(&self) -> Vec<&[Archive]> {
        self.parts.archives().collect()
    }

    /// The digest that names the action before anything runs.
    pub fn digest(&self) -> ActionDigest {
        self.digest
    }

    /// The digest that names the action once its sysroot is built and it is known which archives are used.
    ///
    /// `sysroot` has a tree for every unit of [`Action::sysroot`] (others in it do not count), `archives` one archive for
    /// every source that comes from archives, in order.
    pub fn resolve(
        &self,
        sysroot: &BTreeMap<Unit, TreeDigest>,
        archives: &[&Archive],
    ) -> Result<ResolvedDigest, ResolveError> {
        self.parts.resolve(ENCODING, sysroot, archives)
    }
}

impl Parts {
    /// See [`Action::digest`].
    pub(super) fn digest(&self, encoding: Encoding) -> ActionDigest {
        let mut framed = self.encode("action", encoding);
        for (tag, units) in [("tool", &self.tools), ("sysroot", &self.sysroot)] {
            for (unit, digest) in units {
                framed.field(tag, unit.to_string()).field("digest", digest.as_bytes());
            }
        }
        for archives in self.archives() {
            framed.list("archives", archives.iter().map(encode_archive));
        }
        ActionDigest::from_bytes(framed.finish())
    }

    /// See [`Action::resolve`].
    pub(super) fn resolve(
        &self,
        encoding: Encoding,
        sysroot: &BTreeMap<Unit, TreeDigest>,
        archives: &[&Archive],
    ) -> Result<ResolvedDigest, ResolveError> {
        let sources = self.archives().count();
        if sources != archives.len() {
            return Err(ResolveError::Archives {
                unit: self.unit.clone(),
                sources,
                archives: archives.len(),
            });
        }
        let mut framed = self.encode("resolved action", encoding);
        for (unit, digest) in &self.tools {
            framed.field("tool", unit.to_string()).field("digest", digest.as_bytes());
        }
        for unit in self.sysroot.keys() {
            let missing = || ResolveError::NoTree { unit: self.unit.clone(), need: unit.clone() };
            let tree = sysroot.get(unit).ok_or_else(missing)?;
            framed.field("sysroot", unit.to_string()).field("tree", tree.as_bytes());
        }
        for archive in archives {
            framed.field("archive", encode_archive(archive));
        }
        Ok(ResolvedDigest::from_bytes(framed.finish()))
    }

    /// The archives that would do for each source that comes from archives.
    pub(super) fn archives(&self) -> impl Iterator<Item = &[Archive]> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Source(Source { origin: Origin::Archives(archives), .. }) => Some(archives.as_slice()),
            Input::Source(Source { origin: Origin::Local(_), .. }) | Input::Override(_) => None,
        })
    }

    /// Everything that both digests have in common, which is all but needs and archives; `domain` keeps them apart where
    /// there are none.
    fn encode(&self, domain: &str, encoding: Encoding) -> Framed {
        // Named one by one, so that a new field cannot be forgotten. The recipe's path and licence texts decide nothing.
        let Self {
            unit,
            version,
            recipe: _,
            inputs,
            license: _,
            compiler,
            tools: _,
            sysroot: _,
            env,
            phases,
            keep,
            installed_under,
        } = self;
        let Encoding { form, executor } = encoding;
        let mut framed = Framed::new(domain);
        framed.field("form", form.to_be_bytes()).field("executor", executor.to_be_bytes());
        framed.field("unit", unit.to_string()).field("version", version.as_str());
        for input in inputs {
            match input {
                Input::Source(Source { origin, into, only, patches }) => {
                    framed.field("source into", into.as_deref().unwrap_or_default()).list("only", only);
                    framed.list("patches", patches.iter().map(|patch| &patch.text));
                    if let Origin::Local(files) = origin {
                        for (path, file) in files {
                            framed.field("local", path).field("contents", &file.contents);
                            framed.field("executable", [u8::from(file.executable)]);
                        }
                    }
                }
                // Its path and its version decide nothing.
                Input::Override(Override { path: _, tree, version: _ }) => {
                    framed.field("override", tree.as_bytes());
                }
            }
        }
        if let Some(compiler) = compiler {
            framed.field("compiler", compiler.as_bytes());
        }
        for (name, value) in env {
            framed.field("env", name).field("value", value);
        }
        for phase in phases {
            framed.field("phase", phase.name);
            phase.steps.iter().for_each(|step| step.encode(&mut framed));
        }
        match keep {
            Keep::AllBut(globs) => framed.list("keep all but", globs),
            Keep::Only(globs) => framed.list("keep only", globs),
        };
        framed.field("installed under", installed_under);
        framed
    }
}

impl Step {
    fn encode(&self, framed: &mut Framed) {
        match self {
            Self::Run { argv, cwd } => framed.list("run", argv).field("cwd", cwd),
            Self::Write { path, contents } => framed.field("write", path).field("contents", contents),
            Self::SetSymbols { path, symbols } => {
                framed.field("set symbols", path).list("symbols", assignments(symbols))
            }
            Self::RequireSymbols { path, symbols } => {
                framed.field("require symbols", path).list("symbols", assignments(symbols))
            }
        };
    }
}

pub(super) fn assignments(symbols: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    symbols.iter().map(|(name, value)| format!("{name}={value}"))
}

fn encode_archive(archive: &Archive) -> Vec<u8> {
    let Archive { urls: _, digest, nested } = archive;
    let mut framed = Framed::new("archive");
    match digest {
        SourceDigest::Sha256(digest) => framed.field("sha256", digest.as_bytes()),
        SourceDigest::Sha512(digest) => framed.field("sha512", digest.as_bytes()),
    };
    framed.field("nested", nested.as_deref().unwrap_or_default());
    framed.finish().to_vec()
}
