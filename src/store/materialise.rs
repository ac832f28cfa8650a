//! Materialising: trees of the store become files in a folder.
//!
//! The folder is new or empty and every path is checked, so nothing is ever written through a link. All folders, files
//! and links get [`FIXED_TIME`], so that what a build sees does not depend on when it was placed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use rayon::prelude::*;

use super::blob::{BlobName, FIXED_TIME, set_mode_and_time, set_time};
use super::error::{StoreError, at};
use super::listing::{Entry, Tree, ancestors};
use super::merge::merge;
use super::rewrite::{PROBE, is_text, rewrite_target, rewrite_text};
use super::{Store, held};
use base::digest::TreeDigest;

/// How files get from the store to where they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement<'a> {
    /// Hard links to the store's read-only files; copies with the same mode where links are not possible. For inputs
    /// that nothing writes to.
    Link,
    /// Copies that can be written to (sharing blocks where the file system can).
    Copy {
        /// Replaces the first path by the second in text files and at the start of links' targets: for tools that run
        /// elsewhere than at the guest path they were made for.
        rewrite: Option<(&'a str, &'a str)>,
    },
}

impl Store {
    /// Merges `trees`, each with a label for errors, and places them in `dest`, which is new or empty. What was placed
    /// before an error stays: `dest` is scratch.
    pub fn materialise(
        &self,
        trees: &[(String, TreeDigest)],
        dest: &Path,
        placement: Placement<'_>,
    ) -> Result<(), StoreError> {
        let _activity = self.active();
        let loaded: Vec<Tree> =
            trees.iter().map(|(_, digest)| self.load_tree(digest)).collect::<Result<_, _>>()?;
        held(&self.inner.in_use).extend(trees.iter().map(|(_, digest)| *digest));
        let labelled: Vec<(&str, &Tree)> =
            trees.iter().zip(&loaded).map(|((label, _), tree)| (label.as_str(), tree)).collect();
        let merged = merge(&labelled)?;
        self.place(&merged, dest, placement)
    }

    fn place(&self, tree: &Tree, dest: &Path, placement: Placement<'_>) -> Result<(), StoreError> {
        fs::create_dir_all(dest).map_err(at("make", dest))?;
        if fs::read_dir(dest).map_err(at("list", dest))?.next().is_some() {
            return Err(StoreError::NotEmpty { dest: dest.to_owned() });
        }
        let folders = folders(tree);
        for folder in &folders {
            let path = dest.join(folder);
            fs::create_dir(&path).map_err(at("make", &path))?;
        }
        tree.entries().par_iter().try_for_each(|(path, entry)| {
            let path = dest.join(path);
            match entry {
                Entry::File { blob, executable, size } => {
                    let name = BlobName { digest: *blob, executable: *executable };
                    let blob = self.sound_blob(name, *size)?;
                    place_file(&blob, name, &path, placement).map_err(at("write", &path))
                }
                Entry::Symlink { target } => place_link(target, &path, placement).map_err(at("link", &path)),
                Entry::Dir => Ok(()),
            }
        })?;
        for folder in folders.iter().rev().map(|folder| dest.join(folder)).chain([dest.to_owned()]) {
            File::open(&folder)
                .and_then(|file| {
                    file.set_permissions(Permissions::from_mode(0o755))?;
                    set_time(&file)
                })
                .map_err(at("set the mode of", &folder))?;
        }
        Ok(())
    }
}

/// Every folder of the tree, those above before those below.
fn folders(tree: &Tree) -> BTreeSet<&str> {
    let mut folders = BTreeSet::new();
    for (path, entry) in tree.entries() {
        folders.extend(ancestors(path));
        if *entry == Entry::Dir {
            folders.insert(path);
        }
    }
    folders
}

