//! `recipes/root.toml` as it is written, with the places of what can be wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use base::name::PackageName;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawLayout {
    pub(super) checksums: Spanned<String>,
    pub(super) tarball: Vec<RawTarball>,
    pub(super) places: BTreeMap<String, BTreeMap<Spanned<String>, Spanned<String>>>,
    #[serde(default)]
    pub(super) gives_way: BTreeMap<Spanned<PackageName>, Vec<Spanned<PackageName>>>,
    #[serde(default)]
    pub(super) file: Vec<RawFile>,
    #[serde(default)]
    pub(super) links: Vec<RawLinks>,
    #[serde(default)]
    pub(super) link: Vec<RawLink>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawTarball {
    pub(super) name: Spanned<String>,
    pub(super) file: Spanned<String>,
    pub(super) folders: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) package: PackageName,
    pub(super) from: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) script: bool,
    pub(super) to: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawLinks {
    pub(super) package: PackageName,
    pub(super) from: Spanned<Vec<Spanned<String>>>,
    pub(super) target: Spanned<String>,
    pub(super) to: Spanned<String>,
    #[serde(default)]
    pub(super) except: Vec<RawExcept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawExcept {
    pub(super) names: Spanned<Vec<Spanned<String>>>,
    pub(super) reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawLink {
    pub(super) names: Spanned<Vec<Spanned<String>>>,
    pub(super) target: Spanned<String>,
    pub(super) to: Spanned<String>,
}
