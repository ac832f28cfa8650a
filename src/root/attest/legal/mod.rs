//! The legal pack: what whoever distributes a root has to hand out with it, or to have ready.
//!
//! ```text
//! k3s-root-<arch>.legal/
//!     sources/<archive>                 as it was published
//!     sources/<package>/...             files of our own
//!     patches/<package>/series, *.patch what we changed, in order
//!     licenses/<package>/...            the texts that the recipe names
//!     recipes/<package>.toml            how it was built
//!     OFFER.txt  manifest.md  manifest.csv
//! ```
//! It is about packages whose files are in the tarballs, or whose code is in programs there; not about what only ran while they
//! were built. Pure: what is in the pack is said here, and put there by others.

mod manifest;
mod offer;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::contents::{Component, Contents, Role};
use base::digest::{Sha256, SourceDigest};
use base::name::PackageName;
use model::recipe::Origin;

pub use offer::contact;

/// The files that say what is in the pack, in the order in which they are written. Without the last there is no pack.
pub const MANIFEST: [&str; 3] = [OFFER, "manifest.md", "manifest.csv"];
/// The offer to hand out the sources.
pub const OFFER: &str = "OFFER.txt";

/// What a pack is made from.
#[derive(Debug, Clone, Copy)]
pub struct PackGiven<'a> {
    /// The root.
    pub contents: &'a Contents<'a>,
    /// The archives that were used.
    pub used: &'a Used,
    /// The licence texts that local trees have, by the paths that recipes name.
    pub local_texts: &'a LocalTexts,
    /// The texts of the recipes.
    pub recipes: &'a BTreeMap<PackageName, String>,
    /// Who is to be asked for the sources, and where; several lines, if need be.
    pub contact: Option<&'a str>,
}

/// What local trees have of the licence texts that recipes name, by package and path.
pub type LocalTexts = BTreeMap<PackageName, BTreeMap<String, Vec<u8>>>;

/// Archives by package, and by which of its sources that come from archives it is, from 0.
pub type Used = BTreeMap<(PackageName, usize), UsedArchive>;

/// The archive that a source was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedArchive {
    /// What it is called in the pack.
    pub file: String,
    /// What it is.
    pub digest: SourceDigest,
    /// Where anybody can have it.
    pub address: Option<String>,
    /// A glob of the archive inside this one that holds the tree.
    pub nested: Option<String>,
    /// Whether it could be had for the pack.
    pub is_here: bool,
}

/// A file of the pack whose contents are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFile {
    /// Its contents.
    pub contents: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// A licence text that is in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenseText {
    /// The package.
    pub package: PackageName,
    /// Which of its sources that come from archives it is in.
    pub source: usize,
    /// Its path below the archive's top folder.
    pub path: String,
    /// What it must be.
    pub sha256: Sha256,
}

/// What is in a pack, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalPack {
    /// Patches, files of our own, recipes.
    pub files: BTreeMap<String, PackFile>,
    /// Archives.
    pub archives: BTreeMap<String, SourceDigest>,
    /// Licence texts from archives.
    pub licenses: BTreeMap<String, LicenseText>,
    /// The texts of [`MANIFEST`], in its order.
    pub manifest: [String; 3],
    /// What is not in it.
    pub missing: Vec<Missing>,
}

/// Something that should be in a pack, and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The recipe names no licence text.
    LicenseText(PackageName),
    /// A local tree was built in place of the source.
    Source(PackageName),
    /// A local tree lacks a licence text that the recipe names.
    LocalText(PackageName, String),
    /// An archive could not be had, and the licence texts in it neither.
    Archive(PackageName, String),
    /// The machine's own compiler linked its support library into programs.
    CompilerSource(String),
    /// Nobody is named who answers.
    Contact,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LicenseText(package) => {
                write!(f, "the licence text of {package}: its recipe names no file")
            }
            Self::Source(package) => {
                write!(f, "the source of {package}: a local tree was built in its place; add that yourself")
            }
            Self::LocalText(package, path) => {
                write!(
                    f,
                    "the licence text `{path}` of {package}: the local tree has no such file; add its licence yourself"
                )
            }
            Self::Archive(package, file) => {
                write!(
                    f,
                    "`{file}`, the source of {package}, and the licence texts in it: it could not be had"
                )
            }
            Self::CompilerSource(compiler) => write!(
                f,
                "the source of the support library that programs have of this machine's compiler ({compiler}): its \
                 distribution has it"
            ),
            Self::Contact => {
                write!(f, "who is to be asked for the sources: `--contact` says so in `{OFFER}`")
            }
        }
    }
}

/// Raised when a licence text is not what the recipe says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "licence text `{path}` of {package} is not what the recipe says\nexpected: {expected}\ncomputed: {}",
    computed.map_or_else(|| "no such file".to_owned(), |digest| digest.to_string())
)]
pub struct LegalError {
    /// The package.
    pub package: PackageName,
    /// The text's path in the source.
    pub path: String,
    /// What the recipe says.
    pub expected: Sha256,
    /// What is there.
    pub computed: Option<Sha256>,
}

