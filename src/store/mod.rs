//! The store: files and trees named by their contents, and an index from what goes into an action to what came out.
//!
//! ```text
//! <root>/
//!     version                      the format of all below
//!     blobs/ab/abcd…               a file's contents, read-only (0444), named by its BLAKE3 digest
//!     blobs/ab/abcd….x             the same to be run (0555)
//!     trees/ab/abcd…               the listing of a tree: which blob or link is at which path
//!     actions/action-…             an outcome under an ActionDigest (tools: and the build machine)
//!     actions/resolved-…           the same under a ResolvedDigest
//!     durations                    how long units took
//!     distfiles/  logs/            kept for `fetch` and `execute`; here they are only counted and shrunk
//!     tmp/<pid>.<random>/          one for each open store; where everything is written first
//!     locks/                       `store`: shared by every open store, exclusive to gc; one for each action at work
//!     damaged/                     what was set aside
//! ```
//!
//! Everything is renamed into place whole, and refers only to what is in place: an index entry to a listing, a listing
//! to blobs. So a process may die at any moment, and several may work at once. What is read is verified, and what turns
//! out damaged is set aside. The store knows digests and bytes; it knows nothing of recipes, plans or archives.

mod listing;

pub use listing::{Entry, ListingError, Tree};
