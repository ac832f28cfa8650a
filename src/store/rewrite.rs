//! Moving a tool: where its scripts name the folder they were made for, they get the folder they are in.
//!
//! Pure: bytes in, bytes out. Only whole paths are replaced: with `/tools` for `/home/me/t`, `/tools/bin`,
//! `-I/tools/include` and `"/tools"` are changed, `/tools-old`, `/usr/tools` and `${prefix}/tools` are not.

/// How much of a file is looked at to tell whether it is text.
pub(super) const PROBE: usize = 8 * 1024;

/// Whether a file that starts like this is text, as far as that can be told.
pub(super) fn is_text(start: &[u8]) -> bool {
    !start[..start.len().min(PROBE)].contains(&0)
}

/// `contents` with the path `from` replaced by `to`; `None` if it does not occur.
pub(super) fn rewrite_text(contents: &[u8], from: &str, to: &str) -> Option<Vec<u8>> {
    let from = from.as_bytes();
    let mut rewritten: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(start) = find(contents, from, at) {
        let end = start + from.len();
        if starts_path(&contents[..start]) && ends_part(&contents[end..]) {
            let rewritten = rewritten.get_or_insert_default();
            rewritten.extend_from_slice(&contents[copied..start]);
            rewritten.extend_from_slice(to.as_bytes());
            copied = end;
            at = end;
        } else {
            at = start + 1;
        }
    }
    if let Some(rewritten) = &mut rewritten {
        rewritten.extend_from_slice(&contents[copied..]);
    }
    rewritten
}

/// A link's target with the path `from` at its start replaced by `to`.
pub(super) fn rewrite_target(target: &str, from: &str, to: &str) -> String {
    match target.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => target.to_owned(),
    }
}

fn find(contents: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut at = from;
    loop {
        at += contents.get(at..)?.iter().position(|byte| byte == first)?;
        if contents[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether an absolute path can start after `before`: not in the middle of another path or after a variable that it
/// is added to, but right after an option such as `-I`.
fn starts_path(before: &[u8]) -> bool {
    let separates = |byte: u8| !in_name(byte) && !b"/)}".contains(&byte);
    match before {
        [b'-', letter] if letter.is_ascii_alphabetic() => true,
        [.., separator, b'-', letter] if letter.is_ascii_alphabetic() => separates(*separator),
        // As in `${prefix:-/tools}`; hardly a folder's name.
        [.., b'-'] | [] => true,
        [.., last] => separates(*last),
    }
}

/// Whether the last part of a path ends before `after`.
fn ends_part(after: &[u8]) -> bool {
    after.first().is_none_or(|&next| !in_name(next) && next != b'-')
}

/// Whether `byte` is usual in the names of files.
fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+~%".contains(&byte) || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewrite(text: &str) -> String {
        let rewritten = rewrite_text(text.as_bytes(), "/tools", "/home/me/tools dir");
        String::from_utf8(rewritten.unwrap_or_else(|| text.into())).unwrap()
    }

    #[test]
    fn whole_paths_are_replaced() {
        for (text, expected) in [
            ("/tools", "/home/me/tools dir"),
            ("#!/tools/bin/perl -w\n", "#!/home/me/tools dir/bin/perl -w\n"),
            ("prefix='/tools'", "prefix='/home/me/tools dir'"),
            ("-I/tools/include -L/tools/lib", "-I/home/me/tools dir/include -L/home/me/tools dir/lib"),
            ("PATH=/tools/bin:/tools/sbin", "PATH=/home/me/tools dir/bin:/home/me/tools dir/sbin"),
            ("/tools /tools\n", "/home/me/tools dir /home/me/tools dir\n"),
            ("(/tools)", "(/home/me/tools dir)"),
            ("${dir:-/tools}", "${dir:-/home/me/tools dir}"),
            ("-Wl,-L/tools/lib", "-Wl,-L/home/me/tools dir/lib"),
            ("s,/tools,x,", "s,/home/me/tools dir,x,"),
        ] {
            assert_eq!(rewrite(text), expected);
        }
    }

    #[test]
    fn other_paths_are_left_alone() {
        for text in [
            "",
            "/tool",
            "tools/",
            "/tools2",
            "/tools-old/x",
            "/tools.d",
            "/usr/tools",
            "//tools",
            "a/tools/x",
            "../tools",
            "${prefix}/tools",
            "$(top)/tools",
            "é/tools",
            "/toolsé",
            "x-I/tools",
        ] {
            assert_eq!(rewrite(text), text);
        }
        assert_eq!(rewrite_text(b"/usr/tools", "/tools", "/x"), None);
    }

    #[test]
    fn targets_are_replaced_at_their_start_only() {
        let rewrite = |target| rewrite_target(target, "/tools", "/x");
        assert_eq!(rewrite("/tools"), "/x");
        assert_eq!(rewrite("/tools/bin/m4"), "/x/bin/m4");
        for same in ["/toolsmith", "../tools", "tools/bin", "/usr/tools/bin"] {
            assert_eq!(rewrite(same), same);
        }
    }

    #[test]
    fn a_nul_byte_near_the_start_makes_it_no_text() {
        assert!(is_text(b"") && is_text("é\n".as_bytes()));
        assert!(!is_text(b"\x7fELF\0"));
        let mut late = vec![b'a'; PROBE];
        late.push(0);
        assert!(is_text(&late));
        late[PROBE - 1] = 0;
        assert!(!is_text(&late));
    }

    proptest! {
        #[test]
        fn one_pass_replaces_all_there_is_and_nothing_else(
            parts in prop::collection::vec(
                prop::sample::select(vec!["/tools", "/tool", "s", "/", " ", "-I", "=", "}", "-", ".", "é"]),
                0..12,
            ),
        ) {
            let text = parts.concat();
            let same = rewrite_text(text.as_bytes(), "/tools", "/tools");
            prop_assert!(same.is_none_or(|same| same == text.as_bytes()));
            if let Some(rewritten) = rewrite_text(text.as_bytes(), "/tools", "/x") {
                prop_assert_eq!(rewrite_text(&rewritten, "/tools", "/x"), None);
                let back = rewrite_text(&rewritten, "/x", "/tools");
                prop_assert_eq!(back.as_deref(), Some(text.as_bytes()));
            }
        }
    }
}
