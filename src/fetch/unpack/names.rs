//! Names in archives, made harmless: relative, without `.` and `..`, UTF-8, of sane length.

use super::UnpackError;

/// The longest name of one file or folder, and of a whole path, in bytes: what Linux allows.
const COMPONENT: usize = 255;
const PATH: usize = 4095;
/// How many folders deep an entry may lie. Ten are the most of any real source, gcc's.
const DEPTH: usize = 64;

/// The text of a name, if it is UTF-8 without NUL bytes.
pub(super) fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|name| !name.contains('\0') && name.len() <= PATH)
}

/// An entry's name without `.` components and slashes at the end; empty for the archive's root.
pub(super) fn entry_name(bytes: &[u8]) -> Result<String, UnpackError> {
    let refused = |why| {
        let entry = String::from_utf8_lossy(&bytes[..bytes.len().min(COMPONENT)]).into_owned();
        Err(UnpackError::Name { entry, why })
    };
    if bytes.len() > PATH {
        return refused("its name is too long");
    }
    let Some(text) = utf8(bytes) else { return refused("its name is not UTF-8") };
    if text.starts_with('/') {
        return refused("its name is absolute");
    }
    let mut name = String::with_capacity(text.len());
    for component in text.split('/') {
        match component {
            "" | "." => continue,
            ".." => return refused("its name has `..`"),
            long if long.len() > COMPONENT => return refused("its name is too long"),
            _ => {}
        }
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(component);
    }
    if name.split('/').count() > DEPTH {
        return refused("it lies more than 64 folders deep");
    }
    Ok(name)
}

/// Strips the single top folder, and insists that there is only one.
pub(super) struct Top {
    strip: bool,
    top: Option<String>,
}

impl Top {
    pub(super) fn new(strip: bool) -> Self {
        Self { strip, top: None }
    }

    /// The name below the top folder; `None` for the top folder itself and the archive's root.
    pub(super) fn strip(&mut self, name: &str, folder: bool) -> Result<Option<String>, UnpackError> {
        if name.is_empty() {
            return Ok(None);
        }
        if !self.strip {
            return Ok(Some(name.to_owned()));
        }
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        let top = self.top.get_or_insert_with(|| first.to_owned());
        if first != top || (rest.is_empty() && !folder) {
            return Err(UnpackError::TopFolder { entry: name.to_owned(), top: top.clone() });
        }
        Ok(Some(rest).filter(|rest| !rest.is_empty()).map(str::to_owned))
    }
}

/// Where a symlink's target leads from the folder that the link is in, `..` taken by name; `None` if that is outside.
pub(super) fn resolve(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut components: Vec<&str> = folder.split('/').filter(|component| !component.is_empty()).collect();
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop()?;
            }
            name => components.push(name),
        }
    }
    Some(components.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        assert_eq!(entry_name(b"./a//b/./c/").unwrap(), "a/b/c");
        assert_eq!(entry_name(b"./").unwrap(), "");
        assert_eq!(entry_name("ä/..b".as_bytes()).unwrap(), "ä/..b");
        let long = [b'a'; 256];
        let longer = b"a/".repeat(2100);
        assert!(entry_name(&b"a/".repeat(DEPTH)).is_ok());
        let deeper = b"a/".repeat(DEPTH + 1);
        for wrong in [&b"/a"[..], b"..", b"a/../b", b"a/..", b"\xff", b"a\0b", &long, &longer, &deeper] {
            assert!(entry_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_top_folder_is_stripped_and_two_are_refused() {
        let mut top = Top::new(true);
        assert_eq!(top.strip("", true).unwrap(), None);
        assert_eq!(top.strip("a", true).unwrap(), None);
        assert_eq!(top.strip("a/b/c", false).unwrap().unwrap(), "b/c");
        assert!(top.strip("b/c", false).is_err());
        assert!(Top::new(true).strip("file", false).is_err());
        assert_eq!(Top::new(false).strip("file", false).unwrap().unwrap(), "file");
    }

    #[test]
    fn targets_are_resolved_inside_the_tree() {
        assert_eq!(resolve("a/b", "../c/./d").unwrap(), "a/c/d");
        assert_eq!(resolve("a/b", "../..").unwrap(), "");
        assert!(resolve("a/b", "../../..").is_none());
        assert!(resolve("", "..").is_none() && resolve("a", "/etc").is_none());
    }
}
