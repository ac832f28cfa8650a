//! The user's folders of archives (`--distfiles`): a file there is found by what it contains, whatever its name.
//!
//! The names in the URLs are tried first, since they are usually right; only when they are not is every file hashed, in
//! parallel and once a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::cache::Verifier;
use base::digest::SourceDigest;

/// How deep below a folder files are looked for.
const DEPTH: usize = 4;

/// The folders, with an index made when it is first needed, one for each kind of digest.
#[derive(Default)]
pub(super) struct Distfiles {
    folders: Vec<PathBuf>,
    sha256: OnceLock<BTreeMap<SourceDigest, PathBuf>>,
    sha512: OnceLock<BTreeMap<SourceDigest, PathBuf>>,
}

impl Distfiles {
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, ..Self::default() }
    }

    /// The file with this digest.
    pub(super) fn find(
        &self,
        digest: &SourceDigest,
        urls: &[String],
        verifier: &Verifier,
    ) -> Option<PathBuf> {
        let is_it = |path: &Path| verifier.digest(path, digest).is_ok_and(|computed| computed == *digest);
        for folder in &self.folders {
            for name in urls.iter().filter_map(|url| url.rsplit(['/', ':']).next()) {
                let path = folder.join(name);
                if !name.is_empty() && path.is_file() && is_it(&path) {
                    return Some(path);
                }
            }
        }
        let index = match digest {
            SourceDigest::Sha256(_) => &self.sha256,
            SourceDigest::Sha512(_) => &self.sha512,
        };
        let path = index.get_or_init(|| self.index(digest, verifier)).get(digest)?;
        // It may have changed since the index was made.
        is_it(path).then(|| path.clone())
    }

    fn index(&self, like: &SourceDigest, verifier: &Verifier) -> BTreeMap<SourceDigest, PathBuf> {
        let files = self.folders.iter().flat_map(|folder| {
            WalkDir::new(folder).follow_links(true).max_depth(DEPTH).sort_by_file_name().into_iter().flatten()
        });
        let files: Vec<PathBuf> =
            files.filter(|file| file.file_type().is_file()).map(walkdir::DirEntry::into_path).collect();
        let digests: Vec<_> =
            files.into_par_iter().map(|path| (verifier.digest(&path, like), path)).collect();
        // Backwards, so that of two copies the first folder's is kept.
        digests.into_iter().rev().filter_map(|(digest, path)| Some((digest.ok()?, path))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::digest::{Sha256, Sha512};
    use std::fs;

    #[test]
    fn files_are_found_by_name_and_by_contents_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("a-1.tar"), "a").unwrap();
        fs::write(folder.path().join("deep/other name"), "b").unwrap();
        fs::write(folder.path().join("b-1.tar"), "not b").unwrap();
        let distfiles = Distfiles::new(vec!["/nowhere".into(), folder.path().into()]);
        let verifier = Verifier::default();
        let urls = ["https://a.example/x/a-1.tar".to_owned(), "pypi:b/b-1.tar".to_owned(), "x:".to_owned()];
        let find = |digest| distfiles.find(&digest, &urls, &verifier);
        assert_eq!(find(SourceDigest::Sha256(Sha256::of(b"a"))), Some(folder.path().join("a-1.tar")));
        assert!(distfiles.sha256.get().is_none(), "the name was enough");
        assert_eq!(find(SourceDigest::Sha256(Sha256::of(b"b"))), Some(folder.path().join("deep/other name")));
        assert_eq!(find(SourceDigest::Sha512(Sha512::of(b"b"))), Some(folder.path().join("deep/other name")));
        assert_eq!(find(SourceDigest::Sha256(Sha256::of(b"c"))), None);
    }
}
