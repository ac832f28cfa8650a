//! What can go wrong while fetching. A URL that fails is a [`UrlError`]; only when all of them have failed is there a
//! [`FetchError`], which lists each URL with its own reason.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;

use base::digest::SourceDigest;

/// Raised when an archive could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Every URL of every alternative failed.
    #[error("no archive of {label} could be had{}", list(.attempts))]
    Unobtainable {
        /// What was wanted.
        label: String,
        /// The digests that would have done; none where no digest is known.
        digests: Vec<SourceDigest>,
        /// Every URL that was tried, in order.
        attempts: Vec<Attempt>,
        /// Whether the network was switched off.
        offline: bool,
    },
    /// Not every archive of a version whose digests nobody knows yet could be had.
    #[error("these places were tried{}", list(.attempts))]
    NoArchive {
        /// Every URL that was tried, in order.
        attempts: Vec<Attempt>,
    },
    /// No place told what lies in it.
    #[error("nothing says which versions of {label} there are{}", list(.attempts))]
    NoListing {
        /// What was wanted.
        label: String,
        /// Every place that was asked, in order.
        attempts: Vec<Attempt>,
    },
    /// The user stopped it.
    #[error("fetching {label} was interrupted")]
    Cancelled {
        /// What was wanted.
        label: String,
    },
    /// The cache folder cannot be used.
    #[error("cannot keep archives in `{}`", path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up downloads")]
    Client(#[source] reqwest::Error),
}

/// What the user can do about sources that could not be had, one remedy each.
pub fn hints(errors: &[&FetchError]) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    let mut add = |hint: String| {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    };
    let mut archives = Vec::new();
    for error in errors {
        let FetchError::Unobtainable { label, digests, attempts, offline } = error else { continue };
        if *offline {
            add("without `--offline` the URLs above are tried".to_owned());
        }
        for attempt in attempts {
            match attempt.problem {
                UrlError::NoDebianMirror => {
                    add("`--debian-mirror URL` names a mirror of the Debian archive".to_owned());
                }
                UrlError::NoPipIndex { .. } => {
                    add("`--pypi-index URL` names a Python package index".to_owned());
                }
                _ => {}
            }
        }
        if !digests.is_empty() {
            archives.push((label.split_whitespace().next().unwrap_or(label), digests));
        }
    }
    let (what, package) = match archives.as_slice() {
        [] => return hints,
        [(package, digests)] => {
            let digests: Vec<String> =
                digests.iter().map(|digest| format!("{} {}", digest.algorithm(), digest.hex())).collect();
            (format!("the archive ({})", digests.join(" or ")), *package)
        }
        _ => ("the archives, whose digests `k3sroot fetch --list` prints,".to_owned(), "PACKAGE"),
    };
    add(format!("put {what} into a folder, under any name, and pass `--distfiles FOLDER`"));
    add(format!("`--override {package}=FOLDER` builds a local source tree instead"));
    hints
}

/// One URL that was tried and what came of it.
#[derive(Debug)]
pub struct Attempt {
    /// The URL, without passwords; for `debian:` and `pypi:` with what it stood for.
    pub url: String,
    /// What went wrong.
    pub problem: UrlError,
}

fn list(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    if attempts.is_empty() {
        text.push_str(": it has no URLs");
    }
    for Attempt { url, problem } in attempts {
        let _ = write!(text, "\n  {url}");
        for line in problem.explained().lines() {
            let _ = write!(text, "\n    {line}");
        }
    }
    text
}

/// Why one URL did not give the archive.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// A scheme nobody knows.
    #[error(
        "unknown scheme `{scheme}:`: use `https:`, `file:`, `debian:<source package>/<file>` or `pypi:<project>/<file>`"
    )]
    UnknownScheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// The URL is not written as its scheme wants it.
    #[error("malformed: {rule}")]
    Malformed {
        /// What it should look like.
        rule: &'static str,
    },
    /// What came instead of an archive of which nothing is known.
    #[error("not an archive: {}", if *.web_page { "a web page" } else { "nothing came" })]
    NoArchive {
        /// Whether it was a web page.
        web_page: bool,
    },
    /// The network is switched off.
    #[error("not tried: `--offline`")]
    Offline,
    /// The host failed earlier.
    #[error("host did not answer earlier in this run")]
    DeadHost {
        /// The host and port.
        host: String,
        /// Whether it was merely slow, so that it gets a second chance.
        slow: bool,
    },
    /// No connection: name lookup, TCP or TLS failed.
    #[error("cannot connect to `{host}`")]
    Unreachable {
        /// The host and port.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No connection in the time there was.
    #[error("`{host}` did not answer within {milliseconds} ms")]
    Slow {
        /// The host and port.
        host: String,
        /// The time it was given.
        milliseconds: u128,
    },
    /// The server answered with an error.
    #[error("the server answered {code}{}", reason(*.code))]
    Status {
        /// The HTTP status code.
        code: u16,
        /// The pause that the server asks for, in seconds.
        retry_after: Option<u64>,
    },
    /// Redirects without end.
    #[error("more than {limit} redirects")]
    Redirects {
        /// How many are followed.
        limit: usize,
    },
    /// No byte for too long.
    #[error("no byte for {milliseconds} ms after {bytes} bytes")]
    Stalled {
        /// How long was waited.
        milliseconds: u128,
        /// How many bytes there were by then.
        bytes: u64,
    },
    /// The connection broke.
    #[error("the connection broke after {bytes} bytes")]
    Interrupted {
        /// How many bytes there were by then.
        bytes: u64,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The bytes are not the archive.
    #[error(
        "{}\nexpected: {expected}\ncomputed: {computed}",
        if *.web_page { "the server sent a web page, not the archive" } else { "the bytes are not the archive" }
    )]
    Wrong {
        /// The digest that was asked for.
        expected: Box<SourceDigest>,
        /// The digest of what came.
        computed: Box<SourceDigest>,
        /// Whether it looks like HTML: a login, an error or a "download starts shortly" page.
        web_page: bool,
    },
    /// Larger than any archive may be.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A file could not be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder that keeps archives cannot be used, whatever the URL.
    #[error("cannot keep archives in `{}`", path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// apt knows no Debian mirror.
    #[error("apt is not set up with a Debian mirror here")]
    NoDebianMirror,
    /// pip knows no index, or there is no pip.
    #[error("pip is not set up with a package index here: {detail}")]
    NoPipIndex {
        /// What asking pip came to.
        detail: String,
    },
    /// The package index does not have the file.
    #[error("`{page}` does not list `{file}`")]
    NotListed {
        /// The project's page in the index.
        page: String,
        /// The file that was looked for.
        file: String,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Cancelled,
}

impl UrlError {
    /// Whether the same URL may work a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { code, .. } => matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Stalled { .. } | Self::Interrupted { .. } => true,
            _ => false,
        }
    }

    /// Whether the host may only need more patience.
    pub(super) fn is_slow_host(&self) -> bool {
        matches!(self, Self::Slow { .. } | Self::DeadHost { slow: true, .. })
    }

    /// The message and the innermost cause: what lies between only repeats that a request failed.
    pub fn explained(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(inner) = cause.and_then(Error::source) {
            cause = Some(inner);
        }
        if let Some(cause) = cause {
            let _ = write!(text, ": {cause}");
        }
        text
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.problem.explained())
    }
}

fn reason(code: u16) -> String {
    let reason = reqwest::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
    reason.map(|reason| format!(" {reason}")).unwrap_or_default()
}
