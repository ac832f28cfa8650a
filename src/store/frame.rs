//! How the store's own records are framed: a line with what they are and the digest of the rest, so that a flipped or
//! cut one is noticed.

/// Why a record was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It does not start with a header of this version.
    #[error("it is not a record of this version")]
    Header,
    /// It is not what was written.
    #[error("it was changed or cut")]
    Checksum,
}

/// `body` behind a line with `header`, which has no newline, and its BLAKE3 digest.
pub(super) fn frame(header: &str, body: &[u8]) -> Vec<u8> {
    [format!("{header} {}\n", blake3::hash(body)).as_bytes(), body].concat()
}

/// What [`frame`] put behind `header`. Takes any bytes.
pub(super) fn unframe<'a>(header: &str, record: &'a [u8]) -> Result<&'a [u8], FrameError> {
    let end = record.iter().position(|&byte| byte == b'\n').ok_or(FrameError::Header)?;
    let (line, body) = (&record[..end], &record[end + 1..]);
    let checksum = line.strip_prefix(header.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
    if checksum.ok_or(FrameError::Header)? == blake3::hash(body).to_hex().as_bytes() {
        Ok(body)
    } else {
        Err(FrameError::Checksum)
    }
}
