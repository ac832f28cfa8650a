//! A few files of an archive, such as licence texts: read into memory, and no further than need be.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use tar::{Entry, EntryType};

use super::UNPACKED;
use super::decompress::Pipe;
use super::entries::each_entry;
use super::names::{Top, entry_name, resolve};
use super::{ENTRIES, Pattern, UnpackError, kind, link_name};
use base::deadline::Deadline;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;
/// How many links may lead from a name to its file.
const LINKS: usize = 8;

/// What was found of the wanted files.
#[derive(Default)]
struct Found {
    contents: BTreeMap<String, Vec<u8>>,
    /// Where links lead.
    links: BTreeMap<String, String>,
}

/// The contents of the files of `archive` with these paths below its single top folder, through links within it; what it does
/// not have is not in the result. `nested` is as for [`super::unpack`]. What comes behind the last of them in the archive is
/// not looked at: whoever needs the whole to be sound has verified its digest.
pub fn read_files(
    archive: &Path,
    nested: Option<&str>,
    paths: &BTreeSet<&str>,
    deadline: &Deadline,
) -> Result<BTreeMap<String, Vec<u8>>, UnpackError> {
    let mut found = Found::default();
    let mut wanted: BTreeSet<String> = paths.iter().map(ToString::to_string).collect();
    // A link may lead to what has gone by already.
    for _ in 0..=LINKS {
        if wanted.is_empty() {
            break;
        }
        let nested = nested.map(|pattern| Pattern::new(pattern, false)).transpose()?;
        Pipe::run(archive, nested, UNPACKED, deadline, |pipe| {
            let result = look(pipe, &wanted, &mut found);
            // A broken stream is the better explanation of an archive that makes no sense.
            pipe.drain(false)?;
            result
        })?;
        let is_new = |target: &&String| {
            !found.contents.contains_key(*target)
                && !found.links.contains_key(*target)
                && !wanted.contains(*target)
        };
        let targets = found.links.values().filter(is_new).cloned().collect();
        wanted = targets;
    }
    let end = |path: &str| {
        let mut path = path;
        for _ in 0..LINKS {
            let Some(target) = found.links.get(path) else { break };
            path = target;
        }
        found.contents.get(path).cloned()
    };
    Ok(paths.iter().filter_map(|path| Some(((*path).to_owned(), end(path)?))).collect())
}

/// Reads entries until nothing is wanted any more.
fn look(pipe: &mut Pipe, wanted: &BTreeSet<String>, found: &mut Found) -> Result<(), UnpackError> {
    let (mut top, mut count, mut left) = (Top::new(true), 0, wanted.clone());
    let mut done = false;
    let walked = each_entry(pipe, |entry| {
        count += 1;
        if count > ENTRIES {
            return Err(UnpackError::TooManyEntries { limit: ENTRIES });
        }
        take(entry, &mut top, &mut left, found)?;
        done = left.is_empty();
        // There is no other way to leave; it is told from an error by `done`.
        if done { Err(UnpackError::Empty) } else { Ok(()) }
    });
    match walked {
        Err(_) if done => Ok(()),
        Ok(()) if count == 0 => Err(UnpackError::Empty),
        walked => walked,
    }
}

fn take<R: Read>(
    entry: &mut Entry<'_, R>,
    top: &mut Top,
    left: &mut BTreeSet<String>,
    found: &mut Found,
) -> Result<(), UnpackError> {
    if entry.header().entry_type() == EntryType::XGlobalHeader {
        return Ok(());
    }
    let name = entry_name(&entry.path_bytes())?;
    let kind = kind(entry, &name)?;
    let Some(path) = top.strip(&name, kind == EntryType::Directory)?.filter(|path| left.contains(path))
    else {
        return Ok(());
    };
    match kind {
        EntryType::Directory => return Ok(()),
        EntryType::Symlink => {
            let target = link_name(entry, &name)?;
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let inside = resolve(folder, &target).ok_or(UnpackError::LinkLeaves { entry: name, target })?;
            found.links.insert(path.clone(), inside);
        }
        EntryType::Link => {
            let target = entry_name(link_name(entry, &name)?.as_bytes())?;
            found.links.insert(path.clone(), top.strip(&target, false)?.unwrap_or_default());
        }
        _ if entry.size() > LARGEST => return Err(UnpackError::TooLarge { entry: name, limit: LARGEST }),
        _ => {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).map_err(UnpackError::Format)?;
            found.contents.insert(path.clone(), contents);
        }
    }
    left.remove(&path);
    Ok(())
}
