//! Repositories of source code, by which OSV names what no ecosystem has: most programs in C.

use serde::{Deserialize, Deserializer};

/// Forges where a repository is what somebody calls by a name: `github.com/owner/name`.
const OWNED: [&str; 3] = ["github.com", "codeberg.org", "bitbucket.org"];

/// A repository at a forge, written in one way however its address was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repository(String);

impl Repository {
    /// The one that an address belongs to: that of its page, of an archive of it, or what git clones. None where the
    /// address does not tell, as on hosts that are no forge: there a path may be anything.
    pub(super) fn of_address(address: &str) -> Option<Self> {
        let (_, rest) = address.split_once("://")?;
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        // Forges take `A` for `a` in all of it.
        let rest = rest[..end].to_ascii_lowercase();
        let (host, path) = rest.split_once('/')?;
        let host = host.rsplit('@').next().unwrap_or(host).trim_start_matches("www.");
        let parts = path.split('/').filter(|part| !part.is_empty());
        let parts: Vec<&str> = match () {
            () if OWNED.contains(&host) => parts.take(2).collect(),
            // Groups may lie in groups; what belongs to the repository comes after a lone dash.
            () if host.starts_with("gitlab.") => parts.take_while(|part| *part != "-").collect(),
            () => return None,
        };
        let path = parts.join("/");
        let path = path.strip_suffix(".git").unwrap_or(&path);
        (parts.len() > 1 && !path.ends_with('/')).then(|| Self(format!("{host}/{path}")))
    }

    /// The one that a package URL without a version names, if it is of GitHub.
    pub(super) fn of_purl(purl: &str) -> Option<Self> {
        Self::of_address(&format!("https://github.com/{}", purl.strip_prefix("pkg:github/")?))
    }

    /// Reads an address, which need not tell a repository, or be there.
    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let address: Option<String> = Option::deserialize(deserializer)?;
        Ok(address.and_then(|address| Self::of_address(&address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_many_addresses() {
        let of = |address: &str| Repository::of_address(address).map(|Repository(text)| text);
        for (address, expected) in [
            ("https://github.com/madler/zlib", Some("github.com/madler/zlib")),
            ("https://github.com/Madler/zlib.git", Some("github.com/madler/zlib")),
            ("git://www.github.com/madler/zlib/", Some("github.com/madler/zlib")),
            ("ssh://git@github.com/madler/zlib", Some("github.com/madler/zlib")),
            (
                "https://github.com/madler/zlib/releases/download/v1/zlib-1.tar.xz",
                Some("github.com/madler/zlib"),
            ),
            (
                "https://gitlab.freedesktop.org/slirp/libslirp/-/archive/v4/libslirp-v4.tar.bz2",
                Some("gitlab.freedesktop.org/slirp/libslirp"),
            ),
            ("https://gitlab.com/group/more/name.git?x#y", Some("gitlab.com/group/more/name")),
            ("https://github.com/madler", None),
            ("https://github.com/madler/.git", None),
            ("https://github.com.example/madler/zlib", None),
            ("https://zlib.net/madler/zlib", None),
            ("https://git.musl-libc.org/git/musl", None),
            ("github.com/madler/zlib", None),
            ("debian:zlib/zlib_1.orig.tar.gz", None),
            ("https://github.com", None),
            ("", None),
        ] {
            assert_eq!(of(address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn a_package_url_of_github_names_one() {
        assert_eq!(
            Repository::of_purl("pkg:github/ninja-build/ninja"),
            Repository::of_address("https://github.com/ninja-build/ninja")
        );
        assert_eq!(Repository::of_purl("pkg:generic/ninja"), None);
    }
}
