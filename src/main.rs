//! `k3sroot` builds the userspace that K3s carries, from pinned sources to two deterministic tarballs.
//!
//! This is the program: words in, words and an exit code out. What decides something is in the rooms below `src/`, one
//! crate each, and their manifests say which of them may use which. They follow the data: a recipe becomes a node of
//! the graph, the graph a plan of actions ([`model`]); [`execute`] turns actions into outcomes kept in the [`store`]
//! (with [`fetch`] and [`sandbox`] for the bytes that come in and the processes that run), and [`root`] turns outcomes
//! into the tarballs and says what is in them. Nothing flows back. [`upkeep`] keeps recipes up to date, [`check`] builds
//! twice under different conditions and compares, [`report`] shows what a run did. All stand on [`base`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
