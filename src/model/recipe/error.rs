//! What can be wrong with a recipe.

use std::ops::Range;
use std::path::PathBuf;

/// Raised when recipes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A file or folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in a recipe is wrong, at a known place.
    #[error("`{}`: {message}", path.display())]
    Invalid {
        /// The recipe file.
        path: PathBuf,
        /// Its text, for showing the place.
        text: String,
        /// The place, in bytes from the start of the text.
        span: Range<usize>,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The folder has no recipe.
    #[error("`{}` has no recipe: run k3sroot in a checkout of the project or give `--recipes DIR`", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
}
