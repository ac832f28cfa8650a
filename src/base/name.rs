//! Validated names: packages, versions, arches as they are called, and units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Raised when text is not a name of the kind it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct ParseNameError {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

fn check(kind: &'static str, rule: &'static str, text: &str, ok: bool) -> Result<(), ParseNameError> {
    if ok { Ok(()) } else { Err(ParseNameError { kind, rule, text: text.to_owned() }) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type!(
    /// The name of a package: lower-case letters, digits, `-`, `_`, `+` and `.`, starting with a letter or digit.
    PackageName
);
name_type!(
    /// An upstream version, as upstream writes it: letters, digits, `.`, `-`, `_`, `+` and `~`, no white space.
    Version
);
name_type!(
    /// The name of an arch in K3s's spelling (`amd64`, `arm64`, `arm`, `riscv64`): lower-case letters and digits.
    ArchName
);

impl FromStr for PackageName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ok = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_+.".contains(c));
        check("package name", "use lower-case letters, digits, `-`, `_`, `+` and `.`", text, ok)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Version {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ok = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+~".contains(c));
        check("version", "use letters, digits, `.`, `-`, `_`, `+` and `~`", text, ok)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for ArchName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ok = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        check("arch name", "use lower-case letters and digits", text, ok)?;
        Ok(Self(text.to_owned()))
    }
}

/// Which machine a unit is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Machine {
    /// It runs on the build machine.
    Build,
    /// It runs on the build machine and is made *for* an arch: a cross compiler.
    Cross(ArchName),
    /// It runs on machines of an arch.
    Target(ArchName),
}

impl Machine {
    /// The arch that the unit is for or made for; a plain build-machine unit has none.
    pub fn arch(&self) -> Option<&ArchName> {
        match self {
            Self::Build => None,
            Self::Cross(arch) | Self::Target(arch) => Some(arch),
        }
    }

    /// Whether the unit's programs run on the build machine.
    pub fn runs_here(&self) -> bool {
        !matches!(self, Self::Target(_))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build => f.write_str("build"),
            Self::Cross(arch) => write!(f, "build-{arch}"),
            Self::Target(arch) => write!(f, "{arch}"),
        }
    }
}

/// A package for one machine: a node of the graph, written `iptables@arm64`, `bison@build`, `gcc@build-arm64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// What is built.
    pub package: PackageName,
    /// For which machine.
    pub machine: Machine,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.package, self.machine))
    }
}

impl FromStr for Unit {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseNameError {
            kind: "unit",
            rule: "write `package@arch`, `package@build` or `package@build-arch`",
            text: text.to_owned(),
        };
        let (package, machine) = text.split_once('@').ok_or_else(error)?;
        let machine = match machine.strip_prefix("build") {
            Some("") => Machine::Build,
            Some(rest) => Machine::Cross(rest.strip_prefix('-').ok_or_else(error)?.parse()?),
            None => Machine::Target(machine.parse()?),
        };
        Ok(Self { package: package.parse()?, machine })
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_back_as_written() {
        for text in ["iptables@arm64", "bison@build", "gcc@build-riscv64"] {
            assert_eq!(text.parse::<Unit>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_that_could_leave_a_folder_or_break_a_line_are_refused() {
        for wrong in ["", "..", "a/b", "A", "a b", "a\n", "-a"] {
            assert!(wrong.parse::<PackageName>().is_err(), "{wrong:?}");
        }
        for wrong in ["", "1 2", "../1", "v1/2"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong:?}");
        }
        for wrong in ["gcc", "gcc@", "gcc@buildarm", "@amd64"] {
            assert!(wrong.parse::<Unit>().is_err(), "{wrong:?}");
        }
    }
}
