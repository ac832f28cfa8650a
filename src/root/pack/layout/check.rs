//! From what is written to what is meant: every rule that the layout can break by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use globset::{ErrorKind, GlobBuilder, GlobSet};
use toml::Spanned;

use super::schema::{RawExcept, RawFile, RawLayout, RawLink, RawLinks};
use super::{FileKind, FileRule, Layout, LayoutError, LinkRule, LinksRule, Place, TarballRule};
use super::{base_name, resolve};
use base::name::PackageName;

pub(super) fn parse(path: &Path, text: &str) -> Result<Layout, LayoutError> {
    let source = Source { path, text };
    let raw: RawLayout = toml::from_str(text)
        .map_err(|error| source.error(error.span().unwrap_or(0..0), error.message().trim_end(), None))?;
    source.pattern(&raw.checksums)?;
    let tarballs = source.tarballs(&raw)?;
    let places = source.places(&raw, &tarballs)?;
    let checker = Checker { source, tarballs: &tarballs, places };
    let files = raw.file.iter().map(|file| checker.file(file)).collect::<Result<Vec<_>, _>>()?;
    let links = raw.links.iter().map(|links| checker.links(links, &files)).collect::<Result<Vec<_>, _>>()?;
    let own_links = raw.link.iter().map(|link| checker.link(link, &files)).collect::<Result<Vec<_>, _>>()?;
    let mut layout = Layout {
        checksums: raw.checksums.into_inner(),
        gives_way: BTreeMap::new(),
        files,
        links,
        own_links,
        tarballs,
    };
    layout.gives_way = source.gives_way(&raw.gives_way, &layout.packages())?;
    Ok(layout)
}

