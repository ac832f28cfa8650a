//! The spec of the root: every archive a source, built by k3sroot without a network, verified, and packed as data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::ROOT;
use super::distribution::Distribution;
use super::spec::{Head, Spec, escaped, rpm_version};
use super::tool::TOOL;
use base::name::ArchName;

/// A package whose code is in a tarball.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Upstream's version.
    pub version: String,
    /// Under which terms it comes.
    pub terms: String,
}

/// A tarball of a root.
#[derive(Debug, Clone)]
pub struct RootTarball {
    /// What the layout calls it; the first is the package's own, the others get a package each.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What is in it.
    pub components: BTreeSet<Component>,
}

/// A root for one arch.
#[derive(Debug, Clone)]
pub struct RootArch {
    /// The arch.
    pub name: ArchName,
    /// The tarballs, in the layout's order.
    pub tarballs: Vec<RootTarball>,
    /// The file with their checksums.
    pub checksums: String,
    /// The documents that must lie beside them.
    pub documents: Vec<String>,
    /// Whether there are golden digests to hold it against.
    pub golden: bool,
}

/// An archive among the sources of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSource {
    /// Its file beside the spec, with a name that tells it apart.
    pub file: String,
    /// Where anybody can have it.
    pub url: Option<String>,
}

/// What the spec of the root is made from.
#[derive(Debug, Clone)]
pub struct RootFacts<'a> {
    /// For whom.
    pub distribution: Distribution,
    /// Who stands in the changelog.
    pub packager: &'a str,
    /// The version of k3sroot, whose recipes these are.
    pub version: &'a str,
    /// k3sroot's home page, where it has one.
    pub homepage: Option<&'a str>,
    /// Which compiler builds: `source` or `host`.
    pub toolchain: &'a str,
    /// The machines that can build it, as RPM calls them; none if all can.
    pub machines: Vec<String>,
    /// The roots.
    pub arches: Vec<RootArch>,
    /// Every archive.
    pub sources: &'a [RootSource],
    /// Packages with what builds borrow from the machine, in Fedora's names, or capabilities.
    pub borrowed: &'a BTreeSet<String>,
    /// Terms beyond those of the components: what the machine's compiler puts into programs.
    pub support: Option<&'a str>,
}

/// The folder that everything is installed to.
const FOLDER: &str = "%{_datadir}/%{name}";

/// The spec.
pub fn root_spec(facts: &RootFacts<'_>) -> String {
    let mut spec = Spec::new();
    spec.lines(DEFINITIONS);
    let tarballs = by_name(facts);
    let all: BTreeSet<Component> = tarballs.iter().flat_map(|(_, components)| components.clone()).collect();
    spec.head(
        facts.distribution,
        &Head {
            name: ROOT,
            version: facts.version,
            summary: "The userspace that K3s carries, built from source",
            license: &terms(&all, facts),
            homepage: facts.homepage,
        },
    );
    for (number, (file, url)) in sources(facts.sources).into_iter().enumerate() {
        spec.raw(&format!("Source{number}"), &source(file, url));
    }
    if !facts.machines.is_empty() {
        spec.lines("# This machine's compiler builds it, for this machine.")
            .tag("ExclusiveArch", &format!("{} noarch", facts.machines.join(" ")));
    }
    spec.lines("# Tarballs of programs for K3s's nodes: data here, whatever machine it is.")
        .tag("BuildArch", "noarch");
    spec.raw("BuildRequires", &format!("{TOOL} = %{{version}}"));
    for needed in facts.borrowed {
        spec.tag("BuildRequires", facts.distribution.package(needed));
    }
    spec.lines(NO_DEPENDENCIES);
    let own = tarballs.first().map(|(_, components)| components.clone()).unwrap_or_default();
    provides(&mut spec, &own, facts);
    spec.description("", DESCRIPTION);
    for (name, components) in tarballs.iter().skip(1) {
        subpackage(&mut spec, name, &format!("The {name} tarball of the userspace that K3s carries"));
        spec.tag("License", &terms(components, facts));
        provides(&mut spec, components, facts);
        spec.description(name, &format!("The tarball that K3s takes its {name} programs from."));
    }
    subpackage(&mut spec, "sbom", "What is inside the userspace that K3s carries");
    spec.tag("License", "CC0-1.0");
    spec.description("sbom", SBOM);
    subpackage(&mut spec, "legal", "Licences and sources of the userspace that K3s carries");
    spec.description("legal", LEGAL);
    spec.section("prep", "%autosetup -p1 -c -T\n");
    spec.section("build", &build(facts));
    spec.section("install", &install(facts));
    spec.section("check", &check(facts));
    files(&mut spec, facts);
    spec.finish(facts.distribution, facts.packager, facts.version)
}

