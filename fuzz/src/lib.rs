//! What is promised of bytes that come from outside: a function for each kind, which takes any bytes and panics if a
//! promise is broken. libFuzzer calls them from `fuzz_targets/`; `tests/promises/` takes in this file too and calls
//! them with what is kept in `corpus/`.

#![allow(clippy::unwrap_used, reason = "a broken promise is a panic")]

mod advisory;
mod archive;
mod elf;
mod patch;
mod recipe;
mod scratch;
mod store;
mod tarball;
mod unpack;

pub use advisory::advisory;
pub use elf::elf;
pub use patch::patch;
pub use recipe::recipe;
pub use store::store;
pub use tarball::tarball;
pub use unpack::unpack;

use std::path::Path;
use std::sync::OnceLock;

use model::arch::Arches;

/// The real arch records. This is compiled from the project's folder and from `fuzz/`.
fn arches() -> &'static Arches {
    static ARCHES: OnceLock<Arches> = OnceLock::new();
    ARCHES.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [here.join("sysroot"), here.join("../sysroot")];
        Arches::load(folders.iter().find(|folder| folder.is_dir()).unwrap()).unwrap()
    })
}
