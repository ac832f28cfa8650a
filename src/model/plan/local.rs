//! Local trees that are built in place of a package's source, and which version each is.
//!
//! The recipe's version is that of its pinned source, and never that of a local tree. A tree's version is the one that the
//! user gives, the one that its build files state, or that of git's tag. Otherwise nobody knows it. The tree is not trusted: it is read
//! through [`beneath`], and what is no plain version is ignored.

use std::path::{Path, PathBuf};

use base::beneath::{self, Folder};
use base::digest::TreeDigest;
use base::name::{ParseNameError, Version};
use base::version::compare;

/// What is shown in place of a version that nobody knows.
pub const UNKNOWN: &str = "unknown";

/// A local tree that is built in place of a package's source.
#[derive(Debug, Clone)]
pub struct Override {
    /// The folder.
    pub path: PathBuf,
    /// What is in it.
    pub tree: TreeDigest,
    /// Which version it is, if that is known.
    pub version: Option<Version>,
}

impl Override {
    /// The tree in the folder `path`. `said` is the version that the user gives, which may be [`UNKNOWN`]; without one, the
    /// folder's build files are read.
    pub fn new(path: PathBuf, tree: TreeDigest, said: Option<Version>) -> Self {
        let version = match said {
            Some(said) => Some(said).filter(|said| said.as_str() != UNKNOWN),
            None => version_of(&path),
        };
        Self { path, tree, version }
    }

    /// The folder, and the version if one is given, that `DIR` or `DIR@VERSION` names. If a folder has the whole text as its
    /// name, that folder is meant.
    pub fn place(text: &str) -> Result<(PathBuf, Option<Version>), ParseNameError> {
        match text.rsplit_once('@') {
            Some((folder, version)) if !Path::new(text).is_dir() && Path::new(folder).is_dir() => {
                Ok((folder.into(), Some(version.parse()?)))
            }
            _ => Ok((text.into(), None)),
        }
    }

    /// The version in words.
    pub fn shown_version(&self) -> &str {
        self.version.as_ref().map_or(UNKNOWN, Version::as_str)
    }
}

/// A build file, and how to find the version in its text.
type Finder = (&'static str, fn(&str) -> Option<&str>);

/// Where a tree states its version, the most reliable first.
const FINDERS: [Finder; 3] =
    [("configure.ac", of_configure_ac), ("configure", of_configure), ("meson.build", of_meson)];

/// The version that the build files in `folder` state, or failing that, the tag of the commit that git has checked out.
fn version_of(folder: &Path) -> Option<Version> {
    let stated = FINDERS.iter().find_map(|(file, find)| {
        let bytes = beneath::read(folder, file).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        // What begins with no digit is the name of a macro or a variable.
        find(&text).filter(|found| found.starts_with(|c: char| c.is_ascii_digit()))?.parse().ok()
    });
    stated.or_else(|| of_tag(folder))
}

/// The version that a tag of the checked-out commit names. Only the files with references are read, no object and no
/// setting: an annotated tag is found where git has packed it, as in every fresh clone.
fn of_tag(folder: &Path) -> Option<Version> {
    let read = |name: &str| beneath::read_to_string(folder, &format!(".git/{name}")).ok();
    let packed = read("packed-refs").unwrap_or_default();
    let mut references: Vec<(&str, &str)> = Vec::new();
    for line in packed.lines().filter(|line| !line.starts_with('#')) {
        match (line.strip_prefix('^'), line.split_once(' ')) {
            // What the annotated tag of the line before is a tag of.
            (Some(commit), _) => references.last_mut()?.0 = commit,
            (None, Some(reference)) => references.push(reference),
            (None, None) => {}
        }
    }
    let head = read("HEAD")?;
    let head = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(branch) => match read(branch) {
            Some(commit) => commit.trim().to_owned(),
            None => references.iter().find(|(_, name)| *name == branch)?.0.to_owned(),
        },
    };
    let packed = references.iter().filter(|(commit, _)| *commit == head);
    let packed = packed.filter_map(|(_, name)| Some(name.strip_prefix("refs/tags/")?.to_owned()));
    let loose = Folder::open(folder).and_then(|folder| folder.entries(Path::new(".git/refs/tags")));
    let loose = loose.into_iter().flatten().filter_map(|(name, _)| name.into_string().ok());
    let loose =
        loose.filter(|tag| read(&format!("refs/tags/{tag}")).is_some_and(|commit| commit.trim() == head));
    let mut versions: Vec<Version> = packed.chain(loose).filter_map(|tag| in_tag(&tag)).collect();
    versions.sort_by(|a, b| compare(a.as_str(), b.as_str()));
    versions.pop()
}

