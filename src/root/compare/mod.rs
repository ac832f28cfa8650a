//! What two userlands have in common: the programs of a root tarball beside those of a folder or another tarball, or beside
//! the packages of a distribution. Pure; who reads the sides hands them in as values.

mod lists;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use base::name::Version;
use base::version::newer;

pub use lists::{ListError, dpkg_status, plain_version, rpm_list};

/// One side: programs, packages, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Programs by the name that they are called by; none if the side does not tell.
    pub programs: Option<BTreeMap<String, Program>>,
    /// Versions of packages, by name, as the distribution writes them; none if the side does not tell.
    pub packages: Option<BTreeMap<String, String>>,
}

/// Something that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where the name leads, if it is a link; a program that others are links to is one itself.
    pub link: Option<String>,
    /// Its version, if its bytes tell it.
    pub version: Option<String>,
    /// The package that it comes from, if that is known.
    pub package: Option<String>,
}

/// What two sides have in common, seen from the left one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What the left side has.
    pub left: Count,
    /// What the right side has.
    pub right: Count,
    /// Names of programs that both have; none if a side does not tell its programs, as the next two.
    pub both: Option<Vec<String>>,
    /// Names that the left side alone has.
    pub left_only: Option<Vec<String>>,
    /// Names that the right side alone has.
    pub right_only: Option<Vec<String>>,
    /// The left side's programs that are no links, or its packages if it does not tell its programs.
    pub direct: Vec<Direct>,
}

/// How much a side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Names of programs.
    pub total: Option<usize>,
    /// Those that are programs.
    pub direct: Option<usize>,
    /// Those that are links.
    pub links: Option<usize>,
    /// Packages.
    pub packages: Option<usize>,
}

/// A program of the left side and what the right one has of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Direct {
    /// The program, or the package where programs are not told.
    pub name: String,
    /// Its package on the left side.
    pub package: Option<String>,
    /// Its version on the left side.
    pub version: Option<String>,
    /// What the right side has under the program's name.
    pub program_there: Option<Found>,
    /// The right side's package that it would come from.
    pub package_there: Option<String>,
    /// Its version on the right side.
    pub version_there: Option<String>,
    /// What follows for who wants it on the right side.
    pub todo: Todo,
}

/// What is there under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// A program.
    Program,
    /// A link to one.
    Link,
}

/// What to do about a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Todo {
    /// The right side has neither it nor its package: it has to be packaged.
    Add,
    /// The right side has an earlier version.
    Update,
    /// The right side has the package, and not this program of it.
    Enable,
    /// The right side has the same version.
    Nothing,
    /// The right side has a later version.
    Later,
    /// Both have it, and a version is not known.
    LookAt,
}

impl Todo {
    /// What to do, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Add => "package it",
            Self::Update => "update",
            Self::Enable => "build this part of the package, too",
            Self::Nothing => "nothing: the same version",
            Self::Later => "nothing: it has a later version",
            Self::LookAt => "compare the versions by hand",
        }
    }
}

impl Side {
    fn count(&self) -> Count {
        let links = self.programs.as_ref().map(|all| all.values().filter(|one| one.link.is_some()).count());
        let total = self.programs.as_ref().map(BTreeMap::len);
        Count {
            total,
            direct: total.zip(links).map(|(total, links)| total - links),
            links,
            packages: self.packages.as_ref().map(BTreeMap::len),
        }
    }

    /// The package here that is what `package` or the program `name` is elsewhere, with its version. Distributions differ in
    /// what they add to a name: `iproute2` is `iproute`, `conntrack-tools` is `conntrack`.
    fn package(&self, name: &str, package: Option<&str>) -> Option<(&String, &String)> {
        let packages = self.packages.as_ref()?;
        let known = self.programs.as_ref().and_then(|all| all.get(name)?.package.as_deref());
        let plain = package
            .map(|package| package.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches("-tools"));
        let candidates = [known, package, plain, Some(name)];
        candidates.into_iter().flatten().find_map(|candidate| packages.get_key_value(candidate))
    }
}

/// Compares two sides.
pub fn compare(left: &Side, right: &Side) -> Comparison {
    let names = |side: &Side| -> Option<BTreeSet<String>> {
        side.programs.as_ref().map(|all| all.keys().cloned().collect())
    };
    let pair = names(left).zip(names(right));
    let list = |pick: fn(&BTreeSet<String>, &BTreeSet<String>) -> Vec<String>| {
        pair.as_ref().map(|(left, right)| pick(left, right))
    };
    let direct = match (&left.programs, &left.packages) {
        (Some(programs), _) => programs
            .iter()
            .filter(|(_, program)| program.link.is_none())
            .map(|(name, program)| {
                let version = program.version.clone().or_else(|| {
                    let (_, version) = left.package(name, program.package.as_deref())?;
                    Some(plain_version(version).to_owned())
                });
                direct(name, program.package.as_deref(), version, right)
            })
            .collect(),
        (None, Some(packages)) => packages
            .iter()
            .map(|(name, version)| direct(name, Some(name), Some(plain_version(version).to_owned()), right))
            .collect(),
        (None, None) => Vec::new(),
    };
    Comparison {
        left: left.count(),
        right: right.count(),
        both: list(|left, right| left.intersection(right).cloned().collect()),
        left_only: list(|left, right| left.difference(right).cloned().collect()),
        right_only: list(|left, right| right.difference(left).cloned().collect()),
        direct,
    }
}

