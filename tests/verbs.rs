//! `k3sroot verify` and `k3sroot diff` as they are run, over tarballs made by hand.

#![allow(clippy::unwrap_used, reason = "all of this is tests, its helpers too")]

#[expect(dead_code, reason = "this suite uses only some of the helpers")]
#[path = "../src/root/tests/pack/fake.rs"]
mod fake;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use root::pack::TarballKind;
use tempfile::TempDir;

use fake::{FakeElf, Raw, arch, tar_of, tarball};

/// What k3sroot did.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn tar(&self, name: &str, members: &[Raw]) {
        fs::write(self.path(name), tar_of(members)).unwrap();
    }

    fn run(&self, words: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_k3sroot"))
            .args(words)
            .current_dir(self.0.path())
            .env_clear()
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// With the arch records of this checkout.
    fn verify(&self, words: &[&str]) -> Run {
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        self.run(&[&["verify", "--recipes", recipes.to_str().unwrap()], words].concat())
    }
}

fn root() -> Vec<Raw> {
    tarball(TarballKind::Root, &arch("amd64"))
}

/// Without `pigz`, and with an `ip` that anybody could have linked.
fn spoilt() -> Vec<Raw> {
    let mut members = root();
    members.retain(|member| member.name != "./bin/pigz");
    let ip = members.iter_mut().find(|member| member.name == "./bin/ip").unwrap();
    let mut elf = FakeElf::sound(&arch("amd64"));
    elf.e_type = 2;
    elf.segments[0].data.clear();
    ip.contents = elf.bytes();
    members
}

