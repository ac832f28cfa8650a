//! What builds borrow from the build machine: a C and C++ compiler, make, a POSIX shell with the usual utilities, perl
//! and python3. A folder of links to just these programs is all of the machine that is on a build's `PATH`, so that a
//! `configure` script cannot find, say, the machine's own `pkg-config` or a cross compiler of the same name as ours.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{ActionError, Executor};
use model::plan::Action;
use model::plan::policy::{BORROWED, COMPILER};
use sandbox::{Access, GuestPath, Mount};
use store::Store;

/// A path as builds see it.
pub(super) fn guest(path: &str) -> Result<GuestPath, ActionError> {
    path.parse()
        .map_err(|error| ActionError::Io { what: format!("mount `{path}`"), source: io::Error::other(error) })
}

/// Where programs are looked for on the build machine.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The programs, by what they come with. They are those that even a small Debian 13 has beside a compiler, make, perl and
/// python3: a program that some machines have and others have not would be found on some. One that is absent is not
/// linked; `k3sroot doctor` names those without which nothing can be built.
const PROGRAMS: [&[&str]; 7] = [
    // the compilers, and the binutils that they call
    &["c++", "c++filt", "cc", "cpp", "g++", "gcc", "gcc-ar", "gcc-nm", "gcc-ranlib"],
    &[
        "ar", "as", "ld", "ld.bfd", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings",
        "strip",
    ],
    &["bash", "dash", "getconf", "make", "perl", "python3", "sh"],
    &["awk", "cmp", "diff", "egrep", "fgrep", "find", "grep", "hostname", "ldd", "sed", "xargs"],
    &["gunzip", "gzip", "tar", "zcat"],
    // coreutils
    &[
        "[",
        "arch",
        "base64",
        "basename",
        "cat",
        "chgrp",
        "chmod",
        "chown",
        "cksum",
        "comm",
        "cp",
        "cut",
        "date",
        "dd",
        "df",
        "dirname",
        "du",
        "echo",
        "env",
        "expand",
        "expr",
        "factor",
        "false",
        "fmt",
        "fold",
        "groups",
        "head",
        "id",
        "install",
        "join",
        "link",
        "ln",
        "logname",
        "ls",
        "md5sum",
        "mkdir",
        "mkfifo",
        "mknod",
        "mktemp",
        "mv",
        "nice",
        "nl",
        "nohup",
        "nproc",
        "od",
        "paste",
        "pathchk",
        "pr",
        "printenv",
        "printf",
        "pwd",
        "readlink",
        "realpath",
        "rm",
        "rmdir",
        "seq",
        "sha1sum",
        "sha256sum",
        "sha512sum",
        "sleep",
        "sort",
        "split",
        "stat",
        "stty",
        "sum",
        "sync",
        "tac",
        "tail",
        "tee",
        "test",
        "timeout",
        "touch",
        "tr",
        "true",
        "truncate",
        "tsort",
        "tty",
        "uname",
        "unexpand",
        "uniq",
        "unlink",
        "wc",
        "whoami",
        "yes",
    ],
    &["clear", "which"],
];

/// A program of the build machine, by its name.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())
}

/// The folders of the build machine that one build sees.
#[derive(Debug, Clone)]
pub(super) struct Borrowed {
    programs: PathBuf,
    compiler: Option<PathBuf>,
    /// Where the compiler is, if not where every sandbox looks.
    homes: Vec<PathBuf>,
}

impl Borrowed {
    /// The folders as a sandbox mounts them.
    pub(super) fn mounts(&self) -> Result<Vec<Mount>, ActionError> {
        let mount = |host: &Path, at: &str| -> Result<Mount, ActionError> {
            Ok(Mount { host: host.to_owned(), guest: guest(at)?, access: Access::ReadOnly })
        };
        let mut mounts = vec![mount(&self.programs, BORROWED)?];
        if let Some(compiler) = &self.compiler {
            mounts.push(mount(compiler, COMPILER)?);
        }
        for home in &self.homes {
            mounts.push(mount(home, &home.display().to_string())?);
        }
        Ok(mounts)
    }
}

impl Executor<'_> {
    /// What the build of `action` sees of the build machine.
    pub(super) fn borrowed(&self, action: &Action) -> Result<Borrowed, ActionError> {
        let compiler = self.compilers.values().find(|compiler| Some(compiler.digest()) == action.compiler());
        Ok(Borrowed {
            programs: folder(self.store),
            compiler: compiler.map(|compiler| compiler.folder(self.store)).transpose()?,
            homes: compiler.map(|compiler| compiler.homes().to_owned()).unwrap_or_default(),
        })
    }
}

/// The folder with links to the programs. Its place is the same in every run: what is made without namespaces may
/// remember it.
fn folder(store: &Store) -> PathBuf {
    store.root().join("borrowed")
}

/// Links the programs where the builds of this store see them.
pub(super) fn prepare(store: &Store) -> io::Result<()> {
    link(&folder(store).join("bin"))
}

/// Makes of the folder `bin` one with links to the borrowed programs and nothing else.
fn link(bin: &Path) -> io::Result<()> {
    fs::create_dir_all(bin)?;
    for entry in fs::read_dir(bin)? {
        let name = entry?.file_name();
        if !PROGRAMS.into_iter().flatten().any(|program| name == **program) {
            // An earlier k3sroot's; another one may remove it as well.
            match fs::remove_file(bin.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    for name in PROGRAMS.into_iter().flatten() {
        if let Some(program) = find(name) {
            match symlink(program, bin.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_listed_once_and_nothing_else_is_linked() {
        let mut names: Vec<&str> = PROGRAMS.into_iter().flatten().copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink("/usr/bin/bzip2", folder.path().join("bin/bzip2")).unwrap();
        link(&folder.path().join("bin")).unwrap();
        for entry in fs::read_dir(folder.path().join("bin")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(names.contains(&name.as_str()), "{name}");
        }
        assert!(folder.path().join("bin/sh").exists());
    }
}
