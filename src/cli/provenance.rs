//! `k3sroot provenance`: where a root that was built came from.

use super::args::{Global, Provenance};
use super::error::CliError;
use super::packed::{About, Document, Signer, documents, from_store};
use super::print;
use super::project::{Project, existing_store};
use crate::execute::identities;
use crate::sandbox::Mode;

pub(super) fn run(global: &Global, args: &Provenance) -> Result<(), CliError> {
    let signer = Signer::new(&args.signing)?;
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    let machines = identities(Mode::Namespaces)?;
    for arch in &planned.arches {
        let packed = from_store(&project, &store, &planned, arch)?;
        let about = About::new(&project, &planned, arch, &store, &machines)?;
        let contents = about.contents(&packed.root, &packed.files)?;
        // Signed, the statement is in the envelope, which is the last.
        if let Some(file) = documents(&[Document::Provenance], &contents, &signer).pop() {
            print(&String::from_utf8_lossy(&file.bytes))?;
        }
    }
    Ok(())
}
