//! Capture: a folder that a build left becomes a tree in the store.
//!
//! Files are hashed in parallel and renamed into `blobs/` where that is possible, else copied. The tree says nothing of
//! owners, times, umask or hard links. Nothing is synced here: a capture counts once [`Store::record`] has made it
//! durable, and what a power cut leaves of it before that is found damaged when it is next looked at.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::FileType;

use super::blob::{Arrival, BlobName, hash, set_time};
use super::error::{Item, Refusal, StoreError, at};
use super::listing::{Entry, Tree, digest_of};
use super::{Store, TREES, held, read_if_there};
use base::beneath::Folder;
use base::deadline::Deadline;
use base::digest::TreeDigest;

/// What becomes of a folder that is captured.
pub struct Intake<'a> {
    /// Which paths, relative to the folder, are kept; it is given U+FFFD for what is not UTF-8. Such names are refused if
    /// it wants them.
    pub keep: &'a (dyn Fn(&str) -> bool + Sync),
    /// How many bytes may be kept, holes included.
    pub bytes: u64,
    /// How many files and folders there may be.
    pub entries: usize,
    /// Until when it may take.
    pub deadline: Deadline,
}

/// Whose folder it is that is captured.
enum Whose<'a> {
    /// Nobody needs it any more.
    Scratch(&'a Intake<'a>),
    /// Somebody's, who finds it as it was; this says which names are left out.
    Other(&'a (dyn Fn(&OsStr) -> bool + Sync)),
}

enum Found {
    File,
    Symlink,
    Dir,
}

/// A folder that is being captured.
struct Capture<'a> {
    store: &'a Store,
    folder: &'a Folder,
    whose: Whose<'a>,
}

impl Store {
    /// Keeps what is in `folder`, in so far as `intake` wants it, as a tree.
    ///
    /// Files become mode 0644, or 0755 if their owner could run them; hard links become files; folders are kept
    /// only if they are empty on the disk and wanted. `folder` is scratch: files are moved out of it.
    pub fn capture(&self, folder: &Folder, intake: &Intake<'_>) -> Result<TreeDigest, StoreError> {
        Capture { store: self, folder, whose: Whose::Scratch(intake) }.run()
    }

    /// Keeps everything that is in the scratch folder `dir` as a tree.
    pub fn capture_all(&self, dir: &Path) -> Result<TreeDigest, StoreError> {
        let folder = Folder::open(dir).map_err(at("open the folder", dir))?;
        let intake =
            Intake { keep: &|_| true, bytes: u64::MAX, entries: usize::MAX, deadline: Deadline::NEVER };
        self.capture(&folder, &intake)
    }

