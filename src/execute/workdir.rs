//! The folders of one action on the build machine, and what is put into them before the first phase.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use super::ActionError;
use super::borrowed::{Borrowed, guest};
use base::beneath::{self, Folder};
use base::deadline::Deadline;
use base::digest::{ActionDigest, Sha256};
use base::files::remove_tree;
use base::name::Unit;
use fetch::{Obtained, UnpackError, UnpackSpec};
use model::plan::policy::{BUILD, OUT, SOURCE_DATE_EPOCH, SRC, SYSROOT, TOOLS};
use model::plan::{Action, Input, Override};
use model::recipe::{Origin, Source};
use sandbox::{Access, Mode, Mount, Translation};
use store::{Placement, Store, TempDir};

const FOLDERS: [(&str, Access); 5] = [
    (SRC, Access::ReadWrite),
    (BUILD, Access::ReadWrite),
    (OUT, Access::ReadWrite),
    (TOOLS, Access::ReadOnly),
    (SYSROOT, Access::ReadOnly),
];
/// In the folder of a failed action, what [`Kept`] says.
const KEPT: &str = "kept.json";

/// What a failed action leaves for `k3sroot shell`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// The action that failed.
    pub action: ActionDigest,
    /// In which phase.
    pub phase: String,
    /// The guest folder that the failed command ran in.
    pub cwd: String,
    /// The failed command.
    pub argv: Vec<String>,
}

/// How much may be put into the folders of an action.
pub struct Limits {
    /// How many bytes one source may unpack to.
    pub source: u64,
    /// Until when that may take.
    pub deadline: Deadline,
}

/// The folders of one action.
#[derive(Debug)]
pub struct WorkDir {
    root: PathBuf,
    /// The same, held open: without namespaces a build may put something else at its path.
    folder: Folder,
    /// Removes the folders in the end, unless they are kept from an earlier run.
    _temporary: Option<TempDir>,
}

/// Where the log of the newest build of `unit` is.
pub fn log_path(store: &Store, unit: &Unit) -> PathBuf {
    store.logs().join(format!("{unit}.log"))
}

/// The last `most` bytes of a log, from the first whole line.
pub fn log_end(path: &Path, most: u64) -> io::Result<String> {
    let (begin, text) = tail(File::open(path)?, 0, most)?;
    Ok(match text.split_once('\n') {
        Some((_, rest)) if begin > 0 => format!("… the whole is in {}\n{rest}", path.display()),
        _ => text,
    })
}

/// What stands in `log` from `start` on, of which no more than the last `most` bytes, and where that begins.
pub(super) fn tail(mut log: File, start: u64, most: u64) -> io::Result<(u64, String)> {
    let begin = start.max(log.seek(SeekFrom::End(0))?.saturating_sub(most));
    log.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    Ok((begin, String::from_utf8_lossy(&bytes).into_owned()))
}

/// A guest path in the folder of an action.
fn relative(guest: &str) -> &Path {
    Path::new(guest.trim_start_matches('/'))
}

/// Why k3sroot itself could not get at what a command has left.
fn strange(verb: &str, guest: &str, source: io::Error) -> ActionError {
    if source.kind() == io::ErrorKind::InvalidInput {
        return ActionError::Stranger { path: guest.to_owned() };
    }
    ActionError::Io { what: format!("{verb} `{guest}`"), source }
}

fn kept_folder(store: &Store, unit: &Unit) -> PathBuf {
    store.failed().join(unit.to_string())
}

/// Removes what a failed build of `unit` left for `k3sroot shell`.
pub(super) fn forget_kept(store: &Store, unit: &Unit) {
    // Only disk space is lost if this fails.
    let _ = remove_tree(&kept_folder(store, unit));
}

impl WorkDir {
    /// New empty folders for `unit`.
    pub fn new(store: &Store, unit: &Unit) -> Result<Self, ActionError> {
        let temporary = store.temp_dir(&unit.to_string())?;
        let root = temporary.path().to_owned();
        let io = |source| ActionError::Io { what: format!("make folders in `{}`", root.display()), source };
        for (guest, _) in FOLDERS {
            fs::create_dir(root.join(&guest[1..])).map_err(io)?;
        }
        let folder = Folder::open(&root).map_err(io)?;
        Ok(Self { root, folder, _temporary: Some(temporary) })
    }

    /// The folders that a failed build of `unit` left, with what failed.
    pub fn kept(store: &Store, unit: &Unit) -> Option<(Self, Kept)> {
        let root = kept_folder(store, unit);
        let folder = Folder::open(&root).ok()?;
        let kept = serde_json::from_slice(&folder.read(Path::new(KEPT)).ok()?).ok()?;
        Some((Self { root, folder, _temporary: None }, kept))
    }

