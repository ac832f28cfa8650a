//! Bytes that come in: from a list of URLs to a verified file, from an archive to a tree, and patches onto it.

mod unpack;

pub use unpack::{UnpackError, UnpackSpec, unpack};