fn direct(name: &str, package: Option<&str>, version: Option<String>, right: &Side) -> Direct {
    let program = right.programs.as_ref().and_then(|all| all.get(name));
    let found = right.package(name, package);
    // A link leads to a program of another package, which has another version.
    let own = program.filter(|program| program.link.is_none()).and_then(|program| program.version.clone());
    let version_there = own.or_else(|| found.map(|(_, version)| plain_version(version).to_owned()));
    let is_absent = right.programs.is_some() && program.is_none();
    let todo = match (&version, &version_there) {
        _ if program.is_none() && found.is_none() => Todo::Add,
        _ if is_absent => Todo::Enable,
        (Some(here), Some(there)) if here == there => Todo::Nothing,
        (Some(here), Some(there)) => match (here.parse::<Version>(), there.parse::<Version>()) {
            (Ok(here), Ok(there)) if newer(&here, &there) => Todo::Update,
            (Ok(here), Ok(there)) if newer(&there, &here) => Todo::Later,
            (Ok(_), Ok(_)) => Todo::Nothing,
            _ => Todo::LookAt,
        },
        _ => Todo::LookAt,
    };
    Direct {
        name: name.to_owned(),
        package: package.map(str::to_owned),
        version,
        program_there: program
            .map(|program| if program.link.is_some() { Found::Link } else { Found::Program }),
        package_there: found.map(|(name, _)| name.clone()),
        version_there,
        todo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(link: Option<&str>, version: Option<&str>, package: Option<&str>) -> Program {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Program { link: text(link), version: text(version), package: text(package) }
    }

    fn programs(given: &[(&str, Program)]) -> Side {
        let programs = given.iter().map(|(name, program)| ((*name).to_owned(), program.clone())).collect();
        Side { programs: Some(programs), packages: None }
    }

    fn root() -> Side {
        programs(&[
            ("busybox", program(None, Some("1.38.0"), Some("busybox"))),
            ("conntrack", program(None, Some("1.4.8"), Some("conntrack-tools"))),
            ("ip", program(None, Some("6.15.0"), Some("iproute2"))),
            ("ls", program(Some("busybox"), None, Some("busybox"))),
            ("pigz", program(None, None, Some("pigz"))),
            ("slirp4netns", program(None, Some("1.3.3"), Some("slirp4netns"))),
        ])
    }

    fn packages(given: &[(&str, &str)]) -> Side {
        let packages =
            given.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
        Side { programs: None, packages: Some(packages) }
    }

    fn todos(comparison: &Comparison) -> Vec<(&str, Todo)> {
        comparison.direct.iter().map(|direct| (direct.name.as_str(), direct.todo)).collect()
    }

    #[test]
    fn programs_are_counted_and_named() {
        let there = programs(&[
            ("ip", program(None, Some("6.16.0"), None)),
            ("ls", program(None, None, None)),
            ("busybox", program(Some("toybox"), None, None)),
            ("vi", program(Some("vim"), None, None)),
        ]);
        let comparison = compare(&root(), &there);
        assert_eq!(
            comparison.left,
            Count { total: Some(6), direct: Some(5), links: Some(1), packages: None }
        );
        assert_eq!(comparison.right.links, Some(2));
        assert_eq!(comparison.both.as_deref().unwrap(), ["busybox", "ip", "ls"]);
        assert_eq!(comparison.left_only.as_deref().unwrap(), ["conntrack", "pigz", "slirp4netns"]);
        assert_eq!(comparison.right_only.as_deref().unwrap(), ["vi"]);
        assert_eq!(
            todos(&comparison),
            [
                ("busybox", Todo::LookAt),
                ("conntrack", Todo::Add),
                ("ip", Todo::Later),
                ("pigz", Todo::Add),
                ("slirp4netns", Todo::Add),
            ]
        );
        assert_eq!(comparison.direct[0].program_there, Some(Found::Link));
    }

    #[test]
    fn packages_answer_under_the_names_that_distributions_give() {
        let there = packages(&[
            ("busybox", "1:1.37.0-6"),
            ("conntrack", "1.4.8-2"),
            ("iproute", "6.15.0-1.emt3"),
            ("pigz", "2.8-1"),
        ]);
        let comparison = compare(&root(), &there);
        assert_eq!((&comparison.both, comparison.right.total), (&None, None));
        assert_eq!(
            todos(&comparison),
            [
                ("busybox", Todo::Update),
                ("conntrack", Todo::Nothing),
                ("ip", Todo::Nothing),
                ("pigz", Todo::LookAt),
                ("slirp4netns", Todo::Add),
            ]
        );
        assert_eq!(comparison.direct[2].package_there.as_deref(), Some("iproute"));
    }

    #[test]
    fn a_package_without_the_program_is_told() {
        let mut there = packages(&[("iproute2", "6.15.0")]);
        there.programs = Some(BTreeMap::from([("tc".to_owned(), program(None, None, Some("iproute2")))]));
        let comparison = compare(&root(), &there);
        assert!(todos(&comparison).contains(&("ip", Todo::Enable)), "{comparison:?}");
    }

    #[test]
    fn two_lists_are_compared_by_package() {
        let (here, there) = (packages(&[("a", "2"), ("b", "1")]), packages(&[("a", "1")]));
        assert_eq!(todos(&compare(&here, &there)), [("a", Todo::Update), ("b", Todo::Add)]);
    }
}