    /// Keeps the folders for `k3sroot shell`, in place of those of an earlier failure.
    pub(super) fn keep(self, store: &Store, unit: &Unit, kept: &Kept) -> Result<(), ActionError> {
        let folder = kept_folder(store, unit);
        let io = |source| ActionError::Io {
            what: format!("keep the failed build in `{}`", folder.display()),
            source,
        };
        forget_kept(store, unit);
        let text = serde_json::to_vec_pretty(kept).map_err(|error| io(error.into()))?;
        self.folder.write(Path::new(KEPT), &text).map_err(io)?;
        fs::rename(&self.root, &folder).map_err(io)?;
        if self.folder.is_at(&folder).map_err(io)? {
            return Ok(());
        }
        // The build has put something else at the path.
        forget_kept(store, unit);
        Err(ActionError::Stranger { path: "/".to_owned() })
    }

    /// Where a guest path is on the build machine.
    pub fn host(&self, guest: &str) -> PathBuf {
        self.root.join(relative(guest))
    }

    /// What is in a file that a command may have made.
    pub(super) fn read(&self, guest: &str) -> Result<String, ActionError> {
        let text = self.folder.read(relative(guest)).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        });
        text.map_err(|source| strange("read", guest, source))
    }

    /// Writes a file that a command may have made.
    pub(super) fn write(&self, guest: &str, text: &str) -> Result<(), ActionError> {
        let written = self.folder.write(relative(guest), text.as_bytes());
        written.map_err(|source| strange("write", guest, source))
    }

    /// A folder that a command may have made; none if it did not.
    pub(super) fn made(&self, guest: &str) -> Result<Option<Folder>, ActionError> {
        match self.folder.folder(relative(guest)) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(source) => Err(strange("open", guest, source)),
        }
    }

    /// The folders as the sandbox mounts them, with what is borrowed from the build machine.
    pub(super) fn mounts(&self, borrowed: &Borrowed) -> Result<Vec<Mount>, ActionError> {
        let mut mounts = borrowed.mounts()?;
        for (path, access) in FOLDERS {
            mounts.push(Mount { host: self.host(path), guest: guest(path)?, access });
        }
        Ok(mounts)
    }

    /// `text`, with guest paths replaced by real ones where commands see those.
    pub(super) fn translated(
        &self,
        mode: Mode,
        borrowed: &Borrowed,
        text: &str,
    ) -> Result<String, ActionError> {
        match mode {
            Mode::Namespaces => Ok(text.to_owned()),
            Mode::None => Ok(Translation::new(&self.mounts(borrowed)?).text(text)),
        }
    }

    /// Unpacks, checks licences and patches, as `action` says; every file gets the one fixed time.
    pub fn fill(
        &self,
        action: &Action,
        obtained: &[Obtained],
        store: &Store,
        limits: &Limits,
    ) -> Result<(), ActionError> {
        let src = self.host(SRC);
        let mut obtained = obtained.iter();
        for input in action.inputs() {
            match input {
                Input::Override(Override { path, tree, version: _ }) => {
                    let label = format!("{} from {}", action.unit().package, path.display());
                    let copy = Placement::Copy { rewrite: None };
                    store.materialise(&[(label, *tree)], &src, copy)?;
                }
                Input::Source(source) => {
                    let dest = source.into.as_ref().map_or_else(|| src.clone(), |into| src.join(into));
                    place(source, &dest, &mut obtained, limits)?;
                }
            }
        }
        check_license(action, &src)?;
        for input in action.inputs() {
            if let Input::Source(source) = input {
                let dest = source.into.as_ref().map_or_else(|| src.clone(), |into| src.join(into));
                for patch in &source.patches {
                    limits.deadline.check()?;
                    fetch::apply_patch(&dest, &patch.name, &patch.text)
                        .map_err(|source| ActionError::Patch { name: patch.name.clone(), source })?;
                }
            }
        }
        limits.deadline.check()?;
        set_times(&src)
            .map_err(|source| ActionError::Io { what: format!("set times in `{}`", src.display()), source })
    }
}

