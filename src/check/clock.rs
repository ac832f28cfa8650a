//! Makes the library that moves the clock, with the machine's compiler.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

const SOURCE: &str = include_str!("clock.c");
/// How far the clock is moved, in seconds: another year, month, day and hour.
const OFFSET: u32 = 9559 * 3600;

/// Writes the library to `path`. It is for 64-bit machines with a C library that can be preloaded.
pub fn make_clock(path: &Path) -> io::Result<()> {
    let source = path.with_extension("c");
    fs::write(&source, SOURCE)?;
    let output = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", &format!("-DOFFSET={OFFSET}"), "-o"])
        .args([path, &source])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("gcc: {}", said.lines().next().unwrap_or_default())));
    }
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_move_and_times_of_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("clock.so");
        if let Err(error) = make_clock(&library) {
            eprintln!("SKIPPED: no library for another clock: {error}");
            return;
        }
        let say = |words: &[&str], preload: bool| -> u64 {
            let mut command = Command::new("date");
            command.args(words);
            if preload {
                command.env("LD_PRELOAD", &library);
            }
            String::from_utf8(command.output().unwrap().stdout).unwrap().trim().parse().unwrap()
        };
        let moved = say(&["+%s"], true) - say(&["+%s"], false);
        assert!(moved.abs_diff(OFFSET.into()) < 60, "{moved}");
        let file = ["-r", library.to_str().unwrap(), "+%s"];
        assert_eq!(say(&file, true), say(&file, false));
    }
}
