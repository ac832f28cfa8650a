//! What can be wrong between recipes.

use std::path::PathBuf;

use base::name::{PackageName, Unit};

/// Raised when recipes do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A package was asked for that no recipe describes.
    #[error("there is no package `{package}`{}", did_you_mean(similar.as_ref()))]
    UnknownPackage {
        /// What was asked for.
        package: PackageName,
        /// A known name that is close.
        similar: Option<PackageName>,
    },
    /// A recipe needs a package that no recipe describes.
    #[error("`{}` needs `{package}` ([needs] {key}), which no recipe describes{}", path.display(), did_you_mean(similar.as_ref()))]
    MissingNeed {
        /// The recipe that needs it.
        path: PathBuf,
        /// Under which key.
        key: &'static str,
        /// What it needs.
        package: PackageName,
        /// A known name that is close.
        similar: Option<PackageName>,
    },
    /// A tool that is made for an arch is needed where there is no arch.
    #[error(
        "`{}` needs `{package}`, which is made for an arch, but `{unit}` is for the build machine alone",
        path.display()
    )]
    CrossToolWithoutArch {
        /// The recipe that needs it.
        path: PathBuf,
        /// The unit that needs it.
        unit: Unit,
        /// The cross tool.
        package: PackageName,
    },
    /// Units that wait for each other.
    #[error("packages need each other: {}\nlook at [needs] in {}", chain(path), list(files))]
    Cycle {
        /// The way round, first and last the same.
        path: Vec<Unit>,
        /// The recipe files on the way.
        files: Vec<PathBuf>,
    },
}

fn did_you_mean(similar: Option<&PackageName>) -> String {
    similar.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn chain(path: &[Unit]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> ")
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>().join(", ")
}
