//! What builds borrow from the build machine: a C and C++ compiler, make, a POSIX shell with the usual utilities, perl
//! and python3. A folder of links to just these programs is all of the machine that is on a build's `PATH`, so that a
//! `configure` script cannot find, say, the machine's own `pkg-config` or a cross compiler of the same name as ours.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where programs are looked for on the build machine.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The programs, by what they come with on most machines. One that is absent is not linked; `k3sroot doctor` names those
/// without which nothing can be built.
const PROGRAMS: [&[&str]; 7] = [
    // the compilers, and the binutils that they call
    &["c++", "c++filt", "cc", "cpp", "g++", "gcc", "gcc-ar", "gcc-nm", "gcc-ranlib"],
    &[
        "ar", "as", "ld", "ld.bfd", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings",
        "strip",
    ],
    &["bash", "dash", "getconf", "make", "perl", "python3", "sh"],
    &[
        "awk", "cmp", "diff", "egrep", "fgrep", "file", "find", "gawk", "grep", "hostname", "ldd", "mawk",
        "patch", "sed", "xargs",
    ],
    &["bunzip2", "bzip2", "gunzip", "gzip", "tar", "unxz", "xz", "xzcat", "zcat"],
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
    &["clear", "kill", "ps", "which"],
];

/// Fills the folder `bin` with links to the borrowed programs, as far as they are not there.
pub(super) fn link(bin: &Path) -> io::Result<()> {
    fs::create_dir_all(bin)?;
    for name in PROGRAMS.into_iter().flatten() {
        if let Some(program) =
            PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())
        {
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
        link(&folder.path().join("bin")).unwrap();
        for entry in fs::read_dir(folder.path().join("bin")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(names.contains(&name.as_str()), "{name}");
        }
        assert!(folder.path().join("bin/sh").exists());
    }
}
