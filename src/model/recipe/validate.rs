//! From what is written to what is meant: every rule of the recipe format that one file alone can break.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::Path;

use globset::{ErrorKind, Glob, GlobSet};
use toml::Spanned;

use super::schema::{RawArchive, RawBuild, RawConfig, RawHeld, RawOptions, RawRecipe, RawSource, RawSystem};
use super::{
    Archive, Build, Held, Identity, License, LocalFile, Needs, Options, Origin, Patch, Recipe, RecipeError,
    Source, System,
};
use base::digest::{Sha256, Sha512, SourceDigest};

/// URL schemes that a recipe may name.
const SCHEMES: [&str; 4] = ["https:", "file:", "debian:", "pypi:"];

/// What lies beside a recipe: patches and files of our own.
pub trait Beside {
    /// The text of the patch `name` of `package`.
    fn patch(&self, package: &str, name: &str) -> io::Result<String>;
    /// The files of the folder `name`, by path.
    fn local(&self, name: &str) -> io::Result<BTreeMap<String, LocalFile>>;
}

/// Reads one recipe from its text.
pub fn parse(path: &Path, text: &str, beside: &dyn Beside) -> Result<Recipe, RecipeError> {
    let place = Place { path, text };
    let raw: RawRecipe = toml::from_str(text)
        .map_err(|error| place.error(error.span().unwrap_or(0..0), error.message().trim_end(), None))?;
    let name = raw.name.get_ref().clone();
    if path.file_stem().is_none_or(|stem| stem != name.as_str()) {
        let help = format!("rename the file to `{name}.toml` or correct `name`");
        return Err(place.error(raw.name.span(), "the name is not the file's", Some(help)));
    }
    raw.license.files.keys().try_for_each(|name| place.inside(name))?;
    let expand = |text: &str| text.replace("{version}", raw.version.as_str());
    let sources = raw
        .source
        .iter()
        .enumerate()
        .map(|(index, source)| place.source(index, source, name.as_str(), &expand, beside))
        .collect::<Result<Vec<_>, _>>()?;
    for glob in &raw.install.keep {
        Glob::new(glob.get_ref()).and_then(|built| GlobSet::new([built])).map_err(|error| {
            let message = match error.kind() {
                // It speaks of a regular expression that nobody wrote.
                ErrorKind::Regex(_) => "the glob is too long or too deep".to_owned(),
                kind => kind.to_string(),
            };
            place.error(glob.span(), message, None)
        })?;
    }
    Ok(Recipe {
        path: path.to_owned(),
        sha256: Sha256::of(text.as_bytes()),
        license: License {
            spdx: raw.license.spdx,
            files: raw.license.files.into_iter().map(|(name, digest)| (name.into_inner(), digest)).collect(),
        },
        identity: Identity { cpe: raw.identity.cpe, purl: raw.identity.purl },
        held: raw.held.map(|held| place.held(held)).transpose()?,
        cves: place.cves(&raw.cve, &sources)?,
        sources,
        needs: Needs {
            tools: raw.needs.tools,
            link: raw.needs.link,
            target: raw.needs.target,
            run: raw.needs.run,
            toolchain: raw.needs.toolchain,
        },
        build: place.build(raw.build)?,
        keep: raw.install.keep.into_iter().map(Spanned::into_inner).collect(),
        exports: raw.exports.env,
        name,
        version: raw.version,
        summary: raw.summary,
        homepage: raw.homepage,
    })
}

