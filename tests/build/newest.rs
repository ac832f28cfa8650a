//! Machines whose compilers take C and C++ to be newer than the tools' sources are: gcc 15 means C23, g++ 16 means C++20,
//! and later ones more. Wrappers make such compilers of the machine's own, so that what relies on an older default is
//! seen before a distribution has them.
//!
//! This covers how tools (what runs on the build machine) are compiled: the flags of every real recipe, and a tiny tool
//! in C and C++ that is built for real. It covers no source of a real tool: for these, build on the newest distribution.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::workspace::{Conditions, USUAL, Workspace};

/// C++17, and no newer: C++20 has a type of its own for such text.
const OLD_CXX: &str = r#"
#if __cplusplus != 201703L
#error "compiled as another C++ than C++17"
#endif
extern "C" const char *old() { return u8"old"; }
"#;

/// C17, and no newer: in C23 a function that is declared like this takes no argument, and cannot be defined like this.
const OLD_C: &str = r#"
#if __STDC_VERSION__ != 201710L
#error "compiled as another C than C17"
#endif
int twice();
int twice(number) int number; { return 2 * number; }
"#;

/// Both are a part of the tool.
const MAKEFILE: &str = "
codegen: codegen.o old_c.o old_cxx.o
\t$(CXX) $(LDFLAGS) -o $@ codegen.o old_c.o old_cxx.o

install: codegen
\tinstall -D -m 755 codegen $(DESTDIR)/tools/bin/codegen

.SUFFIXES: .cc
.cc.o:
\t$(CXX) $(CXXFLAGS) -c -o $@ $<
";

fn run(program: &Path, words: &[&str]) -> Output {
    Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A compiler in `folder` that is `program`, but means the newest standard of `standards`, the newest first, where it is
/// not told one. A later `-std` wins, as it does over the compiler's own default.
fn newest(folder: &Path, program: &str, language: &str, standards: &[&str]) -> PathBuf {
    let real = ["/usr/bin", "/bin"].map(|bin| Path::new(bin).join(program));
    let real = real.iter().find(|path| path.exists()).unwrap();
    let knows = |standard: &&&str| {
        let words = [&format!("-std={standard}"), "-fsyntax-only", "-x", language, "/dev/null"];
        run(real, &words).status.success()
    };
    let standard = standards.iter().find(knows).expect("a compiler that knows a newer standard");
    let wrapper = folder.join(program);
    fs::create_dir_all(folder).unwrap();
    fs::write(&wrapper, format!("#!/bin/sh\nexec {} -std={standard} \"$@\"\n", real.display())).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    wrapper
}

#[test]
fn a_newer_default_changes_no_tool() {
    // Wrappers are not seen in a namespace, where only the machine's `/usr` is.
    let workspace = Workspace::under(Conditions { sandbox: "none", ..USUAL }, "ws");
    let folder = workspace.path("newest");
    let gcc = newest(&folder, "gcc", "c", &["gnu2y", "gnu23", "gnu2x"]);
    let gxx = newest(&folder, "g++", "c++", &["gnu++26", "gnu++23", "gnu++20"]);

    let sources = workspace.path("recipes/files/codegen");
    fs::write(sources.join("Makefile"), MAKEFILE).unwrap();
    let (old_c, old_cxx) = (sources.join("old_c.c"), sources.join("old_cxx.cc"));
    fs::write(&old_c, OLD_C).unwrap();
    fs::write(&old_cxx, OLD_CXX).unwrap();
    // Left to themselves they do not compile that.
    for (compiler, source) in [(&gcc, &old_c), (&gxx, &old_cxx)] {
        let output = run(compiler, &["-fsyntax-only", source.to_str().unwrap()]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("#error"), "{output:?}");
    }

    // A store has links to the programs that builds borrow; those that are there already stay.
    assert_eq!(workspace.build(&["libword"]).code, Some(0));
    for compiler in [&gcc, &gxx] {
        let link = workspace.path("cache/borrowed/bin").join(compiler.file_name().unwrap());
        fs::remove_file(&link).unwrap();
        symlink(compiler, &link).unwrap();
    }
    workspace.build_all();
    assert!(workspace.output_of("bin/hello").contains("hello"));
}

/// The flags of a tool, where a recipe gives its own to make or configure.
fn own_flags(phases: &Value) -> Vec<&str> {
    match phases {
        Value::Array(parts) => parts.iter().flat_map(own_flags).collect(),
        Value::String(word) if word.starts_with("CFLAGS=") || word.starts_with("CXXFLAGS=") => vec![word],
        _ => Vec::new(),
    }
}

#[test]
fn every_tool_is_told_its_standard() {
    let folder = tempfile::tempdir().unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_k3sroot"))
        .args(["plan", "--json", "--toolchain", "source", "--arch", "all", "--recipes"])
        .arg(project.join("recipes"))
        .arg("--cache")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tools: Vec<&Value> = plan.as_array().unwrap().iter().filter(|unit| is_tool(unit)).collect();
    assert!(tools.len() > 10, "{} tools", tools.len());
    for tool in tools {
        let name = &tool["unit"];
        for (variable, standard) in [("CFLAGS", "-std=gnu17"), ("CXXFLAGS", "-std=gnu++17")] {
            let flags = tool["env"][variable].as_str().unwrap();
            assert!(flags.split(' ').any(|flag| flag == standard), "{name}: {variable} is `{flags}`");
        }
        for flags in own_flags(&tool["phases"]) {
            assert!(flags.contains(" -std="), "{name}: `{flags}` leaves the standard to the compiler");
        }
    }
}

fn is_tool(unit: &Value) -> bool {
    unit["unit"].as_str().unwrap().split('@').nth(1).is_some_and(|machine| machine.starts_with("build"))
}
