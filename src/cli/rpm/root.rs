//! The package of the root: every archive that a build needs, and what is known of what is made of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{VERSION, Written, homepage};
use crate::attest::{LIBGCC, Role};
use crate::cli::args::{Compiler, Global, Rpm, Selection, ToolchainChoice};
use crate::cli::collect::{Collected, all_wanted, collect};
use crate::cli::doctor::borrowed;
use crate::cli::error::CliError;
use crate::cli::packed::{DOCUMENTS, Document, components};
use crate::cli::place::place;
use crate::cli::project::{Planned, Project, open_store, recipes_folder};
use crate::digest::SourceDigest;
use crate::fetch::{Lock, LockedArchive, file_name};
use crate::name::ArchName;
use crate::recipe::web_address;
use crate::rpm::{Component, Distribution, ROOT, Registration, RootArch, RootFacts, RootTarball, root_spec};

/// Writes the package of the root; returns the archives that could not be had, each with its digest and where it belongs.
pub(super) fn write(
    global: &Global,
    args: &Rpm,
    distribution: Distribution,
    project: &Project,
    written: &mut Written,
) -> Result<Vec<String>, CliError> {
    let compiler = Compiler { toolchain: args.toolchain, cross_prefix: Vec::new() };
    let selection =
        Selection { arch: args.arch.clone(), packages: Vec::new(), overrides: Vec::new(), compiler };
    let host = args.toolchain == ToolchainChoice::Host;
    if host && project.arches(&args.arch)?.len() > 1 {
        return Err(CliError::RpmHostArches);
    }
    let store = open_store(global)?;
    let planned = project.plan(&selection, &store)?;
    let collected = collect(global, &args.sources, &store, &planned)?;
    let (archives, missing) = all_archives(&planned, collected)?;
    say_what_is_not_first(global, &planned, &archives);
    let golden = |arch: &ArchName| -> Result<bool, CliError> {
        Ok(!host && recipes_folder(global)?.join("golden").join(format!("{arch}.toml")).is_file())
    };
    let mut arches = Vec::new();
    for arch in &planned.arches {
        arches.push(root_arch(project, &planned, arch, golden(arch)?)?);
    }
    let machines = if host { planned.arches.as_slice() } else { &[] };
    let machines: Vec<String> = machines
        .iter()
        .map(|arch| Ok(rpm_machine(&project.arches.get(arch)?.triple)))
        .collect::<Result<_, CliError>>()?;
    let spec = root_spec(&RootFacts {
        distribution,
        packager: &args.packager,
        version: VERSION,
        homepage: homepage(args),
        toolchain: if host { "host" } else { "source" },
        machines,
        arches,
        archives: &archives.iter().map(|(archive, _)| archive.clone()).collect::<Vec<_>>(),
        borrowed: &borrowed(),
        support: host.then_some(LIBGCC),
    });
    let folder = args.out.join(ROOT);
    written.text(folder.join(format!("{ROOT}.spec")), &spec)?;
    let mut sources = BTreeMap::new();
    for (archive, path) in &archives {
        let dest = folder.join(&archive.file);
        if sources.insert(archive.file.clone(), archive.sha256).is_some() {
            continue;
        }
        if let Some(path) = path {
            place(path, &dest, archive.sha256, false)?;
            written.paths.push(dest);
        }
    }
    written.registers(args, distribution, ROOT, &sources, registrations(project, &archives)?)?;
    let belongs =
        |archive: LockedArchive| format!("{}  {}", archive.sha256, folder.join(&archive.file).display());
    Ok(missing.into_iter().map(belongs).collect())
}

/// An archive, and where it lies if it could be had.
type Found = (LockedArchive, Option<std::path::PathBuf>);

