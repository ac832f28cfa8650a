//! Finds the paths of the build inside a finished file: they tell users nothing and would tie the bits to a folder.

/// The folders that an action sees; a program that mentions one has kept something of its build.
const GUEST_FOLDERS: [&str; 7] =
    ["/src/", "/build/", "/tools/", "/sysroot/", "/out/", "/borrowed/", "/compiler/"];

/// Most that is shown of a path.
const SHOWN: usize = 80;

/// The first place of each build path in `bytes`, as offset and text: the guest folders where a path begins, so that
/// `/usr/src/linux` is none, and `forbidden` texts anywhere.
pub(super) fn build_paths(bytes: &[u8], forbidden: &[String]) -> Vec<(usize, String)> {
    let guests = GUEST_FOLDERS.iter().map(|folder| (folder.as_bytes(), true));
    let others = forbidden.iter().filter(|text| !text.is_empty()).map(|text| (text.as_bytes(), false));
    let mut found: Vec<(usize, String)> = guests
        .chain(others)
        .filter_map(|(needle, at_boundary)| {
            find(bytes, needle, |at| !at_boundary || begins_path(&bytes[..at]))
                .map(|at| (at, text_at(&bytes[at..])))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn find(bytes: &[u8], needle: &[u8], fits: impl Fn(usize) -> bool) -> Option<usize> {
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| *byte == needle[0]) {
        let at = from + step;
        if bytes[at..].starts_with(needle) && fits(at) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Whether a path can begin after `before`: not inside a longer one, but right after an option such as `-I`.
fn begins_path(before: &[u8]) -> bool {
    match before {
        [] | [.., b'-', b'I' | b'L' | b'B'] => true,
        [.., last] => !(last.is_ascii_alphanumeric() || b"/._-+~$%}*".contains(last)),
    }
}

fn text_at(bytes: &[u8]) -> String {
    let printable = bytes.iter().take(SHOWN).take_while(|byte| byte.is_ascii_graphic());
    printable.map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], forbidden: &[&str]) -> Vec<String> {
        let forbidden: Vec<String> = forbidden.iter().map(ToString::to_string).collect();
        build_paths(bytes, &forbidden).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn build_paths_are_found_where_a_path_begins() {
        assert_eq!(texts(b"\0/src/main.c\0", &[]), ["/src/main.c"]);
        assert_eq!(
            texts(b"gcc -I/sysroot/usr/include -L/tools/lib", &[]),
            ["/sysroot/usr/include", "/tools/lib"]
        );
        assert_eq!(texts(b"--prefix=/out/usr", &[]), ["/out/usr"]);
        assert_eq!(texts(b"/build/a.c", &[]), ["/build/a.c"]);
    }

    #[test]
    fn other_paths_are_none() {
        for harmless in [
            &b"/usr/src/linux"[..],
            b"../src/main.c",
            b"http://src/x",
            b"/source/",
            b"%s/build/%s",
            b"/etc/tools/x",
            b"/srcfoo",
            b"",
        ] {
            assert!(texts(harmless, &[]).is_empty(), "{}", String::from_utf8_lossy(harmless));
        }
    }

    #[test]
    fn real_folders_are_found_anywhere() {
        assert_eq!(
            texts(b"x/home/u/k3sroot/tmp/1/a.c\0", &["/home/u/k3sroot"]),
            ["/home/u/k3sroot/tmp/1/a.c"]
        );
        assert!(texts(b"/home/other", &["/home/u/", ""]).is_empty());
    }
}
