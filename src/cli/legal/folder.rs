//! A legal pack on the disk. A pack whose manifest is there is whole; what an earlier one had and this one has not is removed,
//! and whatever somebody else put there stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::error::CliError;
use super::super::place::{Placed, READ_ONLY, STAGED, digest_of, io_error, place, remove_if_there};
use super::super::whole::publish;
use base::beneath;
use base::beneath::open_named;
use base::digest::{Sha256, Sha512, SourceDigest};
use root::attest::{Contents, LegalPack, MANIFEST, is_about};

/// Every file but the manifest's, with its size and digest.
const FILES: &str = "files.csv";

/// A line of [`FILES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    file: String,
    bytes: u64,
    sha256: Sha256,
}

/// The lines of a pack's list; none if there is no list that could be read.
fn listed(folder: &Path) -> Vec<Listed> {
    let Ok(file) = open_named(&folder.join(FILES)) else { return Vec::new() };
    csv::Reader::from_reader(file).deserialize().collect::<Result<_, _>>().unwrap_or_default()
}

/// How well a pack that is there is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Archives by their sizes, all else to the bit.
    Passing,
    /// Everything to the bit.
    Whole,
}

/// Whether `folder` has this pack.
pub(super) fn has(folder: &Path, pack: &LegalPack, look: Look) -> bool {
    let is = |path: &str, contents: &[u8]| {
        beneath::read_named(&folder.join(path)).is_ok_and(|there| there == contents)
    };
    let listed = listed(folder);
    let is_right = |one: &Listed| match pack.archives.get(&one.file) {
        Some(digest) => has_archive(&folder.join(&one.file), one, digest, look),
        None => has_text(&folder.join(&one.file), one, pack),
    };
    let names: BTreeSet<&str> = listed.iter().map(|one| one.file.as_str()).collect();
    let wanted: BTreeSet<&str> = pack.paths().filter(|path| !MANIFEST.contains(path)).collect();
    names == wanted
        && MANIFEST.iter().zip(&pack.manifest).all(|(name, text)| is(name, text.as_bytes()))
        && listed.par_iter().all(is_right)
}

/// Whether the archive at `path` is what its line in the list and the recipe say.
fn has_archive(path: &Path, line: &Listed, digest: &SourceDigest, look: Look) -> bool {
    let there = fs::metadata(path);
    if !there.is_ok_and(|there| there.is_file() && there.len() == line.bytes) {
        return false;
    }
    let is_listed = || look == Look::Passing || digest_of(path).is_ok_and(|there| there == line.sha256);
    match digest {
        SourceDigest::Sha256(sha256) => line.sha256 == *sha256 && is_listed(),
        SourceDigest::Sha512(_) if look == Look::Passing => true,
        SourceDigest::Sha512(sha512) => {
            is_listed() && beneath::read_named(path).is_ok_and(|there| Sha512::of(&there) == *sha512)
        }
    }
}

/// Whether what is no archive, which is short, is what it should be, and its line in the list too.
fn has_text(path: &Path, line: &Listed, pack: &LegalPack) -> bool {
    let of_file = pack.files.get(&line.file).map(|file| Sha256::of(&file.contents));
    let wanted = of_file.or_else(|| Some(pack.licenses.get(&line.file)?.sha256));
    wanted == Some(line.sha256)
        && beneath::read_named(path)
            .is_ok_and(|there| there.len() as u64 == line.bytes && Some(Sha256::of(&there)) == wanted)
}

/// Whether a whole pack is in `folder`.
pub(super) fn is_whole(folder: &Path) -> bool {
    let [_, _, last] = MANIFEST;
    folder.join(last).exists()
}

/// Whether a whole pack is in `folder`, of these tarballs.
pub(super) fn is_of(folder: &Path, contents: &Contents<'_>) -> bool {
    let [_, for_people, _] = MANIFEST;
    let text = beneath::read_named_to_string(&folder.join(for_people));
    is_whole(folder) && text.is_ok_and(|text| is_about(&text, contents))
}

/// Makes a pack's folder one that cannot be taken for a pack: its programs are no more, or not there yet. Returns whether it
/// was one.
pub(super) fn invalidate(folder: &Path) -> Result<bool, CliError> {
    let [_, for_people, last] = MANIFEST.map(|name| folder.join(name));
    let was_whole = is_whole(folder);
    remove_if_there(&last)?;
    remove_if_there(&for_people)?;
    Ok(was_whole)
}

