//! The words of the verb that writes specs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Sources, ToolchainChoice};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot rpm --distribution emt --arch amd64 --out SPECS\n  \
    k3sroot rpm --distribution emt --k3s-spec SPECS/k3s/k3s.spec --out SPECS\n  \
    k3sroot rpm --distribution fedora --toolchain host --only k3s-root\n\n\
    Two packages: `k3sroot`, the tool, and `k3s-root`, which is built with it from the archives beside its spec, \
    without a network. The paths of all that was written are printed.\n\n\
    Exit status: 0 all is there, 1 an archive could not be had, which the spec lists all the same.")]
pub(in crate::cli) struct Rpm {
    /// Whose conventions the specs keep.
    #[arg(long, value_enum)]
    pub(in crate::cli) distribution: DistributionChoice,
    /// Arches, separated by commas, or `all`; one with `--toolchain host`.
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_value = "amd64")]
    pub(in crate::cli) arch: Vec<String>,
    /// Where the compiler comes from.
    #[arg(long, value_enum, default_value_t = ToolchainChoice::Source)]
    pub(in crate::cli) toolchain: ToolchainChoice,
    /// Folder for a folder for each package.
    #[arg(long, value_name = "DIR", default_value = "SPECS")]
    pub(in crate::cli) out: PathBuf,
    /// Write one of the two packages alone.
    #[arg(long, value_enum)]
    pub(in crate::cli) only: Option<PackageChoice>,
    /// The crates of k3sroot, packed before: a `.tar.gz` with the folder `vendor` that `cargo vendor` makes.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) vendor: Option<PathBuf>,
    /// A spec of K3s that unpacks a tarball of somebody else's: what to change is written as a patch.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) k3s_spec: Option<PathBuf>,
    /// Where k3sroot is published: the specs' `URL`, and where the packages are registered to come from
    /// [default: what its Cargo.toml says].
    #[arg(long, value_name = "URL", value_parser = super::uri)]
    pub(in crate::cli) homepage: Option<String>,
    /// Who stands in the changelogs: `Name <mail>`.
    #[arg(long, value_name = "WHO", default_value = "k3sroot", value_parser = line)]
    pub(in crate::cli) packager: String,
    /// Refused: a package is made of pinned sources only.
    #[arg(long = "override", value_name = "PACKAGE=DIR", hide = true)]
    pub(in crate::cli) overrides: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
}

/// Text that stays in the line of a spec that it is put into.
fn line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        return Err("this is no name in one line, like `Name <mail@example.org>`".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DistributionChoice {
    /// Intel's Edge Microvisor Toolkit.
    Emt,
    /// Fedora.
    Fedora,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PackageChoice {
    /// The tool.
    K3sroot,
    /// The root.
    K3sRoot,
}
