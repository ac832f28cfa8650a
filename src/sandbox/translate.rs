//! Real paths in place of guest paths, for commands that run without namespaces.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::spec::Spec;
use super::{Access, GuestPath, Mount, SandboxError, Shim, shims};

/// Where each guest path really is.
#[derive(Debug, Clone)]
pub struct Translation {
    /// Longest guest path first, so that the most specific one is found.
    pairs: Vec<(GuestPath, String)>,
}

/// Beginnings of words that say where things will be one day, and not where they are.
const DESTINATIONS: [&str; 5] = ["--prefix=", "--exec-prefix=", "--with-sysroot=", "-Dprefix=", "prefix="];

/// What may stand before a path in a word. Not a closing parenthesis or brace: `${DESTDIR}/usr` goes on.
const BEFORE: &str = "=:,;\"'`(<>|&!@[{";

/// What a path component may be made of beside letters and digits; `/src` is not in `/src-1` or `/src.orig`.
const WITHIN: &str = "_.+-~@%";

impl Translation {
    /// The translation of these mounts' guest paths to their host paths, as they are written.
    pub fn new(mounts: &[Mount]) -> Self {
        let pair = |mount: &Mount| (mount.guest.clone(), mount.host.display().to_string());
        let mut pairs: Vec<_> = mounts.iter().map(pair).collect();
        pairs.sort_by_key(|(guest, _)| std::cmp::Reverse(guest.as_str().len()));
        Self { pairs }
    }

    /// An argument or an environment variable's value, in which every guest path is replaced; in a list of words,
    /// such as `CFLAGS`, each by itself. Left alone are:
    /// - words that begin, after quotes, with one of `--prefix=`, `--exec-prefix=`, `--with-sysroot=`, `-Dprefix=` and
    ///   `prefix=`: what they name is where the result will be used, which is the guest path;
    /// - the right side of a `-f…-prefix-map=old=new`, which is what is to be written.
    pub fn word(&self, word: &str) -> String {
        word.split_inclusive(char::is_whitespace)
            .map(|piece| {
                let bare = piece.trim_start_matches(['"', '\'', '(']);
                if DESTINATIONS.iter().any(|destination| bare.starts_with(destination)) {
                    return piece.to_owned();
                }
                match piece.rsplit_once('=') {
                    Some((old, new)) if old.contains("-prefix-map=") => format!("{}={new}", self.text(old)),
                    _ => self.text(piece),
                }
            })
            .collect()
    }

    /// A text, such as a file's contents, in which every guest path is replaced, without the exceptions of
    /// [`Self::word`].
    pub fn text(&self, text: &str) -> String {
        let mut translated = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(slash) = rest.find('/') {
            let before = &text[..text.len() - rest.len() + slash];
            let path = &rest[slash..];
            translated.push_str(&rest[..slash]);
            let found =
                self.pairs.iter().find(|(guest, _)| starts_here(before) && leads(guest.as_str(), path));
            let (written, taken) =
                found.map_or(("/", 1), |(guest, host)| (host.as_str(), guest.as_str().len()));
            translated.push_str(written);
            rest = &path[taken..];
        }
        translated + rest
    }
}

/// Whether an absolute path may begin after this: at the start, after white space or a separator, or glued to an
/// option as in `-I/sysroot`.
fn starts_here(before: &str) -> bool {
    let separates = |c: char| c.is_whitespace() || BEFORE.contains(c);
    let glued = before.rsplit(separates).next().unwrap_or_default();
    let is_option = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic());
    glued.is_empty() || glued.strip_prefix('-').is_some_and(is_option)
}

/// Whether the path at the start of `text` is `guest` or goes on below it.
fn leads(guest: &str, text: &str) -> bool {
    let next = text.strip_prefix(guest).map(|rest| rest.chars().next());
    next.is_some_and(|next| next.is_none_or(|c| !c.is_alphanumeric() && !WITHIN.contains(c)))
}