    /// Keeps a copy of what is in `dir` as a tree, but for what `leave_out` says of its name, and for what is neither file,
    /// link nor folder. Nothing is changed there.
    pub fn copy_in(
        &self,
        dir: &Path,
        leave_out: &(dyn Fn(&OsStr) -> bool + Sync),
    ) -> Result<TreeDigest, StoreError> {
        let folder = Folder::open(dir).map_err(at("open the folder", dir))?;
        Capture { store: self, folder: &folder, whose: Whose::Other(leave_out) }.run()
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

/// The longest path of a tree, in bytes. Linux allows 4,095, of which wherever the tree is put takes a part; the longest
/// real one has 120.
const LONGEST: usize = 2_000;

/// What people need to see of a path that is too long.
fn beginning(path: &Path) -> PathBuf {
    let text: String = path.to_string_lossy().chars().take(60).collect();
    format!("{text}…").into()
}

impl Capture<'_> {
    fn run(&self) -> Result<TreeDigest, StoreError> {
        let _activity = self.store.active();
        let entries: BTreeMap<String, Entry> = self
            .scan()?
            .into_par_iter()
            .map(|(path, found)| {
                let entry = self.take(Path::new(&path), &found)?;
                Ok((path, entry))
            })
            .collect::<Result<_, StoreError>>()?;
        self.store.put_tree(&Tree::new(entries)?)
    }

    fn deadline(&self) -> Deadline {
        match self.whose {
            Whose::Scratch(intake) => intake.deadline.clone(),
            Whose::Other(_) => Deadline::NEVER,
        }
    }

    fn is_scratch(&self) -> bool {
        matches!(self.whose, Whose::Scratch(_))
    }

    fn wants(&self, path: &Path) -> bool {
        match self.whose {
            Whose::Scratch(intake) => (intake.keep)(&path.to_string_lossy()),
            Whose::Other(_) => true,
        }
    }

    /// Finds what is to be kept.
    fn scan(&self) -> Result<Vec<(String, Found)>, StoreError> {
        let (mut found, mut count, mut bytes) = (Vec::new(), 0, 0_u64);
        let mut folders = vec![PathBuf::new()];
        let deadline = self.deadline();
        while let Some(folder) = folders.pop() {
            if self.is_scratch() {
                self.folder.allow(&folder, 0o700).map_err(self.at("open the folder", &folder))?;
            }
            let mut empty = true;
            for (name, kind) in self.folder.entries(&folder).map_err(self.at("list", &folder))? {
                deadline.check()?;
                if let Whose::Other(leave_out) = self.whose
                    && leave_out(&name)
                {
                    continue;
                }
                empty = false;
                count += 1;
                let path = folder.join(name);
                if path.as_os_str().len() > LONGEST {
                    return Err(self.refuse(&beginning(&path), Refusal::Deep { limit: LONGEST }));
                }
                if let Whose::Scratch(Intake { entries, .. }) = self.whose
                    && count > *entries
                {
                    return Err(self.refuse(&path, Refusal::Many { limit: *entries }));
                }
                if kind == FileType::Directory {
                    folders.push(path);
                } else if self.wants(&path) {
                    let kind = match kind {
                        FileType::RegularFile => Found::File,
                        FileType::Symlink => Found::Symlink,
                        _ if self.is_scratch() => return Err(self.refuse(&path, Refusal::Special)),
                        _ => continue,
                    };
                    if let (Whose::Scratch(intake), Found::File) = (&self.whose, &kind) {
                        let size = self.folder.size(&path).map_err(self.at("look at", &path))?;
                        bytes = bytes.saturating_add(size);
                        if bytes > intake.bytes {
                            return Err(self.refuse(&path, Refusal::Large { limit: intake.bytes }));
                        }
                    }
                    found.push((self.listed(&path)?, kind));
                }
            }
            if empty && folder != Path::new("") && self.wants(&folder) {
                found.push((self.listed(&folder)?, Found::Dir));
            }
        }
        Ok(found)
    }

    fn take(&self, path: &Path, found: &Found) -> Result<Entry, StoreError> {
        match found {
            Found::File => self.take_file(path),
            Found::Symlink => {
                let target = self.folder.read_link(path).map_err(self.at("read the link", path))?;
                let target = target.to_str().filter(|target| !target.contains('\n'));
                let target = target.ok_or_else(|| self.refuse(path, Refusal::Name))?.to_owned();
                Ok(Entry::Symlink { target })
            }
            Found::Dir => Ok(Entry::Dir),
        }
    }

    fn take_file(&self, path: &Path) -> Result<Entry, StoreError> {
        let mut file = match self.folder.file(path) {
            Err(error) if self.is_scratch() && error.kind() == io::ErrorKind::PermissionDenied => {
                self.folder.allow(path, 0o400).map_err(self.at("make readable", path))?;
                self.folder.file(path)
            }
            result => result,
        }
        .map_err(self.at("open", path))?;
        let meta = file.metadata().map_err(self.at("look at", path))?;
        if meta.mode() & 0o6000 != 0 {
            return Err(self.refuse(path, Refusal::SetId));
        }
        // With a second name somewhere, a change of mode would be seen there: then it is copied. The time is set before
        // the contents are read, so that a write meanwhile shows.
        let movable = self.is_scratch() && meta.nlink() == 1 && set_time(&file).is_ok();
        let deadline = self.deadline();
        let read = hash(&mut file, &deadline);
        deadline.check()?;
        let (digest, size) = read.map_err(self.at("read", path))?;
        let executable = meta.mode() & 0o100 != 0;
        let rename = |target: &Path| self.folder.move_to(path, target);
        self.store.adopt(Arrival {
            path: self.folder.path().join(path),
            file,
            name: BlobName { digest, executable },
            size,
            mover: if movable { Some(&rename) } else { None },
            deadline: &deadline,
        })?;
        Ok(Entry::File { blob: digest, executable, size })
    }

    fn listed(&self, path: &Path) -> Result<String, StoreError> {
        let text = path.to_str().filter(|path| !path.contains('\n'));
        Ok(text.ok_or_else(|| self.refuse(path, Refusal::Name))?.to_owned())
    }

    fn refuse(&self, path: &Path, reason: Refusal) -> StoreError {
        StoreError::Refused { path: self.folder.path().join(path), reason }
    }

    fn at(&self, action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = self.folder.path().join(path);
        move |source| StoreError::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::deadline::Expired;
    use base::digest::BlobDigest;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

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

    fn capture(
        store: &Store,
        dir: &Path,
        keep: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<TreeDigest, StoreError> {
        let intake = Intake { keep, bytes: u64::MAX, entries: usize::MAX, deadline: Deadline::NEVER };
        store.capture(&Folder::open(dir).unwrap(), &intake)
    }

    #[test]
    fn what_is_too_much_is_not_read_and_a_deadline_is_heard() {
        let (_folder, store) = store();
        let out = store.temp_dir("out").unwrap();
        let huge = fs::File::create(out.path().join("huge")).unwrap();
        huge.set_len(1 << 40).unwrap();
        let folder = Folder::open(out.path()).unwrap();
        fs::create_dir(out.path().join("folder")).unwrap();
        let ended = |bytes, entries, deadline| {
            let result = store.capture(&folder, &Intake { keep: &|_| true, bytes, entries, deadline });
            let error = result.unwrap_err();
            assert_eq!(huge.metadata().unwrap().len(), 1 << 40, "it is still there");
            error
        };
        let started = std::time::Instant::now();
        let large = ended((1 << 40) - 1, 2, Deadline::NEVER);
        assert!(matches!(large, StoreError::Refused { reason: Refusal::Large { .. }, .. }), "{large}");
        let many = ended(1 << 40, 1, Deadline::NEVER);
        assert!(matches!(many, StoreError::Refused { reason: Refusal::Many { .. }, .. }), "{many}");
        // Reading a hole of 1 TiB takes minutes.
        let stopped = Arc::new(AtomicBool::new(false));
        let soon = Deadline::new(&stopped, Some(Duration::from_millis(200)));
        assert!(matches!(ended(1 << 40, 2, soon), StoreError::Expired(Expired::TimedOut { .. })));
        let stops = stopped.clone();
        let thrown = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            stops.store(true, Ordering::Relaxed);
        });
        let stop = Deadline::new(&stopped, None);
        assert!(matches!(ended(1 << 40, 2, stop), StoreError::Expired(Expired::Stopped)));
        thrown.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
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
        assert_eq!(store.capture_all(scratch.path()).unwrap(), copied);
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
        let tree = store.tree(&capture(&store, out.path(), &keep).unwrap()).unwrap();
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
        let digest = store.capture_all(out.path()).unwrap();
        assert_eq!(store.tree(&digest).unwrap(), Tree::default());
        let error = store.capture_all(&folder.path().join("none")).unwrap_err();
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

        let capture = |dir: &Path| store.capture_all(dir).unwrap();
        assert_eq!(capture(one.path()), capture(two.path()));
    }

    #[test]
    fn what_nobody_may_read_is_read_all_the_same() {
        let (_folder, store) = store();
        let out = store.temp_dir("out").unwrap();
        write(out.path().join("locked/program"), "x", 0o111);
        write(out.path().join("locked/secret"), "y", 0);
        fs::set_permissions(out.path().join("locked"), Permissions::from_mode(0o000)).unwrap();
        let tree = store.tree(&store.capture_all(out.path()).unwrap()).unwrap();
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
        store.capture_all(out.path()).unwrap();
        let meta = fs::metadata(&outside).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o640, 2), "it was copied, not moved");
    }

    #[test]
    fn what_has_no_place_in_a_tree_is_refused_by_name() {
        let (_folder, store) = store();
        let refused = |make: &dyn Fn(&Path)| {
            let out = store.temp_dir("out").unwrap();
            make(out.path());
            assert!(capture(&store, out.path(), &|_| false).is_ok(), "it does not matter if it is not kept");
            match store.capture_all(out.path()) {
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
