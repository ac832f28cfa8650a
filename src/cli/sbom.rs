//! `k3sroot sbom`: what is inside a root that was built.

use super::args::{Global, Sbom};
use super::error::CliError;
use super::packed::{Document, contents, documents, from_store};
use super::print;
use super::project::{Project, existing_store};
use crate::execute::HostCompiler;

pub(super) fn run(global: &Global, args: &Sbom) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    for arch in &planned.arches {
        let packed = from_store(&project, &store, &planned, arch)?;
        let compiler = planned.compilers.get(arch).map(HostCompiler::describe);
        let contents = contents(&project, &planned, arch, &packed.root, &packed.files, compiler.as_deref());
        for document in documents(&[Document::Sbom(args.format)], &contents) {
            print(&String::from_utf8_lossy(&document.bytes))?;
        }
    }
    Ok(())
}
