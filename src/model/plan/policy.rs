//! What every package gets: fixed guest paths, flags and environment. The one place for choices that are neither a
//! package's nor an arch's.

use std::collections::BTreeMap;

use super::Keep;
use crate::arch::Arch;
use crate::recipe::Options;
use base::name::{Machine, Unit};

/// The source tree, writable.
pub const SRC: &str = "/src";
/// The build folder, empty and writable.
pub const BUILD: &str = "/build";
/// What is installed goes under here (`DESTDIR`).
pub const OUT: &str = "/out";
/// Programs for the build machine, read-only.
pub const TOOLS: &str = "/tools";
/// Headers and libraries of the target, read-only.
pub const SYSROOT: &str = "/sysroot";

/// The time, in seconds since 1970, that every file and every embedded date has: 2025-01-01 00:00 UTC.
pub const SOURCE_DATE_EPOCH: i64 = 1_735_689_600;

/// What `configure` is told of the build machine. It has only to differ from every target triple, so that `configure`
/// knows that it cannot run what it compiles; the same on all build machines, so that digests are too.
pub const BUILD_TRIPLE: &str = "x86_64-pc-linux-gnu";

/// Links to the programs that are borrowed from the build machine, in `bin`; read-only.
pub const BORROWED: &str = "/borrowed";

/// The build machine's own compiler for the unit's arch, in `bin`, where that is used; read-only.
pub const COMPILER: &str = "/compiler";

/// Smallest code first: the root is carried to every node. Sections are collected at link time. Nothing unwinds a stack,
/// so nothing describes how. Assertions name their source file: as upstream's tree has it, not as the build finds it.
const TARGET_CFLAGS: &[&str] = &[
    "-Os",
    "-g0",
    "-pipe",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fstack-protector-strong",
    "-ffile-prefix-map=/src=.",
    "-ffile-prefix-map=/build=.",
];
const TARGET_CPPFLAGS: &[&str] = &["-D_LARGEFILE_SOURCE", "-D_LARGEFILE64_SOURCE", "-D_FILE_OFFSET_BITS=64"];
const TARGET_LDFLAGS: &[&str] = &[
    "-static-pie",
    "-s",
    "-Wl,--gc-sections",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
    "-Wl,--as-needed",
    "-Wl,--build-id=none",
];
/// Tools run once or twice: compiling them must not take longer than they save.
const TOOL_CFLAGS: &[&str] = &["-O1", "-g0", "-pipe"];
/// Compilers since gcc 15 take C to be C23, which older sources are not.
const TOOL_C_STANDARD: &[&str] = &["-std=gnu17"];
/// Compilers since gcc 16 take C++ to be C++20, which older sources are not.
const TOOL_CXX_STANDARD: &[&str] = &["-std=gnu++17"];
const TOOL_LDFLAGS: &[&str] = &["-s"];

/// What is not kept of what a unit installs, when its recipe does not say what is.
const UNUSUAL: [&str; 8] = [
    "**/*.la",
    "**/share/man/**",
    "**/share/info/**",
    "**/share/doc/**",
    "**/share/gtk-doc/**",
    "**/share/locale/**",
    "**/share/bash-completion/**",
    "lib/charset.alias",
];

/// Programs of the target binutils, by the variable that names them.
const BINUTILS: [(&str, &str); 9] = [
    ("AR", "ar"),
    ("AS", "as"),
    ("LD", "ld"),
    ("NM", "nm"),
    ("OBJCOPY", "objcopy"),
    ("OBJDUMP", "objdump"),
    ("RANLIB", "ranlib"),
    ("READELF", "readelf"),
    ("STRIP", "strip"),
];

/// The programs of the target binutils, as they are called without the triple.
pub fn binutils() -> impl Iterator<Item = &'static str> {
    BINUTILS.iter().map(|(_, program)| *program)
}

/// Where a unit is installed.
pub fn prefix(unit: &Unit) -> &'static str {
    if unit.machine.runs_here() { TOOLS } else { "/usr" }
}

