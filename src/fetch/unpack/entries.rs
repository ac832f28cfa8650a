//! The entries of a tar, one by one. A reader collects what describes an entry (long names, extended headers) before it
//! hands out the entry itself, so what may come between two entries has a limit: a few bytes of a compressed archive
//! would otherwise fill the memory.

use std::cell::Cell;
use std::io::{self, Read};

use tar::{Archive, Entry};

use super::UnpackError;

/// The most bytes of headers that an entry may have.
const HEADERS: u64 = 1 << 20;

/// Calls `take` with every entry of the tar in `reader`, until one fails.
pub(super) fn each_entry<R: Read>(
    reader: R,
    mut take: impl FnMut(&mut Entry<'_, Metered<'_, R>>) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let left = Cell::new(HEADERS);
    let mut archive = Archive::new(Metered { reader, left: &left });
    for entry in archive.entries().map_err(UnpackError::Format)? {
        let mut entry = entry.map_err(UnpackError::Format)?;
        // A sparse file is larger than what is in the archive of it.
        let sparse = entry.header().entry_type().is_gnu_sparse();
        let size = if sparse { entry.header().entry_size() } else { Ok(entry.size()) };
        let size = size.map_err(UnpackError::Format)?;
        left.set(u64::MAX);
        take(&mut entry)?;
        // What was not read of it is passed over on the way to the next one.
        let unread = size.saturating_sub(u64::MAX - left.get());
        left.set(HEADERS.saturating_add(unread));
    }
    Ok(())
}

/// A reader from which only so much may be read.
pub(super) struct Metered<'a, R> {
    reader: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        let too_much = || io::Error::other(format!("the headers of an entry have more than {HEADERS} bytes"));
        self.left.set(left.ok_or_else(too_much)?);
        Ok(count)
    }
}
