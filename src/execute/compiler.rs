//! The build machine's own C compiler for an arch, made to compile against our C library and nothing of the machine's.
//!
//! [`HostCompiler::probe`] finds one and learns what it is; its digest is that of its programs and libraries. A build
//! sees it as `/compiler/bin/<triple>-gcc`, a script that hands it our [`SPECS`], beside links to its binutils.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

use super::borrowed;
use super::error::CompilerError;
use base::digest::{BlobDigest, CompilerDigest, Framed};
use model::arch::Arch;
use model::plan::policy;
use store::Store;

/// What gcc is told to do differently: headers, start files and libraries are those of the sysroot, and of gcc itself no
/// library but libgcc; code is position independent, as our own gcc makes it; programs are static PIEs, of which gcc for
/// RISC-V knew nothing before version 14. `%R` is the sysroot; gcc's manual, "Spec Files", explains the rest.
const SPECS: &str = "\
%rename cpp_unique_options k3sroot_cpp_unique_options

*cpp_unique_options:
%{!nostdinc:-nostdinc -isystem %R/usr/include -isystem include%s} %(k3sroot_cpp_unique_options)

%rename cc1 k3sroot_cc1

*cc1:
%(k3sroot_cc1) %{fno-pie|fno-PIE|fpie|fPIE|fno-pic|fno-PIC|fpic|fPIC|no-pie|static:;:-fPIE}

*link:
-nostdlib %{shared:-shared;r:;static:-static;:-static -pie --no-dynamic-linker -z text}

*link_libgcc:
-L%R/usr/lib

*libgcc:
libgcc.a%s libgcc_eh.a%s

*lib:
-lc

*startfile:
%{shared:;static:%R/usr/lib/crt1.o;:%R/usr/lib/rcrt1.o} %R/usr/lib/crti.o %{static:crtbeginT.o%s;:crtbeginS.o%s}

*endfile:
%{static:crtend.o%s;:crtendS.o%s} %R/usr/lib/crtn.o

";

/// Programs that the driver runs; `-print-prog-name` says where they are.
const PROGRAMS: [&str; 4] = ["cc1", "collect2", "as", "ld"];
/// Files that come with gcc and go into what it links; `-print-file-name` says where they are.
const FILES: [&str; 6] = ["libgcc.a", "libgcc_eh.a", "crtbeginS.o", "crtendS.o", "crtbeginT.o", "crtend.o"];
/// Folders of headers that come with gcc, which what it compiles includes; `-print-file-name` says where they are.
const HEADERS: [&str; 2] = ["include", "include-fixed"];
/// Folders that every sandbox shows.
const SHOWN: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/// A C compiler of the build machine, with its binutils.
#[derive(Debug, Clone)]
pub struct HostCompiler {
    driver: PathBuf,
    triple: String,
    version: String,
    digest: CompilerDigest,
    /// Its binutils, by what they are called without a prefix.
    binutils: BTreeMap<&'static str, PathBuf>,
    /// The folders that hold it, if they are not in one which every sandbox shows.
    homes: Vec<PathBuf>,
}

impl HostCompiler {
    /// Finds the compiler for `arch`: the one whose name begins with `prefix`, or else the machine's own or a cross
    /// compiler of a usual name.
    pub fn probe(arch: &Arch, prefix: Option<&str>) -> Result<Self, CompilerError> {
        let (driver, prefix) = find(arch, prefix)?;
        let gcc = Gcc { driver: &driver };
        gcc.must_be_gcc(arch)?;
        gcc.must_compile_for(arch)?;
        let version = gcc.ask(&["-dumpfullversion"])?;
        let mut framed = Framed::new("compiler 2");
        framed
            .field("version", &version)
            .field("specs", SPECS)
            .field("driver", digest_of(&driver)?.as_bytes());
        let mut parts = Vec::new();
        for (option, names) in [("-print-prog-name", &PROGRAMS[..]), ("-print-file-name", &FILES[..])] {
            for name in names {
                let answer = gcc.ask(&[&format!("{option}={name}")])?;
                // A bare name back means that there is none, or for a program that it is looked for on the PATH.
                let path =
                    if answer.contains('/') { Some(PathBuf::from(answer)) } else { borrowed::find(&answer) };
                let part = path.ok_or_else(|| gcc.lacks(name))?;
                let part = part.canonicalize().map_err(|_| gcc.lacks(name))?;
                framed.field(name, digest_of(&part)?.as_bytes());
                parts.push(part);
            }
        }
        for folder in HEADERS {
            // Debian's gcc has nothing to fix; a bare name back means that there is no such folder.
            let answer = PathBuf::from(gcc.ask(&[&format!("-print-file-name={folder}")])?);
            if answer.is_absolute() {
                frame_headers(&mut framed, folder, &answer)?;
            }
        }
        let mut binutils = BTreeMap::new();
        for name in policy::binutils() {
            let path = find_program(&format!("{prefix}{name}"))
                .ok_or_else(|| gcc.lacks(&format!("{prefix}{name}")))?;
            framed.field(name, digest_of(&path)?.as_bytes());
            binutils.insert(name, path);
        }
        let digest = CompilerDigest::from_bytes(framed.finish());
        let shown = |path: &PathBuf| SHOWN.iter().any(|folder| path.starts_with(folder));
        let homes = if parts.iter().chain([&driver]).all(shown) { Vec::new() } else { homes_of(&driver) };
        Ok(Self { triple: arch.triple.clone(), version, digest, binutils, homes, driver })
    }

