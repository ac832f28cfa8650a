//! Archives to trees: `.tar`, plain or compressed with gzip, bzip2, xz or zstd, told by their first bytes.
//!
//! Nothing in an archive is trusted. Names and links cannot leave the folder, nothing is written through a link, there
//! are no devices, and sizes have limits; what comes out has plain modes (0644, 0755), one modification time and the
//! caller's ownership, so it is the same tree wherever it is unpacked. One thread decompresses, the caller's writes.
//!
//! On an error the folder is left half-written: unpack to a temporary one.

mod decompress;
mod entries;
mod error;
mod names;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io::Read;
use std::path::Path;

use globset::{GlobBuilder, GlobSet};
use tar::{Entry, EntryType};

use decompress::Pipe;
use entries::each_entry;
pub use error::UnpackError;
use names::{Top, entry_name};
pub use read::read_files;
use write::Writer;

use base::deadline::Deadline;

/// What to unpack of an archive, and how.
#[derive(Debug, Clone, Copy)]
pub struct UnpackSpec<'a> {
    /// The archive is wrapped in another one, in which its name (without folders) matches this glob.
    pub nested: Option<&'a str>,
    /// Globs of what to write, relative to the stripped top folder; empty means everything. `*` stops at `/`, `**`
    /// does not. Folders above a match come along.
    pub only: &'a [String],
    /// Whether the archive's single top folder is left out.
    pub strip_top: bool,
    /// The modification time of everything, in seconds since 1970.
    pub mtime: i64,
    /// How many bytes its files may have in all.
    pub limit: u64,
    /// Until when it may take.
    pub deadline: &'a Deadline,
}

/// How many bytes a source's files may have, if nobody says otherwise: ten times what the largest have, gcc's and Linux's.
pub const SOURCE_LIMIT: u64 = 4 << 30;
/// How many bytes an archive may be decompressed to, if no more is wanted of it than that: twice [`SOURCE_LIMIT`].
const UNPACKED: u64 = 2 * SOURCE_LIMIT;
/// The most entries that an archive may have.
const ENTRIES: u64 = 500_000;

/// Unpacks `archive` into `dest`, which is made, or is an empty folder.
pub fn unpack(archive: &Path, spec: &UnpackSpec<'_>, dest: &Path) -> Result<(), UnpackError> {
    let mut only = Only::new(spec.only)?;
    let nested = spec.nested.map(|pattern| Pattern::new(pattern, false)).transpose()?;
    let mut writer = Writer::new(dest, spec.mtime, spec.limit, spec.deadline)?;
    // What is not wanted of it is decompressed as well.
    let most = UNPACKED.max(spec.limit.saturating_mul(2));
    Pipe::run(archive, nested, most, spec.deadline, |pipe| {
        let result = write_entries(pipe, spec, &mut only, &mut writer);
        // A broken stream is the better explanation of an archive that makes no sense.
        pipe.drain(result.is_ok())?;
        result
    })?;
    only.check()?;
    writer.finish()
}

fn write_entries(
    pipe: &mut Pipe,
    spec: &UnpackSpec<'_>,
    only: &mut Only,
    writer: &mut Writer,
) -> Result<(), UnpackError> {
    let mut top = Top::new(spec.strip_top);
    let mut count = 0;
    each_entry(pipe, |entry| {
        count += 1;
        if count > ENTRIES {
            return Err(UnpackError::TooManyEntries { limit: ENTRIES });
        }
        write_entry(entry, &mut top, only, writer)
    })?;
    if count == 0 {
        return Err(UnpackError::Empty);
    }
    Ok(())
}

