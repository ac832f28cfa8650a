//! Recipes: TOML files in, validated [`Recipe`]s out, with the place in the file for every complaint.
//!
//! [`load()`] is the only function here that touches the disk: it reads the recipes, their patches and the files that
//! we ship ourselves, so that everything after it works on values. A recipe knows nothing of other recipes; whether
//! its needs exist is the graph's business.

mod cve;
mod error;
mod load;
mod schema;
#[cfg(test)]
mod tests;
mod validate;
mod vulnerability;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use base::digest::{Sha256, SourceDigest};
use base::name::{ArchName, Machine, PackageName, Version};

pub use error::RecipeError;
pub use load::load;
pub use validate::{Beside, parse};
pub use vulnerability::{Cve, CveStatus, Justification};

/// One package, as its recipe describes it.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The recipe file, for messages.
    pub path: PathBuf,
    /// The digest of the recipe file as it was read.
    pub sha256: Sha256,
    /// The package's name, also the file's.
    pub name: PackageName,
    /// Upstream's version.
    pub version: Version,
    /// One line that says what the package is.
    pub summary: String,
    /// Upstream's home page.
    pub homepage: String,
    /// Under which terms it comes.
    pub license: License,
    /// How scanners name it.
    pub identity: Identity,
    /// Its source trees; the first is unpacked to `/src`.
    pub sources: Vec<Source>,
    /// Why it does not have upstream's newest release; none if it does.
    pub held: Option<Held>,
    /// What is known of vulnerabilities that scanners may report; each once.
    pub cves: Vec<Cve>,
    /// What must be built before it.
    pub needs: Needs,
    /// How it is built.
    pub build: Build,
    /// Globs of what to keep of the installed files; empty for the default choice.
    pub keep: Vec<String>,
    /// Environment for every unit that has this package among its tools.
    pub exports: BTreeMap<String, String>,
}

/// Why a package stays at its version although there is a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Upstream's newest release, as far as is known.
    pub newest: Version,
    /// The reason in words.
    pub because: String,
}

/// Licence terms and the digests of the texts, so that a text cannot change unseen with a version.
#[derive(Debug, Clone)]
pub struct License {
    /// An SPDX expression.
    pub spdx: String,
    /// Licence files in the source, by path under `/src`.
    pub files: BTreeMap<String, Sha256>,
}

/// How scanners name a package.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `vendor:product` of the CPE dictionary, where there is an entry.
    pub cpe: Option<String>,
    /// A package URL without its version.
    pub purl: Option<String>,
}

/// One tree that the build needs.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where the bytes come from.
    pub origin: Origin,
    /// The folder under `/src` that it is unpacked to; none for `/src` itself.
    pub into: Option<String>,
    /// Globs of the parts that are needed; empty for all.
    pub only: Vec<String>,
    /// Patches, in order.
    pub patches: Vec<Patch>,
}

/// Where a source's bytes come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Archives that would each do, in order of preference.
    Archives(Vec<Archive>),
    /// Files that live beside the recipes, by path.
    Local(BTreeMap<String, LocalFile>),
}

/// An archive, named by its digest; a URL says only where it may be had.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Where it may be had, in order.
    pub urls: Vec<String>,
    /// What it is.
    pub digest: SourceDigest,
    /// A glob of the archive inside this one that holds the tree.
    pub nested: Option<String>,
}

impl Archive {
    /// Where anybody can have it: its first address that is one of the web.
    pub fn web_address(&self) -> Option<&str> {
        web_address(&self.urls)
    }
}

/// Where anybody can have what is at one of `urls`: the first address of the web.
pub fn web_address(urls: &[String]) -> Option<&str> {
    urls.iter().map(String::as_str).find(|url| url.starts_with("https://"))
}

/// A file that lives beside the recipes.
#[derive(Debug, Clone)]
pub struct LocalFile {
    /// Its bytes.
    pub contents: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// A patch with its text.
#[derive(Debug, Clone)]
pub struct Patch {
    /// The file's name in `patches/<package>/`.
    pub name: String,
    /// A unified diff, applied with one leading path component stripped.
    pub text: String,
}

/// What must be built before a package.
#[derive(Debug, Clone)]
pub struct Needs {
    /// Programs that run while it is built.
    pub tools: Vec<PackageName>,
    /// Libraries and headers for the same machine.
    pub link: Vec<PackageName>,
    /// For cross tools: what of the arch they are made for must be there already.
    pub target: Vec<PackageName>,
    /// What it needs itself while it runs as somebody's tool.
    pub run: Vec<PackageName>,
    /// How much of the target toolchain it needs.
    pub toolchain: Toolchain,
}

/// How much of the target toolchain a target unit needs without saying so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Toolchain {
    /// Compiler, binutils, C library and kernel headers: every ordinary package.
    #[default]
    Libc,
    /// Compiler and binutils: the C library itself.
    Compiler,
    /// Nothing: headers and scripts.
    None,
}

