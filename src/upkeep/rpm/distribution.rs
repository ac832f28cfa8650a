//! What distributions want of a spec, as data.

/// A distribution that specs can be written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Intel's Edge Microvisor Toolkit, 3.0.
    Emt,
    /// Fedora.
    Fedora,
}

/// What a distribution wants.
#[derive(Debug, Clone, Copy)]
pub struct Conventions {
    /// Tags that every spec has, with their values.
    pub tags: &'static [(&'static str, &'static str)],
    /// What the first entry of a changelog says.
    pub first_entry: &'static [&'static str],
    /// Whether `<name>.signatures.json`, registrations for `cgmanifest.json` and entries of a licence map belong to a spec.
    pub registers: bool,
    /// Under whom the licence map lists specs that were first written for it, and the terms of their text as it has them.
    pub origin: (&'static str, &'static str),
    /// Packages that have another name than in Fedora: Fedora's, its own.
    pub renamed: &'static [(&'static str, &'static str)],
}

impl Distribution {
    /// What it wants.
    pub const fn conventions(self) -> Conventions {
        match self {
            // As `check_spec_guidelines.py` of its toolkit checks it, and `licenses.json` has it.
            Self::Emt => Conventions {
                tags: &[("Vendor", "Intel Corporation"), ("Distribution", "Edge Microvisor Toolkit")],
                first_entry: &[
                    "Original version for Edge Microvisor Toolkit (license: MIT)",
                    "License verified",
                ],
                registers: true,
                origin: ("Intel", "[MIT License](/LICENSES-AND-NOTICES/LICENSE.md)"),
                // Its glibc is not divided as Fedora's is.
                renamed: &[("glibc-common", "glibc")],
            },
            // Vendor and distribution are set by Fedora's build system.
            Self::Fedora => Conventions {
                tags: &[],
                first_entry: &["Initial package"],
                registers: false,
                origin: ("Fedora", "MIT"),
                renamed: &[],
            },
        }
    }

    /// What it calls a package, given Fedora's name of it.
    pub fn package(self, fedora: &str) -> &str {
        let renamed = self.conventions().renamed.iter().find(|(theirs, _)| *theirs == fedora);
        renamed.map_or(fedora, |(_, own)| own)
    }
}
