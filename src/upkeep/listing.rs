//! Where versions are listed, and which versions a listing names.

use base::name::Version;
use base::version::compare;
use model::recipe::{Origin, Recipe};

/// A place that lists versions of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// An `https:` URL of a page, or the URL of a file beside which others lie.
    pub url: String,
    /// What stands before a version in the listing.
    before: String,
    /// What stands after it.
    after: String,
    /// The folder for a series of versions that it lists, `v2.41`: of later series it says nothing.
    pub series: Option<String>,
}

/// The folder of `url` that has the beginning of the version alone for its name.
fn series<'a>(url: &'a str, version: &str) -> Option<&'a str> {
    let (folders, _) = url.rsplit_once('/')?;
    folders.split('/').skip(3).find(|folder| {
        let rest = version.strip_prefix(folder.trim_start_matches('v'));
        folder.contains(|c: char| c.is_ascii_digit()) && rest.is_some_and(|rest| rest.starts_with('.'))
    })
}

/// Where the versions of a package are listed: beside the archives of its first source, in the recipe's order, each place
/// once. Where a git host has releases, its feed of them.
pub fn listings(recipe: &Recipe) -> Vec<Listing> {
    let mut found: Vec<Listing> = Vec::new();
    let Some(Origin::Archives(archives)) = recipe.sources.first().map(|source| &source.origin) else {
        return found;
    };
    for url in archives.iter().flat_map(|archive| &archive.urls) {
        if let Some(listing) = Listing::of(url, &recipe.version)
            && !found.contains(&listing)
        {
            found.push(listing);
        }
    }
    found
}

impl Listing {
    /// The listing that would name the file of `url`; none if the file's name does not have the version.
    fn of(url: &str, version: &Version) -> Option<Self> {
        let version = version.as_str();
        let series = series(url, version).map(str::to_owned);
        if let Some(project) = url.strip_prefix("https://github.com/") {
            let mut parts = project.splitn(3, '/');
            let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
            let tag = rest.split('/').find(|part| part.contains(version))?;
            return Some(Self {
                url: format!("https://github.com/{owner}/{name}/releases.atom"),
                before: format!("/releases/tag/{}", tag.split(version).next()?),
                after: "\"".to_owned(),
                series: None,
            });
        }
        let file = url.rsplit(['/', ':']).next()?;
        // A folder for each version says nothing of the others: what lists the folders does.
        let parts: Vec<&str> = url.split('/').collect();
        // The first parts are the scheme and the host.
        let folder = (3..parts.len().saturating_sub(1)).find(|&at| parts[at].contains(version));
        if let Some(at) = folder.filter(|_| url.starts_with("http")) {
            let (before, after) = parts[at].split_once(version)?;
            let url = parts[..at].join("/") + "/";
            return Some(Self { url, before: before.to_owned(), after: format!("{after}/"), series });
        }
        let (before, after) = file.split_once(version)?;
        let page = if url.starts_with("http") { url.strip_suffix(file)? } else { url };
        Some(Self { url: page.to_owned(), before: before.to_owned(), after: after.to_owned(), series })
    }