fn write_entry<R: Read>(
    entry: &mut Entry<'_, R>,
    top: &mut Top,
    only: &mut Only,
    writer: &mut Writer,
) -> Result<(), UnpackError> {
    if entry.header().entry_type() == EntryType::XGlobalHeader {
        return Ok(());
    }
    let name = entry_name(&entry.path_bytes())?;
    let kind = kind(entry, &name)?;
    if name.is_empty() && kind != EntryType::Directory {
        return Err(UnpackError::Name { entry: name, why: "its name is empty" });
    }
    let Some(path) = top.strip(&name, matches!(kind, EntryType::Directory))? else { return Ok(()) };
    if !only.wants(&path) {
        return Ok(());
    }
    match kind {
        EntryType::Directory => writer.folder(&path),
        EntryType::Symlink => writer.symlink(&path, &link_name(entry, &name)?),
        EntryType::Link => {
            let target = entry_name(link_name(entry, &name)?.as_bytes())?;
            let target = top.strip(&target, false)?.unwrap_or_default();
            if !only.wants(&target) {
                return Err(UnpackError::HardLinkNotSelected { entry: name, target });
            }
            writer.hard_link(&path, &target)
        }
        _ => {
            let executable = entry.header().mode().map_err(UnpackError::Format)? & 0o100 != 0;
            writer.file(&path, executable, entry)
        }
    }
}

/// What an entry is, reduced to the four kinds that are unpacked.
fn kind<R: Read>(entry: &mut Entry<'_, R>, name: &str) -> Result<EntryType, UnpackError> {
    let refused = |what| Err(UnpackError::Kind { entry: name.to_owned(), what });
    let sparse = entry
        .pax_extensions()
        .map_err(UnpackError::Format)?
        .into_iter()
        .flatten()
        .flatten()
        .any(|extension| extension.key_bytes().starts_with(b"GNU.sparse."));
    match entry.header().entry_type() {
        _ if sparse => refused("a sparse file"),
        EntryType::GNUSparse => refused("a sparse file"),
        // The oldest format has no type for folders.
        EntryType::Regular if entry.path_bytes().ends_with(b"/") => Ok(EntryType::Directory),
        EntryType::Regular | EntryType::Continuous => Ok(EntryType::Regular),
        kind @ (EntryType::Directory | EntryType::Symlink | EntryType::Link) => Ok(kind),
        EntryType::Char | EntryType::Block => refused("a device"),
        EntryType::Fifo => refused("a named pipe"),
        _ => refused("of an unknown type"),
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>, name: &str) -> Result<String, UnpackError> {
    let target = entry.link_name_bytes().unwrap_or_default();
    names::utf8(&target).filter(|target| !target.is_empty()).map(str::to_owned).ok_or_else(|| {
        UnpackError::LinkTarget {
            entry: name.to_owned(),
            target: String::from_utf8_lossy(&target).into_owned(),
        }
    })
}

/// A glob as it is written, and what it matches.
struct Pattern {
    text: String,
    matcher: GlobSet,
}

impl Pattern {
    fn new(text: &str, stop_at_slash: bool) -> Result<Self, UnpackError> {
        let built = GlobBuilder::new(text).literal_separator(stop_at_slash).build();
        // A set of one: a matcher would panic where the glob is too deep for a regular expression.
        let matcher = built.and_then(|glob| GlobSet::new([glob]));
        let matcher = matcher.map_err(|source| UnpackError::Glob { source })?;
        Ok(Self { text: text.to_owned(), matcher })
    }
}

/// The globs of [`UnpackSpec::only`], and which of them have matched.
struct Only {
    globs: Vec<(Pattern, bool)>,
}

impl Only {
    fn new(patterns: &[String]) -> Result<Self, UnpackError> {
        let globs = patterns.iter().map(|pattern| Ok((Pattern::new(pattern, true)?, false)));
        Ok(Self { globs: globs.collect::<Result<_, UnpackError>>()? })
    }

    fn wants(&mut self, path: &str) -> bool {
        let mut wanted = self.globs.is_empty();
        for (glob, used) in &mut self.globs {
            if glob.matcher.is_match(path) {
                (*used, wanted) = (true, true);
            }
        }
        wanted
    }

    /// A glob that matches nothing is a mistake, or upstream has moved things.
    fn check(&self) -> Result<(), UnpackError> {
        match self.globs.iter().find(|(_, used)| !used) {
            Some((glob, _)) => Err(UnpackError::NothingMatches { glob: glob.text.clone() }),
            None => Ok(()),
        }
    }
}