const DEFINITIONS: &str = "
# What is installed is data whose digests the lists of checksums have: nothing may strip, compress or change it.
%global debug_package %{nil}
%global __os_install_post %{nil}

# Define these to build with another k3sroot, or from other recipes than it brings.
%{!?k3sroot_program: %global k3sroot_program %{_bindir}/k3sroot}
%{!?k3sroot_recipes: %global k3sroot_recipes %{_datadir}/k3sroot/recipes}
";

/// What scripts among the sources that are handed out would need is nobody's need.
const NO_DEPENDENCIES: &str = "# All of it is data: what is in it needs nothing here, and gives nothing but what is said.\n\
                               AutoReqProv:    no";

const DESCRIPTION: &str = "The userspace that K3s carries (busybox, iptables, ip, conntrack and their like) as a tarball of static programs, \
     built from pinned sources with the compiler that the spec names: the same bits wherever it is built from source. \
     A spec of K3s unpacks it where it would unpack one that somebody else built.";

const SBOM: &str = "Documents about the tarballs: every file with its digests and the package that it comes from, every package with \
     its version, licence, source and patches, as SPDX and CycloneDX, and what else is known of them.";

const LEGAL: &str =
    "For every package in the tarballs its licence texts, its source and our patches, and lists of them.";

/// The tarballs of all arches by name, in the layout's order, each with what is in it.
fn by_name(facts: &RootFacts<'_>) -> Vec<(String, BTreeSet<Component>)> {
    let mut tarballs: Vec<(String, BTreeSet<Component>)> = Vec::new();
    for RootTarball { name, components, .. } in facts.arches.iter().flat_map(|arch| &arch.tarballs) {
        match tarballs.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(components.iter().cloned()),
            None => tarballs.push((name.clone(), components.clone())),
        }
    }
    tarballs
}

fn terms(components: &BTreeSet<Component>, facts: &RootFacts<'_>) -> String {
    root::attest::all_terms(components.iter().map(|component| component.terms.as_str()).chain(facts.support))
}

/// The files of all archives, each once, with an address where there is one.
fn sources(archives: &[RootSource]) -> BTreeMap<&str, Option<&str>> {
    let mut sources: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for archive in archives {
        let url = sources.entry(&archive.file).or_default();
        *url = url.or(archive.url.as_deref());
    }
    sources
}

/// A source as RPM has it: the name of the file is what stands behind the last `/`.
fn source(file: &str, url: Option<&str>) -> String {
    match url {
        None => escaped(file),
        Some(url) if url.ends_with(&format!("/{file}")) && !url.contains('#') => escaped(url),
        Some(url) => format!("{}#/{}", escaped(url.split('#').next().unwrap_or(url)), escaped(file)),
    }
}

fn provides(spec: &mut Spec, components: &BTreeSet<Component>, facts: &RootFacts<'_>) {
    for Component { name, version, .. } in components {
        spec.tag("Provides", &format!("bundled({name}) = {}", rpm_version(version)));
    }
    // The machine's compiler has a version of its own, which only the build sees.
    if facts.support.is_some() && !components.is_empty() {
        spec.tag("Provides", "bundled(libgcc)");
    }
}

fn subpackage(spec: &mut Spec, name: &str, summary: &str) {
    spec.section(&format!("package {name}"), "").tag("Summary", summary).tag("AutoReqProv", "no");
}