/// Makes a specification fit to run without namespaces: real paths, shims first in `PATH`, and a private folder, to be
/// removed afterwards, for `/tmp`, `TMPDIR` and `HOME`.
pub(super) fn to_real_paths(spec: &mut Spec, shims: &[Shim], folder: &Path) -> Result<TempDir, SandboxError> {
    let error = |source| SandboxError::Scratch { path: folder.to_owned(), source };
    let real = folder.canonicalize().map_err(error)?;
    let scratch = TempDir::with_prefix_in("k3sroot-sandbox-", real).map_err(error)?;
    let text = |path: &Path| path.to_str().map(str::to_owned);
    let not_unicode = || SandboxError::NotUnicode { path: scratch.path().to_owned() };
    let root = text(scratch.path()).ok_or_else(not_unicode)?;
    let [tmp, home, wrappers] = ["tmp", "home", "shims"].map(|name| format!("{root}/{name}"));
    for folder in [&tmp, &home, &wrappers] {
        fs::create_dir(folder).map_err(error)?;
    }
    if let Ok(guest) = "/tmp".parse::<GuestPath>() {
        if spec.mounts.iter().all(|mount| mount.guest != guest) {
            spec.mounts.push(Mount { host: tmp.clone().into(), guest, access: Access::ReadWrite });
        }
    }

    let translation = Translation::new(&spec.mounts);
    for word in &mut spec.argv {
        *word = translation.word(word);
    }
    for value in spec.env.values_mut() {
        *value = translation.word(value);
    }
    spec.cwd = translation.text(&spec.cwd);
    spec.env.insert("TMPDIR".into(), tmp);
    spec.env.insert("HOME".into(), home);
    if !shims.is_empty() {
        let path = spec.env.get("PATH").cloned().unwrap_or_else(|| super::launch::DEFAULT_PATH.into());
        shims::write(Path::new(&wrappers), shims, &spec.mounts, &path)?;
        spec.env.insert("PATH".into(), format!("{wrappers}:{path}"));
    }
    spec.scratch = Some(scratch.path().to_owned());
    Ok(scratch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translation() -> Translation {
        let pairs = [
            ("/h/src", "/src"),
            ("/h/tools", "/tools"),
            ("/h/x", "/tools/x"),
            ("/tmp/r", "/sysroot"),
            ("/h/t", "/tmp"),
        ];
        let mount = |(host, guest): (&str, &str)| Mount {
            host: host.into(),
            guest: guest.parse().unwrap(),
            access: Access::ReadOnly,
        };
        Translation::new(&pairs.map(mount))
    }

    #[test]
    fn guest_paths_become_real_paths_where_they_begin_and_end() {
        for (word, expected) in [
            ("/src", "/h/src"),
            ("/src/", "/h/src/"),
            ("/src/configure", "/h/src/configure"),
            ("-I/sysroot/usr/include", "-I/tmp/r/usr/include"),
            ("-isystem/sysroot/usr/include", "-isystem/tmp/r/usr/include"),
            ("-Wl,-rpath-link,/tools/lib", "-Wl,-rpath-link,/h/tools/lib"),
            ("-L/tools/lib", "-L/h/tools/lib"),
            ("--with-gmp=/tools", "--with-gmp=/h/tools"),
            ("/tools/bin:/usr/bin:/src", "/h/tools/bin:/usr/bin:/h/src"),
            ("/tools/x/y:/tools/xy", "/h/x/y:/h/tools/xy"),
            ("CC=/tools/bin/cc -I/src", "CC=/h/tools/bin/cc -I/h/src"),
            ("cp '/src/a' \"/tmp/b\" >/tmp/c", "cp '/h/src/a' \"/h/t/b\" >/h/t/c"),
            ("@/tmp/args", "@/h/t/args"),
            ("DESTDIR=/src", "DESTDIR=/h/src"),
            // What only looks like one.
            ("/usr/src", "/usr/src"),
            ("/srcfoo", "/srcfoo"),
            ("/src.orig:/src-1:/src_", "/src.orig:/src-1:/src_"),
            ("../src", "../src"),
            ("a/src", "a/src"),
            ("a-I/src", "a-I/src"),
            ("-I../src", "-I../src"),
            ("${DESTDIR}/src $(x)/src", "${DESTDIR}/src $(x)/src"),
            ("https://src/tools", "https://src/tools"),
            ("//src", "//src"),
            ("", ""),
            ("/", "/"),
            ("\u{e4}/src", "\u{e4}/src"),
            // A real path is not translated again.
            ("/sysroot:/tmp", "/tmp/r:/h/t"),
        ] {
            assert_eq!(translation().word(word), expected, "{word}");
        }
    }

    #[test]
    fn words_that_say_where_things_will_be_stay() {
        for (word, expected) in [
            ("--prefix=/tools", "--prefix=/tools"),
            ("--exec-prefix=/tools", "--exec-prefix=/tools"),
            ("--with-sysroot=/sysroot", "--with-sysroot=/sysroot"),
            ("--with-build-sysroot=/sysroot", "--with-build-sysroot=/tmp/r"),
            ("-Dprefix=/tools", "-Dprefix=/tools"),
            ("prefix=/tools", "prefix=/tools"),
            ("my-prefix=/tools", "my-prefix=/h/tools"),
            ("/src/configure '--prefix=/tools' /tmp", "/h/src/configure '--prefix=/tools' /h/t"),
            ("-ffile-prefix-map=/src=/tools", "-ffile-prefix-map=/h/src=/tools"),
            ("-fdebug-prefix-map=/src/a=/src", "-fdebug-prefix-map=/h/src/a=/src"),
            ("-Os\t-fmacro-prefix-map=/src=. -I/src\n", "-Os\t-fmacro-prefix-map=/h/src=. -I/h/src\n"),
            ("CFLAGS=-ffile-prefix-map=/src=/src", "CFLAGS=-ffile-prefix-map=/h/src=/src"),
        ] {
            assert_eq!(translation().word(word), expected, "{word}");
        }
        assert_eq!(
            translation().text("prefix=/tools\nc = '/tools/bin/cc'\n"),
            "prefix=/h/tools\nc = '/h/tools/bin/cc'\n"
        );
    }
}
