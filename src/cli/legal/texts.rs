//! The licence texts of a pack, out of the archives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::super::error::CliError;
use super::{Chosen, Paths, folder};
use crate::attest::{LegalError, LegalPack, LicenseText};
use crate::digest::Sha256;
use crate::fetch::read_files;

/// Licence texts by the archive that they are in, and the archive within that.
type ByArchive<'a> = BTreeMap<(&'a Path, Option<&'a str>), Vec<(&'a String, &'a LicenseText)>>;

/// The licence texts of a pack: those of an earlier one that are right, and what archives have, each of which is read once.
pub(super) fn texts(
    folder: &Path,
    pack: &LegalPack,
    chosen: &[Chosen<'_>],
    paths: &Paths,
) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let mut texts = BTreeMap::new();
    let mut by_archive = ByArchive::new();
    for (path, license) in &pack.licenses {
        if let Some(contents) = folder::kept(folder, path, license.sha256) {
            texts.insert(path.clone(), contents);
            continue;
        }
        let one = chosen.iter().find(|one| *one.package == license.package && one.source == license.source);
        let nested = one.and_then(|one| one.archives[one.index].nested.as_deref());
        let archive = &paths[&(license.package.clone(), license.source)];
        by_archive.entry((archive, nested)).or_default().push((path, license));
    }
    let found: Vec<Vec<(String, Vec<u8>)>> = by_archive
        .into_par_iter()
        .map(|((archive, nested), wanted)| read(archive, nested, &wanted))
        .collect::<Result<_, _>>()?;
    texts.extend(found.into_iter().flatten());
    Ok(texts)
}

/// Licence texts that are in one archive, each of which is what its recipe says.
fn read(
    archive: &Path,
    nested: Option<&str>,
    wanted: &[(&String, &LicenseText)],
) -> Result<Vec<(String, Vec<u8>)>, CliError> {
    let names: BTreeSet<&str> = wanted.iter().map(|(_, license)| license.path.as_str()).collect();
    let found = read_files(archive, nested, &names)
        .map_err(|source| CliError::Unpack { path: archive.to_owned(), source })?;
    let take = |(path, license): &(&String, &LicenseText)| {
        let contents = found.get(&license.path);
        match contents.filter(|contents| Sha256::of(contents) == license.sha256) {
            Some(contents) => Ok(((*path).clone(), contents.clone())),
            None => Err(CliError::Legal(LegalError {
                package: license.package.clone(),
                path: license.path.clone(),
                expected: license.sha256,
                computed: contents.map(|contents| Sha256::of(contents)),
            })),
        }
    };
    wanted.iter().map(take).collect()
}
