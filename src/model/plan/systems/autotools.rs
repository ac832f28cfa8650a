//! `configure`, `make`, `make install`.

use super::{Context, make_phases, run};
use crate::plan::action::{Phase, Step};
use crate::plan::policy::{BUILD, BUILD_TRIPLE, SYSROOT, prefix};
use base::name::Machine;

/// Every package gets these; options that a `configure` does not know only make it print a line.
const COMMON: [&str; 6] = [
    "--sysconfdir=/etc",
    "--localstatedir=/var",
    "--enable-static",
    "--disable-shared",
    "--disable-nls",
    "--disable-dependency-tracking",
];

/// Stands for the options that choose the arch's processor, which are in its record.
const GCC_CONFIGURE: &str = "{gcc-configure}";

pub(super) fn phases(
    context: &Context<'_>,
    in_tree: bool,
    autoreconf: bool,
    targets: &[String],
    install: &[String],
) -> (Vec<Phase>, String) {
    let source = &context.source;
    let cwd = if in_tree { source.clone() } else { BUILD.to_owned() };
    let mut configure = Vec::new();
    if autoreconf {
        configure.push(run(&["autoreconf", "-fi"], source));
    }
    if !context.options.cache.is_empty() {
        let lines = context.options.cache.iter().map(|(name, value)| format!("{name}={value}\n"));
        configure.push(Step::Write { path: format!("{BUILD}/config.site"), contents: lines.collect() });
    }
    configure.push(run(&argv(context, source), &cwd));
    let mut phases = vec![Phase { name: "configure", steps: configure }];
    phases.extend(make_phases(&context.options.make, targets, install, &cwd));
    (phases, cwd)
}

fn argv(context: &Context<'_>, source: &str) -> Vec<String> {
    let prefix = prefix(context.unit);
    // With a site file, `configure` has to be told by the environment; `env` keeps that visible in the log.
    let mut argv = Vec::new();
    if !context.options.cache.is_empty() {
        argv.extend(["env".to_owned(), format!("CONFIG_SITE={BUILD}/config.site")]);
    }
    argv.extend([
        format!("{source}/configure"),
        format!("--prefix={prefix}"),
        format!("--exec-prefix={prefix}"),
    ]);
    argv.extend(COMMON.map(str::to_owned));
    match (&context.unit.machine, context.arch) {
        (Machine::Target(_), Some(arch)) => {
            argv.extend([format!("--build={BUILD_TRIPLE}"), format!("--host={}", arch.triple)]);
        }
        (Machine::Cross(_), Some(arch)) => {
            argv.extend([format!("--target={}", arch.triple), format!("--with-sysroot={SYSROOT}")]);
        }
        _ => {}
    }
    for option in &context.options.configure {
        match context.arch {
            Some(arch) if option == GCC_CONFIGURE => argv.extend_from_slice(&arch.gcc_configure),
            _ => argv.push(option.clone()),
        }
    }
    argv
}
