//! Files out of archives that stay in the cache, so that a large archive is read for them once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Fetcher, UnpackError, read_files};
use base::deadline::Deadline;
use base::digest::{Sha256, SourceDigest};

impl Fetcher {
    /// What [`read_files`] reads from `archive`, whose digest is `digest` and has been verified. A file that was read before comes
    /// from the cache if it is what `wanted` says of it.
    pub fn files_of(
        &self,
        (archive, digest): (&Path, &SourceDigest),
        nested: Option<&str>,
        wanted: &BTreeMap<&str, Sha256>,
        deadline: &Deadline,
    ) -> Result<BTreeMap<String, Vec<u8>>, UnpackError> {
        let name = |path: &str| {
            let origin = format!("{digest}\n{}\n{path}", nested.unwrap_or_default());
            format!("file-{}", Sha256::of(origin.as_bytes()))
        };
        let kept = |(path, sha256): (&&str, &Sha256)| {
            let contents =
                self.cache.read_file(&name(path)).filter(|contents| Sha256::of(contents) == *sha256)?;
            Some(((*path).to_owned(), contents))
        };
        let mut files: BTreeMap<String, Vec<u8>> = wanted.iter().filter_map(kept).collect();
        let others: BTreeSet<&str> =
            wanted.keys().filter(|path| !files.contains_key(**path)).copied().collect();
        if others.is_empty() {
            return Ok(files);
        }
        for (path, contents) in read_files(archive, nested, &others, deadline)? {
            self.cache.write_file(&name(&path), &contents);
            files.insert(path, contents);
        }
        Ok(files)
    }
}
