//! Specs, built for real: `rpmbuild` makes source packages of them and rebuilds those, without a network.

mod rules;
mod tool;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use walkdir::WalkDir;

use super::skipped::skipped;
use super::workspace::{ARCH, Run, Workspace};

/// Whether a program is installed; says so if not.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        skipped(&format!("what takes {program}"), "it is not installed");
    }
    there
}

/// Writes the package of the root into `SPECS`.
fn written(workspace: &Workspace, distribution: &str, more: &[&str]) -> Run {
    let words = [
        &["--distribution", distribution, "--arch", ARCH, "--only", "k3s-root", "--offline"],
        &["--distfiles", "distfiles"][..],
        more,
    ];
    workspace.run("rpm", &words.concat())
}

fn specs(workspace: &Workspace, distribution: &str) -> PathBuf {
    let run = written(workspace, distribution, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    workspace.path("SPECS")
}

/// A program of RPM with a home and a database of its own.
fn rpm(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home).env("LC_ALL", "C");
    command.args(["--define", &format!("_topdir {}", home.display())]);
    command.args(["--define", &format!("_dbpath {}/db", home.display())]);
    command.args(["--define", &format!("_tmppath {}", home.display())]);
    command
}

fn ended(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}\n{}", said.concat());
    output
}

/// What a command says on standard error when it ends with `code`.
fn ended_with(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// What is in a folder and ends in `.rpm`.
fn packages(folder: &Path) -> Vec<PathBuf> {
    let all = WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "rpm")).collect()
}

/// Makes the source package of a spec, with the sources that lie beside it.
fn source_package(spec: &Path, home: &Path) -> PathBuf {
    let mut command = rpm("rpmbuild", home);
    command.args(["--define", &format!("_sourcedir {}", spec.parent().unwrap().display())]);
    command.args(["--nodeps", "-bs"]).arg(spec);
    ended(command);
    packages(&home.join("SRPMS")).pop().unwrap()
}

/// Rebuilds a source package where there is no network, as the distribution does it, and with the checks, which that leaves out.
fn rebuild(source: &Path, home: &Path, more: &[(&str, String)], env: &[(&str, String)]) -> Vec<PathBuf> {
    let mut inner = rpm("rpmbuild", home);
    // What a distribution hardens with; none of it may reach what is built.
    inner.args(["--define", &format!("optflags -O3 -DLEAKED -I{}/leaked", home.display())]);
    for (name, value) in more {
        inner.args(["--define", &format!("{name} {value}")]);
    }
    inner.args(["--nodeps", "--rebuild"]).arg(source);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net"]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LDFLAGS", format!("-L{}/leaked", home.display()));
    command.envs(env.iter().map(|(name, value)| (*name, value)));
    ended(command);
    packages(&home.join("RPMS"))
}

/// What a package answers to a question in its own words.
fn asked(package: &Path, home: &Path, format: &str) -> Vec<String> {
    let mut command = rpm("rpm", home);
    command.args(["-qp", "--queryformat", format]).arg(package);
    String::from_utf8(ended(command).stdout).unwrap().lines().map(str::to_owned).collect()
}

fn sha256(path: &Path) -> String {
    format!("{:x}", Sha256::digest(fs::read(path).unwrap()))
}

