//! How actions are carried out, for their digests.

/// How k3sroot carries out any action, as a number: it is raised whenever a build could notice what it is given or its
/// outcome could differ, and is in every digest. `tests/executor.rs` holds it to the code that it stands for: the programs
/// that are borrowed, what a sandbox shows and allows, unpacking, patching, configuration symbols, what is kept and how.
pub const EXECUTOR: u32 = 1;
