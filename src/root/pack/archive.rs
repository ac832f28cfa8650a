//! Reads anybody's tarball, and says clearly what is wrong with one that cannot be read. Nothing is unpacked, contents
//! stay where they are, and no more is believed of an entry than the file's own size allows.

use tar::EntryType;

use base::digest::Sha256;

/// How compressed files begin, what they are called, and the command that decompresses them.
const COMPRESSED: [(&[u8], &str, &str); 4] = [
    (&[0x1f, 0x8b], "gzip", "gzip -dc"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", "xz -dc"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
];

/// A tar ends with two empty blocks.
const END: usize = 1024;

/// Raised when a tarball cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is compressed; K3s takes plain tars.
    #[error(
        "it is compressed with {format}, and K3s takes plain tars: `{command} <file> > <file>.tar` makes one"
    )]
    Compressed {
        /// The format.
        format: &'static str,
        /// What decompresses it to standard output.
        command: &'static str,
    },
    /// It does not begin like a tar.
    #[error("it is not a tar: {reason}")]
    NotTar {
        /// What the reader says.
        reason: String,
    },
    /// It is damaged.
    #[error("it is damaged after {members} members: {reason}; copy or build it again")]
    Damaged {
        /// How many members could be read.
        members: usize,
        /// What the reader says.
        reason: String,
    },
    /// It ends too early, between two members.
    #[error("it ends after {members} members without the two empty blocks of a tar: copy or build it again")]
    Cut {
        /// How many members could be read.
        members: usize,
    },
    /// There is something behind its end, which tars do not show.
    #[error("it has {bytes} bytes behind its end, which no tar shows: copy or build it again")]
    Trailing {
        /// How much.
        bytes: usize,
    },
}

/// A tarball as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive<'a> {
    /// The digest of the whole file.
    pub sha256: Sha256,
    /// The size of the whole file in bytes.
    pub size: usize,
    /// The members in the order of the file.
    pub members: Vec<ArchiveMember<'a>>,
}

/// A member of a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMember<'a> {
    /// The name; what is not UTF-8 of it is `U+FFFD`.
    pub name: String,
    /// What it is.
    pub what: ArchiveType<'a>,
    /// The permissions.
    pub mode: u32,
    /// The owner.
    pub uid: u64,
    /// The owner's group.
    pub gid: u64,
    /// The modification time in seconds since 1970.
    pub mtime: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveType<'a> {
    /// A folder.
    Folder,
    /// A regular file and its contents.
    File(&'a [u8]),
    /// A symlink, and where it leads.
    Link(String),
    /// A hard link, and the member that it is the same as.
    HardLink(String),
    /// A device, a pipe, a sparse file or the like: the tar's letter for it.
    Other(char),
}

impl<'a> Archive<'a> {
    /// Reads the members of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        if let Some((_, format, command)) = COMPRESSED.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
            return Err(ArchiveError::Compressed { format, command });
        }
        let mut members = Vec::new();
        let mut end = 0;
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().map_err(|error| damaged(0, &error))?;
        for entry in entries {
            let read = entry.and_then(|entry| {
                let (member, behind) = member(&entry, bytes)?;
                end = behind;
                Ok(member)
            });
            members.push(read.map_err(|error| damaged(members.len(), &error))?);
        }
        let rest = bytes.get(end..).unwrap_or_default();
        let (empty, behind) = rest.split_at(END.min(rest.len()));
        if empty.len() < END || empty.iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::Cut { members: members.len() });
        }
        if behind.iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::Trailing { bytes: behind.len() });
        }
        Ok(Self { sha256: Sha256::of(bytes), size: bytes.len(), members })
    }

    /// The regular files, by name.
    pub fn files(&self) -> impl Iterator<Item = (&ArchiveMember<'a>, &'a [u8])> {
        self.members.iter().filter_map(|member| match member.what {
            ArchiveType::File(contents) => Some((member, contents)),
            _ => None,
        })
    }
}

fn damaged(members: usize, error: &std::io::Error) -> ArchiveError {
    // The reader quotes the file's bytes, which can be anything.
    let text = error.to_string();
    let reason: String = text.chars().take_while(|character| !character.is_control()).take(80).collect();
    if members == 0 { ArchiveError::NotTar { reason } } else { ArchiveError::Damaged { members, reason } }
}

/// A member, and where the next one begins.
fn member<'a>(entry: &tar::Entry<'_, &[u8]>, bytes: &'a [u8]) -> std::io::Result<(ArchiveMember<'a>, usize)> {
    let header = entry.header();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let name = text(&entry.path_bytes());
    let target = || entry.link_name_bytes().map(|target| text(&target)).unwrap_or_default();
    let other = |reason: &str| std::io::Error::other(format!("`{}` claims {reason}", name.escape_debug()));
    let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
    let mut end = start;
    let what = match header.entry_type() {
        EntryType::Directory => ArchiveType::Folder,
        EntryType::Symlink => ArchiveType::Link(target()),
        EntryType::Link => ArchiveType::HardLink(target()),
        EntryType::Regular | EntryType::Continuous => {
            let size = entry.size();
            let contents = usize::try_from(size).ok().and_then(|size| {
                end = start.checked_add(size)?;
                bytes.get(start..end)
            });
            let left = bytes.len().saturating_sub(start);
            let contents =
                contents.ok_or_else(|| other(&format!("{size} bytes of contents, {left} are left")))?;
            ArchiveType::File(contents)
        }
        special => {
            end = start.saturating_add(usize::try_from(entry.size()).unwrap_or(usize::MAX));
            ArchiveType::Other(char::from(special.as_byte()))
        }
    };
    let end = end.checked_next_multiple_of(512).unwrap_or(usize::MAX);
    let member = ArchiveMember {
        what,
        mode: header.mode()?,
        uid: header.uid()?,
        gid: header.gid()?,
        mtime: header.mtime()?,
        name,
    };
    Ok((member, end))
}
