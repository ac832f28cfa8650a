//! Kernel-style configuration: a base, differences, `oldconfig`, and a check that what was asked for is there.

use super::{Context, make_phases, run};
use crate::plan::action::{Phase, Step};

pub(super) fn phases(
    context: &Context<'_>,
    base: &str,
    targets: &[String],
    install: &[String],
) -> (Vec<Phase>, String) {
    let cwd = context.source.clone();
    let mut words = context.options.make.clone();
    if let Some(arch) = context.arch {
        words.insert(0, format!("CROSS_COMPILE={}-", arch.triple));
    }
    let make = |target: &str| [&["make".to_owned()], words.as_slice(), &[target.to_owned()]].concat();
    let config = format!("{cwd}/.config");
    let symbols = &context.options.symbols;
    let configure = Phase {
        name: "configure",
        steps: vec![
            run(&make(base), &cwd),
            Step::SetSymbols { path: config.clone(), symbols: symbols.clone() },
            // Standard input is empty, which answers every question with its default.
            run(&make("oldconfig"), &cwd),
            Step::RequireSymbols { path: config, symbols: symbols.clone() },
        ],
    };
    let mut phases = vec![configure];
    phases.extend(make_phases(&words, targets, install, &cwd));
    (phases, cwd)
}
