//! Writes the members of a tarball as deterministic bytes, and refuses what K3s could not use.
//!
//! GNU format, as K3s's build unpacks it with GNU tar and busybox. Sorted by the bytes of the names. Owner and group are
//! 0 with no names, as with `tar --numeric-owner`, so no user database is asked on either side. Folders and files have
//! mode 0755, links 0777, all the same time. Ends like GNU tar's: two empty blocks, then filled up to its default record.

use std::collections::BTreeSet;
use std::io::{self, Write};

use tar::{EntryType, Header};

use super::layout::resolve;
use super::root::{Content, Member};

/// The unit of a tar file.
const BLOCK: usize = 512;
/// GNU tar's default blocking factor, 20.
const RECORD: usize = 20 * BLOCK;
/// Longer names and targets do not fit in the header.
const NAME_FIELD: usize = 100;
/// The largest time that fits in the header's eleven octal digits.
const LATEST: u64 = 0o777_7777_7777;

/// Raised when a tarball cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// A name that is not `./` and plain components, or a folder without a slash at its end.
    #[error("`{}` cannot be a member's name: {rule}", name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A symlink that cannot be in the tarball.
    #[error("the link `{name}` cannot lead to `{}`: {rule}", target.escape_debug())]
    Target {
        /// The link.
        name: String,
        /// Where it leads.
        target: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Two members of one name.
    #[error("`{name}` is in the tarball twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A member in a folder that is not a member.
    #[error("`{name}` is in the tarball, its folder is not")]
    NoFolder {
        /// The member.
        name: String,
    },
    /// A time that the format cannot express.
    #[error("the time {mtime} does not fit in a tar header")]
    Time {
        /// The time in seconds since 1970.
        mtime: u64,
    },
    /// The output could not be written.
    #[error("cannot write the tarball")]
    Write {
        /// Why.
        #[from]
        source: io::Error,
    },
}

/// Writes `members`, in whatever order they come, as a tar with all times at `mtime` (seconds since 1970).
pub fn write_tar<C: AsRef<[u8]>>(
    members: &[Member<C>],
    mtime: u64,
    out: &mut impl Write,
) -> Result<(), TarError> {
    if mtime > LATEST {
        return Err(TarError::Time { mtime });
    }
    let mut sorted: Vec<&Member<C>> = members.iter().collect();
    sorted.sort_by(|left, right| left.name.as_bytes().cmp(right.name.as_bytes()));
    check(&sorted)?;
    let mut out = Blocks { out, written: 0 };
    for member in sorted {
        let (entry_type, mode, target, contents): (_, _, &str, &[u8]) = match &member.content {
            Content::Folder => (EntryType::Directory, 0o755, "", &[]),
            Content::File { contents, .. } => (EntryType::Regular, 0o755, "", contents.as_ref()),
            Content::Link { target } => (EntryType::Symlink, 0o777, target, &[]),
        };
        out.long(EntryType::GNULongLink, target)?;
        out.long(EntryType::GNULongName, &member.name)?;
        let mut header = header(entry_type, mode, mtime, &member.name, contents.len());
        fill(&mut header.as_old_mut().linkname, target);
        header.set_cksum();
        out.entry(&header, contents)?;
    }
    out.put(&[0; 2 * BLOCK])?;
    out.pad(RECORD)?;
    Ok(())
}

fn header(entry_type: EntryType, mode: u32, mtime: u64, name: &str, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(size as u64);
    // Not `set_path`: it takes the leading `./` away.
    fill(&mut header.as_old_mut().name, name);
    header
}

fn fill(field: &mut [u8; NAME_FIELD], text: &str) {
    let length = text.len().min(NAME_FIELD);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

struct Blocks<'a, W> {
    out: &'a mut W,
    written: usize,
}

impl<W: Write> Blocks<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self, unit: usize) -> io::Result<()> {
        let rest = self.written.next_multiple_of(unit) - self.written;
        self.put(&vec![0; rest])
    }

    fn entry(&mut self, header: &Header, contents: &[u8]) -> io::Result<()> {
        self.put(header.as_bytes())?;
        self.put(contents)?;
        self.pad(BLOCK)
    }

    /// GNU's way with text that does not fit in the header: an entry of its own before the member.
    fn long(&mut self, entry_type: EntryType, text: &str) -> io::Result<()> {
        if text.len() <= NAME_FIELD {
            return Ok(());
        }
        let contents = [text.as_bytes(), &[0]].concat();
        let mut header = header(entry_type, 0o644, 0, "././@LongLink", contents.len());
        header.set_cksum();
        self.entry(&header, &contents)
    }
}

/// Holds `members`, which are sorted, against the rules.
fn check<C>(members: &[&Member<C>]) -> Result<(), TarError> {
    let mut folders = BTreeSet::from(["./"]);
    let mut names = BTreeSet::new();
    for member in members {
        let name = member.name.as_str();
        let is_folder = matches!(member.content, Content::Folder);
        if let Some(rule) = broken_name_rule(name, is_folder) {
            return Err(TarError::Name { name: name.to_owned(), rule });
        }
        let plain = name.trim_end_matches('/');
        if !names.insert(plain) {
            return Err(TarError::Twice { name: name.to_owned() });
        }
        if !folders.contains(folder_of(name)) {
            return Err(TarError::NoFolder { name: name.to_owned() });
        }
        if is_folder {
            folders.insert(name);
        }
        if let Content::Link { target } = &member.content {
            if let Some(rule) = broken_target_rule(name, target) {
                return Err(TarError::Target { name: name.to_owned(), target: target.clone(), rule });
            }
        }
    }
    Ok(())
}

/// The rule that a member's name breaks, if any.
pub(super) fn broken_name_rule(name: &str, is_folder: bool) -> Option<&'static str> {
    let Some(inside) = name.strip_prefix("./") else {
        return Some("names begin with `./`");
    };
    let plain = match (inside.strip_suffix('/'), is_folder) {
        (Some(plain), true) => plain,
        (None, false) => inside,
        _ => return Some("folders, and only they, end with `/`"),
    };
    if plain.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("it has an empty, `.` or `..` component");
    }
    unusable(name).then_some("white space and control characters break the lists that K3s keeps")
}

/// The folder that a member is in, with `./` before and a slash behind it.
pub(super) fn folder_of(name: &str) -> &str {
    let plain = name.strip_suffix('/').unwrap_or(name);
    &name[..plain.rfind('/').map_or(0, |at| at + 1)]
}

/// The rule that the target of the link `name` breaks, if any.
pub(super) fn broken_target_rule(name: &str, target: &str) -> Option<&'static str> {
    if target.is_empty() {
        Some("it is empty")
    } else if target.starts_with('/') {
        Some("it is absolute, and the root has no fixed place")
    } else if unusable(target) {
        Some("white space and control characters break the lists that K3s keeps")
    } else if resolve(folder_of(name).trim_start_matches("./"), target).is_none() {
        Some("it is outside the root")
    } else {
        None
    }
}

fn unusable(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control())
}