/// Puts one source in place.
fn place<'a>(
    source: &Source,
    dest: &Path,
    obtained: &mut impl Iterator<Item = &'a Obtained>,
    limits: &Limits,
) -> Result<(), ActionError> {
    match &source.origin {
        Origin::Archives(archives) => {
            let Some(Obtained { index, path }) = obtained.next() else { return Ok(()) };
            let spec = UnpackSpec {
                nested: archives.get(*index).and_then(|archive| archive.nested.as_deref()),
                only: &source.only,
                strip_top: true,
                mtime: SOURCE_DATE_EPOCH,
                limit: limits.source,
                deadline: &limits.deadline,
            };
            fetch::unpack(path, &spec, dest).map_err(|error| match error {
                UnpackError::Expired(expired) => expired.into(),
                error => ActionError::Unpack(error),
            })
        }
        Origin::Local(files) => {
            for (name, file) in files {
                let path = dest.join(name);
                let io = |source| ActionError::Io { what: format!("write `{}`", path.display()), source };
                fs::create_dir_all(path.parent().unwrap_or(dest)).map_err(io)?;
                fs::write(&path, &file.contents).map_err(io)?;
                let mode = if file.executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(io)?;
            }
            Ok(())
        }
    }
}

fn check_license(action: &Action, src: &Path) -> Result<(), ActionError> {
    for (path, expected) in action.license() {
        let computed = beneath::read(src, path).ok().map(|text| Sha256::of(&text));
        if computed != Some(*expected) {
            return Err(ActionError::License { path: path.clone(), expected: *expected, computed });
        }
    }
    Ok(())
}

/// Gives everything in `folder` the one fixed time, so that `make` takes nothing to be older than what it is made of.
fn set_times(folder: &Path) -> io::Result<()> {
    let time = TimeSpec::new(SOURCE_DATE_EPOCH, 0);
    for entry in walkdir::WalkDir::new(folder).contents_first(true) {
        let entry = entry.map_err(io::Error::other)?;
        utimensat(AT_FDCWD, entry.path(), &time, &time, UtimensatFlags::NoFollowSymlink)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::name::Machine;

    #[test]
    fn what_a_build_made_leads_k3sroot_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("work");
        let victim = place.path().join("victim");
        fs::create_dir_all(root.join("build/sub")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(root.join("build/.config"), "").unwrap();
        let work = WorkDir { folder: Folder::open(&root).unwrap(), root, _temporary: None };
        for fine in ["/build/.config", "/build/sub/new"] {
            work.write(fine, "text").unwrap();
            assert_eq!(work.read(fine).unwrap(), "text");
        }
        assert!(work.made("/build/sub").unwrap().is_some());
        assert!(work.made("/out/tools").unwrap().is_none() && work.made("/build/.config").unwrap().is_none());
        std::os::unix::fs::symlink(&victim, work.root.join("build/link")).unwrap();
        nix::unistd::mkfifo(&work.root.join("build/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for strange in ["/build/link", "/build/link/new", "/build/pipe"] {
            let error = work.read(strange).unwrap_err();
            assert!(matches!(&error, ActionError::Stranger { path } if path == strange), "{error}");
        }
        for strange in ["/build/link", "/build/link/new"] {
            let (written, made) = (work.write(strange, "").map(drop), work.made(strange).map(drop));
            for error in [written.unwrap_err(), made.unwrap_err()] {
                assert!(matches!(&error, ActionError::Stranger { path } if path == strange), "{error}");
            }
        }
        work.write("/build/pipe", "").unwrap_err();
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_a_build_put_in_place_of_its_own_gets_nothing_and_is_not_kept() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("store")).unwrap();
        let unit = Unit { package: "pigz".parse().unwrap(), machine: Machine::Build };
        let work = WorkDir::new(&store, &unit).unwrap();
        let victim = place.path().join("victim");
        fs::create_dir(&victim).unwrap();
        let moved = place.path().join("store/moved");
        fs::rename(&work.root, &moved).unwrap();
        std::os::unix::fs::symlink(&victim, &work.root).unwrap();
        work.write("/build/new", "text").unwrap();
        let kept = Kept {
            action: ActionDigest::from_bytes([0; 32]),
            phase: "build".to_owned(),
            cwd: "/".to_owned(),
            argv: Vec::new(),
        };
        let error = work.keep(&store, &unit, &kept).unwrap_err();
        assert!(matches!(error, ActionError::Stranger { .. }), "{error}");
        assert!(moved.join(KEPT).exists() && moved.join("build/new").exists());
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        assert!(WorkDir::kept(&store, &unit).is_none());
    }

    #[test]
    fn what_comes_from_the_store_is_as_old_as_what_was_unpacked() {
        assert_eq!(i64::try_from(store::FIXED_TIME).unwrap(), SOURCE_DATE_EPOCH);
    }
}
