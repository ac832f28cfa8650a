//! Cases: scripts that make a program do its work, with what is to be known of them in comments at their head.
//!
//! `# packages:` has to be in the root; `# packages when booted:` beside them there. `# not user: REASON` says
//! where the case cannot run, and why. `# kernel: nft` boots Debian's kernel without the legacy tables for it. `# needs:`
//! lists files that have to be there, and `root` for what the root of a user namespace may not do. `# beside:` names a
//! script of `tests` that gets another program for the arch, which the case finds in `$beside`. `# variants:` makes
//! several cases of one script, which finds its own in `$variant`. Each `#>` line is part of a line that the script
//! prints, in this order, and begins and ends where a
//! word or a number does. The script fails if any of its commands does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rootfs::Root;
use crate::skipped::skipped;

const PRELUDE: &str = include_str!("prelude.sh");

/// Where a case runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// On this machine, in namespaces.
    Native,
    /// On this machine, under qemu's user emulation.
    User,
    /// In a machine of qemu's, on Debian's kernel.
    Booted,
}

impl Way {
    fn named(name: &str) -> Self {
        match name {
            "native" => Self::Native,
            "user" => Self::User,
            "booted" => Self::Booted,
            other => panic!("no way is called `{other}`"),
        }
    }
}

/// What is booted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kernel {
    /// Debian's, with all its modules.
    Whole,
    /// Debian's, without the tables of legacy iptables, as a kernel since 6.17 may be.
    Nft,
}

pub(crate) struct Case {
    /// The script's file name, and the variant: `iptables_nft`.
    pub(crate) name: String,
    variant: String,
    packages: Vec<String>,
    packages_when_booted: Vec<String>,
    pub(crate) kernel: Kernel,
    /// Why it cannot run in these ways.
    not: Vec<(Way, String)>,
    needs: Vec<String>,
    /// The script that gets another program, if the case is to have one.
    beside: Option<String>,
    expected: Vec<String>,
    script: String,
}

/// What came of a case.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The exit code of a script that says that it cannot run.
const SKIP: i32 = 77;

/// Every case, by name.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/root/cases");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| Case::read(path)).collect()
}

impl Case {
    fn read(path: &Path) -> Vec<Self> {
        let file = path.file_stem().unwrap().to_str().unwrap();
        let script = fs::read_to_string(path).unwrap();
        let words = |key: &str| -> Vec<String> {
            let start = format!("# {key}: ");
            let line = script.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect()
        };
        let mut not = Vec::new();
        for line in script.lines().filter_map(|line| line.strip_prefix("# not ")) {
            let (ways, reason) =
                line.split_once(": ").unwrap_or_else(|| panic!("{file}: no reason in `{line}`"));
            not.extend(ways.split(' ').map(|way| (Way::named(way), reason.to_owned())));
        }
        let mut variants = words("variants");
        if variants.is_empty() {
            variants.push(String::new());
        }
        let case = |variant: String| Self {
            name: if variant.is_empty() { file.to_owned() } else { format!("{file}_{variant}") },
            variant,
            packages: words("packages"),
            packages_when_booted: words("packages when booted"),
            kernel: match words("kernel").join(" ").as_str() {
                "" => Kernel::Whole,
                "nft" => Kernel::Nft,
                other => panic!("{file}: no kernel is called `{other}`"),
            },
            not: not.clone(),
            needs: words("needs"),
            beside: words("beside").pop(),
            expected: script.lines().filter_map(|line| line.strip_prefix("#> ")).map(str::to_owned).collect(),
            script: script.clone(),
        };
        variants.into_iter().map(case).collect()
    }

    /// Whether only the machine's own root can run it.
    pub(crate) fn needs_root(&self) -> bool {
        self.needs.iter().any(|need| need == "root")
    }

    /// The files that have to be there.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().map(String::as_str).filter(|need| need.starts_with('/'))
    }

    /// Another program that the case wants beside ours, or why there is none.
    pub(crate) fn beside(&self, arch: &str) -> Result<String, String> {
        let Some(script) = &self.beside else { return Ok(String::new()) };
        printed_by(script, arch)
    }

    /// Whether it can run this way with this root; says so if not.
    pub(crate) fn is_for(&self, root: &Root, way: Way) -> bool {
        if let Some((_, reason)) = self.not.iter().find(|(not, _)| *not == way) {
            skipped(&self.title(root, way), reason);
            return false;
        }
        let when_booted = self.packages_when_booted.iter().filter(|_| way == Way::Booted);
        let missing = self.packages.iter().chain(when_booted).find(|package| root.lacks(package));
        if let Some(package) = missing {
            skipped(
                &self.title(root, way),
                &format!("the root was built without `{package}`: its source could not be had"),
            );
        }
        missing.is_none()
    }

    /// The whole script, for a POSIX shell with `-eu`.
    pub(crate) fn script(&self, root: &Root, way: Way) -> String {
        let strict = if way == Way::Booted { "yes" } else { "" };
        let lacks = root.missing().join(" ");
        format!("strict={strict}\nvariant={}\nlacks='{lacks}'\n{PRELUDE}\n{}", self.variant, self.script)
    }

    pub(crate) fn title(&self, root: &Root, way: Way) -> String {
        let way = match (way, self.kernel) {
            (Way::Native, _) => "on this machine",
            (Way::User, _) => "under qemu-user",
            (Way::Booted, Kernel::Whole) => "on Debian's kernel",
            (Way::Booted, Kernel::Nft) => "on Debian's kernel without ip_tables",
        };
        format!("{} for {} {way}", self.name, root.arch())
    }

    /// Fails if the case did; says which of it was left out.
    pub(crate) fn judge(&self, root: &Root, way: Way, outcome: &Outcome) {
        let Outcome { code, stdout, stderr } = outcome;
        let title = self.title(root, way);
        let shown = format!("{title}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
        if *code == Some(SKIP) {
            let reason = stdout.lines().find_map(|line| line.strip_prefix("SKIPPED: "));
            return skipped(&title, reason.unwrap_or_else(|| panic!("skipped without a reason: {shown}")));
        }
        assert_eq!(*code, Some(0), "{shown}");
        for part in stdout.lines().filter_map(|line| line.strip_prefix("WITHOUT ")) {
            skipped(&format!("in {title}"), part);
        }
        let mut lines = stdout.lines();
        for expected in &self.expected {
            assert!(
                lines.any(|line| shows(line, expected)),
                "no `{expected}`, or not in this order: {shown}"
            );
        }
    }
}

/// What a script of `tests` prints for the arch, or what it says of why it cannot.
pub(crate) fn printed_by(script: &str, arch: &str) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output = Command::new("sh").arg(path).arg(arch).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Whether a line has `expected` in it, and not as a part of a longer word or number: `1` is not in `10`.
fn shows(line: &str, expected: &str) -> bool {
    let joined = |one: Option<char>, other: Option<char>| {
        one.is_some_and(char::is_alphanumeric) && other.is_some_and(char::is_alphanumeric)
    };
    line.match_indices(expected).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + expected.len()..]);
        !joined(before.chars().next_back(), expected.chars().next())
            && !joined(expected.chars().next_back(), after.chars().next())
    })
}

#[test]
fn a_part_of_a_number_is_not_shown() {
    assert!(shows("1", "1"));
    assert!(shows("10 of 1, at last", "1"));
    assert!(shows("find (GNU findutils) 4.10", "4."));
    assert!(!shows("10", "1"));
    assert!(!shows("x1 21 10", "1"));
    assert!(!shows("", "1"));
}
