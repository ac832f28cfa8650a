//! The licence texts of a pack, out of the archives.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::super::error::{CliError, unpack_error};
use super::{Chosen, Paths, folder};
use base::deadline::Deadline;
use base::digest::{Sha256, SourceDigest};
use fetch::Fetcher;
use root::attest::{LegalError, LegalPack, LicenseText};

/// Licence texts by the archive that they are in, and the archive within that.
type ByArchive<'a> = BTreeMap<(&'a Path, SourceDigest, Option<&'a str>), Vec<(&'a String, &'a LicenseText)>>;

/// The licence texts of a pack: those of an earlier one that are right, and what archives have, each of which is read once.
pub(super) fn texts(
    folder: &Path,
    pack: &LegalPack,
    chosen: &[Chosen<'_>],
    paths: &Paths,
    fetcher: &Fetcher,
    deadline: &Deadline,
) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let mut texts = BTreeMap::new();
    let mut by_archive = ByArchive::new();
    for (path, license) in &pack.licenses {
        if let Some(contents) = folder::kept(folder, path, license.sha256) {
            texts.insert(path.clone(), contents);
            continue;
        }
        let is_its = |one: &&Chosen<'_>| *one.package == license.package && one.source == license.source;
        let one = chosen.iter().find(is_its).expect("a text is in an archive that was chosen");
        let archive = one.archives[one.index];
        let file = &paths[&(license.package.clone(), license.source)];
        let key = (file.as_path(), archive.digest, archive.nested.as_deref());
        by_archive.entry(key).or_default().push((path, license));
    }
    let found: Vec<Vec<(String, Vec<u8>)>> = by_archive
        .into_par_iter()
        .map(|((file, digest, nested), texts)| read(fetcher, (file, &digest), nested, &texts, deadline))
        .collect::<Result<_, _>>()?;
    texts.extend(found.into_iter().flatten());
    Ok(texts)
}

/// Licence texts that are in one archive, each of which is what its recipe says.
fn read(
    fetcher: &Fetcher,
    archive: (&Path, &SourceDigest),
    nested: Option<&str>,
    texts: &[(&String, &LicenseText)],
    deadline: &Deadline,
) -> Result<Vec<(String, Vec<u8>)>, CliError> {
    let wanted = texts.iter().map(|(_, license)| (license.path.as_str(), license.sha256)).collect();
    let found = fetcher.files_of(archive, nested, &wanted, deadline).map_err(unpack_error(archive.0))?;
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
    texts.iter().map(take).collect()
}