/// The layout's file, for complaints.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) -> LayoutError {
        LayoutError::Invalid {
            path: self.path.to_owned(),
            text: self.text.to_owned(),
            span,
            message: message.into(),
            help: help.map(str::to_owned),
        }
    }

    fn tarballs(&self, raw: &RawLayout) -> Result<Vec<TarballRule>, LayoutError> {
        let mut tarballs: Vec<TarballRule> = Vec::new();
        for tarball in &raw.tarball {
            let file = self.pattern(&tarball.file)?;
            let taken = |other: &TarballRule| other.name == *tarball.name.get_ref() || other.file == file;
            if tarballs.iter().any(taken) || file == *raw.checksums.get_ref() {
                return Err(self.error(tarball.name.span(), "the name or its file is taken", None));
            }
            let mut folders = BTreeSet::new();
            for folder in &tarball.folders {
                self.relative(folder)?;
                let parent = folder.get_ref().rsplit_once('/').map(|(parent, _)| parent);
                if parent.is_some_and(|parent| !folders.contains(parent)) {
                    let help = "list a folder before what is in it";
                    return Err(self.error(
                        folder.span(),
                        "the folder is in one that is not listed",
                        Some(help),
                    ));
                }
                if !folders.insert(folder.get_ref().clone()) {
                    return Err(self.error(folder.span(), "the folder is listed twice", None));
                }
            }
            tarballs.push(TarballRule { name: tarball.name.get_ref().clone(), file, folders });
        }
        if tarballs.is_empty() {
            return Err(self.error(0..0, "the layout has no tarball", None));
        }
        Ok(tarballs)
    }

    fn places(
        &self,
        raw: &RawLayout,
        tarballs: &[TarballRule],
    ) -> Result<BTreeMap<String, Place>, LayoutError> {
        let mut places = BTreeMap::new();
        for (name, folders) in &raw.places {
            let mut place = Place::new();
            for (tarball, folder) in folders {
                let index = tarballs
                    .iter()
                    .position(|known| known.name == *tarball.get_ref())
                    .ok_or_else(|| self.error(tarball.span(), "no [[tarball]] has this name", None))?;
                if !tarballs[index].folders.contains(folder.get_ref()) {
                    let message = format!("`{}` is not a folder of this tarball", folder.get_ref());
                    return Err(self.error(folder.span(), message, None));
                }
                place.push((index, folder.get_ref().clone()));
            }
            if place.is_empty() {
                return Err(self.error(0..0, format!("the place `{name}` is in no tarball"), None));
            }
            place.sort();
            places.insert(name.clone(), place);
        }
        Ok(places)
    }

    fn gives_way(
        &self,
        raw: &BTreeMap<Spanned<PackageName>, Vec<Spanned<PackageName>>>,
        packages: &BTreeSet<PackageName>,
    ) -> Result<BTreeMap<PackageName, BTreeSet<PackageName>>, LayoutError> {
        for name in raw.iter().flat_map(|(loser, winners)| std::iter::once(loser).chain(winners)) {
            if !packages.contains(name.get_ref()) {
                let message = format!("nothing of `{}` is in the layout", name.get_ref());
                return Err(self.error(name.span(), message, Some("remove the package from [gives-way]")));
            }
        }
        let plain: BTreeMap<PackageName, BTreeSet<PackageName>> = raw
            .iter()
            .map(|(loser, winners)| {
                (loser.get_ref().clone(), winners.iter().map(|name| name.get_ref().clone()).collect())
            })
            .collect();
        for (loser, winners) in raw {
            let gives_back = |winner: &&Spanned<PackageName>| {
                winner.get_ref() == loser.get_ref()
                    || plain.get(winner.get_ref()).is_some_and(|others| others.contains(loser.get_ref()))
            };
            if let Some(winner) = winners.iter().find(gives_back) {
                let message =
                    format!("`{}` and `{}` give way to each other", loser.get_ref(), winner.get_ref());
                return Err(self.error(winner.span(), message, None));
            }
        }
        Ok(plain)
    }

    /// A file name with `{arch}` in it.
    fn pattern(&self, name: &Spanned<String>) -> Result<String, LayoutError> {
        let text = name.get_ref();
        let rest = text.replacen("{arch}", "", 1);
        if rest == *text || rest.contains(|c: char| "/{}".contains(c) || c.is_whitespace() || c.is_control())
        {
            let help = "write a file name with `{arch}` in it once";
            return Err(self.error(name.span(), "the name does not tell the arches apart", Some(help)));
        }
        Ok(text.clone())
    }

    /// A path inside a tree or a tarball.
    fn relative(&self, path: &Spanned<String>) -> Result<(), LayoutError> {
        let text = path.get_ref();
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(self.error(path.span(), format!("`{text}` is not a plain relative path"), None));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let help = "K3s's own check of the root splits its lines at white space";
            return Err(self.error(path.span(), format!("`{text}` has white space in it"), Some(help)));
        }
        Ok(())
    }

    /// A list with at least one entry, none of them twice.
    fn list<'a>(
        &self,
        list: &'a Spanned<Vec<Spanned<String>>>,
    ) -> Result<&'a [Spanned<String>], LayoutError> {
        let mut seen = BTreeSet::new();
        for entry in list.get_ref() {
            if !seen.insert(entry.get_ref()) {
                return Err(self.error(entry.span(), format!("`{}` is listed twice", entry.get_ref()), None));
            }
        }
        if seen.is_empty() {
            Err(self.error(list.span(), "the list is empty", None))
        } else {
            Ok(list.get_ref())
        }
    }

    /// A list of names without a folder.
    fn names(&self, list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, LayoutError> {
        let names = self.list(list)?;
        for name in names {
            self.relative(name)?;
            if name.get_ref().contains('/') {
                return Err(self.error(name.span(), "a name, not a path, belongs here", None));
            }
        }
        Ok(names.iter().map(|name| name.get_ref().clone()).collect())
    }
}

/// What the rules refer to.
struct Checker<'a> {
    source: Source<'a>,
    tarballs: &'a [TarballRule],
    places: BTreeMap<String, Place>,
}