/// What is in the pack for a root.
pub fn legal_pack(given: PackGiven<'_>) -> Result<LegalPack, LegalError> {
    let mut pack = LegalPack {
        files: BTreeMap::new(),
        archives: BTreeMap::new(),
        licenses: BTreeMap::new(),
        manifest: <[String; 3]>::default(),
        missing: Vec::new(),
    };
    for (package, component) in concerned(given.contents) {
        if component.overridden.is_some() {
            pack.missing.push(Missing::Source((*package).clone()));
            pack.local_texts(package, component, given.local_texts.get(*package));
        } else {
            pack.sources(package, component, given.used);
            pack.license_texts(package, component, given.used)?;
        }
        pack.patches(package, component);
        if let Some(text) = given.recipes.get(*package) {
            pack.add(format!("recipes/{package}.toml"), text.as_bytes(), false);
        }
    }
    if let Some(compiler) = given.contents.compiler {
        pack.missing.push(Missing::CompilerSource(compiler.words.to_owned()));
    }
    if given.contact.is_none() {
        pack.missing.push(Missing::Contact);
    }
    let rows = manifest::rows(given, &pack.files);
    pack.manifest = [
        offer::text(given.contents, given.contact),
        manifest::markdown(given.contents, &rows, &pack.missing),
        manifest::csv(&rows),
    ];
    Ok(pack)
}

/// Where in the pack a licence text of a package is.
fn text_path(package: &PackageName, path: &str) -> String {
    format!("licenses/{package}/{path}")
}

/// Whether a pack's `manifest.md` is about these tarballs.
pub fn is_about(manifest: &str, contents: &Contents<'_>) -> bool {
    manifest.starts_with(&manifest::heading(contents))
}

/// The components that a pack is about.
fn concerned<'a>(
    contents: &'a Contents<'a>,
) -> impl Iterator<Item = (&'a &'a PackageName, &'a Component<'a>)> {
    contents.components.iter().filter(|(_, component)| component.role != Role::Tool)
}

impl LegalPack {
    /// The paths of all that is in it.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let whole = self.files.keys().chain(self.archives.keys()).chain(self.licenses.keys());
        whole.map(String::as_str).chain(MANIFEST)
    }

    fn add(&mut self, path: String, contents: &[u8], executable: bool) {
        self.files.insert(path, PackFile { contents: contents.to_vec(), executable });
    }

    fn sources(&mut self, package: &PackageName, component: &Component<'_>, used: &Used) {
        for (number, source) in component.numbered_sources() {
            match number.and_then(|number| used.get(&(package.clone(), number))) {
                Some(archive) if archive.is_here => {
                    self.archives.insert(format!("sources/{}", archive.file), archive.digest);
                }
                Some(archive) => {
                    self.missing.push(Missing::Archive(package.clone(), archive.file.clone()));
                }
                None => {}
            }
            if let Origin::Local(files) = &source.origin {
                for (path, file) in files {
                    let into = source.into.as_ref().map_or_else(String::new, |into| format!("{into}/"));
                    self.add(format!("sources/{package}/{into}{path}"), &file.contents, file.executable);
                }
            }
        }
    }

    fn license_texts(
        &mut self,
        package: &PackageName,
        component: &Component<'_>,
        used: &Used,
    ) -> Result<(), LegalError> {
        let texts = &component.recipe.license.files;
        if texts.is_empty() {
            self.missing.push(Missing::LicenseText(package.clone()));
        }
        for (path, expected) in texts {
            let dest = text_path(package, path);
            match place_of(component, path) {
                Some(Place::Ours(contents)) if Sha256::of(contents) == *expected => {
                    self.add(dest, contents, false);
                }
                Some(Place::Archive { source, path }) => {
                    if used.get(&(package.clone(), source)).is_some_and(|archive| archive.is_here) {
                        let text = LicenseText {
                            package: package.clone(),
                            source,
                            path: path.to_owned(),
                            sha256: *expected,
                        };
                        self.licenses.insert(dest, text);
                    }
                }
                other => {
                    return Err(LegalError {
                        package: package.clone(),
                        path: path.clone(),
                        expected: *expected,
                        computed: match other {
                            Some(Place::Ours(contents)) => Some(Sha256::of(contents)),
                            _ => None,
                        },
                    });
                }
            }
        }
        Ok(())
    }

    /// The licence texts of a local tree. They need not be those of the pinned source.
    fn local_texts(
        &mut self,
        package: &PackageName,
        component: &Component<'_>,
        texts: Option<&BTreeMap<String, Vec<u8>>>,
    ) {
        let named = &component.recipe.license.files;
        if named.is_empty() {
            self.missing.push(Missing::LicenseText(package.clone()));
        }
        for path in named.keys() {
            let ours = match place_of(component, path) {
                Some(Place::Ours(contents)) => Some(contents),
                _ => None,
            };
            match ours.or_else(|| texts?.get(path).map(Vec::as_slice)) {
                Some(contents) => self.add(text_path(package, path), contents, false),
                None => self.missing.push(Missing::LocalText(package.clone(), path.clone())),
            }
        }
    }

    fn patches(&mut self, package: &PackageName, component: &Component<'_>) {
        let mut series = String::new();
        for source in component.recipe.sources.iter().filter(|_| component.overridden.is_none()) {
            if let (Some(into), false) = (&source.into, source.patches.is_empty()) {
                let _ = writeln!(series, "# in the folder `{into}`");
            }
            for patch in &source.patches {
                let _ = writeln!(series, "{}", patch.name);
                self.add(format!("patches/{package}/{}", patch.name), patch.text.as_bytes(), false);
            }
        }
        if !series.is_empty() {
            self.add(format!("patches/{package}/series"), series.as_bytes(), false);
        }
    }
}

