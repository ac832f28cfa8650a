//! k3sroot and the root as RPMs: what is known of both goes in, the texts of specs and of what a distribution keeps beside
//! them come out.
//!
//! Pure: no file is read and no program is run here. A spec is written whole; what it would interpret is escaped in one
//! place. What sets distributions apart is a record in [`Distribution`], not a condition in the specs.

mod archive;
mod crates;
mod distribution;
mod k3s;
mod register;
mod root;
mod spec;
mod tool;

pub use archive::{SourceTar, gzip_of};
pub use crates::{Crates, CratesError, TREE};
pub use distribution::{Conventions, Distribution};
pub use k3s::{K3sError, edit_signatures, edit_spec, unified};
pub use register::{Registration, licence_map, registrations, signatures};
pub use root::{Component, RootArch, RootFacts, RootSource, RootTarball, root_spec};
pub use spec::rpm_version;
pub use tool::{TOOL, ToolFacts, cargo_config, cargo_config_file, tool_spec, tree_file, vendor_file};

/// What the package of the root is called.
pub const ROOT: &str = "k3s-root";
