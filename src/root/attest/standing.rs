//! How a component stands to the vulnerabilities that its recipe names.

use std::fmt;

use super::contents::Component;
use base::name::Version;
use base::version::newer;
use model::recipe::{Cve, CveStatus, Justification};

/// How a component stands to a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// A patch of ours has taken it away.
    Patched(&'a str),
    /// Upstream has taken it away, in this version, which is not later than the component's.
    Fixed(&'a Version),
    /// The component does not have it.
    NotAffected {
        /// For which of OpenVEX's reasons.
        justification: Justification,
        /// The reason in words.
        because: &'a str,
    },
    /// The component has it.
    Affected {
        /// What to do about it.
        action: &'a str,
    },
    /// The component has it: upstream has taken it away in this version, which is later than the component's.
    FixedLater(&'a Version),
    /// Nobody knows: it was built from a local tree, and what a recipe says is said of its pinned source.
    Unknown,
}

impl Component<'_> {
    /// How it stands to a vulnerability that its recipe names.
    pub fn standing<'a>(&self, cve: &'a Cve) -> Standing<'a> {
        if self.overridden.is_some() {
            return Standing::Unknown;
        }
        match &cve.status {
            CveStatus::FixedBy { patch } => Standing::Patched(patch),
            CveStatus::FixedIn { version } if newer(version, &self.recipe.version) => {
                Standing::FixedLater(version)
            }
            CveStatus::FixedIn { version } => Standing::Fixed(version),
            CveStatus::NotAffected { justification, because } => {
                Standing::NotAffected { justification: *justification, because }
            }
            CveStatus::Affected { action } => Standing::Affected { action },
        }
    }
}

impl fmt::Display for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patched(patch) => write!(f, "the patch {patch} takes it away"),
            Self::Fixed(version) => write!(f, "upstream has taken it away in {version}"),
            Self::NotAffected { because, .. } => f.write_str(because),
            Self::Affected { action } => f.write_str(action),
            Self::FixedLater(version) => write!(f, "upstream has taken it away later, in {version}"),
            Self::Unknown => f.write_str("built from a local tree, and recipes speak of pinned sources"),
        }
    }
}
