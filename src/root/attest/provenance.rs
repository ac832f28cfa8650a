//! Where a root came from: an in-toto statement v1 with a SLSA provenance v1 predicate.
//!
//! The statement names both tarballs and, with its digest, every file that had a part in them: recipes, patches, files
//! of our own, arch record, layout, the archives that were used. What differs from run to run (when, where, how long) is
//! not in it, so whoever builds the same from the same archives writes the same statement.
//! Fields: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>, <https://slsa.dev/spec/v1.0/provenance>.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::contents::{Component, Contents, Role};
use base::digest::{Sha256, SourceDigest};
use base::name::PackageName;
use model::plan::policy::SOURCE_DATE_EPOCH;
use model::recipe::{Archive, Origin};

/// The type of every in-toto statement v1.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of a SLSA provenance v1 predicate.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters of our statements mean: the manual's "Where it came from" says it.
pub const BUILD_TYPE: &str = "urn:k3sroot:build:v1";
/// Who built, where nobody says who it was.
pub const ANYBODY: &str = "urn:k3sroot:builder:unnamed";

/// A file that had a part in a root, as a resource descriptor of in-toto's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// What it is called: a path in the checkout, or the package and which of its sources it is.
    pub name: String,
    /// Where it can be had, for archives.
    pub uri: Option<String>,
    /// The digest's algorithm, in in-toto's spelling.
    pub algorithm: &'static str,
    /// The digest in hexadecimal.
    pub digest: String,
    /// Whose it is, and what part that had.
    of: Option<(PackageName, Role)>,
    /// Which version it is, for local trees, whose digest names no release; `unknown` if nobody knows.
    version: Option<String>,
}

impl Dependency {
    fn file(name: String, digest: Sha256) -> Self {
        Self { name, uri: None, algorithm: "sha256", digest: digest.to_string(), of: None, version: None }
    }

    fn value(&self) -> Value {
        let mut value = json!({ "name": self.name, "digest": { self.algorithm: self.digest } });
        if let Some(uri) = &self.uri {
            value["uri"] = json!(uri);
        }
        if let Some((package, role)) = &self.of {
            value["annotations"] = json!({ "package": package, "role": role.word() });
        }
        if let Some(version) = &self.version {
            value["annotations"]["version"] = json!(version);
        }
        value
    }
}

/// The statement; `builder` is a URI that names who built.
pub fn provenance(contents: &Contents<'_>, builder: &str) -> Value {
    let subjects = contents
        .tarballs
        .iter()
        .map(|tarball| json!({ "name": tarball.file, "digest": { "sha256": tarball.sha256.to_string() } }));
    let dependencies = dependencies(contents);
    let actions: Map<String, Value> = contents
        .components
        .values()
        .filter(|component| component.role == Role::Shipped)
        .map(|component| (component.recipe.name.to_string(), json!(component.action.to_string())))
        .collect();
    let mut parameters = json!({
        "arch": contents.arch,
        "toolchain": if contents.compiler.is_some() { "host" } else { "source" },
        "packages": actions.keys().collect::<Vec<_>>(),
    });
    let overridden = contents.components.values().filter(|component| component.overridden.is_some());
    let overridden: Vec<&PackageName> = overridden.map(|component| &component.recipe.name).collect();
    if !overridden.is_empty() {
        parameters["overrides"] = json!(overridden);
    }
    json!({
        "_type": STATEMENT,
        "subject": subjects.collect::<Vec<_>>(),
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": { "sourceDateEpoch": SOURCE_DATE_EPOCH, "actions": actions },
                "resolvedDependencies": dependencies.iter().map(Dependency::value).collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": builder, "version": { "k3sroot": env!("CARGO_PKG_VERSION") } },
            },
        },
    })
}

/// Every file that had a part in the root, each once, in order of their names.
///
/// Where it is not known which of several archives was used, all that would do are named: they have the same code.
pub fn dependencies(contents: &Contents<'_>) -> BTreeSet<Dependency> {
    let record = Dependency::file(format!("sysroot/{}.toml", contents.arch), contents.record);
    let layout = Dependency::file("recipes/root.toml".to_owned(), contents.layout);
    let compiler = contents.compiler.map(|compiler| Dependency {
        name: compiler.words.to_owned(),
        uri: None,
        algorithm: "blake3",
        digest: compiler.digest.to_string(),
        of: None,
        version: None,
    });
    let of_components = contents.components.values().flat_map(of_component);
    [record, layout].into_iter().chain(compiler).chain(of_components).collect()
}

fn of_component(component: &Component<'_>) -> Vec<Dependency> {
    let recipe = component.recipe;
    let package = &recipe.name;
    let mut all = vec![Dependency::file(format!("recipes/{package}.toml"), recipe.sha256)];
    for (patch, _) in component.patches() {
        let name = format!("patches/{package}/{}", patch.name);
        all.push(Dependency::file(name, Sha256::of(patch.text.as_bytes())));
    }
    for source in &recipe.sources {
        if let Origin::Local(files) = &source.origin {
            all.extend(files.iter().map(|(path, file)| {
                Dependency::file(format!("{package}: {path}"), Sha256::of(&file.contents))
            }));
        }
    }
    if let Some(over) = component.overridden {
        all.push(Dependency {
            name: format!("{package}: a local tree"),
            uri: None,
            algorithm: "blake3",
            digest: over.tree.to_string(),
            of: None,
            version: Some(over.shown_version().to_owned()),
        });
    } else {
        for (number, archives) in component.sources().enumerate() {
            let used = component.archives.and_then(|used| used.get(number));
            let would_do = archives.iter().filter(|archive| used.is_none_or(|used| archive.digest == *used));
            all.extend(would_do.map(|archive| of_archive(package, number, archive)));
        }
    }
    for dependency in &mut all {
        dependency.of = Some((package.clone(), component.role));
    }
    all
}

fn of_archive(package: &PackageName, number: usize, archive: &Archive) -> Dependency {
    Dependency {
        name: format!("{package}: source {number}"),
        uri: archive.web_address().or_else(|| archive.urls.first().map(String::as_str)).map(str::to_owned),
        algorithm: match archive.digest {
            SourceDigest::Sha256(_) => "sha256",
            SourceDigest::Sha512(_) => "sha512",
        },
        digest: archive.digest.hex(),
        of: None,
        version: None,
    }
}