impl Checker<'_> {
    fn place(&self, name: &Spanned<String>) -> Result<Place, LayoutError> {
        self.places.get(name.get_ref()).cloned().ok_or_else(|| {
            let known: Vec<String> = self.places.keys().map(|known| format!("`{known}`")).collect();
            let help = format!("[places] has {}", known.join(", "));
            self.source.error(name.span(), format!("`{}` is not a place", name.get_ref()), Some(&help))
        })
    }

    fn file(&self, raw: &RawFile) -> Result<FileRule, LayoutError> {
        let from = self.source.list(&raw.from)?;
        for path in from {
            self.source.relative(path)?;
        }
        Ok(FileRule {
            package: raw.package.clone(),
            from: from.iter().map(|path| path.get_ref().clone()).collect(),
            kind: if raw.script { FileKind::Script } else { FileKind::Program },
            to: self.place(&raw.to)?,
        })
    }

    fn links(&self, raw: &RawLinks, files: &[FileRule]) -> Result<LinksRule, LayoutError> {
        let from = self.source.list(&raw.from)?;
        let to = self.place(&raw.to)?;
        let owner = self.target(&raw.target, &to, files)?;
        if *owner != raw.package {
            let message =
                format!("`{}` is a file of `{owner}`, not of `{}`", raw.target.get_ref(), raw.package);
            let help = "links that a package does not install are a [[link]]";
            return Err(self.source.error(raw.target.span(), message, Some(help)));
        }
        let mut except = BTreeSet::new();
        for RawExcept { names, reason } in &raw.except {
            if reason.get_ref().trim().is_empty() {
                return Err(self.source.error(reason.span(), "an exception needs a reason", None));
            }
            for name in self.source.names(names)? {
                if !except.insert(name.clone()) {
                    return Err(self.source.error(names.span(), format!("`{name}` is excepted twice"), None));
                }
            }
        }
        Ok(LinksRule {
            package: raw.package.clone(),
            from: from.iter().map(|glob| self.glob(glob)).collect::<Result<_, _>>()?,
            target: raw.target.get_ref().clone(),
            except,
            to,
        })
    }

    fn link(&self, raw: &RawLink, files: &[FileRule]) -> Result<LinkRule, LayoutError> {
        let to = self.place(&raw.to)?;
        Ok(LinkRule {
            names: self.source.names(&raw.names)?,
            target: raw.target.get_ref().clone(),
            owner: self.target(&raw.target, &to, files)?.clone(),
            to,
        })
    }

    fn glob(&self, glob: &Spanned<String>) -> Result<(String, GlobSet), LayoutError> {
        self.source.relative(glob)?;
        // A set of one: a matcher would panic where the glob is too deep for a regular expression.
        GlobBuilder::new(glob.get_ref())
            .literal_separator(true)
            .build()
            .and_then(|built| GlobSet::new([built]))
            .map(|matcher| (glob.get_ref().clone(), matcher))
            .map_err(|error| {
                let message = match error.kind() {
                    // It speaks of a regular expression that nobody wrote.
                    ErrorKind::Regex(_) => "the glob is too long or too deep".to_owned(),
                    kind => kind.to_string(),
                };
                self.source.error(glob.span(), message, None)
            })
    }

    /// The package whose file `target` leads to from every folder of `to`.
    fn target<'f>(
        &self,
        target: &Spanned<String>,
        to: &Place,
        files: &'f [FileRule],
    ) -> Result<&'f PackageName, LayoutError> {
        let text = target.get_ref();
        let plain = !text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let mut owner = None;
        for (tarball, folder) in to {
            let file = resolve(folder, text).filter(|_| plain).and_then(|path| {
                files.iter().find(|file| {
                    file.from.iter().any(|from| {
                        file.to.iter().any(|(own, folder)| {
                            own == tarball && format!("{folder}/{}", base_name(from)) == path
                        })
                    })
                })
            });
            let Some(file) = file else {
                let name = &self.tarballs[*tarball].name;
                let message =
                    format!("from `{folder}` in the tarball `{name}`, `{text}` leads to no [[file]]");
                let help = "a link's target is relative to its place and is a file of the layout";
                return Err(self.source.error(target.span(), message, Some(help)));
            };
            owner = Some(&file.package);
        }
        owner.ok_or_else(|| self.source.error(target.span(), "the place is in no tarball", None))
    }
}
