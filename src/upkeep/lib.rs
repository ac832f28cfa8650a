//! Keeping recipes up to date: which version is newer, where upstream lists its versions, a recipe's text with another
//! version, what is known of the newest releases, and the first text of a new recipe. Nothing here touches the network; texts come in and go out.

pub mod lint;
pub mod rpm;

mod edit;
mod listing;
mod newest;
mod scaffold;

pub use edit::{Edit, EditError};
pub use listing::{Listing, listings};
pub use newest::{Newest, NewestError, newest_releases};
pub use scaffold::{Scaffold, System, named_by, system_of};
