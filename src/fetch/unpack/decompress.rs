//! Decompression in a thread of its own: an archive's file in, blocks of tar out, through a bounded channel.
//!
//! An archive nested in another one is taken from it on the way, without being written out.

use std::cmp::min;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ruzstd::decoding::StreamingDecoder;

use super::entries::each_entry;
use super::{Pattern, UnpackError};
use base::beneath;
use base::deadline::Deadline;

const BLOCK: usize = 256 << 10;
/// How many blocks may be decompressed ahead.
const BACKLOG: usize = 32;
/// How much more than its own size an archive may unpack to: the best that sources reach is about 30.
const RATIO: u64 = 1000;
const SMALL: u64 = 64 << 20;
/// What a decompressor may use: the largest xz preset needs 65 MiB.
const MEMORY: u64 = 1 << 30;
/// As far as a plain tar archive can be told.
const TAR_MAGIC: usize = 262;

type Block = Result<Vec<u8>, UnpackError>;

/// The decompressed archive as it arrives.
pub(super) struct Pipe {
    receiver: Receiver<Block>,
    block: Cursor<Vec<u8>>,
    /// What the other side failed with; readers only see that reading failed.
    error: Option<UnpackError>,
}

impl Pipe {
    /// Decompresses `archive` while `consume` reads it: at most `most` bytes, headers and padding included.
    pub(super) fn run<T>(
        archive: &Path,
        nested: Option<Pattern>,
        most: u64,
        deadline: &Deadline,
        consume: impl FnOnce(&mut Self) -> Result<T, UnpackError>,
    ) -> Result<T, UnpackError> {
        let failed = |source| UnpackError::Read { path: archive.to_owned(), source };
        let file = beneath::open_named(archive).map_err(failed)?;
        let packed = file.metadata().map_err(failed)?.len();
        let (sender, receiver) = sync_channel(BACKLOG);
        thread::scope(|scope| {
            scope.spawn(move || {
                let limit = min(most, SMALL.saturating_add(packed.saturating_mul(RATIO)));
                let reader = Box::new(BufReader::with_capacity(BLOCK, file));
                let source = Source { reader, packed, limit, most, deadline };
                if let Err(error) = source.pump(nested.as_ref(), &sender) {
                    let _ = sender.send(Err(error));
                }
            });
            let mut pipe = Self { receiver, block: Cursor::default(), error: None };
            let result = consume(&mut pipe);
            // Dropped here, so that the other thread stops if not everything was read.
            drop(pipe);
            result
        })
    }

    /// Reads what is left (with `all`, so that checksums at the end count), then reports what went wrong in the stream.
    pub(super) fn drain(&mut self, all: bool) -> Result<(), UnpackError> {
        if all {
            while self.error.is_none() && self.next() {}
        }
        self.error.take().map_or(Ok(()), Err)
    }

    fn next(&mut self) -> bool {
        match self.receiver.recv() {
            Ok(Ok(block)) => {
                self.block = Cursor::new(block);
                true
            }
            Ok(Err(error)) => {
                self.error = Some(error);
                false
            }
            Err(_) => false,
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if !self.next() {
                let broken = || io::Error::other("the stream ends early");
                return if self.error.is_some() { Err(broken()) } else { Ok(0) };
            }
        }
    }
}

/// A compressed stream and how much may come out of it.
struct Source<'a> {
    reader: Box<dyn Read + 'a>,
    packed: u64,
    limit: u64,
    most: u64,
    deadline: &'a Deadline,
}

impl<'a> Source<'a> {
    fn pump(self, nested: Option<&Pattern>, sender: &SyncSender<Block>) -> Result<(), UnpackError> {
        let (most, deadline) = (self.most, self.deadline);
        let mut decoded = self.decode()?;
        let Some(glob) = nested else { return decoded.send(sender) };
        let mut first: Option<String> = None;
        let walked = each_entry(&mut decoded, |entry| {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if !entry.header().entry_type().is_file()
                || !glob.matcher.is_match(name.rsplit('/').next().unwrap_or(&name))
            {
                return Ok(());
            }
            if let Some(first) = first.take() {
                let glob = glob.text.clone();
                return Err(UnpackError::AmbiguousNested { glob, first, second: name });
            }
            first = Some(name);
            let packed = entry.size();
            let limit = min(most, SMALL.saturating_add(packed.saturating_mul(RATIO)));
            Source { reader: Box::new(entry), packed, limit, most, deadline }.decode()?.send(sender)
        });
        let walked = match (walked, first) {
            (Ok(()), None) => Err(UnpackError::NoNested { glob: glob.text.clone() }),
            (walked, _) => walked,
        };
        // What broke the outer stream explains the rest.
        decoded.error.take().map_or(walked, Err)
    }