/// The `[build]` table.
#[derive(Debug, Clone)]
pub struct Build {
    /// The build system with what only it understands.
    pub system: System,
    /// Whether the unit runs on the build machine and is made for an arch.
    pub cross: bool,
    /// The folder under `/src` in which the build happens.
    pub subdir: Option<String>,
    /// Commands before anything else, in `/src`.
    pub prepare: Vec<Vec<String>>,
    /// Commands after the installation.
    pub finish: Vec<Vec<String>>,
    /// Options for every machine.
    common: Options,
    arch: BTreeMap<ArchName, Options>,
    here: Options,
}

impl Build {
    /// The options for `machine`: those for all, then what the machine adds (lists append, single values replace).
    pub fn options(&self, machine: &Machine) -> Options {
        let mut options = self.common.clone();
        match machine {
            Machine::Build => options.add(&self.here),
            Machine::Cross(arch) => {
                options.add(&self.here);
                self.arch.get(arch).into_iter().for_each(|more| options.add(more));
            }
            Machine::Target(arch) => {
                self.arch.get(arch).into_iter().for_each(|more| options.add(more));
            }
        }
        options
    }

    /// The arches that have options of their own.
    pub fn arches(&self) -> impl Iterator<Item = &ArchName> {
        self.arch.keys()
    }
}

/// A build system and what only it understands.
#[derive(Debug, Clone)]
pub enum System {
    /// `configure`, `make`, `make install`.
    Autotools {
        /// Whether it builds in the source tree.
        in_tree: bool,
        /// Whether `configure` has to be made first.
        autoreconf: bool,
        /// Make targets; none for the default one.
        targets: Vec<String>,
        /// Make targets of the installation.
        install: Vec<String>,
    },
    /// A makefile without `configure`.
    Make {
        /// Make targets; none for the default one.
        targets: Vec<String>,
        /// Make targets of the installation; none for no installation step.
        install: Vec<String>,
    },
    /// Meson and ninja.
    Meson {
        /// Ninja targets; none for the default one.
        targets: Vec<String>,
        /// Whether meson installs what was built; not where only a part was.
        install: bool,
    },
    /// A kernel-style configuration: a base plus differences.
    Kconfig {
        /// The make target that writes the base configuration.
        base: String,
        /// Make targets; none for the default one.
        targets: Vec<String>,
        /// Make targets of the installation.
        install: Vec<String>,
    },
    /// Commands, the last resort.
    Script {
        /// The commands, each an argv.
        steps: Vec<Vec<String>>,
    },
}

/// Options that add up over machines.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Words for `configure` or `meson setup`.
    pub configure: Vec<String>,
    /// Words for every `make`.
    pub make: Vec<String>,
    /// Compiler flags after the policy's.
    pub cflags: Vec<String>,
    /// Preprocessor flags after the policy's.
    pub cppflags: Vec<String>,
    /// Linker flags after the policy's.
    pub ldflags: Vec<String>,
    /// Libraries for every link.
    pub libs: Vec<String>,
    /// Environment for every command.
    pub env: BTreeMap<String, String>,
    /// Answers given to `configure` in advance.
    pub cache: BTreeMap<String, String>,
    /// Configuration symbols, with the value each must have in the end (`y`, `n` or as written in the file).
    pub symbols: BTreeMap<String, String>,
}

impl Options {
    fn add(&mut self, more: &Self) {
        let Self { configure, make, cflags, cppflags, ldflags, libs, env, cache, symbols } = more;
        self.configure.extend_from_slice(configure);
        self.make.extend_from_slice(make);
        self.cflags.extend_from_slice(cflags);
        self.cppflags.extend_from_slice(cppflags);
        self.ldflags.extend_from_slice(ldflags);
        self.libs.extend_from_slice(libs);
        for (ours, theirs) in [(&mut self.env, env), (&mut self.cache, cache), (&mut self.symbols, symbols)] {
            ours.extend(theirs.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
    }
}

/// All recipes, by name.
pub type Recipes = BTreeMap<PackageName, Recipe>;
