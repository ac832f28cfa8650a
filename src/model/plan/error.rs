//! What a plan cannot be made of, and an action cannot be named without.

use base::name::Unit;

use crate::arch::ArchError;

/// Raised when units cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no record of an arch.
    #[error(transparent)]
    Arch(#[from] ArchError),
    /// What a unit needs is not planned before it, so that its digest could not speak of it.
    #[error("`{unit}` needs `{need}`, which is not planned before it")]
    NotPlanned {
        /// The unit.
        unit: Unit,
        /// What it needs.
        need: Unit,
    },
}

/// Raised when it is not known what an action links against or is made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A need has no tree yet.
    #[error("`{unit}` needs `{need}`, of which nobody says what it turned out to be")]
    NoTree {
        /// The unit.
        unit: Unit,
        /// What it needs.
        need: Unit,
    },
    /// There are more or fewer archives than sources that come from archives.
    #[error("`{unit}` has {sources} sources from archives, and {archives} archives are given for them")]
    Archives {
        /// The unit.
        unit: Unit,
        /// How many sources come from archives.
        sources: usize,
        /// How many archives there are.
        archives: usize,
    },
}
