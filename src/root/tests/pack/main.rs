//! From trees to tarballs: the real layout against upstream's inventory, and everything that must be refused.

#![allow(clippy::unwrap_used, reason = "all of this is tests, its helpers too")]

mod assemble;
mod diff;
mod elf;
mod fake;
mod inventory;
mod layout;
#[path = "../../../../tests/common/skipped.rs"]
mod skipped;
mod tar;
mod verify;
