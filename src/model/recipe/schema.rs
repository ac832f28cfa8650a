//! A recipe as it is written: the serde types of the TOML file, before anything is checked against anything else.
//!
//! Only this module knows the keys. Values that later checks complain about keep their place in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Justification, Toolchain};
use base::digest::{Sha256, Sha512};
use base::name::{ArchName, PackageName, Version};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawRecipe {
    pub(super) name: Spanned<PackageName>,
    pub(super) version: Version,
    pub(super) summary: String,
    pub(super) homepage: String,
    pub(super) license: RawLicense,
    #[serde(default)]
    pub(super) identity: RawIdentity,
    #[serde(default)]
    pub(super) source: Vec<Spanned<RawSource>>,
    pub(super) held: Option<RawHeld>,
    #[serde(default)]
    pub(super) cve: Vec<Spanned<RawCve>>,
    #[serde(default)]
    pub(super) needs: RawNeeds,
    pub(super) build: RawBuild,
    #[serde(default)]
    pub(super) install: RawInstall,
    #[serde(default)]
    pub(super) exports: RawExports,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawLicense {
    pub(super) spdx: String,
    #[serde(default)]
    pub(super) files: BTreeMap<Spanned<String>, Sha256>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawIdentity {
    pub(super) cpe: Option<String>,
    pub(super) purl: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawHeld {
    pub(super) newest: Version,
    pub(super) because: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawSource {
    #[serde(default)]
    pub(super) urls: Vec<Spanned<String>>,
    pub(super) sha256: Option<Sha256>,
    pub(super) sha512: Option<Sha512>,
    pub(super) nested: Option<String>,
    #[serde(default)]
    pub(super) archive: Vec<Spanned<RawArchive>>,
    pub(super) local: Option<Spanned<String>>,
    pub(super) into: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) only: Vec<String>,
    #[serde(default)]
    pub(super) patches: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawArchive {
    pub(super) urls: Vec<Spanned<String>>,
    pub(super) sha256: Option<Sha256>,
    pub(super) sha512: Option<Sha512>,
    pub(super) nested: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawCve {
    pub(super) id: Spanned<String>,
    pub(super) fixed_by: Option<Spanned<String>>,
    pub(super) fixed_in: Option<Version>,
    pub(super) not_affected: Option<Justification>,
    pub(super) affected: Option<String>,
    pub(super) because: Option<String>,
    pub(super) reference: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawNeeds {
    #[serde(default)]
    pub(super) tools: Vec<PackageName>,
    #[serde(default)]
    pub(super) link: Vec<PackageName>,
    #[serde(default)]
    pub(super) target: Vec<PackageName>,
    #[serde(default)]
    pub(super) run: Vec<PackageName>,
    #[serde(default)]
    pub(super) toolchain: Toolchain,
}

/// The build system by name; what each understands is decided in `validate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawSystem {
    Autotools,
    Make,
    Meson,
    Kconfig,
    Script,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawBuild {
    pub(super) system: Spanned<RawSystem>,
    #[serde(default)]
    pub(super) cross: bool,
    #[serde(default)]
    pub(super) in_tree: bool,
    pub(super) subdir: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) autoreconf: bool,
    #[serde(default)]
    pub(super) prepare: Vec<Vec<String>>,
    #[serde(default)]
    pub(super) targets: Vec<String>,
    pub(super) install: Option<Vec<String>>,
    #[serde(default)]
    pub(super) finish: Vec<Vec<String>>,
    #[serde(default)]
    pub(super) steps: Vec<Vec<String>>,
    #[serde(default)]
    pub(super) configure: Vec<String>,
    #[serde(default)]
    pub(super) make: Vec<String>,
    #[serde(default)]
    pub(super) cflags: Vec<String>,
    #[serde(default)]
    pub(super) cppflags: Vec<String>,
    #[serde(default)]
    pub(super) ldflags: Vec<String>,
    #[serde(default)]
    pub(super) libs: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) cache: BTreeMap<String, String>,
    pub(super) config: Option<RawConfig>,
    #[serde(default)]
    pub(super) arch: BTreeMap<ArchName, RawOptions>,
    #[serde(default)]
    pub(super) machine: RawMachine,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawMachine {
    pub(super) build: Option<RawOptions>,
}

/// What an arch or the build machine may add to `[build]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawOptions {
    #[serde(default)]
    pub(super) configure: Vec<String>,
    #[serde(default)]
    pub(super) make: Vec<String>,
    #[serde(default)]
    pub(super) cflags: Vec<String>,
    #[serde(default)]
    pub(super) cppflags: Vec<String>,
    #[serde(default)]
    pub(super) ldflags: Vec<String>,
    #[serde(default)]
    pub(super) libs: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) cache: BTreeMap<String, String>,
    pub(super) config: Option<RawConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) base: Option<String>,
    #[serde(default)]
    pub(super) enable: Vec<String>,
    #[serde(default)]
    pub(super) disable: Vec<String>,
    #[serde(default)]
    pub(super) values: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawInstall {
    #[serde(default)]
    pub(super) keep: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawExports {
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
}