/// The folder under [`OUT`] whose contents are the unit's outcome: the part that will be merged at `/tools` or
/// `/sysroot`.
pub fn installed_under(unit: &Unit) -> &'static str {
    if unit.machine.runs_here() { "tools" } else { "" }
}

/// Which of the files that a unit installs are kept; `wanted` is what its recipe says.
pub fn keep(wanted: &[String]) -> Keep {
    if wanted.is_empty() {
        Keep::AllBut(UNUSUAL.map(str::to_owned).to_vec())
    } else {
        Keep::Only(wanted.to_vec())
    }
}

/// What is special about the tools that a unit is built with.
#[derive(Debug, Clone, Copy)]
pub struct Equipment {
    /// Whether it has any tools made by us.
    pub tools: bool,
    /// Whether the compiler is the build machine's own.
    pub host_compiler: bool,
}

/// The environment of every command of `unit`, made from nothing.
pub fn environment(
    unit: &Unit,
    arch: Option<&Arch>,
    options: &Options,
    equipment: Equipment,
) -> BTreeMap<String, String> {
    let path = if equipment.host_compiler {
        "/tools/bin:/compiler/bin:/borrowed/bin"
    } else {
        "/tools/bin:/borrowed/bin"
    };
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    for (name, value) in [
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LC_ALL", "C"),
        ("PATH", path),
        ("TZ", "UTC"),
        // Some configure scripts refuse to run as root, which `--sandbox none` may do.
        ("FORCE_UNSAFE_CONFIGURE", "1"),
        // Python would write caches with times in them.
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONHASHSEED", "0"),
    ] {
        set(name, value.to_owned());
    }
    set("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH.to_string());
    let join = |policy: &[&str], more: &[&[String]]| -> String {
        let more = more.iter().flat_map(|words| words.iter().map(String::as_str));
        policy.iter().copied().chain(more).collect::<Vec<_>>().join(" ")
    };
    let Options { cflags, cppflags, ldflags, libs, .. } = options;
    if let (Machine::Target(_), Some(arch)) = (&unit.machine, arch) {
        set("CC", format!("{}-gcc", arch.triple));
        for (variable, program) in BINUTILS {
            set(variable, format!("{}-{program}", arch.triple));
        }
        for variable in ["BUILD_CC", "CC_FOR_BUILD", "HOSTCC"] {
            set(variable, "gcc".to_owned());
        }
        set("CFLAGS", join(TARGET_CFLAGS, &[&arch.cflags, cflags]));
        set("CPPFLAGS", join(TARGET_CPPFLAGS, &[cppflags]));
        set("LDFLAGS", join(TARGET_LDFLAGS, &[&arch.ldflags, ldflags]));
        set("PKG_CONFIG", "/tools/bin/pkgconf".to_owned());
        set("PKG_CONFIG_LIBDIR", "/sysroot/usr/lib/pkgconfig:/sysroot/usr/share/pkgconfig".to_owned());
        set("PKG_CONFIG_SYSROOT_DIR", SYSROOT.to_owned());
    } else {
        let (include, lib): (&[&str], &[&str]) =
            if equipment.tools { (&["-I/tools/include"], &["-L/tools/lib"]) } else { (&[], &[]) };
        set("CC", "gcc".to_owned());
        set("CXX", "g++".to_owned());
        set("CFLAGS", join(&[TOOL_CFLAGS, TOOL_C_STANDARD].concat(), &[cflags]));
        set("CXXFLAGS", join(&[TOOL_CFLAGS, TOOL_CXX_STANDARD].concat(), &[cflags]));
        set("CPPFLAGS", join(include, &[cppflags]));
        set("LDFLAGS", join(&[TOOL_LDFLAGS, lib].concat(), &[ldflags]));
    }
    if !libs.is_empty() {
        set("LIBS", libs.join(" "));
    }
    env
}
