//! Two userlands beside each other.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::workspace::{ARCH, Workspace};

/// A folder with a small system of a distribution in it.
fn system(workspace: &Workspace) {
    let root = workspace.path("system");
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    for program in ["hello", "vi"] {
        fs::write(root.join("usr/bin").join(program), "#!/bin/sh\n").unwrap();
        fs::set_permissions(root.join("usr/bin").join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(root.join("usr/bin/notes.txt"), "no program").unwrap();
    symlink("vi", root.join("usr/bin/loud")).unwrap();
    fs::write(root.join("var/lib/dpkg/info/hello:amd64.list"), "/.\n/bin\n/bin/hello\n").unwrap();
    let status = "Package: hello\nStatus: install ok installed\nVersion: 1:2.10-3\n\n\
                  Package: vim\nStatus: install ok installed\nVersion: 9.1-1\n";
    fs::write(root.join("var/lib/dpkg/status"), status).unwrap();
}

#[test]
fn a_tarball_is_compared_with_a_system_and_with_lists() {
    let workspace = Workspace::new();
    workspace.build_all();
    system(&workspace);
    let tar = format!("dist/k3s-root-{ARCH}.tar");
    let compare = |words: &[&str]| {
        let run = workspace.run("compare", &[&[tar.as_str()], words].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    insta::assert_snapshot!(compare(&["system"]), @r"
    left:  dist/k3s-root-[arch].tar
    right: system

                              left  right
    names                        5      3
    programs                     3      2
    links                        2      1
    packages                     -      2
    names on both sides          2      2
    names on this side alone     3      1

    program   package  version  there    package there  version there  to do
    box       box      -        -        -              -              package it
    greet.sh  greet    -        -        -              -              package it
    hello     hello    -        program  hello          2.10           compare the versions by hand

    left alone: box fast greet.sh

    right alone: vi
    ");
    insta::assert_snapshot!(compare(&["system", "--format", "markdown"]), @r"
    # `dist/k3s-root-[arch].tar` beside `system`

    |  | left | right |
    |---|---|---|
    | names | 5 | 3 |
    | programs | 3 | 2 |
    | links | 2 | 1 |
    | packages | - | 2 |
    | names on both sides | 2 | 2 |
    | names on this side alone | 3 | 1 |

    | program | package | version | there | package there | version there | to do |
    |---|---|---|---|---|---|---|
    | box | box | - | - | - | - | package it |
    | greet.sh | greet | - | - | - | - | package it |
    | hello | hello | - | program | hello | 2.10 | compare the versions by hand |

    ## On the left side alone

    `box`, `fast`, `greet.sh`

    ## On the right side alone

    `vi`
    ");
    insta::assert_snapshot!(compare(&["system", "--format", "csv"]), @r"
    name,side,package,version,there,package_there,version_there,todo
    box,left,box,,,,,package it
    fast,left,,,,,,
    greet.sh,left,greet,,,,,package it
    hello,both,hello,,program,hello,2.10,compare the versions by hand
    loud,both,,,,,,
    vi,right,,,,,,
    ");

    fs::write(workspace.path("list"), "hello-2.10-3.emt3.x86_64\nvim-9.1-1.emt3.x86_64\n").unwrap();
    insta::assert_snapshot!(compare(&["list"]), @r"
    left:  dist/k3s-root-[arch].tar
    right: list

                              left  right
    names                        5      -
    programs                     3      -
    links                        2      -
    packages                     -      2
    names on both sides          -      -
    names on this side alone     -      -

    program   package  version  there  package there  version there  to do
    box       box      -        -      -              -              package it
    greet.sh  greet    -        -      -              -              package it
    hello     hello    -        -      hello          2.10           compare the versions by hand
    ");
    let json: serde_json::Value = serde_json::from_str(&compare(&["list", "--format", "json"])).unwrap();
    assert_eq!((&json["both"], &json["right"]["packages"]), (&().into(), &2.into()));
    let status = compare(&["system/var/lib/dpkg/status"]);
    assert!(status.contains("packages                     -      2\n"), "{status}");
}

#[test]
fn what_is_no_side_is_told_with_its_place() {
    let workspace = Workspace::new();
    fs::write(workspace.path("list"), "hello-2.10-3.x86_64\nvim 9.1\n").unwrap();
    let wrong = |left: &str, right: &str| {
        let run = workspace.run("compare", &[left, right]);
        assert_ne!(run.code, Some(0), "{}", run.stdout);
        run.stderr
    };
    insta::assert_snapshot!(wrong("list", "list"), @r"
    error: `list` is no list of packages
      ╰─ line 2 is not `NAME-VERSION-RELEASE.ARCH`, as `rpm -qa` prints it: `vim 9.1`
    ");
    fs::write(workspace.path("zeros"), vec![0; 2048]).unwrap();
    insta::assert_snapshot!(wrong("zeros", "recipes"), @"error: `zeros` has no programs: give a tarball, or the folder that has `bin` or `usr` in it");
    insta::assert_snapshot!(wrong("nothing", "list"), @r"
    error: cannot read `nothing`
      ╰─ No such file or directory (os error 2)
    ");
}

/// A real one. It needs root and a mirror, as debootstrap does.
#[test]
fn a_debootstrap_chroot_is_compared() {
    let can = ["debootstrap", "dpkg"].iter().all(|name| {
        ["/usr/sbin", "/usr/bin"].iter().any(|folder| fs::exists(format!("{folder}/{name}")).unwrap())
    });
    if !can || !nix::unistd::getuid().is_root() {
        super::skipped::skipped("a comparison with a debootstrap chroot", "it needs root and debootstrap");
        return;
    }
    let workspace = Workspace::new();
    workspace.build_all();
    // From where this machine's own packages come.
    let targets =
        Command::new("apt-get").args(["indextargets", "--format", "$(SITE) $(RELEASE)"]).output().unwrap();
    let targets = String::from_utf8(targets.stdout).unwrap();
    let plain = |line: &&str| !line.ends_with("-updates") && !line.ends_with("-security");
    let Some((mirror, release)) = targets.lines().find(plain).and_then(|line| line.split_once(' ')) else {
        super::skipped::skipped("a comparison with a debootstrap chroot", "apt knows no mirror");
        return;
    };
    let made = Command::new("debootstrap")
        .args(["--variant=minbase", release])
        .arg(workspace.path("chroot"))
        .arg(mirror)
        .output()
        .unwrap();
    if !made.status.success() {
        let last = String::from_utf8_lossy(&made.stdout).lines().last().unwrap_or_default().to_owned();
        super::skipped::skipped(
            "a comparison with a debootstrap chroot",
            &format!("debootstrap failed: {last}"),
        );
        return;
    }
    let tar = format!("dist/k3s-root-{ARCH}.tar");
    let run = workspace.run("compare", &["chroot", &tar, "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let count = |key: &str| json["left"][key].as_u64().unwrap();
    assert!(count("total") > 300 && count("links") > 10 && count("packages") > 50, "{}", json["left"]);
    assert_eq!(count("total"), count("direct") + count("links"));
    let direct = json["direct"].as_array().unwrap();
    let ls = direct.iter().find(|one| one["name"] == "ls").unwrap();
    assert_eq!((&ls["package"], &ls["todo"]), (&"coreutils".into(), &"add".into()));
    assert!(ls["version"].as_str().unwrap().starts_with(char::is_numeric), "{ls}");
}
