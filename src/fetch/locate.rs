//! From a URL as a recipe writes it to the places it stands for: files here, or URLs that a server answers.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use reqwest::Url;

use super::download::Download;
use super::error::UrlError;
use super::http::without_password;
use super::{Options, apt, pip};

/// Where bytes may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Remote(Url),
    /// A file in a package index, whose page has to be read first.
    Listed {
        page: Url,
        file: String,
    },
}

/// Resolves `debian:` and `pypi:`; what apt and pip say is asked for once a run, when it is first needed.
#[derive(Default)]
pub(super) struct Locator {
    mirrors: OnceLock<Vec<String>>,
    indexes: OnceLock<Result<Vec<String>, String>>,
}

impl Locator {
    /// The places that `url` stands for, in the order to try them.
    pub(super) fn places(&self, url: &str, options: &Options) -> Result<Vec<Place>, UrlError> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(UrlError::Malformed { rule: "write `scheme:...`" });
        };
        match scheme {
            "http" | "https" => Ok(vec![Place::Remote(parse(url)?)]),
            "file" => file(url).map(|place| vec![place]),
            "debian" => {
                const RULE: &str = "write `debian:<source package>/<file>`";
                let (package, file) = two_names(rest, RULE)?;
                if options.offline && options.debian_mirrors.is_none() {
                    return Err(UrlError::Offline);
                }
                let mirrors = match &options.debian_mirrors {
                    Some(mirrors) => mirrors,
                    None => self.mirrors.get_or_init(|| apt::mirrors(Path::new("/"))),
                };
                if mirrors.is_empty() {
                    return Err(UrlError::NoDebianMirror);
                }
                let path = apt::pool_path(package, file);
                let urls = mirrors.iter().map(|mirror| format!("{}/{path}", mirror.trim_end_matches('/')));
                urls.map(|url| {
                    if url.starts_with("file:") { self::file(&url) } else { parse(&url).map(Place::Remote) }
                })
                .collect()
            }
            "pypi" => {
                let (project, file) = two_names(rest, "write `pypi:<project>/<file>`")?;
                if options.offline {
                    return Err(UrlError::Offline);
                }
                let indexes = match &options.pypi_index {
                    Some(index) => Ok(vec![index.clone()]),
                    None => self
                        .indexes
                        .get_or_init(|| {
                            pip::indexes().map_err(|error| match error {
                                UrlError::NoPipIndex { detail } => detail,
                                other => other.explained(),
                            })
                        })
                        .clone(),
                };
                let indexes = indexes.map_err(|detail| UrlError::NoPipIndex { detail })?;
                let pages = indexes.iter().map(|index| parse(&pip::page(index, project)));
                pages.map(|page| Ok(Place::Listed { page: page?, file: file.to_owned() })).collect()
            }
            _ => Err(UrlError::UnknownScheme { scheme: scheme.to_owned() }),
        }
    }
}

impl Place {
    /// How the place is shown when a recipe wrote `url`.
    pub(super) fn shown(&self, url: &str) -> String {
        match self {
            Self::File(_) if url.starts_with("file:") => url.to_owned(),
            Self::File(path) => format!("{url} ({})", path.display()),
            Self::Remote(remote) if url.starts_with("http") => without_password(remote),
            Self::Remote(remote) => format!("{url} ({})", without_password(remote)),
            Self::Listed { page, .. } => format!("{url} ({})", without_password(page)),
        }
    }

    /// The folder that a file lies in; a package index's page says what lies in it already.
    pub(super) fn folder(self) -> Self {
        match self {
            Self::File(path) => Self::File(path.parent().unwrap_or(&path).to_owned()),
            Self::Remote(url) => Self::Remote(url.join(".").unwrap_or(url)),
            listed @ Self::Listed { .. } => listed,
        }
    }

    /// The URL to download, once a package index has been asked.
    pub(super) fn remote(&self, download: &Download<'_>) -> Result<Url, UrlError> {
        match self {
            Self::Remote(url) => Ok(url.clone()),
            Self::Listed { page, file } => {
                let (from, text) = download.page(page, pip::ACCEPT)?;
                let missing = || UrlError::NotListed { page: without_password(page), file: file.clone() };
                pip::locate(&from, &text, file).ok_or_else(missing)
            }
            Self::File(path) => {
                Url::from_file_path(path).map_err(|()| UrlError::Malformed { rule: FILE_RULE })
            }
        }
    }
}

const FILE_RULE: &str = "write `file:///absolute/path`";

fn parse(url: &str) -> Result<Url, UrlError> {
    Url::parse(url)
        .ok()
        .filter(Url::has_host)
        .ok_or(UrlError::Malformed { rule: "write `https://host/path`" })
}

fn file(url: &str) -> Result<Place, UrlError> {
    let url = url.strip_prefix("file:").and_then(|rest| {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        Url::parse(&format!("file://{path}")).ok().filter(|_| path.starts_with('/'))?.to_file_path().ok()
    });
    url.map(Place::File).ok_or(UrlError::Malformed { rule: FILE_RULE })
}

fn two_names<'a>(text: &'a str, rule: &'static str) -> Result<(&'a str, &'a str), UrlError> {
    let good = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_+.~".contains(c))
    };
    text.split_once('/')
        .filter(|(first, second)| good(first) && good(second))
        .ok_or(UrlError::Malformed { rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(url: &str) -> Result<Vec<Place>, String> {
        let options = Options {
            debian_mirrors: Some(vec!["http://a.example/debian/".into(), "file:///srv/debian".into()]),
            pypi_index: Some("http://u:p@i.example/simple".into()),
            ..Options::default()
        };
        Locator::default().places(url, &options).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_become_places() {
        let remote = |url| Place::Remote(Url::parse(url).unwrap());
        assert_eq!(places("https://a.example/x").unwrap(), [remote("https://a.example/x")]);
        for url in ["file:///a/b%20c", "file:/a/b%20c"] {
            assert_eq!(places(url).unwrap(), [Place::File("/a/b c".into())]);
        }
        assert_eq!(
            places("debian:libcap2/x_1.orig.tar.xz").unwrap(),
            [
                remote("http://a.example/debian/pool/main/libc/libcap2/x_1.orig.tar.xz"),
                Place::File("/srv/debian/pool/main/libc/libcap2/x_1.orig.tar.xz".into())
            ]
        );
        let listed = &places("pypi:Meson/m.tar.gz").unwrap()[0];
        assert_eq!(
            listed.shown("pypi:Meson/m.tar.gz"),
            "pypi:Meson/m.tar.gz (http://u:***@i.example/simple/meson/)"
        );
    }

    #[test]
    fn wrong_urls_say_how_they_are_written() {
        for (url, expected) in [
            ("ftp://a/b", "unknown scheme `ftp:`: use `https:`, `file:`, `debian:"),
            ("nothing", "write `scheme:...`"),
            ("https:", "write `https://host/path`"),
            ("file:relative", "write `file:///absolute/path`"),
            ("file://host/x", "write `file:///absolute/path`"),
            ("debian:pigz", "write `debian:<source package>/<file>`"),
            ("debian:pigz/../x", "write `debian:"),
            ("pypi:a/b/c", "write `pypi:<project>/<file>`"),
        ] {
            let error = places(url).unwrap_err();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}
