//! Archives of every kind, honest and hostile, made by hand.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tar::{Builder, EntryType, Header};

use super::{UnpackError, UnpackSpec, read_files, unpack};
use base::deadline::Deadline;

const SPEC: UnpackSpec<'static> = UnpackSpec {
    nested: None,
    only: &[],
    strip_top: true,
    mtime: 1_000_000_000,
    limit: 1 << 20,
    deadline: &Deadline::NEVER,
};

/// A tar archive whose names and targets are written as they are, however wrong.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: EntryType, name: &[u8], target: &[u8], mode: u32, contents: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(4242);
        header.set_gid(4242);
        header.set_mtime(1);
        header.set_size(contents.len() as u64);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.realsize = *b"00000000000\0";
        gnu.name[..name.len()].copy_from_slice(name);
        gnu.linkname[..target.len()].copy_from_slice(target);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, contents: &str) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", 0o644, contents.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name.as_bytes(), b"", 0o700, b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn unpack_bytes(bytes: &[u8], spec: &UnpackSpec<'_>) -> (tempfile::TempDir, Result<(), UnpackError>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("archive"), bytes).unwrap();
    let result = unpack(&folder.path().join("archive"), spec, &folder.path().join("tree"));
    (folder, result)
}

fn unpacked(bytes: &[u8], spec: &UnpackSpec<'_>) -> tempfile::TempDir {
    let (folder, result) = unpack_bytes(bytes, spec);
    result.unwrap();
    folder
}

fn refused(tar: Tar) -> String {
    let (folder, result) = unpack_bytes(&tar.end(), &SPEC);
    assert!(!folder.path().join("outside").exists());
    result.unwrap_err().to_string()
}

fn read(folder: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join("tree").join(name)).unwrap()
}

