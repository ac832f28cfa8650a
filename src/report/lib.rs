//! What a run did, kept for later, and a page that shows it.
//!
//! A [`Recorder`] watches a run; what it saw becomes a [`Record`], which is kept with the logs; [`page()`] makes a page of a
//! record that needs nothing but a browser.

mod page;
mod record;
mod recorder;

pub use page::page;
pub use record::{
    Download, FailureRecord, MemberRecord, PhaseRecord, Record, Span, State, TarballRecord, UnitRecord,
};
pub use recorder::{Ending, Recorder};
