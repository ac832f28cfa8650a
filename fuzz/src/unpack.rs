//! Archives of sources, from anybody: what is unpacked stays in its folder, and is plain.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use base::deadline::Deadline;
use fetch::UnpackSpec;

use super::archive::{from_lines, mend};
use super::scratch::{Node, snapshot};

const MTIME: i64 = 1_000_000_000;

/// The first byte says how the rest becomes an archive and how that is unpacked.
pub fn unpack(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let bit = |bit: u8| how & 1 << bit != 0;
    let mut archive = if bit(0) { from_lines(rest) } else { rest.to_vec() };
    if bit(1) {
        mend(&mut archive);
    }
    let mut archive = compressed(how >> 2 & 7, archive);
    let nested = bit(5);
    if nested {
        archive = wrapped(&archive);
    }
    let only = if bit(6) { vec!["*.c".to_owned(), "d/**".to_owned()] } else { Vec::new() };
    let spec = UnpackSpec {
        nested: nested.then_some("in*.tar"),
        only: &only,
        strip_top: bit(7),
        mtime: MTIME,
        limit: 1 << 20,
        deadline: &Deadline::NEVER,
    };

    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("a/b");
    let tree = folder.join("tree");
    fs::create_dir_all(&tree).unwrap();
    fs::write(scratch.path().join("witness"), "untouched").unwrap();
    fs::write(folder.join("archive"), archive).unwrap();
    let before = snapshot(scratch.path(), Some(&tree));
    let result = fetch::unpack(&folder.join("archive"), &spec, &tree);
    assert_eq!(before, snapshot(scratch.path(), Some(&tree)));
    let written = snapshot(&tree, None);
    check_links(&tree, &written, result.is_ok());
    match result {
        Ok(()) => check(&written, &only),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn compressed(how: u8, tar: Vec<u8>) -> Vec<u8> {
    match how {
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&tar).unwrap();
            encoder.finish().unwrap()
        }
        2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&tar).unwrap();
            encoder.finish().unwrap()
        }
        3 => {
            let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(&tar).unwrap();
            encoder.finish().unwrap()
        }
        4 => ruzstd::encoding::compress_to_vec(&tar[..], ruzstd::encoding::CompressionLevel::Fastest),
        _ => tar,
    }
}

/// An archive with the archive in it.
fn wrapped(archive: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("p/inner.tar").unwrap();
    header.set_mode(0o644);
    header.set_size(archive.len() as u64);
    header.set_cksum();
    let mut outer = header.as_bytes().to_vec();
    outer.extend_from_slice(archive);
    outer.resize(outer.len().next_multiple_of(512) + 1024, 0);
    outer
}

/// No link leads outside when everything is in place; until then, none does by its words alone.
fn check_links(tree: &Path, written: &BTreeMap<String, Node>, whole: bool) {
    let real = tree.canonicalize().unwrap();
    for (name, node) in written.iter().filter(|(_, node)| node.is_link()) {
        assert!(!node.bytes.starts_with(b"/"), "{name} is absolute");
        if whole {
            // Links that lead nowhere are followed as far as there is something.
            let target = std::str::from_utf8(&node.bytes).unwrap();
            let mut here = tree.join(name).parent().unwrap().to_owned();
            for part in target.split('/') {
                here.push(part);
                let Ok(found) = here.canonicalize() else { break };
                assert!(found.starts_with(&real), "{name} leads to {}", found.display());
            }
        }
    }
}

/// What was unpacked whole.
fn check(written: &BTreeMap<String, Node>, only: &[String]) {
    for (name, node) in written {
        let mode = node.mode & 0o7777;
        assert!(node.is_folder() || node.is_file() || node.is_link(), "{name}: {node:?}");
        assert_eq!((node.mtime, node.links), (MTIME, 1), "{name}: {node:?}");
        assert!(node.is_link() || mode == 0o755 || (node.is_file() && mode == 0o644), "{name}: {mode:o}");
        let wanted = only.is_empty() || node.is_folder() || name.starts_with("d/");
        let is_c = Path::new(name).extension().is_some_and(|extension| extension == "c");
        assert!(wanted || (!name.contains('/') && is_c), "{name} was not asked for");
    }
}