/// rpmlint has nothing to say of specs and packages, but what its configuration here explains.
fn lint(paths: &[PathBuf], home: &Path) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rpmlint.toml");
    let output =
        Command::new("rpmlint").arg("-c").arg(config).args(paths).env("HOME", home).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(" 0 errors, 0 warnings"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether RPMs can be made here.
fn can_build() -> bool {
    ["rpmbuild", "rpmlint"].map(has).iter().all(|there| *there) && super::namespaces()
}

/// What makes a spec use the fixture and this k3sroot.
fn own(workspace: &Workspace) -> [(&'static str, String); 2] {
    let recipes = workspace.path("recipes").display().to_string();
    [("k3sroot_program", env!("CARGO_BIN_EXE_k3sroot").to_owned()), ("k3sroot_recipes", recipes)]
}

/// The same with a k3sroot that takes the fixture's tarballs for sound where nothing is wrong with them but that programs of
/// K3s's are absent. What it verified is in `verified`.
fn own_but_for_the_contract(workspace: &Workspace) -> [(&'static str, String); 2] {
    use std::os::unix::fs::PermissionsExt as _;

    let program = workspace.path("k3sroot-of-fixture");
    let text = format!(
        "#!/bin/sh\n\
         case \" $* \" in\n\
         *' verify '*) ;;\n\
         *) exec {k3sroot} \"$@\" ;;\n\
         esac\n\
         case \" $* \" in\n\
         *' --golden '*) {k3sroot} \"$@\" || exit ;;\n\
         *)\n\
         said=$({k3sroot} \"$@\")\n\
         test $? = 1 || exit 9\n\
         echo \"$said\" | grep '^wrong' | grep -qv ' absent: the contract has a ' && exit 1\n\
         ;;\n\
         esac\n\
         echo \"$*\" >>{log}\n",
        k3sroot = env!("CARGO_BIN_EXE_k3sroot"),
        log = workspace.path("verified").display(),
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let [_, recipes] = own(workspace);
    [("k3sroot_program", program.display().to_string()), recipes]
}

#[test]
fn the_root_rebuilt_from_its_source_package_has_the_bits_of_a_plain_build() {
    if !can_build() {
        return;
    }
    let workspace = Workspace::new();
    workspace.build_all();
    let tarballs = ["k3s-root", "k3s-root-xtables"].map(|name| format!("dist/{name}-{ARCH}.tar"));
    let golden = ["--golden", "--update", "--arch", ARCH, &tarballs[0], &tarballs[1]];
    assert_eq!(workspace.run("verify", &golden).code, Some(0));
    let (folder, home) = (specs(&workspace, "emt").join("k3s-root"), TempDir::new().unwrap());
    let spec = folder.join("k3s-root.spec");
    let source = source_package(&spec, home.path());
    let made = rebuild(&source, home.path(), &own_but_for_the_contract(&workspace), &[]);
    let verified = workspace.read("verified");
    assert_eq!(verified.lines().count(), 2, "{verified}");
    for (line, is_golden) in verified.lines().zip([false, true]) {
        assert_eq!(line.contains(" --golden "), is_golden, "{verified}");
        assert!(line.ends_with(&tarballs.join(" ")), "{verified}");
    }
    let (mut names, mut files) = (Vec::new(), BTreeMap::new());
    for package in &made {
        names.extend(asked(package, home.path(), "%{NAME}\n"));
        let required = asked(package, home.path(), "[%{REQUIRENAME}\n]");
        assert!(required.iter().all(|name| name.starts_with("rpmlib(")), "it is data: {required:?}");
        for perms in asked(package, home.path(), "[%{FILEMODES:perms}\n]") {
            assert!(["-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x"].contains(&&*perms), "{perms}");
        }
        for line in asked(package, home.path(), "[%{FILENAMES} %{FILEDIGESTS}\n]") {
            let (name, digest) = line.split_once(' ').unwrap();
            // Folders have no digest.
            if let Some(file) = name.strip_prefix("/usr/share/k3s-root/").filter(|_| !digest.is_empty()) {
                files.insert(file.to_owned(), digest.to_owned());
            }
        }
    }
    assert_eq!(names, ["k3s-root", "k3s-root-legal", "k3s-root-sbom", "k3s-root-xtables"]);
    // Every file of a plain build but what is different each time, and no other.
    let mut expected = digests(&workspace.path("dist"));
    expected.remove(&format!("k3s-root-{ARCH}.run.json")).unwrap();
    assert_eq!(files, expected);
    let provided = asked(&made[0], home.path(), "[%{PROVIDENAME} %{PROVIDEVERSION}\n]");
    for bundled in ["bundled(box) 0.9", "bundled(hello) 3", "bundled(libword) 1.2"] {
        assert!(provided.iter().any(|line| line == bundled), "{bundled}: {provided:?}");
    }
    assert!(!provided.iter().any(|line| line.contains("codegen")), "a tool is not inside: {provided:?}");
    lint(&[&[spec, source][..], &made].concat(), home.path());
}

/// The digests of files, by their paths in a folder.
fn digests(folder: &Path) -> BTreeMap<String, String> {
    let all = WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    all.filter(|path| path.is_file()).map(|path| (name(&path), sha256(&path))).collect()
}

#[test]
fn what_is_not_sound_or_not_there_fails_the_package() {
    if !can_build() {
        return;
    }
    let (workspace, home) = (Workspace::new(), TempDir::new().unwrap());
    let spec = specs(&workspace, "fedora").join("k3s-root/k3s-root.spec");
    let try_it = |spec: &Path| {
        let mut command = rpm("rpmbuild", home.path());
        command.args(["--define", &format!("_sourcedir {}", spec.parent().unwrap().display())]);
        for (name, value) in own(&workspace) {
            command.args(["--define", &format!("{name} {value}")]);
        }
        let output = command.args(["--nodeps", "-bi"]).arg(spec).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    // The recipes of the fixture make no root that K3s would take: the last of the sections says so.
    let said = try_it(&spec);
    assert!(said.contains("error: not sound: 2 of 2 tarballs") && said.contains("(%check)"), "{said}");
    let text = fs::read_to_string(&spec).unwrap();
    let document = format!("k3s-root-{ARCH}.spdx.json");
    assert!(text.contains(&document));
    fs::write(&spec, text.replace(&document, "another.json")).unwrap();
    let said = try_it(&spec);
    assert!(said.contains("another.json") && said.contains("(%install)"), "{said}");
}

#[test]
fn the_same_is_written_twice_and_each_file_is_named() {
    let workspace = Workspace::new();
    let run = written(&workspace, "emt", &["--packager", "Somebody <somebody@words.invalid>"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r"
    SPECS/k3s-root/k3s-root.spec
    SPECS/k3s-root/libword-1.2.tar.gz
    SPECS/k3s-root/k3s-root.signatures.json
    SPECS/k3s-root/k3s-root.cgmanifest.json
    SPECS/k3s-root/k3s-root.licenses.json
    ");
    let first = digests(&workspace.path("SPECS"));
    assert_eq!(first.len(), run.stdout.lines().count());
    // Somewhere else, and over what is there.
    for out in ["elsewhere/SPECS", "SPECS"] {
        let more = ["--packager", "Somebody <somebody@words.invalid>", "--out", out];
        assert_eq!(written(&workspace, "emt", &more).code, Some(0));
        assert_eq!(digests(&workspace.path(out)), first);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a spec is shown whole")]
fn a_spec_reads_like_one_that_somebody_wrote() {
    let workspace = Workspace::new();
    let run = written(&workspace, "emt", &["--packager", "Somebody <somebody@words.invalid>"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(workspace.read("SPECS/k3s-root/k3s-root.spec").replace(ARCH, "[arch]"), @r#"
    # Made by k3sroot rpm: make changes there.
    # SPDX-License-Identifier: MIT
    # Those are the terms of this file; the terms of what it packs stand behind License.

    # What is installed is data whose digests the lists of checksums have: nothing may strip, compress or change it.
    %global debug_package %{nil}
    %global __os_install_post %{nil}

    # Define these to build with another k3sroot, or from other recipes than it brings.
    %{!?k3sroot_program: %global k3sroot_program %{_bindir}/k3sroot}
    %{!?k3sroot_recipes: %global k3sroot_recipes %{_datadir}/k3sroot/recipes}

    Summary:        The userspace that K3s carries, built from source
    Name:           k3s-root
    Version:        0.1.0
    Release:        1%{?dist}
    License:        Apache-2.0
    Vendor:         Intel Corporation
    Distribution:   Edge Microvisor Toolkit
    Source0:        https://words.invalid/libword-1.2.tar.gz
    # Tarballs of programs for K3s's nodes: data here, whatever machine it is.
    BuildArch:      noarch
    BuildRequires:  k3sroot = %{version}
    BuildRequires:  bash
    BuildRequires:  binutils
    BuildRequires:  coreutils
    BuildRequires:  diffutils
    BuildRequires:  findutils
    BuildRequires:  gawk
    BuildRequires:  gcc
    BuildRequires:  gcc-c++
    BuildRequires:  glibc
    BuildRequires:  glibc-devel
    BuildRequires:  grep
    BuildRequires:  make
    BuildRequires:  perl
    BuildRequires:  perl(Data::Dumper)
    BuildRequires:  perl(File::Compare)
    BuildRequires:  perl(File::Copy)
    BuildRequires:  perl(File::stat)
    BuildRequires:  perl(Getopt::Long)
    BuildRequires:  perl(POSIX)
    BuildRequires:  python3
    BuildRequires:  sed
    BuildRequires:  tar
    # All of it is data: what is in it needs nothing here, and gives nothing but what is said.
    AutoReqProv:    no
    Provides:       bundled(box) = 0.9
    Provides:       bundled(greet) = 1
    Provides:       bundled(hello) = 3
    Provides:       bundled(libword) = 1.2

    %description
    The userspace that K3s carries (busybox, iptables, ip, conntrack and their
    like) as a tarball of static programs, built from pinned sources with the
    compiler that the spec names: the same bits wherever it is built from source.
    A spec of K3s unpacks it where it would unpack one that somebody else built.

    %package xtables
    Summary:        The xtables tarball of the userspace that K3s carries
    AutoReqProv:    no
    License:        Apache-2.0
    Provides:       bundled(greet) = 1
    Provides:       bundled(hello) = 3
    Provides:       bundled(libword) = 1.2

    %description xtables
    The tarball that K3s takes its xtables programs from.

    %package sbom
    Summary:        What is inside the userspace that K3s carries
    AutoReqProv:    no
    License:        CC0-1.0

    %description sbom
    Documents about the tarballs: every file with its digests and the package that
    it comes from, every package with its version, licence, source and patches, as
    SPDX and CycloneDX, and what else is known of them.

    %package legal
    Summary:        Licences and sources of the userspace that K3s carries
    AutoReqProv:    no

    %description legal
    For every package in the tarballs its licence texts, its source and our
    patches, and lists of them.

    %prep
    %autosetup -p1 -c -T

    %build
    # Everything comes from the sources above, and what this environment has of flags reaches no build.
    %{k3sroot_program} build --recipes %{k3sroot_recipes} --arch [arch] --toolchain source \
        --offline --distfiles "$(dirname %{SOURCE0})" --sandbox auto --jobs %{_smp_build_ncpus} \
        --cache "$PWD/cache" --out dist

    %install
    install -d %{buildroot}%{_datadir}/%{name}
    install -pm644 dist/k3s-root-[arch].tar dist/k3s-root-xtables-[arch].tar dist/sha256sum-[arch].txt %{buildroot}%{_datadir}/%{name}
    # These are there; there may be more.
    (cd dist && ls k3s-root-[arch].spdx.json k3s-root-[arch].cdx.json k3s-root-[arch].provenance.json)
    # What is different each time has no place in a package.
    rm dist/k3s-root-[arch].run.json
    install -pm644 dist/k3s-root-[arch].*.json* %{buildroot}%{_datadir}/%{name}
    cp -R dist/k3s-root-[arch].legal %{buildroot}%{_datadir}/%{name}
    chmod -R u=rwX,go=rX %{buildroot}%{_datadir}/%{name}

    %check
    (cd %{buildroot}%{_datadir}/%{name} && sha256sum -c sha256sum-[arch].txt)
    %{k3sroot_program} verify --recipes %{k3sroot_recipes} --arch [arch] dist/k3s-root-[arch].tar dist/k3s-root-xtables-[arch].tar

    %files
    %dir %{_datadir}/%{name}
    %{_datadir}/%{name}/k3s-root-[arch].tar
    %{_datadir}/%{name}/sha256sum-[arch].txt

    %files xtables
    %dir %{_datadir}/%{name}
    %{_datadir}/%{name}/k3s-root-xtables-[arch].tar

    %files sbom
    %dir %{_datadir}/%{name}
    %{_datadir}/%{name}/k3s-root-[arch].*.json*

    %files legal
    %dir %{_datadir}/%{name}
    %{_datadir}/%{name}/k3s-root-[arch].legal

    %changelog
    * Wed Jan 01 2025 Somebody <somebody@words.invalid> - 0.1.0-1
    - Original version for Edge Microvisor Toolkit (license: MIT)
    - License verified
    "#);
}
