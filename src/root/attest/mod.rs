//! What is inside a root, where it came from and what is known of its vulnerabilities, as documents that others read:
//! SPDX, CycloneDX, OpenVEX, in-toto with SLSA provenance; envelopes in which these are signed; and the pack of sources,
//! patches and licences that goes with it.
//!
//! Every document is a pure function of the recipes, the plan and what was packed: no clock and no chance, so two who
//! build the same bits have the same documents.

mod contents;
mod cyclonedx;
pub mod dsse;
mod legal;
pub mod provenance;
mod spdx;
mod standing;
mod statement;
mod vex;

use std::time::{Duration, UNIX_EPOCH};

use base::digest::Sha256;
use model::plan::policy::SOURCE_DATE_EPOCH;

pub use contents::{Component, Contents, File, Given, LIBGCC, MachineCompiler, Role, Tarball, all_terms};
pub use cyclonedx::cyclonedx;
pub use legal::{
    LegalError, LegalPack, LicenseText, LocalTexts, MANIFEST, Missing, OFFER, PackFile, PackGiven, Used,
    UsedArchive, contact, is_about, legal_pack,
};
pub use provenance::provenance;
pub use spdx::spdx;
pub use standing::Standing;
pub use statement::{Statement, StatementError};
pub use vex::openvex;

/// The time that every document has: that of the files in the tarballs.
fn created() -> String {
    let since = Duration::from_secs(SOURCE_DATE_EPOCH.unsigned_abs());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// The digest of a document that has no name yet: names of documents are made of it.
fn digest(document: &serde_json::Value) -> Sha256 {
    Sha256::of(document.to_string().as_bytes())
}

/// What the whole is called.
fn name(contents: &Contents<'_>) -> String {
    format!("k3s-root-{}", contents.arch)
}
