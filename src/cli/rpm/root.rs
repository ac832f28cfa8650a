//! The package of the root: every archive that a build needs, and what is known of what is made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{VERSION, Written, homepage};
use crate::cli::args::{Compiler, Global, Rpm, Selection, ToolchainChoice};
use crate::cli::collect::{Collected, Wanted, all_wanted, archive_file, collect};
use crate::cli::doctor::borrowed;
use crate::cli::error::CliError;
use crate::cli::packed::{DOCUMENTS, Document, components};
use crate::cli::place::{Placed, place};
use crate::cli::project::{Planned, Project, open_store, recipes_folder};
use base::digest::SourceDigest;
use base::name::ArchName;
use fetch::{Archive, LockedArchive, Named, names_apart};
use model::recipe::web_address;
use root::attest::{LIBGCC, Role};
use upkeep::rpm::{
    Component, Distribution, ROOT, Registration, RootArch, RootFacts, RootSource, RootTarball, root_spec,
};

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
    let archives = all_archives(&planned, collected);
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
        sources: &archives.iter().map(Found::source).collect::<Vec<_>>(),
        borrowed: &borrowed(),
        support: host.then_some(LIBGCC),
    });
    let folder = args.out.join(ROOT);
    written.text(folder.join(format!("{ROOT}.spec")), &spec)?;
    let (mut sources, mut missing) = (BTreeMap::new(), BTreeSet::new());
    for found in &archives {
        let dest = folder.join(&found.file);
        match (found.digest, &found.path) {
            (SourceDigest::Sha256(sha256), path) => {
                let is_new = sources.insert(found.file.clone(), sha256).is_none();
                if let Some(path) = path.as_ref().filter(|_| is_new) {
                    place(path, &dest, sha256, Placed::Own)?;
                    written.paths.push(dest.clone());
                }
            }
            (SourceDigest::Sha512(_), _) if distribution.conventions().registers => eprintln!(
                "warning: no signature of `{}`: the recipe of {} has its SHA-512 digest alone, and a list of \
                 signatures wants the SHA-256 of its bytes: where it can be had, or with `--distfiles FOLDER`, \
                 `k3sroot rpm` adds it",
                found.file, found.package
            ),
            (SourceDigest::Sha512(_), _) => {}
        }
        if found.path.is_none() {
            missing.insert((found.file.as_str(), format!("{}  {}", found.digest, dest.display())));
        }
    }
    written.registers(args, distribution, ROOT, &sources, registrations(project, &planned, &archives)?)?;
    Ok(missing.into_iter().map(|(_, line)| line).collect())
}

/// An archive that is a source of the spec.
struct Found {
    /// The package that it is a source of.
    package: String,
    version: String,
    /// Which of the package's sources that come from archives it is, from 0.
    source: usize,
    /// Its file beside the spec.
    file: String,
    url: Option<String>,
    /// The SHA-256 of its bytes, but where nobody can tell it: the recipe has another digest, and the archive is not here.
    digest: SourceDigest,
    /// Where it lies, if it could be had.
    path: Option<PathBuf>,
}

impl Found {
    fn source(&self) -> RootSource {
        RootSource { file: self.file.clone(), url: self.url.clone() }
    }
}

/// Every archive with a file name of its own; of those that could not be had, what the recipes say of them.
fn all_archives(planned: &Planned, collected: Collected) -> Vec<Found> {
    for (_, error) in &collected.missing {
        eprintln!("warning: {error}");
    }
    let had = |(archive, path): (LockedArchive, PathBuf)| Found {
        package: archive.name,
        version: archive.version,
        source: archive.source,
        file: archive.file,
        url: archive.url,
        digest: SourceDigest::Sha256(archive.sha256),
        path: Some(path),
    };
    let mut all: Vec<Found> = collected.archives.into_iter().map(had).collect();
    let here: BTreeSet<(String, usize)> =
        all.iter().map(|found| (found.package.clone(), found.source)).collect();
    for ((package, version), sources) in all_wanted(planned) {
        for (source, archives) in sources.into_iter().enumerate() {
            if here.contains(&(package.clone(), source)) {
                continue;
            }
            // One that a list of signatures can have, if there is any.
            let is_signed = |archive: &&Archive| matches!(archive.digest, SourceDigest::Sha256(_));
            let Some(archive) = archives.iter().find(is_signed).or(archives.first()) else { continue };
            all.push(Found {
                file: archive_file(&archive.urls, &package, &version, source),
                url: web_address(&archive.urls).map(str::to_owned),
                package: package.clone(),
                version: version.clone(),
                source,
                digest: archive.digest,
                path: None,
            });
        }
    }
    all.sort_by(|one, other| (&one.package, one.source).cmp(&(&other.package, other.source)));
    let named = |found: &Found| Named {
        file: found.file.clone(),
        package: found.package.clone(),
        digest: found.digest.hex(),
    };
    let files = names_apart(&all.iter().map(named).collect::<Vec<_>>());
    for (found, file) in all.iter_mut().zip(files) {
        found.file = file;
    }
    all
}

/// Says which packages come in another archive than the recipe's first: where that can be had, the spec is another.
fn say_what_is_not_first(global: &Global, planned: &Planned, archives: &[Found]) {
    let wanted = all_wanted(planned);
    let is_other = |found: &&Found| {
        let first = of_source(&wanted, found).first();
        first.is_some_and(|first| {
            matches!(first.digest, SourceDigest::Sha256(_)) && first.digest != found.digest
        })
    };
    let names: Vec<&str> = archives.iter().filter(is_other).map(|found| found.package.as_str()).collect();
    if !names.is_empty() {
        global.say(&format!(
            "note: not in the archive that the recipe names first, which could not be had: {}",
            names.join(", ")
        ));
    }
}

/// The archives that would each do for the source.
fn of_source<'a>(wanted: &'a Wanted, found: &Found) -> &'a [Archive] {
    let sources = wanted.get(&(found.package.clone(), found.version.clone()));
    sources.and_then(|sources| sources.get(found.source)).map_or(&[], Vec::as_slice)
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
        let component = |component: root::attest::Component<'_>| Component {
            name: component.recipe.name.to_string(),
            version: component.shown_version().to_owned(),
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

/// Every package whose archives are among the sources, and where anybody has it: the archive that is used, or another that
/// would do.
fn registrations(
    project: &Project,
    planned: &Planned,
    archives: &[Found],
) -> Result<Vec<Registration>, CliError> {
    let wanted = all_wanted(planned);
    let register = |found: &Found| -> Result<Registration, CliError> {
        let recipe = project.recipe(&found.package.parse()?)?;
        let others = of_source(&wanted, found).iter().find_map(|archive| web_address(&archive.urls));
        let address = found.url.as_deref().or(others).unwrap_or(&recipe.homepage);
        Ok(Registration {
            name: found.package.clone(),
            version: found.version.clone(),
            download_url: address.to_owned(),
        })
    };
    archives.iter().map(register).collect()
}
