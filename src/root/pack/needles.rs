//! Finds the paths of the build inside a finished file: they tell users nothing and would tie the bits to a folder.

/// The folders that an action sees; a program that mentions one has kept something of its build.
const GUEST_FOLDERS: [&str; 7] =
    ["/src/", "/build/", "/tools/", "/sysroot/", "/out/", "/borrowed/", "/compiler/"];

/// Most that is shown of a path.
const SHOWN: usize = 80;

/// The first place of each build path in `bytes`, as offset and text: the folders that an action sees where a path begins,
/// so that `/usr/src/linux` is none, and `real`, the folders that stood in for them, anywhere. Names are whole: with a
/// folder `/home/me/cache`, `/home/me/cache.c` is none. One that is a single name, `/cache`, is the end of others' as well, and
/// is looked for only where a path begins.
pub(super) fn build_paths(bytes: &[u8], real: &[String]) -> Vec<(usize, String)> {
    let guests =
        GUEST_FOLDERS.iter().filter_map(|folder| find(bytes, folder.as_bytes(), |at, _| starts(bytes, at)));
    let real = real.iter().filter(|folder| !folder.is_empty()).filter_map(|folder| {
        let is_short = folder.matches('/').count() == 1;
        find(bytes, folder.as_bytes(), |at, end| ends_name(bytes, end) && (!is_short || starts(bytes, at)))
    });
    let mut found: Vec<(usize, String)> = guests.chain(real).map(|at| (at, text_at(&bytes[at..]))).collect();
    found.sort();
    found.dedup();
    found
}

/// The first place of `needle` for whose beginning and end `fits` says so.
fn find(bytes: &[u8], needle: &[u8], fits: impl Fn(usize, usize) -> bool) -> Option<usize> {
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| *byte == needle[0]) {
        let at = from + step;
        if bytes[at..].starts_with(needle) && fits(at, at + needle.len()) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn starts(bytes: &[u8], at: usize) -> bool {
    begins_path(&bytes[..at])
}

/// Whether a name that ends here is whole.
fn ends_name(bytes: &[u8], end: usize) -> bool {
    !bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-+~".contains(byte))
}

/// Whether a path can begin after `before`: not inside a longer one, but right after an option such as `-isystem`.
fn begins_path(before: &[u8]) -> bool {
    let within = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+~$%}*".contains(byte);
    let letters = before.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    match before.split_at(before.len() - letters) {
        ([earlier @ .., b'-'], [_, ..]) => !earlier.last().is_some_and(within),
        _ => !before.last().is_some_and(within),
    }
}

fn text_at(bytes: &[u8]) -> String {
    let printable = bytes.iter().take(SHOWN).take_while(|byte| byte.is_ascii_graphic());
    printable.map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], real: &[&str]) -> Vec<String> {
        let real: Vec<String> = real.iter().map(ToString::to_string).collect();
        build_paths(bytes, &real).into_iter().map(|(_, text)| text).collect()
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
    fn real_folders_are_found_as_whole_names() {
        let path = "/home/u/k3sroot/tmp/1/a.c";
        for found in [
            "\0/home/u/k3sroot/tmp/1/a.c\0",
            "gcc -isystem/home/u/k3sroot/tmp/1/a.c",
            "x/home/u/k3sroot/tmp/1/a.c",
        ] {
            assert_eq!(texts(found.as_bytes(), &["/home/u/k3sroot"]), [path], "{found}");
        }
        assert!(texts(b"/home/other", &["/home/u", ""]).is_empty());
        assert!(texts(b"/home/u2/", &["/home/u"]).is_empty());
        assert_eq!(texts(b"\0/cache\0", &["/cache"]), ["/cache"]);
        assert_eq!(texts(b"-I/cache/tmp/a", &["/cache"]), ["/cache/tmp/a"]);
        for harmless in [&b"\0/cache.c\0"[..], b"/var/cache/apt", b"in-cache/cache/x"] {
            assert!(texts(harmless, &["/cache"]).is_empty(), "{}", String::from_utf8_lossy(harmless));
        }
    }
}