/// The licence text that an earlier pack has at `path`, if it is the right one.
pub(super) fn kept(folder: &Path, path: &str, sha256: Sha256) -> Option<Vec<u8>> {
    beneath::read_named(&folder.join(path)).ok().filter(|contents| Sha256::of(contents) == sha256)
}

/// Writes a pack: `archives` says where the archives are, `texts` what the licence texts say, by their paths in the pack. Files
/// below `cache` nobody changes, so that a second name will do for a copy.
pub(super) fn write(
    folder: &Path,
    pack: &LegalPack,
    archives: &BTreeMap<String, (PathBuf, Sha256)>,
    texts: &BTreeMap<String, Vec<u8>>,
    cache: &Path,
) -> Result<(), CliError> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).map_err(io_error("make", above))?;
    }
    if !folder.is_dir() {
        make(folder)?;
    }
    // One at a time, where folders can be locked.
    let _turn = File::open(folder).ok().and_then(|dir| Flock::lock(dir, FlockArg::LockExclusive).ok());
    sweep(folder);
    invalidate(folder)?;
    let earlier = listed(folder);
    let mut lines = Vec::new();
    for (path, (from, sha256)) in archives {
        let dest = dest(folder, path)?;
        let mode = fs::metadata(&dest).map(|there| there.permissions().mode() & 0o7777);
        if !mode.is_ok_and(|mode| mode == READ_ONLY) || !digest_of(&dest).is_ok_and(|there| there == *sha256)
        {
            place(from, &dest, *sha256, Placed::ReadOnly { link: from.starts_with(cache) })?;
        }
        let size = fs::metadata(&dest).map_err(io_error("read", &dest))?.len();
        lines.push(Listed { file: path.clone(), bytes: size, sha256: *sha256 });
    }
    let ours = pack.files.iter().map(|(path, file)| (path, file.contents.as_slice(), file.executable));
    for (path, contents, executable) in
        ours.chain(texts.iter().map(|(path, text)| (path, text.as_slice(), false)))
    {
        let dest = dest(folder, path)?;
        if !beneath::read_named(&dest).is_ok_and(|there| there == contents) {
            publish(&dest, contents, executable)?;
        }
        let bytes = contents.len() as u64;
        lines.push(Listed { file: path.clone(), bytes, sha256: Sha256::of(contents) });
    }
    lines.sort_by(|one, other| one.file.cmp(&other.file));
    remove_others(folder, &earlier, &lines)?;
    publish(&folder.join(FILES), &list(&lines), false)?;
    for (name, text) in MANIFEST.iter().zip(&pack.manifest) {
        publish(&folder.join(name), text.as_bytes(), false)?;
    }
    Ok(())
}

/// Removes what somebody who died left half-written; only large files matter.
fn sweep(folder: &Path) {
    let sources = folder.join("sources");
    for entry in
        [folder, &sources].into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten()
    {
        if entry.file_name().to_string_lossy().starts_with(STAGED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes a folder that others may look into, whatever the umask.
fn make(folder: &Path) -> Result<(), CliError> {
    fs::create_dir(folder).map_err(io_error("make", folder))?;
    fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(io_error("make", folder))
}

/// The path of a file of the pack, below folders that are there and are none of somebody's links.
fn dest(folder: &Path, path: &str) -> Result<PathBuf, CliError> {
    let mut dest = folder.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        dest.push(part);
        if parts.peek().is_some() && !fs::symlink_metadata(&dest).is_ok_and(|there| there.is_dir()) {
            make(&dest)?;
        }
    }
    Ok(dest)
}

/// Removes what an earlier pack listed and this one does not, and the folders that this leaves empty.
fn remove_others(folder: &Path, earlier: &[Listed], now: &[Listed]) -> Result<(), CliError> {
    let wanted: BTreeSet<&str> = now.iter().map(|one| one.file.as_str()).collect();
    for one in earlier.iter().filter(|one| !wanted.contains(one.file.as_str())) {
        // A list could have been changed to lead elsewhere.
        if one.file.split('/').any(|part| matches!(part, "" | "." | "..")) {
            continue;
        }
        let path = folder.join(&one.file);
        remove_if_there(&path)?;
        // The first that something is left in ends it.
        let above = path.ancestors().skip(1).take_while(|above| *above != folder);
        let _ = above.map(fs::remove_dir).take_while(Result::is_ok).count();
    }
    Ok(())
}

fn list(lines: &[Listed]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.serialize(line).expect("memory takes a line");
    }
    writer.flush().expect("memory takes every byte");
    writer.into_inner().expect("memory takes every byte")
}
