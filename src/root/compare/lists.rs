//! Lists of packages, as package managers write them.

use std::collections::BTreeMap;

/// Raised when a list cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line of `rpm -qa` has not the form of one.
    #[error("line {line} is not `NAME-VERSION-RELEASE.ARCH`, as `rpm -qa` prints it: `{text}`")]
    Rpm {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A paragraph of dpkg's status has no version.
    #[error("the paragraph of `{package}` has no version")]
    Dpkg {
        /// The package.
        package: String,
    },
    /// There is nothing in it.
    #[error("it names no package")]
    Empty,
}

/// What `rpm -qa` prints: `name-version-release.arch`, a package a line.
pub fn rpm_list(text: &str) -> Result<BTreeMap<String, String>, ListError> {
    let mut packages = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        // Keys that sign packages are packages without an arch.
        if line.is_empty() || line.starts_with("gpg-pubkey-") {
            continue;
        }
        let parts = || {
            let (rest, arch) = line.rsplit_once('.')?;
            let (rest, release) = rest.rsplit_once('-')?;
            let (name, version) = rest.rsplit_once('-')?;
            let whole = [name, version, release, arch].iter().all(|part| !part.is_empty());
            let plain =
                !line.contains(char::is_whitespace) && version.starts_with(|c: char| c.is_ascii_digit());
            (whole && plain).then(|| (name.to_owned(), format!("{version}-{release}")))
        };
        let (name, version) =
            parts().ok_or_else(|| ListError::Rpm { line: number + 1, text: line.to_owned() })?;
        packages.insert(name, version);
    }
    if packages.is_empty() { Err(ListError::Empty) } else { Ok(packages) }
}

/// The installed packages of dpkg's `status` file.
pub fn dpkg_status(text: &str) -> Result<BTreeMap<String, String>, ListError> {
    let mut packages = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let Some(package) = field("Package") else { continue };
        // `deinstall ok config-files`: it was there.
        if field("Status").is_some_and(|status| !status.ends_with(" installed")) {
            continue;
        }
        let version = field("Version").ok_or_else(|| ListError::Dpkg { package: package.to_owned() })?;
        packages.insert(package.to_owned(), version.to_owned());
    }
    if packages.is_empty() { Err(ListError::Empty) } else { Ok(packages) }
}

/// Upstream's part of a distribution's version: without epoch, release and what was taken out of the source.
pub fn plain_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    let end = ["+dfsg", "+ds", "~dfsg", "+git"].iter().filter_map(|mark| version.find(mark)).min();
    end.map_or(version, |end| &version[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpm_prints_a_package_a_line() {
        let text =
            "bash-5.1.8-4.emt3.x86_64\nperl-Data-Dumper-2.189-1.noarch\n\ngpg-pubkey-3135ce90-5e6fda74\n";
        let packages = rpm_list(text).unwrap();
        assert_eq!(packages["bash"], "5.1.8-4.emt3");
        assert_eq!(packages["perl-Data-Dumper"], "2.189-1");
        assert_eq!(packages.len(), 2);
        for (wrong, line) in [("bash\n", 1), ("a-1-1.x86_64\nbash 5.1\n", 2), ("a-b-c.d", 1)] {
            let text = wrong.lines().nth(line - 1).unwrap().to_owned();
            assert_eq!(rpm_list(wrong), Err(ListError::Rpm { line, text }));
        }
        assert_eq!(rpm_list("\n"), Err(ListError::Empty));
    }

    #[test]
    fn dpkg_knows_what_is_no_longer_installed() {
        let text = "Package: bash\nStatus: install ok installed\nVersion: 5.2.15-2+b7\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: zlib1g\nVersion: 1:1.2.13.dfsg-1\n";
        let packages = dpkg_status(text).unwrap();
        assert_eq!(packages.keys().collect::<Vec<_>>(), ["bash", "zlib1g"]);
        assert_eq!(dpkg_status("Package: a\n\n"), Err(ListError::Dpkg { package: "a".to_owned() }));
    }

    #[test]
    fn upstreams_version_is_what_remains() {
        for (version, plain) in [
            ("1:1.37.0-6", "1.37.0"),
            ("5.1.8-4.emt3", "5.1.8"),
            ("2.8", "2.8"),
            ("1.4.8+ds-1", "1.4.8"),
            ("4.10-rc1-1", "4.10-rc1"),
        ] {
            assert_eq!(plain_version(version), plain);
        }
    }
}