#[test]
fn a_sound_tarball_is_said_to_be_sound() {
    let place = Place::new();
    place.tar("k3s-root-xtables-arm64.tar", &tarball(TarballKind::Xtables, &arch("arm64")));
    let run = place.verify(&["k3s-root-xtables-arm64.tar"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(run.stdout, @r"
    k3s-root-xtables-arm64.tar: sound
      xtables tarball for arm64, 31.00 KiB, sha256 286288ecebbf3bc6748955b4fc380b1e0f60cb2635d6bbc97ecce91e4f3bd681

      ok     members          47 of 47 names, 0 more
      ok     names            each must begin with `./` and have no white space
      ok     links            each must be relative and lead to a member
      ok     modes            each must be 0755 and owned by 0:0, none a hard link
      ok     files            5 programs, 3 other files
      ok     machine          AArch64 (64 bits, little endian)
      ok     static           5 of 5
      ok     PIE              5 of 5
      ok     RELRO            5 of 5
      ok     BIND_NOW         5 of 5
      ok     stack protector  5 of 5
      ok     stack            not executable: 5 of 5
      ok     W^X              5 of 5
      ok     page size        5 of 5 for pages of 65536
      ok     stripped         5 of 5
      ok     build paths      no file may mention a folder of k3sroot's builds

    program                   version  size  PIE  RELRO  NOW  protector  NX   W^X  static  stripped   page
    bin/ebtables-legacy       -         634  yes  full   yes  yes        yes  yes  yes     yes       65536
    bin/ebtablesd             -         628  yes  full   yes  yes        yes  yes  yes     yes       65536
    bin/ebtablesu             -         628  yes  full   yes  yes        yes  yes  yes     yes       65536
    bin/xtables-legacy-multi  -         639  yes  full   yes  yes        yes  yes  yes     yes       65536
    bin/xtables-nft-multi     -         636  yes  full   yes  yes        yes  yes  yes     yes       65536
    ");
}

#[test]
fn what_is_wrong_is_said_with_its_remedy() {
    let place = Place::new();
    place.tar("k3s-root-amd64.tar", &spoilt());
    place.tar("sound.tar", &root());
    let run = place.verify(&["k3s-root-amd64.tar", "sound.tar"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stderr, "error: not sound: 1 of 2 tarballs\n");
    let (first, second) = run.stdout.split_once("\nsound.tar: sound\n").unwrap();
    assert!(second.contains("root tarball for amd64"), "{second}");
    assert!(first.starts_with("k3s-root-amd64.tar: not sound\n"), "{first}");
    assert!(!first.contains('\u{1b}'), "no colours where there is no terminal");
    let findings = first.split_once("bin/xargs").unwrap().1.split_once("\n\n").unwrap().1;
    insta::assert_snapshot!(findings, @r"
    wrong (members): `./bin/pigz` is absent: the contract has a file there
      remedy: build and pack what brings it

    wrong (links): `./bin/unpigz` leads to `pigz`, which is not a file of the tarball
      remedy: link to a file of the tarball by its relative path

    wrong (PIE): `./bin/ip` is not a PIE: it is loaded at a fixed address
      remedy: compile with `-fPIE` and link with `-static-pie`

    wrong (stack protector): `./bin/ip` has no stack protector: nothing reads the canary
      remedy: compile with `-fstack-protector-strong`
    ");
}

#[test]
fn the_json_has_everything() {
    let place = Place::new();
    place.tar("k3s-root-amd64.tar", &spoilt());
    fs::write(place.path("x.tar"), b"\x1f\x8b\x08").unwrap();
    let run = place.verify(&["--json", "k3s-root-amd64.tar", "x.tar"]);
    assert_eq!(run.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json[0]["file"], "k3s-root-amd64.tar");
    assert_eq!(json[0]["sound"], false);
    let report = &json[0]["report"];
    assert_eq!((&report["tarball"], &report["arch"]), (&"root".into(), &"amd64".into()));
    assert_eq!(report["checks"].as_array().unwrap().len(), 16);
    assert_eq!(report["programs"].as_array().unwrap().len(), 19);
    assert_eq!(report["programs"][0]["facts"]["protector"]["reads"], 1);
    assert_eq!(report["findings"][0]["check"], "members");
    assert!(json[1]["report"].is_null());
    assert!(json[1]["error"].as_str().unwrap().contains("compressed with gzip"));
}

#[test]
fn a_tarball_that_cannot_be_read_is_not_sound() {
    let place = Place::new();
    fs::write(place.path("k3s-root-amd64.tar.zst"), b"\x28\xb5\x2f\xfd").unwrap();
    let run = place.verify(&["k3s-root-amd64.tar.zst"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r"
    k3s-root-amd64.tar.zst: not sound
      it is compressed with zstd, and K3s takes plain tars: `zstd -dc <file> > <file>.tar` makes one
    ");
}

#[test]
fn the_arch_can_be_given() {
    let place = Place::new();
    place.tar("k3s-root-amd64.tar", &tarball(TarballKind::Root, &arch("riscv64")));
    assert_eq!(place.verify(&["k3s-root-amd64.tar"]).code, Some(1));
    assert_eq!(place.verify(&["k3s-root-amd64.tar", "--arch", "riscv64"]).code, Some(0));
}

#[test]
fn what_keeps_k3sroot_from_looking_is_not_an_answer() {
    let place = Place::new();
    let run = place.verify(&["absent.tar"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: cannot read `absent.tar`"), "{}", run.stderr);
    // What could be read has its answer.
    place.tar("k3s-root-amd64.tar", &root());
    let run = place.verify(&["--json", "absent.tar", "k3s-root-amd64.tar"]);
    assert_eq!(run.code, Some(2));
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&json[0]["sound"], &json[1]["sound"]), (&serde_json::Value::Null, &true.into()));
    assert!(json[0]["error"].as_str().unwrap().starts_with("cannot be read: "), "{json}");
    let run = place.verify(&["k3s-root-amd64.tar", "--arch", "pdp11"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: no arch is called `pdp11`"), "{}", run.stderr);
    // There is no checkout around a temporary folder.
    let run = place.run(&["verify", "k3s-root-amd64.tar"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("give `--recipes DIR`"), "{}", run.stderr);
    assert_eq!(place.run(&["verify"]).code, Some(2));
}

#[test]
fn equal_tarballs_are_said_to_be_equal() {
    let place = Place::new();
    place.tar("a.tar", &root());
    place.tar("b.tar", &root());
    // It needs no checkout.
    let run = place.run(&["diff", "a.tar", "b.tar"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let sha256 = base::digest::Sha256::of(&fs::read(place.path("a.tar")).unwrap());
    assert_eq!(run.stdout, format!("equal: `a.tar` and `b.tar` have the sha256 {sha256}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["diff", "--json", "a.tar", "b.tar"]).stdout).unwrap();
    assert_eq!((&json["equal"], &json["old_file"]), (&true.into(), &"a.tar".into()));
    assert_eq!(json["difference"]["new"]["members"], 352);
}

#[test]
fn differences_are_shown_member_by_member() {
    let place = Place::new();
    place.tar("a.tar", &root());
    place.tar("b.tar", &spoilt());
    let run = place.run(&["diff", "a.tar", "b.tar"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    insta::assert_snapshot!(run.stdout, @r"
    old: a.tar: 352 members, 203264 bytes, sha256 65cc588cd9c4448e99d9b3daf10b2531c36cf391e4feddf3b3a6620723e43051
    new: b.tar: 351 members, 201728 bytes, sha256 8be320398693de482e41377b501de027e96d6ae1a607b3743a28a3cc42d88d85

    went ./bin/pigz: file, 620 bytes

    changed ./bin/ip
      size                618 -> 601 bytes (-17, -2.8 %)
      PIE                 yes -> no
      protector           yes -> no

    total: 0 came, 1 went, 1 changed; 203264 -> 201728 bytes (-1536, -0.8 %)
    ");
    let mut turned = root();
    turned.reverse();
    place.tar("c.tar", &turned);
    let run = place.run(&["diff", "a.tar", "c.tar"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("Every member is the same: times, order or padding differ."),
        "{}",
        run.stdout
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = Place::new();
    place.tar("a.tar", &root());
    fs::write(place.path("b.tar"), b"no tar").unwrap();
    let run = place.run(&["diff", "a.tar", "b.tar"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.starts_with("error: cannot compare `b.tar`\n"), "{}", run.stderr);
    assert!(run.stderr.contains("it is not a tar"), "{}", run.stderr);
    assert_eq!(place.run(&["diff", "a.tar", "absent.tar"]).code, Some(2));
    assert_eq!(place.run(&["diff", "a.tar"]).code, Some(2));
}
