//! `k3sroot vex`: what is known of vulnerabilities of a root that was built.

use std::collections::BTreeMap;

use super::args::{Global, Vex};
use super::error::CliError;
use super::packed::{About, Document, Signer, from_store};
use super::print;
use super::project::{Project, existing_store};

pub(super) fn run(global: &Global, args: &Vex) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    let archives = BTreeMap::new();
    for arch in &planned.arches {
        let packed = from_store(&project, &store, &planned, arch)?;
        let about = About { project: &project, planned: &planned, arch, archives: &archives };
        let documents = about.documents(&[Document::Vex], &packed, &Signer::nobody())?;
        if documents.is_empty() {
            return Err(CliError::NothingKnown { arch: arch.clone() });
        }
        for document in documents {
            print(&String::from_utf8_lossy(&document.bytes))?;
        }
    }
    Ok(())
}
