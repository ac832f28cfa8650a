//! Builds twice under different conditions and compares: what shows that builds are reproducible, or where they are not.
//!
//! A [`Variation`] is one thing that builds must not notice. [`Conditions`] are what a whole build runs under; a
//! [`Stage`] is the process that sets them up and starts k3sroot in them. [`first_difference`] names the first file,
//! section and offset in which two trees differ, and [`Golden`] the digests that a checkout holds its builds to.

mod clock;
mod conditions;
mod difference;
mod golden;
mod place;
mod stage;
mod variation;

pub use clock::make_clock;
pub use conditions::{Conditions, Shuffle};
pub use difference::{Difference, What, first_difference};
pub use golden::{Golden, GoldenError};
pub use place::{Place, place};
pub use stage::{Report, Running, Stage, StageError, helper_main};
pub use variation::{ParseVariationError, Variation, parse_list};
