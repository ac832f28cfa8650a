//! Capture: a folder that a build left becomes a tree in the store.
//!
//! Files are hashed in parallel and renamed into `blobs/` where that is possible, else copied. The tree says nothing of
//! owners, times, umask or hard links. Nothing is synced here: a capture counts once [`Store::record`] has made it
//! durable, and what a power cut leaves of it before that is found damaged when it is next looked at.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::blob::{BlobName, hash, open_plain, set_time};
use super::error::{Item, Refusal, StoreError, at};
use super::listing::{Entry, Tree, digest_of};
use super::session::make_accessible;
use super::{Store, TREES, held, read_if_there};
use crate::digest::TreeDigest;

/// Whose folder it is that is captured.
enum Whose<'a> {
    /// Nobody needs it any more; this says which paths are kept.
    Scratch(&'a (dyn Fn(&str) -> bool + Sync)),
    /// Somebody's, who finds it as it was; this says which names are left out.
    Other(&'a (dyn Fn(&OsStr) -> bool + Sync)),
}

enum Found {
    File(PathBuf),
    Symlink(PathBuf),
    Dir,
}

impl Store {
    /// Keeps what is in `dir` and of which `keep` says so, as a tree. `keep` is given paths relative to `dir`, with
    /// U+FFFD for what is not UTF-8; such names are refused if it wants them.
    ///
    /// Files become mode 0644, or 0755 if their owner could run them; hard links become files; folders are kept
    /// only if they are empty on the disk and `keep` wants them. `dir` is scratch: files are moved out of it.
    pub fn capture(
        &self,
        dir: &Path,
        keep: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<TreeDigest, StoreError> {
        self.capture_as(dir, &Whose::Scratch(keep))
    }

    /// Keeps a copy of what is in `dir` as a tree, but for what `leave_out` says of its name, and for what is neither file,
    /// link nor folder. Nothing is changed there.
    pub fn copy_in(
        &self,
        dir: &Path,
        leave_out: &(dyn Fn(&OsStr) -> bool + Sync),
    ) -> Result<TreeDigest, StoreError> {
        self.capture_as(dir, &Whose::Other(leave_out))
    }

    fn capture_as(&self, dir: &Path, whose: &Whose<'_>) -> Result<TreeDigest, StoreError> {
        let _activity = self.active();
        let scratch = matches!(whose, Whose::Scratch(_));
        let entries: BTreeMap<String, Entry> = scan(dir, whose)?
            .into_par_iter()
            .map(|(path, found)| Ok((path, self.take(&found, scratch)?)))
            .collect::<Result<_, StoreError>>()?;
        self.put_tree(&Tree::new(entries)?)
    }

    fn take(&self, found: &Found, scratch: bool) -> Result<Entry, StoreError> {
        match found {
            Found::File(path) => self.take_file(path, scratch),
            Found::Symlink(path) => {
                let target = fs::read_link(path).map_err(at("read the link", path))?;
                let target = target.to_str().filter(|target| !target.contains('\n'));
                let target = target.ok_or_else(|| refuse(path, Refusal::Name))?.to_owned();
                Ok(Entry::Symlink { target })
            }
            Found::Dir => Ok(Entry::Dir),
        }
    }

    fn take_file(&self, path: &Path, scratch: bool) -> Result<Entry, StoreError> {
        let mut file = match open_plain(path) {
            Err(error) if scratch && error.kind() == io::ErrorKind::PermissionDenied => {
                let mode = fs::symlink_metadata(path).map_err(at("look at", path))?.mode() & 0o7777;
                let readable = Permissions::from_mode(mode | 0o400);
                fs::set_permissions(path, readable).map_err(at("make readable", path))?;
                open_plain(path)
            }
            result => result,
        }
        .map_err(at("open", path))?;
        let meta = file.metadata().map_err(at("look at", path))?;
        if !meta.is_file() {
            return Err(refuse(path, Refusal::Special));
        }
        if meta.mode() & 0o6000 != 0 {
            return Err(refuse(path, Refusal::SetId));
        }
        // With a second name somewhere, a change of mode would be seen there: then it is copied. The time is set before
        // the contents are read, so that a write meanwhile shows.
        let movable = scratch && meta.nlink() == 1 && set_time(&file).is_ok();
        let (digest, size) = hash(&mut file).map_err(at("read", path))?;
        let name = BlobName { digest, executable: meta.mode() & 0o100 != 0 };
        self.adopt(path, &mut file, name, size, movable)?;
        Ok(Entry::File { blob: digest, executable: name.executable, size })
    }

    /// Writes a tree's listing.
    fn put_tree(&self, tree: &Tree) -> Result<TreeDigest, StoreError> {
        let listing = tree.to_bytes();
        let digest = digest_of(&listing);
        let path = self.tree_path(&digest);
        held(&self.inner.durable).remove(&digest);
        held(&self.inner.in_use).insert(digest);
        if fs::read(&path).is_ok_and(|there| there == listing) {
            return Ok(digest);
        }
        let shard = path.parent().expect("listings are in shards");
        fs::create_dir_all(shard).map_err(at("make", shard))?;
        let mut file = self.inner.session.file()?;
        file.write_all(&listing).map_err(at("write", file.path()))?;
        let read_only = Permissions::from_mode(0o444);
        file.as_file().set_permissions(read_only).map_err(at("set the mode of", file.path()))?;
        file.persist(&path).map_err(|error| at("write", &path)(error.error))?;
        Ok(digest)
    }

    /// The tree with this name, verified.
    pub fn tree(&self, digest: &TreeDigest) -> Result<Tree, StoreError> {
        let _activity = self.active();
        let tree = self.load_tree(digest)?;
        held(&self.inner.in_use).insert(*digest);
        Ok(tree)
    }

    pub(super) fn load_tree(&self, digest: &TreeDigest) -> Result<Tree, StoreError> {
        let item = Item::Tree(*digest);
        let path = self.tree_path(digest);
        let listing = read_if_there(&path)?.ok_or_else(|| StoreError::Missing { item: item.clone() })?;
        match Tree::parse(&listing) {
            Ok(tree) if digest_of(&listing) == *digest => Ok(tree),
            _ => Err(self.damaged(item, &path)?),
        }
    }

    pub(super) fn tree_path(&self, digest: &TreeDigest) -> PathBuf {
        let name = digest.to_string();
        self.path(TREES).join(&name[..2]).join(name)
    }
}

fn refuse(path: &Path, reason: Refusal) -> StoreError {
    StoreError::Refused { path: path.to_owned(), reason }
}

/// Finds what is to be kept.
fn scan(dir: &Path, whose: &Whose<'_>) -> Result<Vec<(String, Found)>, StoreError> {
    let keep = |path: &Path| match whose {
        Whose::Scratch(keep) => keep(&path.to_string_lossy()),
        Whose::Other(_) => true,
    };
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let on_disk = dir.join(&folder);
        if let Whose::Scratch(_) = whose {
            make_accessible(&on_disk).map_err(at("open the folder", &on_disk))?;
        }
        let mut empty = true;
        for entry in fs::read_dir(&on_disk).map_err(at("list", &on_disk))? {
            let entry = entry.map_err(at("list", &on_disk))?;
            if let Whose::Other(leave_out) = whose
                && leave_out(&entry.file_name())
            {
                continue;
            }
            empty = false;
            let file_type = entry.file_type().map_err(at("look at", &entry.path()))?;
            let relative = folder.join(entry.file_name());
            if file_type.is_dir() {
                folders.push(relative);
            } else if keep(&relative) {
                let on_disk = entry.path();
                let special = file_type.is_block_device()
                    || file_type.is_char_device()
                    || file_type.is_fifo()
                    || file_type.is_socket();
                if special {
                    match whose {
                        Whose::Scratch(_) => return Err(refuse(&on_disk, Refusal::Special)),
                        Whose::Other(_) => continue,
                    }
                }
                let path = listed_path(&relative, &on_disk)?;
                let is_link = file_type.is_symlink();
                found.push((path, if is_link { Found::Symlink(on_disk) } else { Found::File(on_disk) }));
            }
        }
        if empty && folder != Path::new("") && keep(&folder) {
            found.push((listed_path(&folder, &on_disk)?, Found::Dir));
        }
    }
    Ok(found)
}

fn listed_path(relative: &Path, on_disk: &Path) -> Result<String, StoreError> {
    let path = relative.to_str().filter(|path| !path.contains('\n'));
    Ok(path.ok_or_else(|| refuse(on_disk, Refusal::Name))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::BlobDigest;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn write(path: impl AsRef<Path>, contents: &str, mode: u32) {
        let path = path.as_ref();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_copy_leaves_the_folder_as_it_was() {
        let (_folder, store) = store();
        let mine = tempfile::tempdir().unwrap();
        write(mine.path().join("src/a.c"), "int a;", 0o640);
        write(mine.path().join(".git/HEAD"), "x", 0o644);
        write(mine.path().join("module/.git"), "gitdir: x", 0o644);
        let _socket = UnixListener::bind(mine.path().join("socket")).unwrap();
        let state = || {
            let all = walkdir::WalkDir::new(mine.path()).sort_by_file_name().into_iter().flatten();
            let of = |meta: fs::Metadata| (meta.ino(), meta.mode(), meta.mtime(), meta.nlink());
            all.map(|entry| (entry.path().to_owned(), of(entry.metadata().unwrap()))).collect::<Vec<_>>()
        };
        let before = state();
        let copied = store.copy_in(mine.path(), &|name| name == ".git").unwrap();
        assert_eq!(state(), before);
        let names: Vec<String> = store.tree(&copied).unwrap().entries().keys().cloned().collect();
        assert_eq!(names, ["module", "src/a.c"]);

        let scratch = store.temp_dir("same").unwrap();
        write(scratch.path().join("src/a.c"), "int a;", 0o644);
        fs::create_dir(scratch.path().join("module")).unwrap();
        assert_eq!(store.capture(scratch.path(), &|_| true).unwrap(), copied);
    }

    #[test]
    fn a_tree_is_what_is_in_the_folder() {
        let (_folder, store) = store();
        let out = store.temp_dir("out").unwrap();
        write(out.path().join("usr/bin/sh"), "#!", 0o755);
        write(out.path().join("usr/share/a b"), "", 0o600);
        write(out.path().join("usr/share/man/sh.1"), "", 0o644);
        symlink("../bin/sh", out.path().join("usr/share/link")).unwrap();
        symlink("/nowhere", out.path().join("usr/dangling")).unwrap();
        fs::create_dir_all(out.path().join("var/empty")).unwrap();
        fs::create_dir_all(out.path().join("var/unwanted")).unwrap();

        let keep = |path: &str| !path.starts_with("usr/share/man/") && path != "var/unwanted";
        let tree = store.tree(&store.capture(out.path(), &keep).unwrap()).unwrap();
        let file = |contents: &[u8], executable| Entry::File {
            blob: BlobDigest::of(contents),
            executable,
            size: contents.len() as u64,
        };
        let link = |target: &str| Entry::Symlink { target: target.to_owned() };
        let expected = [
            ("usr/bin/sh", file(b"#!", true)),
            ("usr/dangling", link("/nowhere")),
            ("usr/share/a b", file(b"", false)),
            ("usr/share/link", link("../bin/sh")),
            ("var/empty", Entry::Dir),
        ];
        let expected = expected.map(|(path, entry)| (path.to_owned(), entry));
        assert_eq!(tree, Tree::new(expected.into()).unwrap());
        assert_eq!(store.read_blob(&BlobDigest::of(b"#!")).unwrap(), b"#!");
        assert!(matches!(store.read_blob(&BlobDigest::of(b"?")), Err(StoreError::Missing { .. })));
    }

    #[test]
    fn an_empty_folder_is_an_empty_tree_and_none_is_an_error() {
        let (folder, store) = store();
        let out = store.temp_dir("out").unwrap();
        let digest = store.capture(out.path(), &|_| true).unwrap();
        assert_eq!(store.tree(&digest).unwrap(), Tree::default());
        let error = store.capture(&folder.path().join("none"), &|_| true).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }

    #[test]
    fn the_digest_does_not_depend_on_umask_times_order_or_links() {
        let (_folder, store) = store();
        let one = store.temp_dir("one").unwrap();
        for name in ["a", "b/c", "d"] {
            write(one.path().join(name), "same", 0o644);
        }
        write(one.path().join("run"), "run", 0o755);

        let two = store.temp_dir("two").unwrap();
        write(two.path().join("run"), "run", 0o700);
        write(two.path().join("d"), "same", 0o400);
        fs::hard_link(two.path().join("d"), two.path().join("a")).unwrap();
        write(two.path().join("b/c"), "same", 0o666);
        set_time(&fs::File::open(two.path().join("run")).unwrap()).unwrap();
        fs::set_permissions(two.path().join("b"), Permissions::from_mode(0o2700)).unwrap();

        let capture = |dir: &Path| store.capture(dir, &|_| true).unwrap();
        assert_eq!(capture(one.path()), capture(two.path()));
    }

    #[test]
    fn what_nobody_may_read_is_read_all_the_same() {
        let (_folder, store) = store();
        let out = store.temp_dir("out").unwrap();
        write(out.path().join("locked/program"), "x", 0o111);
        write(out.path().join("locked/secret"), "y", 0);
        fs::set_permissions(out.path().join("locked"), Permissions::from_mode(0o000)).unwrap();
        let tree = store.tree(&store.capture(out.path(), &|_| true).unwrap()).unwrap();
        assert!(matches!(tree.entries()["locked/program"], Entry::File { executable: true, .. }));
        assert!(matches!(tree.entries()["locked/secret"], Entry::File { executable: false, .. }));
    }

    #[test]
    fn hard_links_to_the_outside_keep_their_mode_and_contents() {
        let (folder, store) = store();
        let outside = folder.path().join("distfiles/precious");
        write(&outside, "precious", 0o640);
        let out = store.temp_dir("out").unwrap();
        fs::hard_link(&outside, out.path().join("link")).unwrap();
        store.capture(out.path(), &|_| true).unwrap();
        let meta = fs::metadata(&outside).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o640, 2), "it was copied, not moved");
    }

    #[test]
    fn what_has_no_place_in_a_tree_is_refused_by_name() {
        let (_folder, store) = store();
        let refused = |make: &dyn Fn(&Path)| {
            let out = store.temp_dir("out").unwrap();
            make(out.path());
            assert!(store.capture(out.path(), &|_| false).is_ok(), "it does not matter if it is not kept");
            match store.capture(out.path(), &|_| true) {
                Err(StoreError::Refused { path, reason }) => {
                    assert!(path.starts_with(out.path()) && path != out.path(), "{}", path.display());
                    reason
                }
                other => panic!("{other:?}"),
            }
        };
        let name = |name: &'static [u8]| {
            let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
            Path::new(name)
        };
        assert_eq!(refused(&|dir| drop(UnixListener::bind(dir.join("s")).unwrap())), Refusal::Special);
        let fifo = |dir: &Path| nix::unistd::mkfifo(&dir.join("p"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(refused(&fifo), Refusal::Special);
        assert_eq!(refused(&|dir| write(dir.join("su"), "", 0o4755)), Refusal::SetId);
        assert_eq!(refused(&|dir| write(dir.join("wall"), "", 0o2755)), Refusal::SetId);
        assert_eq!(refused(&|dir| write(dir.join("a\nb"), "", 0o644)), Refusal::Name);
        assert_eq!(refused(&|dir| write(dir.join(name(b"a\xff")), "", 0o644)), Refusal::Name);
        assert_eq!(refused(&|dir| write(dir.join(name(b"\xff/a")), "", 0o644)), Refusal::Name);
        assert_eq!(refused(&|dir| fs::create_dir(dir.join("d\n")).unwrap()), Refusal::Name);
        assert_eq!(refused(&|dir| symlink("a\nb", dir.join("l")).unwrap()), Refusal::Name);
        assert_eq!(refused(&|dir| symlink(name(b"\xff"), dir.join("l")).unwrap()), Refusal::Name);
    }
}
