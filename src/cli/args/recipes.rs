//! The words of the verbs that look after recipes.

use std::path::PathBuf;

use clap::Args;

use super::Sources;
use base::name::{PackageName, Version};
use upkeep::lint::Rule;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot new pigz --url https://zlib.net/pigz/pigz-2.8.tar.gz --license Zlib\n\n\
    The archive is downloaded and looked at: its digest, its licence texts, how it is built. What is written is \
    printed too. CONTRIBUTING.md says what comes next.")]
pub(in crate::cli) struct New {
    /// What to call the package.
    #[arg(value_name = "PACKAGE")]
    pub(in crate::cli) name: PackageName,
    /// Its archive: `https:`, `file:`, `debian:<source package>/<file>` or `pypi:<project>/<file>`.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: String,
    /// Its version [default: what the archive's name says].
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) version: Option<Version>,
    /// What it is, in one line.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) summary: Option<String>,
    /// Its home page [default: the host of the URL].
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) homepage: Option<String>,
    /// An SPDX expression [default: that of the recipes with the same licence texts, if it is one].
    #[arg(long, value_name = "SPDX")]
    pub(in crate::cli) license: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot outdated\n  \
    k3sroot outdated --listing versions.txt\n  \
    k3sroot outdated --listing tests/newest.toml\n\n\
    Each recipe's own places are asked, in their order: the folder that the archive lies in, a git host's feed of \
    releases, the pool of a Debian mirror, a package index. The first that names a version counts; where that is \
    a folder for a series, the later of its and the next place's. `current in 2.84`: nobody knew of other series. \
    `held`: the recipe says why it stays at its version, which is printed below.\n\n\
    Exit status: 0 the latest version of each is known, 1 of some it is not.")]
pub(in crate::cli) struct Outdated {
    /// Packages [default: all].
    #[arg(value_name = "PACKAGE")]
    pub(in crate::cli) packages: Vec<PackageName>,
    /// Go by this file, of lines `package version` or TOML as in `tests/newest.toml`, and ask nobody.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) listing: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot bump pigz\n  \
    k3sroot bump pigz 2.9 --dry-run\n\n\
    The new archives are downloaded, their digests written into the recipe, its licence texts compared and its patches \
    tried. Compare the digests with what upstream publishes: nobody has vouched for them yet.\n\n\
    Exit status: 0 changed and nothing is left to do, 1 something is left to do or nothing could be changed.")]
pub(in crate::cli) struct Bump {
    /// The package.
    #[arg(value_name = "PACKAGE")]
    pub(in crate::cli) package: PackageName,
    /// The version [default: the latest that `k3sroot outdated` finds].
    #[arg(value_name = "VERSION")]
    pub(in crate::cli) version: Option<Version>,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Take those of a source's archives out of the recipe that cannot be had in the new version.
    #[arg(long)]
    pub(in crate::cli) leave_out: bool,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot lint\n  \
    k3sroot lint pigz --allow summary\n  \
    k3sroot lint --rules\n\n\
    Exit status: 0 nothing found, 1 something found or a recipe cannot be used, 2 k3sroot could not look.")]
pub(in crate::cli) struct Lint {
    /// Packages [default: all, and what lies beside the recipes].
    #[arg(value_name = "PACKAGE")]
    pub(in crate::cli) packages: Vec<PackageName>,
    /// Rules that do not count; may be given several times.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub(in crate::cli) allow: Vec<Rule>,
    /// Print the rules, with the reason for each.
    #[arg(long, conflicts_with = "packages")]
    pub(in crate::cli) rules: bool,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
