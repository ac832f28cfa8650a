//! `k3sroot sbom`: what is inside a root that was built.

use std::collections::BTreeMap;

use super::args::{Global, Sbom};
use super::error::CliError;
use super::packed::{About, Document, Signer, from_store};
use super::print;
use super::project::{Project, existing_store};

pub(super) fn run(global: &Global, args: &Sbom) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    for arch in &planned.arches {
        let packed = from_store(&project, &store, &planned, arch)?;
        let archives = BTreeMap::new();
        let about = About { project: &project, planned: &planned, arch, archives: &archives };
        for document in about.documents(&[Document::Sbom(args.format)], &packed, &Signer::nobody())? {
            print(&String::from_utf8_lossy(&document.bytes))?;
        }
    }
    Ok(())
}