/// A recipe file, for complaints.
pub(super) struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    pub(super) fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> RecipeError {
        RecipeError::Invalid {
            path: self.path.to_owned(),
            text: self.text.to_owned(),
            span,
            message: message.into(),
            help,
        }
    }

    /// A reason is words: without it nobody can tell when it has gone.
    fn held(&self, raw: RawHeld) -> Result<Held, RecipeError> {
        if raw.because.get_ref().trim().is_empty() {
            let help = "say what the newest release lacks here, so that one can tell when it no longer does";
            return Err(self.error(raw.because.span(), "the reason is empty", Some(help.to_owned())));
        }
        Ok(Held { newest: raw.newest, because: raw.because.into_inner() })
    }

    fn source(
        &self,
        index: usize,
        raw: &Spanned<RawSource>,
        package: &str,
        expand: &dyn Fn(&str) -> String,
        beside: &dyn Beside,
    ) -> Result<Source, RecipeError> {
        let span = raw.span();
        let raw = raw.get_ref();
        let own = RawArchive {
            urls: raw.urls.clone(),
            sha256: raw.sha256,
            sha512: raw.sha512,
            nested: raw.nested.clone(),
        };
        let has_own = !own.urls.is_empty() || own.sha256.is_some() || own.sha512.is_some();
        let origin = match (&raw.local, has_own, raw.archive.as_slice()) {
            (Some(local), false, []) => {
                self.inside(local)?;
                let files = beside.local(local.get_ref()).map_err(|error| {
                    self.error(
                        local.span(),
                        format!("cannot read the folder: {error}"),
                        Some("local files live in `recipes/files/<folder>`".to_owned()),
                    )
                })?;
                Origin::Local(files)
            }
            (None, true, []) => Origin::Archives(vec![self.archive(&span, &own, expand)?]),
            (None, false, archives @ [_, ..]) => Origin::Archives(
                archives
                    .iter()
                    .map(|archive| self.archive(&archive.span(), archive.get_ref(), expand))
                    .collect::<Result<_, _>>()?,
            ),
            _ => {
                let help = "give `urls` with a digest, or `[[source.archive]]` entries, or `local`";
                return Err(self.error(
                    span,
                    "a source comes from exactly one kind of place",
                    Some(help.to_owned()),
                ));
            }
        };
        if index > 0 && raw.into.is_none() {
            let help = "say `into = \"folder\"`: only the first source is unpacked to `/src` itself";
            return Err(self.error(span, "a further source needs a folder", Some(help.to_owned())));
        }
        raw.into.as_ref().map_or(Ok(()), |into| self.inside(into))?;
        let patches = raw
            .patches
            .iter()
            .map(|name| {
                self.inside(name)?;
                let text = beside.patch(package, name.get_ref()).map_err(|error| {
                    let help = if error.kind() == io::ErrorKind::InvalidData {
                        "patches are in UTF-8; a command in [build] prepare changes a file of another encoding"
                            .to_owned()
                    } else {
                        format!("patches live in `patches/{package}/`")
                    };
                    self.error(name.span(), format!("cannot read the patch: {error}"), Some(help))
                })?;
                Ok(Patch { name: name.get_ref().clone(), text })
            })
            .collect::<Result<_, _>>()?;
        Ok(Source {
            origin,
            into: raw.into.as_ref().map(|into| into.get_ref().clone()),
            only: raw.only.clone(),
            patches,
        })
    }

    /// Refuses names that leave the folder they are meant for.
    fn inside(&self, name: &Spanned<String>) -> Result<(), RecipeError> {
        let text = name.get_ref();
        let leaves = text.is_empty() || text.starts_with('/') || text.split('/').any(|part| part == "..");
        if leaves {
            return Err(self.error(name.span(), "the name leaves its folder", None));
        }
        Ok(())
    }

    fn archive(
        &self,
        span: &Range<usize>,
        raw: &RawArchive,
        expand: &dyn Fn(&str) -> String,
    ) -> Result<Archive, RecipeError> {
        let digest = self.digest(span, raw.sha256, raw.sha512)?;
        if raw.urls.is_empty() {
            return Err(self.error(span.clone(), "an archive needs at least one URL", None));
        }
        let urls = raw
            .urls
            .iter()
            .map(|url| {
                let text = expand(url.get_ref());
                if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
                    let help = format!("known schemes are {}", SCHEMES.join(" "));
                    return Err(self.error(url.span(), "the URL has no known scheme", Some(help)));
                }
                if text.contains(['{', '}']) {
                    let help = "`{version}` is the only placeholder of a URL".to_owned();
                    return Err(self.error(url.span(), "the URL has an unknown placeholder", Some(help)));
                }
                Ok(text)
            })
            .collect::<Result<_, _>>()?;
        Ok(Archive { urls, digest, nested: raw.nested.as_deref().map(expand) })
    }

    fn digest(
        &self,
        span: &Range<usize>,
        sha256: Option<Sha256>,
        sha512: Option<Sha512>,
    ) -> Result<SourceDigest, RecipeError> {
        match (sha256, sha512) {
            (Some(digest), None) => Ok(SourceDigest::Sha256(digest)),
            (None, Some(digest)) => Ok(SourceDigest::Sha512(digest)),
            _ => Err(self.error(
                span.clone(),
                "an archive has one digest",
                Some("give `sha256` or `sha512`, as upstream publishes it".to_owned()),
            )),
        }
    }

    fn build(&self, raw: RawBuild) -> Result<Build, RecipeError> {
        let span = raw.system.span();
        let kind = *raw.system.get_ref();
        self.only_for(&span, "steps", !raw.steps.is_empty(), kind == RawSystem::Script)?;
        let is = |kinds: &[RawSystem]| kinds.contains(&kind);
        let makes = [RawSystem::Autotools, RawSystem::Make, RawSystem::Kconfig];
        self.only_for(&span, "targets", !raw.targets.is_empty(), kind != RawSystem::Script)?;
        let installs = raw.install.as_ref().is_none_or(|targets| !targets.is_empty());
        self.only_for(&span, "install", raw.install.is_some() && installs, is(&makes))?;
        self.only_for(&span, "install", !installs, kind != RawSystem::Script)?;
        self.only_for(&span, "autoreconf", raw.autoreconf, kind == RawSystem::Autotools)?;
        self.only_for(&span, "in-tree", raw.in_tree, kind == RawSystem::Autotools)?;
        raw.subdir.as_ref().map_or(Ok(()), |subdir| self.inside(subdir))?;
        let targets = raw.targets;
        let install = raw.install.unwrap_or_else(|| vec!["install".to_owned()]);
        let system = match kind {
            RawSystem::Autotools => {
                System::Autotools { in_tree: raw.in_tree, autoreconf: raw.autoreconf, targets, install }
            }
            RawSystem::Make => System::Make { targets, install },
            RawSystem::Meson => System::Meson { targets, install: installs },
            RawSystem::Kconfig => {
                let base = raw.config.as_ref().and_then(|config| config.base.clone()).ok_or_else(|| {
                    let help = "add `[build.config]` with `base`, for example `base = \"defconfig\"`";
                    self.error(span.clone(), "a kconfig build starts from a base", Some(help.to_owned()))
                })?;
                System::Kconfig { base, targets, install }
            }
            RawSystem::Script => System::Script { steps: raw.steps },
        };
        let common = RawOptions {
            configure: raw.configure,
            make: raw.make,
            cflags: raw.cflags,
            cppflags: raw.cppflags,
            ldflags: raw.ldflags,
            libs: raw.libs,
            env: raw.env,
            cache: raw.cache,
            config: raw.config,
        };
        for options in [&common].into_iter().chain(raw.arch.values()).chain(&raw.machine.build) {
            let RawOptions { configure, make, cache, config, .. } = options;
            let configures = [RawSystem::Autotools, RawSystem::Meson];
            self.only_for(&span, "configure", !configure.is_empty(), is(&configures))?;
            self.only_for(&span, "make", !make.is_empty(), is(&makes))?;
            self.only_for(&span, "cache", !cache.is_empty(), kind == RawSystem::Autotools)?;
            self.only_for(&span, "config", config.is_some(), kind == RawSystem::Kconfig)?;
            self.one_value_each(&span, config.as_ref())?;
        }
        Ok(Build {
            system,
            cross: raw.cross,
            subdir: raw.subdir.map(Spanned::into_inner),
            prepare: raw.prepare,
            finish: raw.finish,
            common: options(common),
            arch: raw.arch.into_iter().map(|(arch, raw)| (arch, options(raw))).collect(),
            here: raw.machine.build.map(options).unwrap_or_default(),
        })
    }

    /// Refuses a symbol that is asked for in two ways.
    fn one_value_each(&self, span: &Range<usize>, config: Option<&RawConfig>) -> Result<(), RecipeError> {
        let Some(RawConfig { enable, disable, values, base: _ }) = config else { return Ok(()) };
        let mut seen = BTreeSet::new();
        match enable.iter().chain(disable).chain(values.keys()).find(|name| !seen.insert(*name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("the configuration asks for the symbol `{name}` twice");
                Err(self.error(span.clone(), message, None))
            }
        }
    }

    fn only_for(&self, span: &Range<usize>, key: &str, given: bool, fits: bool) -> Result<(), RecipeError> {
        if given && !fits {
            return Err(self.error(
                span.clone(),
                format!("`{key}` has no meaning for this build system"),
                None,
            ));
        }
        Ok(())
    }
}

fn options(raw: RawOptions) -> Options {
    let RawConfig { enable, disable, values, base: _ } = raw.config.unwrap_or_default();
    // The file has numbers bare and texts in quotes.
    let written = |value: String| {
        let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if number { value } else { format!("\"{value}\"") }
    };
    let mut symbols: BTreeMap<String, String> =
        values.into_iter().map(|(name, value)| (name, written(value))).collect();
    symbols.extend(enable.into_iter().map(|name| (name, "y".to_owned())));
    symbols.extend(disable.into_iter().map(|name| (name, "n".to_owned())));
    Options {
        configure: raw.configure,
        make: raw.make,
        cflags: raw.cflags,
        cppflags: raw.cppflags,
        ldflags: raw.ldflags,
        libs: raw.libs,
        env: raw.env,
        cache: raw.cache,
        symbols,
    }
}
