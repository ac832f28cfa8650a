//! `k3sroot sbom`, `provenance` and `vex`: one of the documents about a root that was built.

use super::args::{Global, Provenance, Sbom, Selection, Vex};
use super::error::CliError;
use super::packed::{About, Document, Signer, documents, from_store};
use super::print;
use super::project::{Project, existing_store};
use execute::identities;
use sandbox::Mode;

/// What is inside.
pub(super) fn sbom(global: &Global, args: &Sbom) -> Result<(), CliError> {
    print_document(global, &args.selection, Document::Sbom(args.format), &Signer::nobody())
}

/// Where it came from; with a key, in an envelope.
pub(super) fn provenance(global: &Global, args: &Provenance) -> Result<(), CliError> {
    print_document(global, &args.selection, Document::Provenance, &Signer::new(&args.signing)?)
}

/// What is known of vulnerabilities.
pub(super) fn vex(global: &Global, args: &Vex) -> Result<(), CliError> {
    print_document(global, &args.selection, Document::Vex, &Signer::nobody())
}

fn print_document(
    global: &Global,
    selection: &Selection,
    kind: Document,
    signer: &Signer,
) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(selection, &store)?;
    let machines = identities(Mode::Namespaces)?;
    for arch in &planned.arches {
        let packed = from_store(global, &project, &store, &planned, arch)?;
        let about = About::new(&project, &planned, arch, &store, &machines)?;
        let contents = about.contents(&packed.root, &packed.files)?;
        // What is signed is the last, in an envelope with the document.
        let file = documents(&[kind], &contents, signer)
            .pop()
            .ok_or_else(|| CliError::NothingKnown { arch: arch.clone() })?;
        print(&String::from_utf8_lossy(&file.bytes))?;
    }
    Ok(())
}
