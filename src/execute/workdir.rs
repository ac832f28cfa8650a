//! The folders of one action on the build machine, and what is put into them before the first phase.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::borrowed::Borrowed;
use super::{ActionError, Kept};
use crate::beneath;
use crate::digest::Sha256;
use crate::fetch::{self, Obtained, UnpackSpec};
use crate::name::Unit;
use crate::plan::policy::{BUILD, OUT, SOURCE_DATE_EPOCH, SRC, SYSROOT, TOOLS};
use crate::plan::{Action, Input, Override};
use crate::recipe::{Origin, Source};
use crate::sandbox::{Access, GuestPath, Mode, Mount, Translation};
use crate::store::{Placement, Store, TempDir, remove_tree};

const FOLDERS: [(&str, Access); 5] = [
    (SRC, Access::ReadWrite),
    (BUILD, Access::ReadWrite),
    (OUT, Access::ReadWrite),
    (TOOLS, Access::ReadOnly),
    (SYSROOT, Access::ReadOnly),
];
/// In the folder of a failed action, what [`Kept`] says.
const KEPT: &str = "kept.json";

/// The folders of one action.
#[derive(Debug)]
pub struct WorkDir {
    root: PathBuf,
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

pub(super) fn guest(path: &str) -> Result<GuestPath, ActionError> {
    path.parse()
        .map_err(|error| ActionError::Io { what: format!("mount `{path}`"), source: io::Error::other(error) })
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
        for (guest, _) in FOLDERS {
            let folder = root.join(&guest[1..]);
            fs::create_dir(&folder)
                .map_err(|source| ActionError::Io { what: format!("make `{}`", folder.display()), source })?;
        }
        Ok(Self { root, _temporary: Some(temporary) })
    }

    /// The folders that a failed build of `unit` left, with what failed.
    pub fn kept(store: &Store, unit: &Unit) -> Option<(Self, Kept)> {
        let root = kept_folder(store, unit);
        let kept = serde_json::from_slice(&fs::read(root.join(KEPT)).ok()?).ok()?;
        Some((Self { root, _temporary: None }, kept))
    }

    /// Keeps the folders for `k3sroot shell`, in place of those of an earlier failure.
    pub(super) fn keep(self, store: &Store, unit: &Unit, kept: &Kept) -> Result<(), ActionError> {
        let folder = kept_folder(store, unit);
        let io = |source| ActionError::Io {
            what: format!("keep the failed build in `{}`", folder.display()),
            source,
        };
        forget_kept(store, unit);
        fs::write(self.root.join(KEPT), serde_json::to_vec_pretty(kept).map_err(|error| io(error.into()))?)
            .map_err(io)?;
        fs::rename(&self.root, &folder).map_err(io)
    }

    /// Where a guest path is on the build machine.
    pub fn host(&self, guest: &str) -> PathBuf {
        self.root.join(guest.trim_start_matches('/'))
    }

    /// Where a guest path is on the build machine, for k3sroot itself to read or write after a command has run: nothing on
    /// the way is a link, which a build could have made to lead out of its folders, and nothing there is a device or pipe.
    pub(super) fn plain(&self, guest: &str) -> Result<PathBuf, ActionError> {
        let mut path = self.root.clone();
        for part in guest.split('/').filter(|part| !part.is_empty()) {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(there) if !there.is_file() && !there.is_dir() => {
                    return Err(ActionError::Stranger { path: guest.to_owned() });
                }
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(ActionError::Io { what: format!("look at `{}`", path.display()), source });
                }
                _ => {}
            }
        }
        Ok(path)
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

    /// Unpacks, checks licences and patches, as `action` says; every file gets the one fixed time. A source may
    /// unpack to `limit` bytes.
    pub fn fill(
        &self,
        action: &Action,
        obtained: &[Obtained],
        store: &Store,
        limit: u64,
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
                    place(source, &dest, &mut obtained, limit)?;
                }
            }
        }
        check_license(action, &src)?;
        for input in action.inputs() {
            if let Input::Source(source) = input {
                let dest = source.into.as_ref().map_or_else(|| src.clone(), |into| src.join(into));
                for patch in &source.patches {
                    fetch::apply_patch(&dest, &patch.name, &patch.text)
                        .map_err(|source| ActionError::Patch { name: patch.name.clone(), source })?;
                }
            }
        }
        set_times(&src)
            .map_err(|source| ActionError::Io { what: format!("set times in `{}`", src.display()), source })
    }
}

/// Puts one source in place.
fn place<'a>(
    source: &Source,
    dest: &Path,
    obtained: &mut impl Iterator<Item = &'a Obtained>,
    limit: u64,
) -> Result<(), ActionError> {
    match &source.origin {
        Origin::Archives(archives) => {
            let Some(Obtained { index, path }) = obtained.next() else { return Ok(()) };
            let spec = UnpackSpec {
                nested: archives.get(*index).and_then(|archive| archive.nested.as_deref()),
                only: &source.only,
                strip_top: true,
                mtime: SOURCE_DATE_EPOCH,
                limit,
            };
            fetch::unpack(path, &spec, dest).map_err(ActionError::Unpack)
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

    #[test]
    fn what_a_build_made_leads_k3sroot_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let work = WorkDir { root: folder.path().join("work"), _temporary: None };
        let victim = folder.path().join("victim");
        fs::create_dir_all(work.root.join("build/sub")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(work.root.join("build/.config"), "").unwrap();
        for fine in ["/build", "/build/.config", "/build/sub/new", "/out/tools"] {
            assert_eq!(work.plain(fine).unwrap(), work.host(fine));
        }
        std::os::unix::fs::symlink(&victim, work.root.join("build/link")).unwrap();
        nix::unistd::mkfifo(&work.root.join("build/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for strange in ["/build/link", "/build/link/new", "/build/pipe"] {
            let error = work.plain(strange).unwrap_err();
            assert!(matches!(&error, ActionError::Stranger { path } if path == strange), "{error}");
        }
    }

    #[test]
    fn what_comes_from_the_store_is_as_old_as_what_was_unpacked() {
        assert_eq!(i64::try_from(crate::store::FIXED_TIME).unwrap(), SOURCE_DATE_EPOCH);
    }
}
