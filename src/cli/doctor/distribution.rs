//! Which distribution this is, by what its `os-release`(5) file says, and how programs are installed on it.

/// A family of distributions that share a package manager and package names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distribution {
    /// Debian, Ubuntu and what comes from them.
    Debian,
    /// Fedora, the Enterprise Linuxes, Azure Linux and the Edge Microvisor Toolkit.
    Fedora,
    /// Alpine.
    Alpine,
    /// Any other: programs can be named, packages cannot.
    Other,
}

/// The package that has a program, in each family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packages {
    pub(super) debian: &'static str,
    pub(super) fedora: &'static str,
    pub(super) alpine: &'static str,
}

impl Packages {
    /// A package that has one name everywhere.
    pub(super) const fn same(name: &'static str) -> Self {
        Self { debian: name, fedora: name, alpine: name }
    }
}

impl Distribution {
    /// Reads the text of `os-release`: `ID` decides, then `ID_LIKE` word by word.
    pub(super) fn of(os_release: &str) -> Self {
        let value = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_ascii_lowercase()
        };
        let (id, like) = (value("ID"), value("ID_LIKE"));
        std::iter::once(id.as_str())
            .chain(like.split_whitespace())
            .map(Self::by_id)
            .find(|found| *found != Self::Other)
            .unwrap_or(Self::Other)
    }

    fn by_id(id: &str) -> Self {
        match id {
            "debian" | "ubuntu" => Self::Debian,
            "fedora" | "rhel" | "centos" | "azurelinux" | "mariner" | "emt" => Self::Fedora,
            "alpine" => Self::Alpine,
            // Written with blanks, dashes or nothing between the words, as its versions have it.
            _ if id.starts_with("edge") && id.contains("microvisor") => Self::Fedora,
            _ => Self::Other,
        }
    }

    /// The name of the package, where it is known.
    pub(super) fn package(self, packages: &Packages) -> Option<&'static str> {
        match self {
            Self::Debian => Some(packages.debian),
            Self::Fedora => Some(packages.fedora),
            Self::Alpine => Some(packages.alpine),
            Self::Other => None,
        }
    }

    /// The command that installs packages.
    pub(super) fn installer(self) -> Option<&'static str> {
        match self {
            Self::Debian => Some("apt-get install"),
            Self::Fedora => Some("dnf install"),
            Self::Alpine => Some("apk add"),
            Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_id_then_by_likeness() {
        for (text, expected) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n", Distribution::Debian),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Distribution::Debian),
            ("ID=fedora\n", Distribution::Fedora),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Distribution::Fedora),
            ("NAME=\"Edge Microvisor Toolkit\"\nID=\"Edge Microvisor Toolkit\"\n", Distribution::Fedora),
            ("ID=alpine\n", Distribution::Alpine),
            ("ID=nixos\nID_LIKE=\n", Distribution::Other),
            ("VERSION_ID=12\n", Distribution::Other),
            ("", Distribution::Other),
        ] {
            assert_eq!(Distribution::of(text), expected, "{text}");
        }
    }
}