/// The version in a tag like `v1.2`, `1.2` or `name-1.2`.
fn in_tag(tag: &str) -> Option<Version> {
    let start = tag.find(|c: char| c.is_ascii_digit())?;
    let before = &tag[..start];
    let is_usual =
        before.is_empty() || before == "v" || before.ends_with(['-', '_', '/']) || before.ends_with("-v");
    tag[start..].parse().ok().filter(|_| is_usual)
}

/// The second argument of `AC_INIT`.
fn of_configure_ac(text: &str) -> Option<&str> {
    let arguments = text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("AC_INIT")?.trim_start();
        rest.strip_prefix('(').map(|rest| &text[offset(text, rest)..])
    })?;
    let (mut depth, mut start, mut count) = (0_usize, 0, 0);
    for (at, c) in arguments.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ',' | ')' if depth == 0 => {
                if count == 1 {
                    return Some(arguments[start..at].trim().trim_matches(['[', ']']).trim());
                }
                if c == ')' {
                    return None;
                }
                (start, count) = (at + 1, count + 1);
            }
            ']' | ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// Where `part`, which is a part of `text`, begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The value of `PACKAGE_VERSION`.
fn of_configure(text: &str) -> Option<&str> {
    let value = text.lines().find_map(|line| line.strip_prefix("PACKAGE_VERSION="))?;
    Some(value.trim().trim_matches(['\'', '"']))
}

