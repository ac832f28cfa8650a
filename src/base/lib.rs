//! What every room stands on: checked names, versions and their order; digests and how values are framed for them; paths
//! beneath a folder, the removal of trees, locks of files, and until when work may go on.
//!
//! In: text and paths. Out: values that cannot be wrong, or an error that says what is. Knows nothing of recipes,
//! stores or builds.

pub mod beneath;
pub mod deadline;
pub mod digest;
pub mod files;
pub mod locks;
pub mod name;
pub mod version;