fn place_file(blob: &Path, name: BlobName, path: &Path, placement: Placement<'_>) -> io::Result<()> {
    let rewrite = match placement {
        // Links fail across file systems and beyond a number of names for one file.
        Placement::Link if fs::hard_link(blob, path).is_ok() => return Ok(()),
        Placement::Link => {
            fs::copy(blob, path)?;
            return set_mode_and_time(&File::open(path)?, name.mode());
        }
        Placement::Copy { rewrite } => rewrite,
    };
    match rewrite.map(|(from, to)| rewrite_file(blob, from, to)).transpose()?.flatten() {
        Some(contents) => {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(&contents)?;
        }
        None => {
            fs::copy(blob, path)?;
        }
    }
    set_mode_and_time(&File::open(path)?, if name.executable { 0o755 } else { 0o644 })
}

/// The new contents if the file is text and has the path in it.
fn rewrite_file(blob: &Path, from: &str, to: &str) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(blob)?;
    let mut contents = Vec::with_capacity(PROBE);
    (&file).take(PROBE as u64).read_to_end(&mut contents)?;
    if !is_text(&contents) {
        return Ok(None);
    }
    file.read_to_end(&mut contents)?;
    Ok(rewrite_text(&contents, from, to))
}

fn place_link(target: &str, path: &Path, placement: Placement<'_>) -> io::Result<()> {
    match placement {
        Placement::Copy { rewrite: Some((from, to)) } => symlink(rewrite_target(target, from, to), path)?,
        _ => symlink(target, path)?,
    }
    let time = TimeSpec::new(i64::try_from(FIXED_TIME).expect("it is before 2038"), 0);
    utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    struct Fixture {
        folder: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("store")).unwrap();
            Self { folder, store }
        }

        /// A tree of `path`, `contents` pairs: `*` before a path makes a program, `@` a link.
        fn tree(&self, label: &str, files: &[(&str, &str)]) -> (String, TreeDigest) {
            let out = self.store.temp_dir("out").unwrap();
            for (name, contents) in files {
                let path = out.path().join(name.trim_start_matches(['*', '@']));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                if name.starts_with('@') {
                    symlink(contents, path).unwrap();
                } else {
                    fs::write(&path, contents).unwrap();
                    let mode = if name.starts_with('*') { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                }
            }
            (label.to_owned(), self.store.capture_all(out.path()).unwrap())
        }

        fn place(
            &self,
            trees: &[(String, TreeDigest)],
            placement: Placement<'_>,
        ) -> Result<std::path::PathBuf, StoreError> {
            let dest = tempfile::tempdir_in(&self.folder).unwrap().keep();
            self.store.materialise(trees, &dest, placement).map(|()| dest)
        }
    }

    fn mode_and_time(path: &Path) -> (u32, i64) {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.mode() & 0o7777, meta.mtime())
    }

    #[test]
    fn trees_come_back_as_they_were_captured() {
        let fixture = Fixture::new();
        let time = i64::try_from(FIXED_TIME).unwrap();
        let files = [("*bin/a", "a"), ("lib/b", "b"), ("@lib/c", "../bin/a"), ("lib/same", "a")];
        let (label, digest) = fixture.tree("one", &files);
        for (placement, file, program) in
            [(Placement::Link, 0o444, 0o555), (Placement::Copy { rewrite: None }, 0o644, 0o755)]
        {
            let dest = fixture.place(&[(label.clone(), digest)], placement).unwrap();
            assert_eq!(mode_and_time(&dest.join("bin/a")), (program, time));
            assert_eq!(mode_and_time(&dest.join("lib/same")), (file, time));
            assert_eq!(mode_and_time(&dest.join("lib")), (0o755, time));
            assert_eq!(mode_and_time(&dest).1, time);
            assert_eq!(mode_and_time(&dest.join("lib/c")).1, time);
            assert_eq!(fs::read_to_string(dest.join("lib/c")).unwrap(), "a");
            assert_eq!(fixture.store.capture_all(&dest).unwrap(), digest);
        }
        // Capturing what was linked did not take the blobs' own names away.
        fixture.place(&[(label, digest)], Placement::Link).unwrap();
    }

    #[test]
    fn trees_merge_or_clash_by_label() {
        let fixture = Fixture::new();
        let one = fixture.tree("libmnl@arm", &[("usr/lib/libmnl.a", "m"), ("usr/COPYING", "x")]);
        let two = fixture.tree("musl@arm", &[("usr/lib/libc.a", "c"), ("usr/COPYING", "x")]);
        let dest = fixture.place(&[one.clone(), two.clone()], Placement::Link).unwrap();
        assert_eq!(fs::read_dir(dest.join("usr/lib")).unwrap().count(), 2);

        let other = fixture.tree("libmnl2@arm", &[("usr/lib/libmnl.a", "other")]);
        let linked = fixture.tree("base", &[("@usr/lib", "/etc")]);
        for (wrong, path) in [(other, "usr/lib/libmnl.a"), (linked, "usr/lib")] {
            let error = fixture.place(&[one.clone(), two.clone(), wrong], Placement::Link).unwrap_err();
            let StoreError::Clash(clash) = error else { panic!("{error}") };
            assert_eq!((clash.path.as_str(), clash.left != clash.right), (path, true), "{clash}");
        }
    }

    #[test]
    fn only_new_and_empty_folders_are_filled() {
        let fixture = Fixture::new();
        let tree = [fixture.tree("one", &[("a/b", "")])];
        let dest = fixture.folder.path().join("x/y");
        fixture.store.materialise(&tree, &dest, Placement::Link).unwrap();
        let error = fixture.store.materialise(&tree, &dest, Placement::Link).unwrap_err();
        assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");

        // A link that waits where a folder is to be made.
        let trap = fixture.folder.path().join("trap");
        fs::create_dir(&trap).unwrap();
        symlink(fixture.folder.path(), trap.join("a")).unwrap();
        assert!(fixture.store.materialise(&tree, &trap, Placement::Link).is_err());
        assert!(!fixture.folder.path().join("b").exists());
    }

    #[test]
    fn copies_can_be_moved_to_another_folder() {
        let fixture = Fixture::new();
        let binary = "\0/tools/bin";
        let files = [
            ("*bin/autoconf", "#!/tools/bin/perl\n"),
            ("bin/m4", binary),
            ("@lib", "/tools/lib64"),
            ("@up", "../tools"),
            ("plain", "text"),
        ];
        let tree = [fixture.tree("autoconf@build", &files)];
        let rewrite = Some(("/tools", "/home/me/t"));
        let dest = fixture.place(&tree, Placement::Copy { rewrite }).unwrap();
        assert_eq!(fs::read_to_string(dest.join("bin/autoconf")).unwrap(), "#!/home/me/t/bin/perl\n");
        assert_eq!(mode_and_time(&dest.join("bin/autoconf")).0, 0o755);
        assert_eq!(fs::read_to_string(dest.join("bin/m4")).unwrap(), binary);
        assert_eq!(fs::read_link(dest.join("lib")).unwrap(), Path::new("/home/me/t/lib64"));
        assert_eq!(fs::read_link(dest.join("up")).unwrap(), Path::new("../tools"));
        let dest = fixture.place(&tree, Placement::Link).unwrap();
        assert_eq!(fs::read_to_string(dest.join("bin/autoconf")).unwrap(), "#!/tools/bin/perl\n");
    }

    #[test]
    fn other_file_systems_get_copies() {
        let fixture = Fixture::new();
        let tree = [fixture.tree("one", &[("*a", "a")])];
        // Elsewhere on most machines; if not, this is the same as above.
        let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
        fixture.store.materialise(&tree, &elsewhere.path().join("d"), Placement::Link).unwrap();
        let placed = elsewhere.path().join("d/a");
        assert_eq!(mode_and_time(&placed), (0o555, i64::try_from(FIXED_TIME).unwrap()));
        fs::write(elsewhere.path().join("d/b"), "b").unwrap();
        let captured = fixture.store.capture_all(&elsewhere.path().join("d")).unwrap();
        assert_eq!(fixture.store.tree(&captured).unwrap().entries().len(), 2);
    }
}