/// Every path below the tree, sorted.
fn listing(folder: &tempfile::TempDir) -> Vec<String> {
    let root = folder.path().join("tree");
    let entries = walkdir::WalkDir::new(&root).min_depth(1).sort_by_file_name();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    entries.into_iter().map(|entry| name(entry.unwrap().path())).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn small() -> Vec<u8> {
    Tar::default().folder("p-1/").file("p-1/a", "A").end()
}

#[test]
fn every_compression_is_told_by_its_contents() {
    let tar = small();
    let (first, second) = tar.split_at(700);
    let skippable = [0x184d_2a53_u32.to_le_bytes(), 3_u32.to_le_bytes()].concat();
    for bytes in [
        tar.clone(),
        gzip(&tar),
        bzip2(&tar),
        xz(&tar),
        zstd(&tar),
        // Several streams one after the other, as parallel compressors write them.
        [gzip(first), gzip(second)].concat(),
        [bzip2(first), bzip2(second)].concat(),
        [xz(first), xz(second)].concat(),
        [zstd(first), skippable.clone(), b"abc".to_vec(), zstd(second)].concat(),
        [skippable, b"abc".to_vec(), zstd(&tar)].concat(),
    ] {
        let folder = unpacked(&bytes, &SPEC);
        assert_eq!(listing(&folder), ["a"]);
        assert_eq!(read(&folder, "a"), "A");
    }
}

#[test]
fn damaged_and_foreign_files_say_what_they_are() {
    let tar = small();
    let mut flipped = xz(&tar);
    let middle = flipped.len() - 40;
    flipped[middle] ^= 0xff;
    let cut = gzip(&tar);
    let mut checksum = tar.clone();
    checksum[0] ^= 1;
    for (bytes, expected) in [
        (&flipped[..], "the xz stream is damaged"),
        (&cut[..cut.len() - 4], "the gzip stream is damaged"),
        (&checksum, "the tar archive is damaged"),
        (&tar[..1100], "the tar archive is damaged"),
        (&Tar::default().end(), "unknown kind of file"),
        (&gzip(b"hello"), "the tar archive is damaged"),
        (b"PK\x03\x04abc", "zip file"),
        (b"LZIPabc", "lzip file"),
        (b"<!doctype html>", "web page"),
        (b"", "unknown kind of file"),
    ] {
        let (_folder, result) = unpack_bytes(bytes, &SPEC);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn modes_times_and_owners_are_plain() {
    let tar = Tar::default()
        .folder("p/")
        .entry(EntryType::Regular, b"p/setuid", b"", 0o6755, b"x")
        .entry(EntryType::Regular, b"p/secret", b"", 0o400, b"x")
        .entry(EntryType::Regular, b"p/open", b"", 0o666, b"x")
        .entry(EntryType::Directory, b"p/sticky/", b"", 0o1777, b"")
        .symlink("p/link", "nowhere");
    let folder = unpacked(&tar.end(), &SPEC);
    let root = folder.path().join("tree");
    let own = fs::metadata(folder.path().join("archive")).unwrap().uid();
    for (name, mode) in [
        ("setuid", 0o755),
        ("secret", 0o644),
        ("open", 0o644),
        ("sticky", 0o755),
        ("link", 0o777),
        ("", 0o755),
    ] {
        let metadata = fs::symlink_metadata(root.join(name)).unwrap();
        if !name.is_empty() {
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{name}");
        }
        assert_eq!(metadata.mtime(), SPEC.mtime, "{name}");
        assert_eq!(metadata.uid(), own, "{name}");
    }
}

#[test]
fn names_that_leave_the_tree_are_refused() {
    let file = |name: &[u8]| Tar::default().folder("p/").entry(EntryType::Regular, name, b"", 0o644, b"x");
    assert!(refused(file(b"p/../../outside")).contains("has `..`"));
    assert!(refused(file(b"../outside")).contains("has `..`"));
    assert!(refused(file(b"/outside")).contains("is absolute"));
    assert!(refused(file(b"p/\xff")).contains("not UTF-8"));
    assert!(refused(file(b"q/x")).contains("not in the archive's top folder `p`"));
    assert!(refused(file(b"loose")).contains("not in the archive's top folder `p`"));
}

#[test]
fn malformed_names_are_refused_or_cleaned() {
    let file = |name: &[u8]| Tar::default().folder("p/").entry(EntryType::Regular, name, b"", 0o644, b"x");
    for nameless in [&b""[..], b".", b"./", b"./."] {
        let link = Tar::default().entry(EntryType::Symlink, nameless, b"x", 0o777, b"");
        assert!(refused(link).contains("its name is empty"), "{nameless:?}");
    }
    // The oldest format says with a slash that something is a folder.
    assert!(refused(file(b".")).contains("its name is empty"));
    assert_eq!(listing(&unpacked(&file(b"p/d/").end(), &SPEC)), ["d"]);
    assert_eq!(listing(&unpacked(&file(b"./p//./a").end(), &SPEC)), ["a"]);
    // What does not fit into a header is in a record of its own.
    let record = |name: &[u8]| {
        let length = name.len() + 7;
        let digits = length.to_string().len();
        let length = length + digits + usize::from((length + digits).to_string().len() > digits);
        let record = [format!("{length} path=").as_bytes(), name, b"\n"].concat();
        Tar::default().folder("p/").entry(EntryType::XHeader, b"x", b"", 0o644, &record).file("p/short", "")
    };
    assert!(refused(record(b"p/a\0b")).contains("not UTF-8"));
    assert!(refused(record(b"p/../../outside")).contains("has `..`"));
    assert!(refused(record(&[b"p/", &[b'a'; 256][..]].concat())).contains("too long"));
    assert_eq!(listing(&unpacked(&record(b"p/long").end(), &SPEC)), ["long"]);
}

#[test]
fn links_that_leave_the_tree_are_refused() {
    let tar = || Tar::default().folder("p/").folder("p/d/");
    assert!(refused(tar().symlink("p/l", "/etc")).contains("it leaves"));
    assert!(refused(tar().symlink("p/l", "..")).contains("it leaves"));
    assert!(refused(tar().symlink("p/d/l", "../../x")).contains("it leaves"));
    // By name `d/up/..` is `d`; really it is the folder above the tree. It shows only at the end, in either order.
    assert!(refused(tar().symlink("p/d/up", "..").symlink("p/l", "d/up/..")).contains("it leaves"));
    assert!(refused(tar().symlink("p/l", "d/up/..").symlink("p/d/up", "..")).contains("it leaves"));
    assert!(refused(tar().hard_link("p/l", "/etc/passwd")).contains("is absolute"));
    assert!(refused(tar().hard_link("p/l", "p/../../outside")).contains("has `..`"));
    assert!(refused(tar().hard_link("p/l", "p/none")).contains("not an earlier file"));
    assert!(refused(tar().symlink("p/s", "d").hard_link("p/l", "p/s")).contains("not an earlier file"));
    assert!(
        refused(tar().entry(EntryType::Symlink, b"p/l", b"\xff", 0o777, b"")).contains("not a UTF-8 name")
    );
}

#[test]
fn links_that_stay_are_made() {
    let tar = Tar::default()
        .file("p/a/f", "F")
        .symlink("p/a/up", "../a/./f")
        .symlink("p/loop", "loop")
        .symlink("p/dangling", "a/none")
        .hard_link("p/hard", "./p/a/f");
    let folder = unpacked(&tar.end(), &SPEC);
    assert_eq!(read(&folder, "a/up"), "F");
    assert_eq!(read(&folder, "hard"), "F");
    assert_eq!(listing(&folder), ["a", "a/f", "a/up", "dangling", "hard", "loop"]);
    let inode = |name: &str| fs::metadata(folder.path().join("tree").join(name)).unwrap().ino();
    assert_ne!(inode("hard"), inode("a/f"), "a copy");
}

#[test]
fn nothing_is_written_through_a_link_or_a_file() {
    let tar = || Tar::default().folder("p/").folder("p/d/").symlink("p/l", "d");
    assert!(refused(tar().file("p/l/x", "x")).contains("`l` is not a folder"));
    assert!(refused(tar().file("p/l/deep/x", "x")).contains("`l` is not a folder"));
    assert!(refused(tar().folder("p/l/x/")).contains("`l` is not a folder"));
    assert!(refused(tar().file("p/f", "x").file("p/f/x", "x")).contains("`f` is not a folder"));
}

#[test]
fn the_last_of_two_files_wins_and_other_pairs_are_refused() {
    let tar = || Tar::default().folder("p/").file("p/a", "first").folder("p/d/").symlink("p/l", "a");
    let folder = unpacked(&tar().file("p/a", "last").folder("p/d").folder("./p/").end(), &SPEC);
    assert_eq!(read(&folder, "a"), "last");
    for tar in [
        tar().folder("p/a/"),
        tar().symlink("p/a", "d"),
        tar().file("p/l", "x"),
        tar().symlink("p/l", "a"),
        tar().file("p/d", "x"),
    ] {
        assert!(refused(tar).contains("twice"));
    }
}

#[test]
fn devices_pipes_and_sparse_files_are_refused() {
    for (kind, expected) in [
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a named pipe"),
        (EntryType::GNUSparse, "sparse"),
        (EntryType::new(b'V'), "of an unknown type"),
    ] {
        let error = refused(Tar::default().folder("p/").entry(kind, b"p/x", b"", 0o644, b""));
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("`p/x`"), "{error}");
    }
    let pax = b"22 GNU.sparse.major=1\n";
    let tar = Tar::default().entry(EntryType::XHeader, b"x", b"", 0o644, pax).file("p/x", "");
    assert!(refused(tar).contains("a sparse file"));
}

#[test]
fn long_names_work_in_both_ways_of_writing_them() {
    let long = format!("p/{}/{}", "d".repeat(120), "f".repeat(200));
    let mut gnu = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    gnu.append_data(&mut header, &long, &b"x"[..]).unwrap();
    let record = format!(" path={long}\n");
    let record = format!("{}{record}", record.len() + 3);
    let pax = Tar::default()
        .entry(EntryType::XGlobalHeader, b"pax_global_header", b"", 0o644, b"16 comment=abcd\n")
        .entry(EntryType::XHeader, b"p/PaxHeaders/f", b"", 0o644, record.as_bytes())
        .file("p/short", "x");
    for bytes in [gnu.into_inner().unwrap(), pax.end()] {
        let folder = unpacked(&bytes, &SPEC);
        assert_eq!(read(&folder, &long[2..]), "x");
    }
    let mut gnu = Builder::new(Vec::new());
    gnu.append_data(&mut header, "p/".repeat(2100), &b"x"[..]).unwrap();
    let (_folder, result) = unpack_bytes(&gnu.into_inner().unwrap(), &SPEC);
    assert!(result.unwrap_err().to_string().contains("too long"));
}

#[test]
fn only_what_the_globs_name_is_written() {
    let tar = Tar::default()
        .folder("p/")
        .file("p/Makefile", "m")
        .file("p/sub/Makefile", "n")
        .file("p/scripts/a/b.sh", "s")
        .file("p/docs/c", "c")
        .symlink("p/scripts/doc", "../docs/c");
    let only = ["Makefile".to_owned(), "scripts/**".to_owned()];
    let folder = unpacked(&tar.end(), &UnpackSpec { only: &only, ..SPEC });
    assert_eq!(listing(&folder), ["Makefile", "scripts", "scripts/a", "scripts/a/b.sh", "scripts/doc"]);

    let only = ["l".to_owned(), "none*".to_owned()];
    let spec = UnpackSpec { only: &only, ..SPEC };
    let (_folder, result) =
        unpack_bytes(&Tar::default().file("p/a", "").hard_link("p/l", "p/a").end(), &spec);
    assert!(matches!(result, Err(UnpackError::HardLinkNotSelected { .. })));
    let (_folder, result) = unpack_bytes(&Tar::default().file("p/l", "").end(), &spec);
    assert!(matches!(result, Err(UnpackError::NothingMatches { glob }) if glob == "none*"));
}

#[test]
fn a_glob_that_no_regular_expression_can_express_is_refused() {
    let deep = format!("{}a{}", "{".repeat(300), "}".repeat(300));
    for (nested, only) in [(Some(&*deep), vec![]), (None, vec![deep.clone()]), (None, vec!["[".to_owned()])] {
        let (_folder, result) = unpack_bytes(&small(), &UnpackSpec { nested, only: &only, ..SPEC });
        assert_eq!(result.unwrap_err().to_string(), "malformed glob");
    }
}

#[test]
fn an_archive_inside_an_archive_is_unpacked_on_the_way() {
    let inner = xz(&small());
    let outer = |names: &[&str]| {
        let tar = Tar::default().folder("gcc-14/").file("gcc-14/README", "x");
        let names = names.iter();
        gzip(
            &names
                .fold(tar, |tar, name| tar.entry(EntryType::Regular, name.as_bytes(), b"", 0o644, &inner))
                .end(),
        )
    };
    let spec = UnpackSpec { nested: Some("gcc-*.tar.xz"), ..SPEC };
    let folder = unpacked(&outer(&["gcc-14/gcc-14.tar.xz", "gcc-14/other.tar.xz"]), &spec);
    assert_eq!(listing(&folder), ["a"]);
    let (_folder, result) = unpack_bytes(&outer(&["gcc-14/x.tar.xz"]), &spec);
    assert!(matches!(result, Err(UnpackError::NoNested { .. })));
    let (_folder, result) = unpack_bytes(&outer(&["a/gcc-1.tar.xz", "b/gcc-2.tar.xz"]), &spec);
    assert!(matches!(result, Err(UnpackError::AmbiguousNested { .. })));
}

#[test]
fn a_small_file_that_unpacks_to_too_much_is_refused() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_path("p/zeros").unwrap();
    header.set_mode(0o644);
    header.set_size(80 << 20);
    header.set_cksum();
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(header.as_bytes()).unwrap();
    for _ in 0..80 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bytes = encoder.finish().unwrap();
    let (_folder, result) = unpack_bytes(&bytes, &UnpackSpec { limit: 1 << 30, ..SPEC });
    assert!(matches!(result, Err(UnpackError::Bomb { .. })), "{result:?}");
    let (_folder, result) = unpack_bytes(&bytes, &SPEC);
    assert!(matches!(result, Err(UnpackError::TooLarge { limit, .. }) if limit == SPEC.limit), "{result:?}");
}

#[test]
fn a_deadline_is_heard_while_unpacking_and_while_looking_for_files() {
    let large = Tar::default().file("p/large", &"x".repeat(3 << 20)).end();
    let over = Deadline::new(&Arc::default(), Some(Duration::ZERO));
    for bytes in [large.clone(), gzip(&large)] {
        let (_folder, result) = unpack_bytes(&bytes, &UnpackSpec { deadline: &over, ..SPEC });
        assert!(matches!(result, Err(UnpackError::Expired(_))), "{result:?}");
        let mut archive = tempfile::NamedTempFile::new().unwrap();
        archive.write_all(&bytes).unwrap();
        let result = read_files(archive.path(), None, &["large"].into(), &over);
        assert!(matches!(result, Err(UnpackError::Expired(_))), "{result:?}");
    }
}

#[test]
fn what_describes_an_entry_is_not_collected_without_end() {
    let long = |size: usize| {
        Tar::default()
            .folder("p/")
            .entry(EntryType::GNULongName, b"long", b"", 0o644, &vec![b'/'; size])
            .file("p/a", "A")
            .end()
    };
    let outer = |inner: &[u8]| Tar::default().entry(EntryType::Regular, b"in.tar", b"", 0o644, inner).end();
    let nested = UnpackSpec { nested: Some("in.tar"), ..SPEC };
    let huge = long(1 << 20);
    for (bytes, spec) in [(huge.clone(), &SPEC), (outer(&huge), &nested), (huge, &nested)] {
        let (_folder, result) = unpack_bytes(&gzip(&bytes), spec);
        let Err(UnpackError::Format(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.to_string(), "the headers of an entry have more than 1048576 bytes");
    }
    // The contents of what is not wanted are no header.
    let only = ["a".to_owned()];
    let large = Tar::default().file("p/large", &"x".repeat(3 << 20)).file("p/a", "A").end();
    let folder = unpacked(&large, &UnpackSpec { only: &only, ..SPEC });
    assert_eq!(listing(&folder), ["a"]);
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("archive"), small()).unwrap();
    let result = unpack(&folder.path().join("archive"), &SPEC, folder.path());
    assert!(matches!(result, Err(UnpackError::NotEmpty { .. })));
}

/// The files of an archive that were found, by path.
fn found(bytes: &[u8], nested: Option<&str>, paths: &[&str]) -> Result<Vec<(String, String)>, UnpackError> {
    let archive = tempfile::NamedTempFile::new().unwrap();
    fs::write(archive.path(), bytes).unwrap();
    let files = read_files(archive.path(), nested, &paths.iter().copied().collect(), &Deadline::NEVER)?;
    Ok(files.into_iter().map(|(path, text)| (path, String::from_utf8(text).unwrap())).collect())
}

#[test]
fn single_files_are_read_through_links_and_no_further_than_need_be() {
    let tar = || {
        let first =
            Tar::default().folder("p").file("p/COPYING.GPL", "gpl").symlink("p/COPYING", "COPYING.GPL");
        first
            .symlink("p/doc/LICENSE", "../LATER")
            .hard_link("p/hard", "p/COPYING.GPL")
            .file("p/LATER", "later")
    };
    let pair = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let bytes = tar().end();
    assert_eq!(
        found(&bytes, None, &["COPYING", "doc/LICENSE", "hard", "none", "doc"]).unwrap(),
        [pair("COPYING", "gpl"), pair("doc/LICENSE", "later"), pair("hard", "gpl")]
    );
    let outer = Tar::default().entry(EntryType::Regular, b"o/inner.tar", b"", 0o644, &bytes).end();
    assert_eq!(found(&outer, Some("inner.*"), &["LATER"]).unwrap(), [pair("LATER", "later")]);
    // What stands behind them may be anything.
    let broken = [tar().0, vec![7; 1024]].concat();
    assert_eq!(found(&broken, None, &["COPYING.GPL"]).unwrap(), [pair("COPYING.GPL", "gpl")]);
    assert!(matches!(found(&broken, None, &["none"]).unwrap_err(), UnpackError::Format(_)));
    // Links that lead round or out.
    let round = Tar::default().symlink("p/a", "b").symlink("p/b", "a").end();
    assert_eq!(found(&round, None, &["a"]).unwrap(), []);
    let out = Tar::default().symlink("p/a", "../../etc/passwd").end();
    assert!(matches!(found(&out, None, &["a"]).unwrap_err(), UnpackError::LinkLeaves { .. }));
}