/// Every archive with a file name of its own, and those that could not be had: of these what the recipes say of them.
fn all_archives(
    planned: &Planned,
    collected: Collected,
) -> Result<(Vec<Found>, Vec<LockedArchive>), CliError> {
    let mut paths = BTreeMap::new();
    let mut all = Vec::new();
    for (archive, path) in collected.archives {
        paths.insert((archive.name.clone(), archive.source), path);
        all.push(archive);
    }
    for (_, error) in &collected.missing {
        eprintln!("warning: {error}");
    }
    for ((name, version), sources) in all_wanted(planned) {
        for (source, archives) in sources.into_iter().enumerate() {
            if paths.contains_key(&(name.clone(), source)) {
                continue;
            }
            let pinned = archives.iter().find_map(|archive| match archive.digest {
                SourceDigest::Sha256(sha256) => Some((archive, sha256)),
                SourceDigest::Sha512(_) => None,
            });
            let Some((archive, sha256)) = pinned else {
                return Err(CliError::RpmNoSha256 { label: format!("{name} {version}") });
            };
            let url = web_address(&archive.urls);
            all.push(LockedArchive {
                file: file_name(url.into_iter().chain(archive.urls.iter().map(String::as_str)))
                    .unwrap_or_else(|| format!("{name}-{version}-{source}")),
                url: url.map(str::to_owned),
                name: name.clone(),
                version: version.clone(),
                source,
                sha256,
                size: 0,
            });
        }
    }
    let found = |archive: LockedArchive| {
        let path = paths.remove(&(archive.name.clone(), archive.source));
        (archive, path)
    };
    let all: Vec<Found> = Lock::new(all).archives.into_iter().map(found).collect();
    let missing = all.iter().filter(|(_, path)| path.is_none()).map(|(archive, _)| archive.clone()).collect();
    Ok((all, missing))
}

/// Says which packages come in another archive than the recipe's first: where that can be had, the spec is another.
fn say_what_is_not_first(global: &Global, planned: &Planned, archives: &[Found]) {
    let wanted = all_wanted(planned);
    let is_other = |archive: &LockedArchive| {
        let sources = wanted.get(&(archive.name.clone(), archive.version.clone()));
        let first = sources.and_then(|sources| sources.get(archive.source)?.first());
        first.is_some_and(
            |first| matches!(first.digest, SourceDigest::Sha256(sha256) if sha256 != archive.sha256),
        )
    };
    let others = archives.iter().map(|(archive, _)| archive).filter(|archive| is_other(archive));
    let names: Vec<&str> = others.map(|archive| archive.name.as_str()).collect();
    if !names.is_empty() {
        global.say(&format!(
            "note: not in the archive that the recipe names first, which could not be had: {}",
            names.join(", ")
        ));
    }
}

fn root_arch(
    project: &Project,
    planned: &Planned,
    arch: &ArchName,
    golden: bool,
) -> Result<RootArch, CliError> {
    let tarball = |(place, (name, file)): (usize, (String, String))| -> Result<RootTarball, CliError> {
        let shipped = project.layout.packages_in(place);
        let inside = components(project, planned, arch, &shipped.iter().collect())?;
        let inside = inside.into_values().filter(|component| component.role != Role::Tool);
        let component = |component: crate::attest::Component<'_>| Component {
            name: component.recipe.name.to_string(),
            version: component.recipe.version.to_string(),
            terms: component.recipe.license.spdx.clone(),
        };
        Ok(RootTarball { name, file, components: inside.map(component).collect::<BTreeSet<_>>() })
    };
    let tarballs = project.layout.tarball_files(arch).into_iter().enumerate();
    // One without statements is not written.
    let packages = project.layout.packages();
    let all = components(project, planned, arch, &packages.iter().collect())?;
    let mut all = all.values().filter(|component| component.role != Role::Tool);
    let is_known = all.any(|component| !component.recipe.cves.is_empty());
    let documents = DOCUMENTS.iter().filter(|kind| is_known || **kind != Document::Vex);
    Ok(RootArch {
        name: arch.clone(),
        tarballs: tarballs.map(tarball).collect::<Result<_, CliError>>()?,
        checksums: project.layout.checksums_file(arch),
        documents: documents.map(|kind| kind.file(arch)).collect(),
        golden,
    })
}

/// What RPM calls the machines of a GNU triple.
fn rpm_machine(triple: &str) -> String {
    match triple.split('-').next().unwrap_or(triple) {
        "arm" => "armv7hl".to_owned(),
        machine => machine.to_owned(),
    }
}

/// Every package whose archives are among the sources, and where anybody has it.
fn registrations(project: &Project, archives: &[Found]) -> Result<Vec<Registration>, CliError> {
    let register = |(archive, _): &Found| -> Result<Registration, CliError> {
        let recipe = project.recipe(&archive.name.parse()?)?;
        Ok(Registration {
            name: archive.name.clone(),
            version: archive.version.clone(),
            download_url: archive.url.clone().unwrap_or_else(|| recipe.homepage.clone()),
        })
    };
    archives.iter().map(register).collect()
}