    /// What it is, for digests.
    pub fn digest(&self) -> CompilerDigest {
        self.digest
    }

    /// The driver's path and version, for people.
    pub fn describe(&self) -> String {
        format!("{} {}", self.driver.display(), self.version)
    }

    /// The folders that a sandbox must show beside the usual ones.
    pub(super) fn homes(&self) -> &[PathBuf] {
        &self.homes
    }

    /// The folder that a build sees as `/compiler`, made if it is not there. Its name says what is in it, so that it
    /// never changes and several runs may use it at once.
    pub(super) fn folder(&self, store: &Store) -> Result<PathBuf, CompilerError> {
        let script = format!(
            "#!/bin/sh\n# The build machine's compiler with our C library.\n\
             exec '{}' -specs=\"${{0%/*}}/../specs\" --sysroot={} \"$@\"\n",
            self.driver.display().to_string().replace('\'', r"'\''"),
            policy::SYSROOT,
        );
        let mut contents = format!("{}\n{SPECS}\n{script}", self.triple);
        for (name, path) in &self.binutils {
            let _ = writeln!(contents, "{name} {}", path.display());
        }
        let folder = store.root().join("compilers").join(BlobDigest::of(contents.as_bytes()).short());
        if folder.is_dir() {
            return Ok(folder);
        }
        let made = store.temp_dir("compiler")?;
        let fill = || -> io::Result<()> {
            let bin = made.path().join("bin");
            fs::create_dir(&bin)?;
            fs::write(made.path().join("specs"), SPECS)?;
            let driver = bin.join(format!("{}-gcc", self.triple));
            fs::write(&driver, &script)?;
            fs::set_permissions(&driver, fs::Permissions::from_mode(0o755))?;
            for (name, path) in &self.binutils {
                symlink(path, bin.join(format!("{}-{name}", self.triple)))?;
            }
            fs::create_dir_all(store.root().join("compilers"))?;
            match fs::rename(made.path(), &folder) {
                // Another run was faster, with the same.
                Err(_) if folder.is_dir() => Ok(()),
                other => other,
            }
        };
        fill()
            .map_err(|source| CompilerError::Io { what: format!("make `{}`", folder.display()), source })?;
        Ok(folder)
    }
}

/// The folders of a compiler that was installed by hand: those of any installation, and the one named after its target.
fn homes_of(driver: &Path) -> Vec<PathBuf> {
    let Ok(driver) = driver.canonicalize() else { return Vec::new() };
    let Some(bin) = driver.parent().filter(|bin| bin.parent().is_some()) else { return Vec::new() };
    let mut homes = sandbox::installation(bin);
    let name = driver.file_name().unwrap_or_default().to_string_lossy();
    let target = name.strip_suffix("-gcc").filter(|target| !target.is_empty());
    let target = target.map(|target| bin.with_file_name(target));
    homes.extend(target.filter(|target| target.is_dir() && !homes.contains(target)));
    homes
}

/// The driver, and what the names of its binutils begin with.
fn find(arch: &Arch, prefix: Option<&str>) -> Result<(PathBuf, String), CompilerError> {
    let native = arch.is_called(std::env::consts::ARCH).then_some("");
    let usual = native.into_iter().chain(arch.cross_gcc.iter().map(String::as_str));
    let prefixes: Vec<&str> = prefix.map_or_else(|| usual.collect(), |prefix| vec![prefix]);
    let found = prefixes
        .iter()
        .find_map(|prefix| Some((find_program(&format!("{prefix}gcc"))?, (*prefix).to_owned())));
    found.ok_or_else(|| CompilerError::Absent {
        arch: arch.name.to_string(),
        tried: prefixes.iter().map(|prefix| format!("`{prefix}gcc`")).collect(),
    })
}

