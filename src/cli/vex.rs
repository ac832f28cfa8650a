//! `k3sroot vex`: what is known of vulnerabilities of a root that was built.

use super::args::{Global, Vex};
use super::error::CliError;
use super::packed::{About, Document, Signer, documents, from_store};
use super::print;
use super::project::{Project, existing_store};

pub(super) fn run(global: &Global, args: &Vex) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    for arch in &planned.arches {
        let packed = from_store(&project, &store, &planned, arch)?;
        let about = About::new(&project, &planned, arch, &store, &[])?;
        let contents = about.contents(&packed.root, &packed.files)?;
        let documents = documents(&[Document::Vex], &contents, &Signer::nobody());
        if documents.is_empty() {
            return Err(CliError::NothingKnown { arch: arch.clone() });
        }
        for document in documents {
            print(&String::from_utf8_lossy(&document.bytes))?;
        }
    }
    Ok(())
}
