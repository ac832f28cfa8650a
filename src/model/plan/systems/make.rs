//! Plain makefiles: the flags are in the environment, and the recipe says which must be on the command line.

use super::{Context, make_phases};
use crate::plan::action::Phase;

pub(super) fn phases(context: &Context<'_>, targets: &[String], install: &[String]) -> (Vec<Phase>, String) {
    (make_phases(&context.options.make, targets, install, &context.source), context.source.clone())
}
