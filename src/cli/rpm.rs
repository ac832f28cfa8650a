//! `k3sroot rpm`: the specs of k3sroot and of the root, and everything that lies beside them.

mod checkout;
mod root;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{DistributionChoice, Global, PackageChoice, Rpm};
use super::error::CliError;
use super::place::{io_error, refuse_other_than_folder};
use super::project::Project;
use super::{print, whole};
use base::beneath;
use base::digest::Sha256;
use base::name::ArchName;
use upkeep::rpm::{
    Distribution, K3sError, Registration, edit_signatures, edit_spec, licence_map, registrations, signatures,
    unified,
};

/// k3sroot's version, which both packages have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where k3sroot is published, as the options or `Cargo.toml` say.
fn homepage(args: &Rpm) -> Option<&str> {
    let built_in = [env!("CARGO_PKG_HOMEPAGE"), env!("CARGO_PKG_REPOSITORY")];
    args.homepage.as_deref().or_else(|| built_in.into_iter().find(|url| !url.is_empty()))
}

/// What was written, in order.
#[derive(Default)]
struct Written {
    paths: Vec<PathBuf>,
}

impl Written {
    /// Writes a file of text.
    fn text(&mut self, path: PathBuf, text: &str) -> Result<(), CliError> {
        whole::replace(&path, text)?;
        self.paths.push(path);
        Ok(())
    }

    /// What the distribution keeps beside the spec `name` or in lists of its own: digests of the sources, registrations, the
    /// entry of the licence map.
    fn registers(
        &mut self,
        args: &Rpm,
        distribution: Distribution,
        name: &str,
        sources: &BTreeMap<String, Sha256>,
        mut inside: Vec<Registration>,
    ) -> Result<(), CliError> {
        if !distribution.conventions().registers {
            return Ok(());
        }
        let folder = args.out.join(name);
        self.text(folder.join(format!("{name}.signatures.json")), &signatures(sources))?;
        // The package itself, if anybody can be told where to find it.
        inside.extend(homepage(args).map(|url| Registration {
            name: name.to_owned(),
            version: VERSION.to_owned(),
            download_url: url.to_owned(),
        }));
        if !inside.is_empty() {
            self.text(folder.join(format!("{name}.cgmanifest.json")), &registrations(inside))?;
        }
        self.text(folder.join(format!("{name}.licenses.json")), &licence_map(distribution, name))
    }
}

pub(super) fn run(global: &Global, args: &Rpm) -> Result<(), CliError> {
    if let Some(text) = args.overrides.first() {
        return Err(CliError::RpmOverride { text: text.clone() });
    }
    refuse_other_than_folder(&args.out)?;
    let project = Project::load(global)?;
    let arches = project.arches(&args.arch)?;
    let distribution = match args.distribution {
        DistributionChoice::Emt => Distribution::Emt,
        DistributionChoice::Fedora => Distribution::Fedora,
    };
    // What is refused is refused before anything is written.
    let patch = args.k3s_spec.as_ref().map(|spec| k3s(global, spec, &arches)).transpose()?;
    let checkout = match args.only {
        Some(PackageChoice::K3sRoot) => None,
        Some(PackageChoice::K3sroot) | None => Some(checkout::examine(global, args)?),
    };
    let mut written = Written::default();
    let missing = match args.only {
        Some(PackageChoice::K3sroot) => Vec::new(),
        Some(PackageChoice::K3sRoot) | None => {
            root::write(global, args, distribution, &project, &mut written)?
        }
    };
    if let Some(checkout) = &checkout {
        checkout::write(global, args, distribution, checkout, &mut written)?;
    }
    if distribution.conventions().registers {
        if homepage(args).is_none() {
            global.say(
                "note: without `--homepage` the specs have no `URL`, and the packages themselves are not registered, \
                 only what is in them",
            );
        }
        global.say("note: the changelogs say `License verified`: whoever takes the specs over says so");
    }
    if let Some(patch) = patch {
        written.text(args.out.join("k3s").join("k3s-root.patch"), &patch)?;
    }
    let lines: Vec<String> = written.paths.iter().map(|path| path.display().to_string()).collect();
    print(&(lines.join("\n") + "\n"))?;
    if missing.is_empty() { Ok(()) } else { Err(CliError::RpmSources { files: missing }) }
}

/// What to change in the spec of K3s, and in the signatures beside it, as a patch.
fn k3s(global: &Global, spec: &Path, arches: &[ArchName]) -> Result<String, CliError> {
    let read = |path: &Path| beneath::read_named_to_string(path).map_err(io_error("read", path));
    let name = |path: &Path| format!("SPECS/k3s/{}", path.file_name().unwrap_or_default().to_string_lossy());
    let changed = |path: &Path, edit: fn(&str, &ArchName) -> Result<String, K3sError>| {
        let before = read(path)?;
        let mut after = before.clone();
        for arch in arches {
            after =
                edit(&after, arch).map_err(|source| CliError::K3sSpec { path: path.to_owned(), source })?;
        }
        Ok::<String, CliError>(unified(&name(path), &before, &after))
    };
    let of_spec = changed(spec, edit_spec)?;
    let beside = spec.with_extension("signatures.json");
    let of_signatures = if beside.is_file() {
        changed(&beside, edit_signatures)?
    } else {
        global.say(&format!("note: there is no `{}`: the patch is of the spec alone", beside.display()));
        String::new()
    };
    global.say("note: the patch leaves the release and the changelog of K3s's spec to its packager");
    Ok(of_spec + &of_signatures)
}