/// The keyword `version` of `project()`, where it is a plain string.
fn of_meson(text: &str) -> Option<&str> {
    let arguments = text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("project")?.trim_start();
        rest.strip_prefix('(').map(|rest| &text[offset(text, rest)..])
    })?;
    let mut depth = 0_usize;
    let mut rest = arguments;
    // The last words outside of strings: `version`, then `:`.
    let mut word = "";
    let mut is_version = false;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '#' => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '\'' => {
                let quote = if rest.starts_with("'''") { "'''" } else { "'" };
                let inside = &rest[quote.len()..];
                let string = &inside[..inside.find(quote)?];
                if is_version {
                    return Some(string);
                }
                length = string.len() + 2 * quote.len();
                word = "";
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ':' => {
                is_version = depth == 0 && word == "version";
                rest = &rest[length..];
                continue;
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
                length = rest.find(end).unwrap_or(rest.len());
                word = &rest[..length];
            }
            _ => {}
        }
        is_version &= c.is_whitespace();
        rest = &rest[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        version_of(folder.path()).map(|version| version.to_string())
    }

    #[test]
    fn configure_ac_states_it() {
        for (text, expected) in [
            ("AC_INIT([ethtool],[6.1],[netdev@vger.kernel.org])", Some("6.1")),
            ("dnl AC_INIT([old],[1.0])\nAC_INIT([new], [2.0])", Some("2.0")),
            ("AC_INIT(name, 1.2.3)", Some("1.2.3")),
            ("  AC_INIT ( [name],\n\t [1.2-rc1] ,\n [x])", Some("1.2-rc1")),
            ("AC_INIT([na,me],[[1.2]])", Some("1.2")),
            // Found by a command or a macro: no plain version.
            ("AC_INIT([name],[m4_esyscmd([./version])])", None),
            ("AC_INIT([name],[PKG_VERSION])", None),
            ("AC_INIT([name],[$(cat VERSION)])", None),
            ("AC_INIT([name],[1.2\u{1b}[2J])", None),
            ("AC_INIT(main.c)", None),
            ("AC_INIT([name],", None),
            ("AC_INIT([name]]],[1])", None),
            ("AC_INITIALISE([name],[1])", None),
            ("", None),
        ] {
            assert_eq!(found(&[("configure.ac", text)]).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_tag_of_what_is_checked_out_says_it_where_no_build_file_does() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, tag) = ("1".repeat(40), "2".repeat(40), "3".repeat(40));
        fs::create_dir_all(folder.path().join(".git/refs/tags")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(".git").join(name), text).unwrap();
        let version = || version_of(folder.path()).map(|version| version.to_string());
        write(
            "packed-refs",
            &format!(
                "# pack-refs with: peeled fully-peeled sorted\n{two} refs/heads/main\n{one} refs/tags/name-1.9\n\
             {tag} refs/tags/v1.10\n^{one}\n{two} refs/tags/nightly\n"
            ),
        );
        write("HEAD", &format!("{one}\n"));
        assert_eq!(version().as_deref(), Some("1.10"));
        write("HEAD", "ref: refs/heads/main\n");
        assert_eq!(version(), None, "no tag there is a version");
        write("refs/tags/v2.0", &format!("{two}\n"));
        assert_eq!(version().as_deref(), Some("2.0"));
        fs::write(folder.path().join("meson.build"), "project('a', version: '3.0')").unwrap();
        assert_eq!(version().as_deref(), Some("3.0"), "a file that states it knows better");
    }

    #[test]
    fn configure_states_it() {
        let configure = "#! /bin/sh\n# PACKAGE_VERSION='0'\nPACKAGE_VERSION='6.1'\nPACKAGE_VERSION=9\n";
        assert_eq!(found(&[("configure", configure)]).as_deref(), Some("6.1"));
        let dynamic = ("configure.ac", "AC_INIT([name],[m4_esyscmd([./version])])");
        assert_eq!(found(&[dynamic, ("configure", configure)]).as_deref(), Some("6.1"));
        assert_eq!(found(&[("configure", "PACKAGE_VERSION=$VERSION\n")]), None);
    }

    #[test]
    fn meson_states_it() {
        for (text, expected) in [
            ("project('name', 'c', version: '1.2')", Some("1.2")),
            ("# project('old', version: '0')\nproject('name',\n  version : '1.2',\n)", Some("1.2")),
            ("project('name', meson_version: '>=1', version: '''1.2''')", Some("1.2")),
            ("project('version', default_options: ['version: 7'], version: # now\n '1.2')", Some("1.2")),
            ("project('name', default_options: {'a': f(version: '7')}, version: '1.2')", Some("1.2")),
            ("project('name', version: files('VERSION'))", None),
            ("project('name', version: get('1') + '7')", None),
            ("project('name')\ndependency('x', version: '7')", None),
            ("project('name', version: '>=7')", None),
            ("project('name', version: 'é", None),
            ("project(", None),
        ] {
            assert_eq!(found(&[("meson.build", text)]).as_deref(), expected, "{text}");
        }
        let ac = ("configure.ac", "AC_INIT([a],[1])");
        assert_eq!(found(&[ac, ("meson.build", "project('a', version: '2')")]).as_deref(), Some("1"));
    }

    #[test]
    fn a_hostile_tree_neither_blocks_nor_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("secret"), "project('a', version: '6')").unwrap();
        nix::unistd::mkfifo(&root.join("configure.ac"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(root.join("configure")).unwrap().set_len(1 << 40).unwrap();
        symlink("../secret", root.join("meson.build")).unwrap();
        assert_eq!(version_of(&root), None);
    }

    #[test]
    fn the_user_has_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("configure.ac"), "AC_INIT([a],[1])").unwrap();
        let shown = |text: &str| {
            let (path, said) = Override::place(text).unwrap();
            Override::new(path, TreeDigest::from_bytes([0; 32]), said).shown_version().to_owned()
        };
        let text = path.display().to_string();
        assert_eq!(shown(&text), "1");
        assert_eq!(shown(&format!("{text}@2")), "2");
        assert_eq!(shown(&format!("{text}@unknown")), UNKNOWN);
        assert!(Override::place(&format!("{text}@2 3")).is_err());
        assert!(Override::place(&format!("{text}@")).is_err());
        fs::create_dir(folder.path().join("tree@2")).unwrap();
        assert_eq!(shown(&format!("{text}@2")), UNKNOWN, "the folder is meant");
        assert_eq!(shown(&format!("{text}@2@3")), "3");
    }
}
