//! Why an archive was not unpacked.

use std::io;
use std::path::PathBuf;

use base::deadline::Expired;

/// Raised when an archive is damaged, is refused, or cannot be written out.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It was stopped, or took too long.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// The archive cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Neither a tar archive nor a compressed one.
    #[error("{what}, not a tar archive (plain, gzip, bzip2, xz or zstd)")]
    UnknownFormat {
        /// What it seems to be.
        what: &'static str,
    },
    /// The compressed stream is damaged.
    #[error("the {compression} stream is damaged")]
    Compression {
        /// The kind of compression.
        compression: &'static str,
        /// What the decompressor says.
        #[source]
        source: io::Error,
    },
    /// The tar structure is damaged.
    #[error("the tar archive is damaged")]
    Format(#[source] io::Error),
    /// No entries.
    #[error("the archive is empty")]
    Empty,
    /// A glob is not one.
    #[error("malformed glob")]
    Glob {
        /// Where and why; it shows the glob.
        #[source]
        source: globset::Error,
    },
    /// A glob of `only` matches nothing in the archive.
    #[error("`{glob}` matches nothing in the archive")]
    NothingMatches {
        /// The glob.
        glob: String,
    },
    /// No archive of that name inside.
    #[error("no file in the archive matches `{glob}`")]
    NoNested {
        /// The glob.
        glob: String,
    },
    /// Two archives of that name inside.
    #[error("`{first}` and `{second}` in the archive both match `{glob}`")]
    AmbiguousNested {
        /// The glob.
        glob: String,
        /// One of them.
        first: String,
        /// Another.
        second: String,
    },
    /// A name that does not stay in the folder, or that not every machine can have.
    #[error("entry `{entry}` is refused: {why}")]
    Name {
        /// The name, as far as it can be shown.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than one thing at the top.
    #[error("entry `{entry}` is not in the archive's top folder `{top}`")]
    TopFolder {
        /// The entry.
        entry: String,
        /// The folder that the first entry is in.
        top: String,
    },
    /// A kind of entry that sources do not have.
    #[error("entry `{entry}` is {what}: refused")]
    Kind {
        /// The entry.
        entry: String,
        /// What it is.
        what: &'static str,
    },
    /// A link that leaves the tree.
    #[error("link `{entry}` to `{target}` is refused: it leaves the archive's folder")]
    LinkLeaves {
        /// The link.
        entry: String,
        /// Where it leads.
        target: String,
    },
    /// A link whose target is no name.
    #[error("link `{entry}` to `{target}` is refused: its target is not a UTF-8 name")]
    LinkTarget {
        /// The link.
        entry: String,
        /// Its target, as far as it can be shown.
        target: String,
    },
    /// A hard link to something that is not an earlier file.
    #[error("hard link `{entry}` is refused: `{target}` is not an earlier file of the archive")]
    HardLinkTarget {
        /// The link.
        entry: String,
        /// What it should be a link to.
        target: String,
    },
    /// A hard link to something that is left out.
    #[error("hard link `{entry}` is to `{target}`, which `only` leaves out")]
    HardLinkNotSelected {
        /// The link.
        entry: String,
        /// What it is a link to.
        target: String,
    },
    /// An entry below something that is not a folder.
    #[error("entry `{entry}` is refused: `{parent}` is not a folder")]
    ThroughLink {
        /// The entry.
        entry: String,
        /// The link or file that it would be written through.
        parent: String,
    },
    /// The same name twice, and not as files.
    #[error("entry `{entry}` is there twice, as different things")]
    Duplicate {
        /// The entry.
        entry: String,
    },
    /// More entries than sources have.
    #[error("more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// More bytes than sources have.
    #[error("entry `{entry}` brings the archive over the limit of {limit} unpacked bytes")]
    TooLarge {
        /// The entry.
        entry: String,
        /// The limit.
        limit: u64,
    },
    /// A small file that unpacks to an absurdly large one.
    #[error("the archive's {packed} bytes unpack to more than {limit}: refused")]
    Bomb {
        /// The size of the file.
        packed: u64,
        /// The limit for that size.
        limit: u64,
    },
    /// The destination is in use.
    #[error("`{}` is not an empty folder", path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
