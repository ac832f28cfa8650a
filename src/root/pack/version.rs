//! The version that a program has in its bytes. Only running it would tell for sure, so a version is shown where a known
//! pattern finds exactly one, and nothing otherwise.
//!
//! `versions.tsv` has a pattern per program; `*` is the version: digits, and then letters, digits, `.`, `-` and `+`, with
//! a point in it. What stands before it may begin inside a text, and so may the version if nothing is to stand before it; what
//! stands behind it then ends the text. A `*` alone is a text of two or three numbers and nothing else, for programs that
//! are known to have one such text. slirp4netns has two, its library's too, and fuse-overlayfs 1.14 calls itself 1.13-dev.

const PATTERNS: &str = include_str!("versions.tsv");

/// Whether bytes of the program `name` (without its folders) may tell its version.
pub fn tells_version(name: &str) -> bool {
    pattern(name).is_some()
}

fn pattern(name: &str) -> Option<&'static str> {
    let mut rows = PATTERNS.lines().skip(1).filter_map(|row| row.split_once('\t'));
    rows.find(|(program, _)| *program == name).map(|(_, pattern)| pattern)
}

/// The version of the program `name` (without its folders), if its bytes tell it.
pub fn version(name: &str, bytes: &[u8]) -> Option<String> {
    let pattern = pattern(name)?;
    let (before, behind) = pattern.split_once('*')?;
    // Texts end with a zero byte; a line of a longer one will do too.
    let texts = bytes.split(|byte| matches!(byte, 0 | b'\n'));
    let found: Vec<&[u8]> =
        texts.flat_map(|text| in_text(text, before.as_bytes(), behind.as_bytes())).collect();
    // Three bytes of code may look like two numbers.
    let numbers = |version: &&[u8]| version.split(|byte| *byte == b'.').count();
    let most = found.iter().map(numbers).max()?;
    let mut found = found.into_iter().filter(|version| !pattern.eq("*") || numbers(version) == most);
    let first = found.next()?;
    found.all(|other| other == first).then(|| String::from_utf8_lossy(first).into_owned())
}

/// The versions in one text.
fn in_text<'a>(text: &'a [u8], before: &[u8], behind: &[u8]) -> Vec<&'a [u8]> {
    let candidates: Vec<&[u8]> = if before.is_empty() && behind.is_empty() {
        // Addresses have four numbers; versions of these programs have fewer.
        let numbers = text.split(|byte| *byte == b'.').count();
        let plain = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && numbers < 4;
        plain.then_some(text).into_iter().collect()
    } else if before.is_empty() {
        // A linker puts texts next to what is not text, so only the end is sure.
        let head = text.strip_suffix(behind);
        head.map(|head| &head[head.len() - run(head.iter().rev())..]).into_iter().collect()
    } else {
        let places = text.windows(before.len()).enumerate().filter(|(_, window)| *window == before);
        let rests = places.map(|(at, _)| &text[at + before.len()..]);
        let versions = rests.map(|rest| rest.split_at(run(rest.iter())));
        versions.filter(|(_, after)| after.starts_with(behind)).map(|(version, _)| version).collect()
    };
    let is_version = |version: &&[u8]| {
        version.first().is_some_and(u8::is_ascii_digit) && version.contains(&b'.') && !version.ends_with(b".")
    };
    candidates.into_iter().filter(is_version).collect()
}

/// How many of these bytes, from the first on, a version can consist of.
fn run<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take_while(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_where_its_pattern_is() {
        for (name, bytes, expected) in [
            ("busybox", &b"\0syslogd started: BusyBox v1.37.0\0"[..], "1.37.0"),
            ("busybox", b"\0BusyBox v1.37.0 (2025-01-01)\0BusyBox v1.37.0\0", "1.37.0"),
            ("xtables-nft-multi", b"\x001.8.11\x001.8.11 (nf_tables)\0", "1.8.11"),
            ("xtables-nft-multi", b"\0\x9f\x011.8.11 (nf_tables)\0", "1.8.11"),
            ("coreutils", b"\x00127.0.0.1\x009.10\0", "9.10"),
            ("nsenter", b"\0util-linux 2.41.5\0", "2.41.5"),
            ("coreutils", b"\x009.10\x00ls\0", "9.10"),
            ("coreutils", b"Usage\n9.10\n", "9.10"),
            ("nft", b"\x004.3\x001.1.0\0", "1.1.0"),
        ] {
            assert_eq!(version(name, bytes).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_shown() {
        for (name, bytes) in [
            ("busybox", &b"\0BusyBox v1.37.0\0BusyBox v1.36.1\0"[..]),
            ("busybox", b"\0BusyBox v%s\0BusyBox v1\0BusyBox v"),
            ("find", b"\x004.10.0\x001.2.3\0"),
            ("find", b"\x004.10.0-rc1\x00v4.10.0\x00findutils 4.10.0\0"),
            ("xtables-nft-multi", b"\x001.8.11 (legacy)\x001.8.11 (nf_tables) x\0"),
            ("another", b"\x001.2.3\0another 1.2.3\0"),
            ("find", b""),
        ] {
            assert_eq!(version(name, bytes), None, "{name}");
        }
    }

    #[test]
    fn every_pattern_has_one_place_for_the_version() {
        for row in PATTERNS.lines().skip(1) {
            let (program, pattern) = row.split_once('\t').unwrap();
            assert!(!program.is_empty() && pattern.matches('*').count() == 1, "{row}");
        }
    }
}