    fn decode(self) -> Result<Decoded<'a>, UnpackError> {
        let Self { mut reader, packed, limit, deadline, .. } = self;
        let mut magic = Vec::with_capacity(TAR_MAGIC);
        let peeked = (&mut reader).take(TAR_MAGIC as u64).read_to_end(&mut magic);
        peeked.map_err(UnpackError::Format)?;
        let format = format(&magic)?;
        let reader = Cursor::new(magic).chain(reader);
        let (compression, reader): (_, Box<dyn Read + 'a>) = match format {
            Format::Tar => ("tar", Box::new(reader)),
            Format::Gzip => ("gzip", Box::new(flate2::read::MultiGzDecoder::new(reader))),
            Format::Bzip2 => ("bzip2", Box::new(bzip2::read::MultiBzDecoder::new(reader))),
            Format::Xz => {
                let stream = xz2::stream::Stream::new_stream_decoder(MEMORY, xz2::stream::CONCATENATED);
                let stream = stream
                    .map_err(|error| UnpackError::Compression { compression: "xz", source: error.into() })?;
                // The concatenated kind insists on being told where the input ends, which `XzDecoder` does.
                ("xz", Box::new(xz2::read::XzDecoder::new_stream(reader, stream)))
            }
            Format::Zstd => ("zstd", Box::new(Zstd { source: Some(Box::new(reader)), frame: None })),
        };
        Ok(Decoded { reader, compression, packed, limit, deadline, bytes: 0, error: None })
    }
}

/// A decompressed stream that counts, and keeps the error that readers cannot pass on.
struct Decoded<'a> {
    reader: Box<dyn Read + 'a>,
    compression: &'static str,
    packed: u64,
    limit: u64,
    deadline: &'a Deadline,
    bytes: u64,
    error: Option<UnpackError>,
}

impl Decoded<'_> {
    fn send(mut self, sender: &SyncSender<Block>) -> Result<(), UnpackError> {
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            let read = (&mut self).take(BLOCK as u64).read_to_end(&mut block);
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            read.map_err(UnpackError::Format)?;
            // Nobody listens any more: the other side has its own error.
            if block.is_empty() || sender.send(Ok(block)).is_err() {
                return Ok(());
            }
        }
    }
}

impl Read for Decoded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Err(expired) = self.deadline.check() {
            self.error = Some(expired.into());
            return Err(io::Error::other("the stream ends early"));
        }
        match self.reader.read(buffer) {
            Ok(count) => {
                self.bytes += count as u64;
                if self.bytes <= self.limit {
                    return Ok(count);
                }
                self.error = Some(UnpackError::Bomb { packed: self.packed, limit: self.limit });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(source) => {
                self.error = Some(UnpackError::Compression { compression: self.compression, source });
            }
        }
        Err(io::Error::other("the stream ends early"))
    }
}

enum Format {
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

fn format(magic: &[u8]) -> Result<Format, UnpackError> {
    const ZSTD: u32 = 0xfd2f_b528;
    let word = magic.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let unknown = |what| Err(UnpackError::UnknownFormat { what });
    match magic {
        [0x1f, 0x8b, ..] => Ok(Format::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Ok(Format::Bzip2),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Format::Xz),
        _ if word == Some(ZSTD) || word.is_some_and(is_skippable) => Ok(Format::Zstd),
        _ if magic.get(257..262) == Some(b"ustar") => Ok(Format::Tar),
        // The oldest tar has no magic number, but ends its name and fields with zeros.
        _ if magic.len() == TAR_MAGIC && magic[0] != 0 && magic[257..].iter().all(|byte| *byte == 0) => {
            Ok(Format::Tar)
        }
        [b'P', b'K', 3, 4, ..] => unknown("this is a zip file"),
        [b'L', b'Z', b'I', b'P', ..] => unknown("this is an lzip file"),
        [0x5d, 0, 0, ..] => unknown("this is an lzma file"),
        [b'<', ..] => unknown("this looks like a web page"),
        _ => unknown("this is an unknown kind of file"),
    }
}

fn is_skippable(word: u32) -> bool {
    word & 0xffff_fff0 == 0x184d_2a50
}

/// All frames of a zstd file, one after the other; `ruzstd` itself ends with the first.
struct Zstd<'a> {
    source: Option<Box<dyn Read + 'a>>,
    frame: Option<StreamingDecoder<Box<dyn Read + 'a>, ruzstd::decoding::FrameDecoder>>,
}

impl Zstd<'_> {
    /// Starts the next frame; false at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        let Some(mut source) = self.source.take() else { return Ok(false) };
        loop {
            let mut word = Vec::with_capacity(4);
            (&mut source).take(4).read_to_end(&mut word)?;
            let Some(magic) = word.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)) else {
                return if word.is_empty() { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            };
            if is_skippable(magic) {
                let mut length = [0; 4];
                source.read_exact(&mut length)?;
                let length = u64::from(u32::from_le_bytes(length));
                io::copy(&mut (&mut source).take(length), &mut io::sink())?;
                continue;
            }
            let whole: Box<dyn Read + '_> = Box::new(Cursor::new(word).chain(source));
            self.frame = Some(StreamingDecoder::new(whole).map_err(io::Error::other)?);
            return Ok(true);
        }
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.source = self.frame.take().map(StreamingDecoder::into_inner);
            }
            if !self.next_frame()? {
                return Ok(0);
            }
        }
    }
}
