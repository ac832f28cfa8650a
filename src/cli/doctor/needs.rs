//! What builds run of the build machine: the list that `doctor` goes through.

use super::distribution::Packages;

/// Where builds look for programs; the user's own PATH does not reach them.
pub(super) const BUILD_PATH: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// A program that builds run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) package: Packages,
    /// What it is asked, to see that it works, and what its answer must be.
    pub(super) check: Check,
}

/// How a program that was found is tried.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// It is there, which is enough.
    Found,
    /// It prints its version when it is run with these words.
    Version { words: &'static [&'static str], least: (u32, u32) },
    /// It succeeds with these words.
    Succeeds { words: &'static [&'static str], lacks: &'static str },
}

/// What gcc, autoconf and automake load; the smallest installations of perl do not have it.
const PERL: &[&str] = &[
    "-MData::Dumper",
    "-MFile::Compare",
    "-MFile::Copy",
    "-MFile::stat",
    "-MGetopt::Long",
    "-MPOSIX",
    "-e",
    "1",
];
/// Prints the version after loading what meson does; the smallest installations of python do not have it all.
const PYTHON: &[&str] = &[
    "-c",
    "import argparse, configparser, json, multiprocessing, pickle, platform, shutil, subprocess, sysconfig, \
     xml.etree.ElementTree, zipfile; print(platform.python_version())",
];

const BINUTILS: Packages = Packages::same("binutils");
const FINDUTILS: Packages = Packages::same("findutils");
const DIFFUTILS: Packages = Packages::same("diffutils");

const fn found(name: &'static str, package: Packages) -> Program {
    Program { name, package, check: Check::Found }
}

/// Every program, in the order in which they are shown.
pub(super) const PROGRAMS: &[Program] = &[
    found("gcc", Packages::same("gcc")),
    found("g++", Packages { debian: "g++", fedora: "gcc-c++", alpine: "g++" }),
    found("as", BINUTILS),
    found("ld", BINUTILS),
    found("ar", BINUTILS),
    Program {
        name: "make",
        package: Packages::same("make"),
        // The jobserver that all builds share: before 4.2 make wants it told differently (NEWS of GNU make).
        check: Check::Version { words: &["--version"], least: (4, 2) },
    },
    found("sh", Packages { debian: "dash", fedora: "bash", alpine: "busybox" }),
    Program {
        name: "perl",
        package: Packages::same("perl"),
        check: Check::Succeeds { words: PERL, lacks: "its standard modules are not all there" },
    },
    Program {
        name: "python3",
        package: Packages::same("python3"),
        // meson asks for 3.7.
        check: Check::Version { words: PYTHON, least: (3, 7) },
    },
    found("awk", Packages::same("gawk")),
    found("cmp", DIFFUTILS),
    found("diff", DIFFUTILS),
    found("find", FINDUTILS),
    found("grep", Packages::same("grep")),
    found("install", Packages::same("coreutils")),
    // Which C library this is decides whether tools from elsewhere can run here.
    found("ldd", Packages { debian: "libc-bin", fedora: "glibc-common", alpine: "musl-utils" }),
    found("sed", Packages::same("sed")),
    found("tar", Packages::same("tar")),
    found("xargs", FINDUTILS),
];

/// The C library's headers and start files.
pub(super) const C_LIBRARY: Packages =
    Packages { debian: "libc6-dev", fedora: "glibc-devel", alpine: "musl-dev" };
/// The C++ library's.
pub(super) const CXX_LIBRARY: Packages = Packages { debian: "g++", fedora: "gcc-c++", alpine: "g++" };
/// What `https:` needs.
pub(super) const CERTIFICATES: Packages = Packages::same("ca-certificates");
