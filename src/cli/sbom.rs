//! `k3sroot sbom`: what is inside a root that was built.

use super::args::{Global, Sbom, SbomFormat};
use super::error::CliError;
use super::packed::{Document, Packed, documents, packed};
use super::print;
use super::project::{Project, existing_store};
use crate::execute::{identity, key};
use crate::name::{Machine, PackageName, Unit};
use crate::sandbox::Mode;

pub(super) fn run(global: &Global, args: &Sbom) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let store = existing_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    // Whatever built them: what programs for the target are does not depend on it.
    let machine = identity(Mode::Namespaces)?;
    for arch in &planned.arches {
        let mut trees = std::collections::BTreeMap::new();
        let target = Machine::Target(arch.clone());
        for action in planned.plan.actions().iter().filter(|action| action.unit().machine == target) {
            if let Some(outcome) = store.lookup(&key(action, &machine))? {
                trees.insert(action.unit().clone(), outcome.tree);
            }
        }
        let packed = packed(&project, &store, arch, |unit: &Unit| trees.get(unit).copied())?;
        let Some(Packed { root, missing, files }) = packed else {
            return Err(CliError::NothingPacked { arch: arch.clone() });
        };
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(PackageName::as_str).collect();
            eprintln!("warning: the root for {arch} is not complete; not built: {}", names.join(", "));
        }
        let wanted = match args.format {
            SbomFormat::Spdx => Document::Spdx,
            SbomFormat::Cyclonedx => Document::CycloneDx,
        };
        for document in documents(&[wanted], &project, &planned, arch, &root, &files) {
            print(&String::from_utf8_lossy(&document.bytes))?;
        }
    }
    Ok(())
}