fn build(facts: &RootFacts<'_>) -> String {
    let arches: Vec<&str> = facts.arches.iter().map(|arch| arch.name.as_str()).collect();
    // All sources lie in one folder, in which k3sroot finds each by its digest.
    let folder = if facts.sources.is_empty() { "" } else { " --distfiles \"$(dirname %{SOURCE0})\"" };
    format!(
        "# Everything comes from the sources above, and what this environment has of flags reaches no build.\n\
         %{{k3sroot_program}} build --recipes %{{k3sroot_recipes}} --arch {} --toolchain {} \\\n    \
         --offline{folder} --sandbox auto --jobs %{{_smp_build_ncpus}} \\\n    \
         --cache \"$PWD/cache\" --out dist\n",
        arches.join(","),
        facts.toolchain
    )
}

fn check(facts: &RootFacts<'_>) -> String {
    let mut text = String::new();
    for arch in &facts.arches {
        let tars: Vec<String> =
            arch.tarballs.iter().map(|tarball| format!("dist/{}", tarball.file)).collect();
        let (tars, name) = (tars.join(" "), &arch.name);
        let _ = writeln!(text, "(cd %{{buildroot}}{FOLDER} && sha256sum -c {})", arch.checksums);
        let verify = "%{k3sroot_program} verify --recipes %{k3sroot_recipes}";
        let _ = writeln!(text, "{verify} --arch {name} {tars}");
        if arch.golden {
            let _ = writeln!(text, "{verify} --golden --arch {name} --cache \"$PWD/cache\" {tars}");
        }
    }
    text
}

fn install(facts: &RootFacts<'_>) -> String {
    let mut text = format!("install -d %{{buildroot}}{FOLDER}\n");
    for arch in &facts.arches {
        let files = arch.tarballs.iter().map(|tarball| &tarball.file).chain([&arch.checksums]);
        let files: Vec<String> = files.map(|file| format!("dist/{file}")).collect();
        let (name, documents) = (&arch.name, arch.documents.join(" "));
        let _ = write!(
            text,
            "install -pm644 {} %{{buildroot}}{FOLDER}\n\
             # These are there; there may be more.\n\
             (cd dist && ls {documents})\n\
             # What is different each time has no place in a package.\n\
             rm dist/{ROOT}-{name}.run.json\n\
             install -pm644 dist/{ROOT}-{name}.*.json* %{{buildroot}}{FOLDER}\n\
             cp -R dist/{ROOT}-{name}.legal %{{buildroot}}{FOLDER}\n",
            files.join(" ")
        );
    }
    // Archives may be read-only, as they are in a cache.
    let _ = writeln!(text, "chmod -R u=rwX,go=rX %{{buildroot}}{FOLDER}");
    text
}

fn files(spec: &mut Spec, facts: &RootFacts<'_>) {
    let folder = format!("%dir {FOLDER}\n");
    let each = |line: &dyn Fn(&RootArch) -> String| -> String { facts.arches.iter().map(line).collect() };
    for (place, (name, _)) in by_name(facts).iter().enumerate() {
        let tarballs = each(&|arch| {
            let file = arch.tarballs.iter().find(|tarball| tarball.name == *name);
            file.map_or_else(String::new, |tarball| format!("{FOLDER}/{}\n", tarball.file))
        });
        let (section, checksums) = match place {
            0 => ("files".to_owned(), each(&|arch| format!("{FOLDER}/{}\n", arch.checksums))),
            _ => (format!("files {name}"), String::new()),
        };
        spec.section(&section, &format!("{folder}{tarballs}{checksums}"));
    }
    let documents = each(&|arch| format!("{FOLDER}/{ROOT}-{}.*.json*\n", arch.name));
    spec.section("files sbom", &format!("{folder}{documents}"));
    let legal = each(&|arch| format!("{FOLDER}/{ROOT}-{}.legal\n", arch.name));
    spec.section("files legal", &format!("{folder}{legal}"));
}
