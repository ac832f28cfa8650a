//! ELF programs: what a file says of itself, and whether that will do.
//!
//! [`ElfFacts::read`] looks and does not judge, so it reads anybody's programs. [`judge()`] holds the facts against an
//! arch record and knows nothing of bytes. `build` (through [`inspect_root`]) and `verify` use the same two.

mod canary;
mod dynamic;
mod error;
mod facts;
mod inspect;
mod judge;

pub use canary::Protector;
pub use dynamic::Relocations;
pub use error::ElfError;
pub use facts::{ElfFacts, ElfType, Section, Segment};
pub use inspect::{ElfFinding, ElfReport, inspect, inspect_root, inspect_script};
pub use judge::{ElfProblem, judge};

pub(super) use inspect::{mentions, script_problems};
