//! Tars of anything: from lines that are shorter than headers, and from headers whose checksums are put right.

use tar::{EntryType, Header};

const BLOCK: usize = 512;

/// An entry for each line: a letter for its type, then name, target, contents, mode and size, each behind a `|`. What a
/// line does not say is as it should be. Names and targets that do not fit in the header are cut.
pub(crate) fn from_lines(lines: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some((&letter, rest)) = line.split_first() else { continue };
        let mut fields = rest.split(|byte| *byte == b'|');
        let [name, target, contents, mode, size] = [(); 5].map(|()| fields.next().unwrap_or_default());
        let contents = if letter == b'x' { records(contents) } else { contents.to_vec() };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(letter));
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(contents.len() as u64);
        let old = header.as_old_mut();
        fill(&mut old.name, name);
        fill(&mut old.linkname, target);
        fill(&mut old.mode, mode);
        fill(&mut old.size, size);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(&contents);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn fill(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// The records of an extended header, from `key=value` with a `;` between them.
fn records(list: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    for record in list.split(|byte| *byte == b';') {
        // The length counts itself.
        let rest = record.len() + 2;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        records.extend_from_slice(length.to_string().as_bytes());
        records.push(b' ');
        records.extend_from_slice(record);
        records.push(b'\n');
    }
    records
}

/// Puts right the checksums of all headers, as far as they can be told: a reader looks at nothing else before.
pub(crate) fn mend(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<BLOCK>()) {
        at += BLOCK;
        if block.iter().all(|byte| *byte == 0) {
            continue;
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok());
        let size = size.and_then(|size| size.checked_next_multiple_of(BLOCK));
        at = at.saturating_add(size.unwrap_or(0));
    }
}
