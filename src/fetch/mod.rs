//! Bytes that come in: from a list of URLs to a verified file, from an archive to a tree, and patches onto it.

mod patch;
mod unpack;

pub use patch::{PatchError, apply_patch};
pub use unpack::{UnpackError, UnpackSpec, unpack};
