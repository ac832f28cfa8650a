//! A source tree as a `.tar.gz`: the same bytes whoever packs it.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use model::plan::policy::SOURCE_DATE_EPOCH;

/// A tar that is written: everything lies in one folder, belongs to nobody and has one time. Whoever writes it gives the
/// entries in their order.
pub struct SourceTar<W: Write> {
    top: String,
    builder: Builder<W>,
}

impl<W: Write> SourceTar<W> {
    /// A tar in which everything lies in the folder `top`.
    pub fn new(top: &str, out: W) -> Self {
        Self { top: top.to_owned(), builder: Builder::new(out) }
    }

    /// A file of `size` bytes, which `contents` gives.
    pub fn file(&mut self, path: &str, executable: bool, size: u64, contents: impl Read) -> io::Result<()> {
        let mut header = header(EntryType::Regular, if executable { 0o755 } else { 0o644 }, size);
        self.builder.append_data(&mut header, format!("{}/{path}", self.top), contents)
    }

    /// A link to `target`.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.builder.append_link(&mut header, format!("{}/{path}", self.top), target)
    }

    /// Everything is in it.
    pub fn finish(self) -> io::Result<W> {
        self.builder.into_inner()
    }
}

fn header(entry_type: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(SOURCE_DATE_EPOCH.unsigned_abs());
    header.set_size(size);
    header
}

/// Compresses what is written to it, without a name or time in the head.
pub fn gzip_of<W: Write>(out: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_packed_without_owner_and_time() {
        let packed = || {
            let mut tar = SourceTar::new("tree-1", gzip_of(Vec::new()));
            tar.file("run", true, 3, &b"run"[..]).unwrap();
            tar.link("way", "run").unwrap();
            tar.finish().unwrap().finish().unwrap()
        };
        let bytes = packed();
        assert_eq!(bytes, packed());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let seen: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let (mode, owner) = (header.mode().unwrap(), header.uid().unwrap());
                format!("{} {mode:o} {owner} {}", entry.path().unwrap().display(), header.mtime().unwrap())
            })
            .collect();
        assert_eq!(seen, ["tree-1/run 755 0 1735689600", "tree-1/way 777 0 1735689600"]);
    }
}
