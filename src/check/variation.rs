//! The things that builds must not notice: those of reprotest, by its names, and three of our own.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that differs between two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variation {
    /// Variables that build tools listen to.
    Environment,
    /// The folder of the cache, and with it of every build.
    BuildPath,
    /// User and group.
    UserGroup,
    /// The mask of new files' modes.
    Umask,
    /// The clock.
    Time,
    /// The time zone.
    Timezone,
    /// The locale.
    Locales,
    /// The home folder.
    Home,
    /// The folders of programs.
    ExecPath,
    /// The machine's and the domain's name.
    DomainHost,
    /// The order in which folders list their entries.
    Fileordering,
    /// How many cores there are and how many processes run at once.
    NumCpus,
    /// Random addresses of programs in memory.
    Aslr,
    /// The kernel's version.
    Kernel,
    /// Namespaces, or none.
    Sandbox,
    /// Which archive a source comes from, where several have the same code.
    Archives,
    /// Whether all is built in one run, or part of it is found in the store.
    Cache,
}

use Variation as V;

impl Variation {
    /// All there are.
    pub const ALL: [Self; 17] = [
        V::Environment,
        V::BuildPath,
        V::UserGroup,
        V::Umask,
        V::Time,
        V::Timezone,
        V::Locales,
        V::Home,
        V::ExecPath,
        V::DomainHost,
        V::Fileordering,
        V::NumCpus,
        V::Aslr,
        V::Kernel,
        V::Sandbox,
        V::Archives,
        V::Cache,
    ];

    /// Its name on the command line; reprotest's, if it has one for it.
    pub fn as_str(self) -> &'static str {
        match self {
            V::Environment => "environment",
            V::BuildPath => "build_path",
            V::UserGroup => "user_group",
            V::Umask => "umask",
            V::Time => "time",
            V::Timezone => "timezone",
            V::Locales => "locales",
            V::Home => "home",
            V::ExecPath => "exec_path",
            V::DomainHost => "domain_host",
            V::Fileordering => "fileordering",
            V::NumCpus => "num_cpus",
            V::Aslr => "aslr",
            V::Kernel => "kernel",
            V::Sandbox => "sandbox",
            V::Archives => "archives",
            V::Cache => "cache",
        }
    }

    /// Whether it is namespaces that keep it from the commands of a build, which have a user, a host name, a clock and paths
    /// that are always the same. An environment of their own they have in any case: that k3sroot alone meets.
    pub fn is_kept_out_by_namespaces(self) -> bool {
        matches!(self, V::BuildPath | V::UserGroup | V::Time | V::DomainHost)
    }
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for Variation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Variation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Raised when a word names no variation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` is no variation: there are {}, and `all`; `-` before one takes it out",
    V::ALL.map(Variation::as_str).join(", ")
)]
pub struct ParseVariationError {
    word: String,
}

impl FromStr for Variation {
    type Err = ParseVariationError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        // Most people's fingers write one or the other.
        let known = word.replace('-', "_");
        let found = V::ALL.into_iter().find(|variation| variation.as_str() == known);
        found.ok_or_else(|| ParseVariationError { word: word.to_owned() })
    }
}

/// Reads what `--vary` was given: names, `all`, and `-name` for what is taken out again. A list that only takes out
/// starts from all.
pub fn parse_list<'a>(
    words: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<Variation>, ParseVariationError> {
    let words: Vec<&str> = words.into_iter().map(str::trim).collect();
    let mut set = BTreeSet::new();
    if words.iter().all(|word| word.starts_with('-')) {
        set.extend(V::ALL);
    }
    for word in words {
        match word.strip_prefix('-') {
            Some(word) => {
                set.remove(&word.parse()?);
            }
            None if word == "all" => set.extend(V::ALL),
            None => {
                set.insert(word.parse()?);
            }
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variation_reads_back_and_is_listed() {
        for variation in V::ALL {
            assert_eq!(variation.to_string().parse(), Ok(variation));
        }
        assert_eq!("build-path".parse(), Ok(V::BuildPath));
        let error = "clock".parse::<V>().unwrap_err().to_string();
        assert!(error.starts_with("`clock` is no variation: there are environment, build_path, "), "{error}");
        assert!(error.contains("cache, and `all`"), "{error}");
    }

    #[test]
    fn a_list_adds_and_takes_out() {
        let all = BTreeSet::from(V::ALL);
        let without = |out: V| all.iter().copied().filter(|&one| one != out).collect::<BTreeSet<_>>();
        assert_eq!(parse_list(["time", "umask"]), Ok(BTreeSet::from([V::Time, V::Umask])));
        assert_eq!(parse_list(["all"]), Ok(all.clone()));
        assert_eq!(parse_list([]), Ok(all.clone()));
        assert_eq!(parse_list(["all", " -time"]), Ok(without(V::Time)));
        assert_eq!(parse_list(["-time"]), Ok(without(V::Time)));
        assert_eq!(parse_list(["-time", "time"]), Ok(BTreeSet::from([V::Time])));
        assert!(parse_list(["all", "-clock"]).is_err());
    }
}