    /// The versions that `text` names, the latest first.
    pub fn versions(&self, text: &str) -> Vec<Version> {
        // Pages write `+` in links as `%2B`, and in what people see as it is.
        let text = text.replace("%2B", "+").replace("%2b", "+");
        let mut found: Vec<Version> = Vec::new();
        // In the middle of a name it could be the end of anything.
        for (at, _) in text.match_indices(&self.before) {
            let in_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
            let continues = self.before.is_empty() || self.before.starts_with(in_a_name);
            let starts = !(continues && text[..at].ends_with(in_a_name));
            let rest = &text[at + self.before.len()..];
            let Some(version) = rest.find(&self.after).map(|end| &rest[..end]) else { continue };
            let plain = version.starts_with(|c: char| c.is_ascii_digit())
                && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+~".contains(c));
            if let Some(version) = version.parse().ok().filter(|_| starts && plain)
                && !found.contains(&version)
            {
                found.push(version);
            }
        }
        found.sort_by(|a, b| compare(b.as_str(), a.as_str()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(url: &str, version: &str) -> Listing {
        Listing::of(url, &version.parse().unwrap()).unwrap()
    }

    fn versions(listing: &Listing, text: &str) -> Vec<String> {
        listing.versions(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_beside_the_archive_are_versions() {
        let listing = listing("https://x.example/pub/pigz-2.8.tar.gz", "2.8");
        assert_eq!(listing.url, "https://x.example/pub/");
        let page = "<a href=\"pigz-2.8.tar.gz\">pigz-2.8.tar.gz</a> <a href=\"pigz-2.10.tar.gz\">..</a>
            <a href=\"pigz-2.9.tar.gz.asc\"> <a href=\"pigz-2.9.tar.xz\"> <a href=\"libpigz-3.0.tar.gz\">
            <a href=\"/pub/pigz-2.4.tar.gz\"> pigz-latest.tar.gz";
        assert_eq!(versions(&listing, page), ["2.10", "2.9", "2.8", "2.4"]);
    }

    #[test]
    fn a_distributions_additions_to_the_version_stay_outside() {
        let listing = listing("debian:zlib/zlib_1.3.dfsg+really1.3.2.orig.tar.gz", "1.3.2");
        let page = "zlib_1.3.dfsg%2Breally1.3.2.orig.tar.gz zlib_1.3.dfsg+really1.3.3.orig.tar.gz zlib_1.2.13.dfsg.orig.tar.gz";
        assert_eq!(versions(&listing, page), ["1.3.3", "1.3.2"]);
    }

    #[test]
    fn folders_of_versions_are_listed_by_the_one_above() {
        let listing = listing("https://x.example/gnu/gcc/gcc-14.3.0/gcc-14.3.0.tar.xz", "14.3.0");
        assert_eq!(listing.url, "https://x.example/gnu/gcc/");
        assert_eq!(
            versions(&listing, "<a href=\"gcc-14.3.0/\"> <a href=\"gcc-15.1.0/\"> gcc-16.tar"),
            ["15.1.0", "14.3.0"]
        );
    }

    #[test]
    fn a_folder_of_a_series_is_known_as_one() {
        for (url, version, series) in [
            ("https://x.example/util-linux/v2.41/util-linux-2.41.2.tar.xz", "2.41.2", Some("v2.41")),
            ("https://x.example/glib/2.84/glib-2.84.4.tar.xz", "2.84.4", Some("2.84")),
            ("file:///srv/pub/2/foo-2.8.tar.gz", "2.8", Some("2")),
            ("https://x.example/v2.41/util-linux-2.41.tar.xz", "2.41", None),
            ("https://2.example/pub/foo-2.8.tar.gz", "2.8", None),
            ("debian:foo/foo_2.8.orig.tar.gz", "2.8", None),
        ] {
            assert_eq!(listing(url, version).series.as_deref(), series, "{url}");
        }
    }

    #[test]
    fn a_name_that_begins_with_the_version_has_no_versions_inside() {
        let listing = listing("https://x.example/archive/1.10.tar.gz", "1.10");
        assert_eq!(
            versions(&listing, "<a href=\"1.10.tar.gz\"> <a href=\"1.9.tar.gz\"> old-3.0.tar.gz"),
            ["1.10", "1.9"]
        );
    }

    #[test]
    fn git_hosts_have_a_feed() {
        let listing =
            listing("https://github.com/madler/zlib/releases/download/v1.3.2/zlib-1.3.2.tar.xz", "1.3.2");
        assert_eq!(listing.url, "https://github.com/madler/zlib/releases.atom");
        let feed = "<link href=\"https://github.com/madler/zlib/releases/tag/v1.3.2\"/><link href=\"https://github.com/madler/zlib/releases/tag/v1.4\"/>
            <link href=\"https://github.com/madler/zlib/releases/tag/test-5\"/>";
        assert_eq!(versions(&listing, feed), ["1.4", "1.3.2"]);
    }

    #[test]
    fn a_name_without_the_version_lists_nothing() {
        assert_eq!(Listing::of("https://x.example/latest.tar.gz", &"1.0".parse().unwrap()), None);
    }
}