/// Where a file of a package's source comes from.
enum Place<'a> {
    /// From a file of our own.
    Ours(&'a [u8]),
    /// From one of the sources that come from archives.
    Archive { source: usize, path: &'a str },
}

/// Where the file that a build sees as `/src/<path>` comes from: of several sources that could have it, files of our own, then
/// the one that is unpacked furthest down.
fn place_of<'a>(component: &'a Component<'_>, path: &'a str) -> Option<Place<'a>> {
    let mut best: Option<(usize, Place<'a>)> = None;
    for (number, source) in component.numbered_sources() {
        let into = source.into.as_deref();
        let below = into.map_or(Some(path), |into| path.strip_prefix(into)?.strip_prefix('/'));
        if let Origin::Local(files) = &source.origin {
            if let Some(file) = below.and_then(|below| files.get(below)) {
                return Some(Place::Ours(&file.contents));
            }
        }
        let depth = into.map_or(0, str::len);
        let below = below.filter(|_| best.as_ref().is_none_or(|(other, _)| depth >= *other));
        if let (Some(source), Some(path)) = (number, below) {
            best = Some((depth, Place::Archive { source, path }));
        }
    }
    best.map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::path::Path;

    use super::*;
    use base::digest::ActionDigest;
    use model::recipe::{Beside, LocalFile, Recipe, parse};

    /// Beside the recipe lies one file of our own, in a folder.
    struct OneFile;

    impl Beside for OneFile {
        fn patch(&self, _: &str, name: &str) -> io::Result<String> {
            Ok(format!("the patch {name}"))
        }

        fn local(&self, _: &str) -> io::Result<BTreeMap<String, LocalFile>> {
            let file = LocalFile { contents: b"ours".to_vec(), executable: false };
            Ok([("terms/COPYING".to_owned(), file)].into())
        }
    }

    fn recipe() -> Recipe {
        let url = "urls = [\"https://words.invalid/a-{version}.tar\"]";
        let digest = "sha256 = \"44788d0efad82ad9b3167c333c9fd50a51da745afb8cf23959618b561d7d6d9c\"";
        let text = format!(
            "name = \"a\"\nversion = \"1\"\nsummary = \"A\"\nhomepage = \"https://words.invalid/\"\n\
             [license]\nspdx = \"MIT\"\n\
             [[source]]\n{url}\n{digest}\npatches = [\"0001-main.patch\"]\n\
             [[source]]\n{url}\n{digest}\ninto = \"lib\"\npatches = [\"0002-lib.patch\"]\n\
             [[source]]\nlocal = \"a\"\ninto = \"own\"\n\
             [build]\nsystem = \"make\"\n"
        );
        parse(Path::new("a.toml"), &text, &OneFile).unwrap()
    }

    fn component(recipe: &Recipe) -> Component<'_> {
        let action = ActionDigest::from_bytes([0; 32]);
        let linked = BTreeSet::new();
        Component { recipe, role: Role::Shipped, linked, overridden: None, archives: None, action }
    }

    #[test]
    fn texts_are_looked_for_in_the_source_that_has_them() {
        let recipe = recipe();
        let component = component(&recipe);
        let place = |path: &str| match place_of(&component, path) {
            Some(Place::Ours(contents)) => String::from_utf8_lossy(contents).into_owned(),
            Some(Place::Archive { source, path }) => format!("{source}: {path}"),
            None => "nowhere".to_owned(),
        };
        assert_eq!(place("COPYING"), "0: COPYING");
        assert_eq!(place("lib/COPYING"), "1: COPYING");
        // `lib` is the name of a folder, not the beginning of one.
        assert_eq!(place("library/COPYING"), "0: library/COPYING");
        assert_eq!(place("own/terms/COPYING"), "ours");
    }

    #[test]
    fn a_series_says_in_which_folder_patches_are_applied() {
        let recipe = recipe();
        let component = component(&recipe);
        let mut pack = LegalPack {
            files: BTreeMap::new(),
            archives: BTreeMap::new(),
            licenses: BTreeMap::new(),
            manifest: <[String; 3]>::default(),
            missing: Vec::new(),
        };
        pack.patches(&recipe.name, &component);
        let text = |path: &str| String::from_utf8_lossy(&pack.files[path].contents).into_owned();
        assert_eq!(text("patches/a/series"), "0001-main.patch\n# in the folder `lib`\n0002-lib.patch\n");
        assert_eq!(text("patches/a/0002-lib.patch"), "the patch 0002-lib.patch");
    }
}
