//! Wrappers around compiler drivers, for builds that run at real paths: they keep these out of what is compiled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Mount, SandboxError, launch};

/// Where what a target's compiler compiles against is mounted.
const SYSROOT: &str = "/sysroot";

/// A compiler driver to wrap, found in the invocation's `PATH` by its name; one that is not there is not wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shim {
    /// What builds call it: `gcc`, `c++`, `aarch64-linux-musl-gcc`.
    pub name: String,
    /// Whether it compiles for a target, against `/sysroot`, which is then somewhere else than it was configured for.
    pub target_driver: bool,
}

/// Variables that name the driver for what is built: the target's, if its name has the target's triple.
const FOR_TARGET: [&str; 3] = ["CC", "CXX", "CPP"];

/// Variables that name a driver for programs which run during the build.
const FOR_BUILD: [&str; 6] = ["HOSTCC", "HOSTCXX", "BUILD_CC", "BUILD_CXX", "CC_FOR_BUILD", "CXX_FOR_BUILD"];

/// What drivers are called, after the triple if there is one.
const DRIVERS: [&str; 4] = ["gcc", "g++", "cc", "c++"];

impl Shim {
    /// The drivers that a build with this environment is likely to call: those that it names, their siblings with the
    /// same triple, and the machine's own.
    pub fn for_environment(env: &BTreeMap<String, String>) -> Vec<Self> {
        let named = |variable: &&str| {
            env.get(*variable)?.split_whitespace().next().filter(|name| !name.contains('/'))
        };
        let mut shims: BTreeMap<String, bool> =
            DRIVERS.iter().map(|&name| (name.to_owned(), false)).collect();
        shims.extend(FOR_BUILD.iter().filter_map(named).map(|name| (name.to_owned(), false)));
        for name in FOR_TARGET.iter().filter_map(named) {
            // A version may follow, as in `arm-linux-gnueabihf-gcc-12`.
            let triple = DRIVERS.iter().find_map(|driver| Some(name.split_once(&format!("-{driver}"))?.0));
            if let Some(triple) = triple {
                shims.extend(DRIVERS.iter().map(|driver| (format!("{triple}-{driver}"), true)));
            }
            shims.insert(name.to_owned(), triple.is_some());
        }
        shims.into_iter().map(|(name, target_driver)| Self { name, target_driver }).collect()
    }
}

/// Writes a script for each shim into `folder`; `mounts` have real paths, and `path` is the real `PATH`.
pub(super) fn write(folder: &Path, shims: &[Shim], mounts: &[Mount], path: &str) -> Result<(), SandboxError> {
    let error = |source| SandboxError::Scratch { path: folder.to_owned(), source };
    let disk = statvfs(folder).map_err(|errno| error(errno.into()))?;
    if disk.flags().contains(FsFlags::ST_NOEXEC) {
        // A shell would skip the shims without a word, and real paths would get into what is built.
        return Err(error(io::Error::other("it is on a disk mounted with `noexec`")));
    }
    for shim in shims {
        if shim.name.contains(['/', '\0']) || matches!(shim.name.as_str(), "" | "." | "..") {
            return Err(SandboxError::ShimName { name: shim.name.clone() });
        }
        let Some(driver) = launch::find(&shim.name, path) else { continue };
        let file = folder.join(&shim.name);
        let write = || -> io::Result<()> {
            fs::write(&file, script(&driver, shim, mounts))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        };
        write().map_err(|source| SandboxError::Scratch { path: file.clone(), source })?;
    }
    Ok(())
}

/// The script. The caller's own arguments come last, so that they win.
fn script(driver: &Path, shim: &Shim, mounts: &[Mount]) -> String {
    let mut text = format!("#!/bin/sh\nexec {}", quote(&driver.display().to_string()));
    let sysroot = mounts.iter().find(|mount| mount.guest.as_str() == SYSROOT);
    if let Some(sysroot) = sysroot.filter(|_| shim.target_driver) {
        let _ = write!(text, " \\\n  {}", quote(&format!("--sysroot={}", sysroot.host.display())));
    }
    // Of several maps that fit the compiler takes the last: the longest path has to come last.
    let mut maps: Vec<_> =
        mounts.iter().map(|mount| (mount.host.display().to_string(), &mount.guest)).collect();
    maps.sort_by_key(|(host, _)| host.len());
    for (host, guest) in maps {
        let _ = write!(text, " \\\n  {}", quote(&format!("-ffile-prefix-map={host}={guest}")));
    }
    text + " \\\n  \"$@\"\n"
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::*;

    fn mount(host: &str, guest: &str) -> Mount {
        Mount { host: host.into(), guest: guest.parse().unwrap(), access: Access::ReadOnly }
    }

    #[test]
    fn a_target_driver_is_told_its_sysroot_and_every_driver_its_paths() {
        let mounts = [mount("/a/it's", "/src"), mount("/a", "/sysroot")];
        let shim = |target_driver| Shim { name: "cc".into(), target_driver };
        assert_eq!(
            script(Path::new("/t/cc"), &shim(true), &mounts),
            "#!/bin/sh\nexec '/t/cc' \\\n  '--sysroot=/a' \\\n  '-ffile-prefix-map=/a=/sysroot' \\\n  \
             '-ffile-prefix-map=/a/it'\\''s=/src' \\\n  \"$@\"\n"
        );
        assert!(!script(Path::new("/t/cc"), &shim(false), &mounts).contains("sysroot=/a'"));
    }

    #[test]
    fn the_drivers_are_those_that_the_environment_names_and_the_usual_ones() {
        let shims = |env: &[(&str, &str)]| {
            let env = env.iter().map(|&(name, value)| (name.into(), value.into())).collect();
            let shims = Shim::for_environment(&env);
            let names = |target| {
                let names =
                    shims.iter().filter(|shim| shim.target_driver == target).map(|shim| shim.name.as_str());
                names.collect::<Vec<_>>().join(" ")
            };
            (names(true), names(false))
        };
        let own = "c++ cc g++ gcc".to_owned();
        assert_eq!(shims(&[]), (String::new(), own.clone()));
        assert_eq!(shims(&[("CC", "gcc"), ("CXX", "/usr/bin/g++")]), (String::new(), own.clone()));
        assert_eq!(
            shims(&[("CC", "arm-linux-gcc -std=gnu11"), ("HOSTCC", "clang")]),
            ("arm-linux-c++ arm-linux-cc arm-linux-g++ arm-linux-gcc".into(), "c++ cc clang g++ gcc".into())
        );
        let versioned = shims(&[("CC", "arm-linux-gcc-12")]).0;
        assert_eq!(versioned, "arm-linux-c++ arm-linux-cc arm-linux-g++ arm-linux-gcc arm-linux-gcc-12");
        // The build machine's compiler may have a triple too, and must not be sent to the sysroot.
        let both = [("CC", "x86_64-linux-musl-gcc"), ("BUILD_CC", "x86_64-linux-gnu-gcc")];
        assert!(shims(&both).1.contains("x86_64-linux-gnu-gcc"));
    }

    #[test]
    fn a_shim_that_would_leave_its_folder_is_refused_and_one_without_a_driver_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let shim = |name: &str| [Shim { name: name.into(), target_driver: false }];
        for wrong in ["", "..", "../cc", "/usr/bin/cc"] {
            assert!(write(folder.path(), &shim(wrong), &[], "/usr/bin").is_err(), "{wrong:?}");
        }
        write(folder.path(), &shim("no-such-driver"), &[], "/usr/bin").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
