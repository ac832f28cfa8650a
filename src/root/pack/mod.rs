//! From the trees that packages left to the tarballs: `recipes/root.toml` says which file of which package goes where.
//!
//! In: a [`Layout`], the tree of each package it names, the packages that could not be had. Out: a [`Root`], the chosen
//! members of every tarball, first with handles in the place of contents ([`assemble()`] is pure), then with the
//! contents ([`Root::load`]), then as bytes ([`write_tar`], [`render_root`]). [`inspect`] says what is wrong with an ELF
//! file. The way back is for tarballs of anybody's: [`Archive`] reads one, [`verify()`] holds it against K3s's
//! contract, [`diff()`] compares two. Knows nothing of how packages are built, nor of the store: a handle is whatever
//! the caller reads contents by.

mod archive;
mod assemble;
mod contract;
mod diff;
mod elf;
pub mod layout;
mod needles;
mod root;
mod tar;
mod verify;
mod version;
mod write;

pub use archive::{Archive, ArchiveError, ArchiveMember, ArchiveType};
pub use assemble::{AssembleError, Claimant, PackageTree, TreeEntry, assemble};
pub use contract::{Expected, ExpectedType, TarballKind};
pub use diff::{Change, Changed, Difference, Side, Sole, diff};
pub use elf::{
    ElfError, ElfFacts, ElfFinding, ElfProblem, ElfReport, ElfType, Protector, Relocations, Section, Segment,
    inspect, inspect_root, inspect_script, judge,
};
pub use layout::{FileKind, Layout, LayoutError};
pub use root::{Content, LeftOut, Member, Origin, Root, Tarball};
pub use tar::{TarError, write_tar};
pub use verify::{Check, Checked, Finding, Program, Report, Verdict, VerifyError, verify};
pub use version::{tells_version, version as program_version};
pub use write::{PackError, Rendered, Written, render_root, write_files};