/// A program by its path, or by its name where the build machine keeps programs.
fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = std::path::absolute(name).ok()?;
        path.is_file().then_some(path)
    } else {
        borrowed::find(name)
    }
}

fn digest_of(path: &Path) -> Result<BlobDigest, CompilerError> {
    let contents = fs::read(path)
        .map_err(|source| CompilerError::Io { what: format!("read `{}`", path.display()), source })?;
    Ok(BlobDigest::of(&contents))
}

/// Adds every file of a compiler's folder of headers, by its path in it.
fn frame_headers(framed: &mut Framed, name: &str, folder: &Path) -> Result<(), CompilerError> {
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| CompilerError::Io {
            what: format!("list `{}`", folder.display()),
            source: error.into(),
        })?;
        if entry.file_type().is_file() {
            let within = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            framed.field(name, within.as_os_str().as_encoded_bytes());
            framed.field("contents", digest_of(entry.path())?.as_bytes());
        }
    }
    Ok(())
}

/// A driver that is asked.
struct Gcc<'a> {
    driver: &'a Path,
}

impl Gcc<'_> {
    fn failed(&self, reason: impl std::fmt::Display) -> CompilerError {
        CompilerError::Probe { driver: self.driver.to_owned(), reason: reason.to_string() }
    }

    fn lacks(&self, part: &str) -> CompilerError {
        CompilerError::Incomplete { driver: self.driver.to_owned(), part: part.to_owned() }
    }

    fn run(&self, arguments: &[&str]) -> Result<std::process::Output, CompilerError> {
        let mut command = Command::new(self.driver);
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.output().map_err(|error| self.failed(error))
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, CompilerError> {
        let output = self.run(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !text.is_empty() {
            Ok(text)
        } else {
            Err(self.failed(String::from_utf8_lossy(&output.stderr).trim()))
        }
    }

    fn must_be_gcc(&self, arch: &Arch) -> Result<(), CompilerError> {
        let scratch = tempfile::tempdir()
            .map_err(|source| CompilerError::Io { what: "make a temporary folder".to_owned(), source })?;
        let tool = cc::Build::new()
            .cargo_metadata(false)
            .cargo_warnings(false)
            .cargo_output(false)
            .host(&arch.rust_target)
            .target(&arch.rust_target)
            .opt_level(0)
            .out_dir(scratch.path())
            .compiler(self.driver)
            .try_get_compiler()
            .map_err(|error| self.failed(error))?;
        if tool.is_like_gnu() {
            Ok(())
        } else {
            Err(CompilerError::NotGcc { driver: self.driver.to_owned() })
        }
    }

    /// Compiles an empty file with the arch's flags and looks at what it is for.
    fn must_compile_for(&self, arch: &Arch) -> Result<(), CompilerError> {
        let other = |reason: String| CompilerError::OtherMachine {
            driver: self.driver.to_owned(),
            arch: arch.name.to_string(),
            flags: arch.cflags.join(" "),
            reason,
        };
        let scratch = tempfile::tempdir()
            .map_err(|source| CompilerError::Io { what: "make a temporary folder".to_owned(), source })?;
        let object = scratch.path().join("empty.o");
        let object_name = object.display().to_string();
        let mut arguments: Vec<&str> = arch.cflags.iter().map(String::as_str).collect();
        arguments.extend(["-x", "c", "-c", "/dev/null", "-o", &object_name]);
        let output = self.run(&arguments)?;
        if !output.status.success() {
            return Err(other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let header = fs::read(&object).map_err(|error| self.failed(error))?;
        let (class, machine) = identity(&header).ok_or_else(|| other("that is no ELF file".to_owned()))?;
        if (class, machine) == (arch.elf.class, arch.elf.number) {
            Ok(())
        } else {
            Err(other(format!("it makes {class}-bit files for machine {machine}")))
        }
    }
}

/// The class (32 or 64) and machine of a little-endian ELF file.
fn identity(bytes: &[u8]) -> Option<(u8, u16)> {
    let class = match bytes.get(..6)? {
        [0x7f, b'E', b'L', b'F', 1, 1] => 32,
        [0x7f, b'E', b'L', b'F', 2, 1] => 64,
        _ => return None,
    };
    Some((class, u16::from_le_bytes([*bytes.get(18)?, *bytes.get(19)?])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::arch::Arches;

    fn arches() -> Arches {
        Arches::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sysroot")).unwrap()
    }

    /// The arch of the machine that runs the tests, and one that it is not.
    fn native_and_other() -> (Arch, Arch) {
        let arches = arches();
        let native = arches.find(std::env::consts::ARCH).unwrap().clone();
        let other = arches.iter().find(|arch| arch.elf.number != native.elf.number).unwrap().clone();
        (native, other)
    }

    #[test]
    fn the_machines_own_compiler_is_found_and_is_always_the_same() {
        let (native, _) = native_and_other();
        let compiler = HostCompiler::probe(&native, None).unwrap();
        assert_eq!(compiler.digest(), HostCompiler::probe(&native, Some("/usr/bin/")).unwrap().digest());
        assert!(compiler.describe().contains("gcc"), "{}", compiler.describe());
        assert!(compiler.homes().is_empty());
    }

    #[test]
    fn its_folder_has_a_driver_that_uses_the_sysroot_alone() {
        let (native, _) = native_and_other();
        let cache = tempfile::tempdir().unwrap();
        let store = Store::open(cache.path()).unwrap();
        let folder = HostCompiler::probe(&native, None).unwrap().folder(&store).unwrap();
        let driver = folder.join(format!("bin/{}-gcc", native.triple));
        let output = Command::new(&driver)
            .args(["-x", "c", "-E", "-v", "/dev/null", "--sysroot=/nowhere"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let list = text.split("search starts here:").nth(2).unwrap_or_default();
        let list = list.split("End of search").next().unwrap_or_default();
        // `/nowhere` is not there, so what is left is what gcc brings itself.
        assert!(list.trim().lines().all(|line| line.contains("/gcc") && line.contains("/include")), "{text}");
        assert_eq!(list.trim().lines().count(), 1, "{text}");
        let again = HostCompiler::probe(&native, None).unwrap().folder(&store).unwrap();
        assert_eq!(again, folder);
    }

    #[test]
    fn what_is_no_compiler_for_the_arch_is_refused_with_the_reason() {
        let (_, other) = native_and_other();
        let refused = |prefix: &str| HostCompiler::probe(&other, Some(prefix)).unwrap_err().to_string();
        assert!(refused("no-such-prefix-").contains("looked for `no-such-prefix-gcc`"));
        assert!(refused("/usr/bin/").contains(&format!("does not compile for {}", other.name)));
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("gcc");
        fs::write(&fake, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        let error = refused(&format!("{}/", folder.path().display()));
        assert!(error.contains(&fake.display().to_string()), "{error}");
        fs::write(&fake, "#!/bin/sh\necho clang\n").unwrap();
        let error = refused(&format!("{}/", folder.path().display()));
        assert!(error.contains("is not gcc, and only gcc"), "{error}");
    }

    #[test]
    fn its_headers_are_part_of_what_it_is() {
        let (native, _) = native_and_other();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("include/sub")).unwrap();
        for name in policy::binutils() {
            symlink(find_program(name).unwrap(), path(name)).unwrap();
        }
        let script = format!(
            "#!/bin/sh\ncase $1 in -print-file-name=include) echo '{}' ;; *) exec {} \"$@\" ;; esac\n",
            path("include").display(),
            find_program("gcc").unwrap().display(),
        );
        fs::write(path("gcc"), script).unwrap();
        fs::set_permissions(path("gcc"), fs::Permissions::from_mode(0o755)).unwrap();
        let prefix = format!("{}/", folder.path().display());
        let digest = || HostCompiler::probe(&native, Some(&prefix)).unwrap().digest();
        let mut seen = vec![digest()];
        for (name, text) in [("stdint.h", "1"), ("stdint.h", "2"), ("sub/a.h", "2")] {
            fs::write(path("include").join(name), text).unwrap();
            assert!(!seen.contains(&digest()), "{name} {text}");
            seen.push(digest());
        }
        fs::rename(path("include/sub/a.h"), path("include/sub/b.h")).unwrap();
        assert!(!seen.contains(&digest()), "a header's name counts");
    }

    #[test]
    fn object_files_tell_their_machine() {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1];
        bytes.resize(20, 0);
        bytes[18] = 183;
        assert_eq!(identity(&bytes), Some((64, 183)));
        bytes[5] = 2;
        assert_eq!(identity(&bytes), None);
        assert_eq!(identity(b"\x7fELF\x02\x01"), None);
    }
}
