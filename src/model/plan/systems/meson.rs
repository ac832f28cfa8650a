//! Meson and ninja.

use std::fmt::Write as _;

use super::{Context, run};
use crate::plan::action::{Phase, Step};
use crate::plan::policy::{BUILD, OUT, prefix};

/// Where the meson recipe puts its program.
const MESON: &str = "/tools/share/meson/meson.py";
const CROSS_FILE: &str = "/build/cross.ini";
const FOLDER: &str = "/build/meson";

pub(super) fn phases(context: &Context<'_>, targets: &[String], installs: bool) -> (Vec<Phase>, String) {
    let mut steps = Vec::new();
    let mut setup: Vec<String> = ["python3", MESON, "setup"].map(str::to_owned).to_vec();
    if let Some(file) = cross_file(context) {
        steps.push(Step::Write { path: CROSS_FILE.to_owned(), contents: file });
        setup.extend(["--cross-file".to_owned(), CROSS_FILE.to_owned()]);
    }
    setup.push(format!("--prefix={}", prefix(context.unit)));
    setup.extend(
        [
            "--libdir=lib",
            "--sysconfdir=/etc",
            "--localstatedir=/var",
            "--default-library=static",
            "--prefer-static",
            "--buildtype=plain",
            "--wrap-mode=nodownload",
        ]
        .map(str::to_owned),
    );
    setup.extend_from_slice(&context.options.configure);
    setup.extend([FOLDER.to_owned(), context.source.clone()]);
    steps.push(run(&setup, BUILD));
    let ninja = [&["ninja".to_owned(), "-C".to_owned(), FOLDER.to_owned()], targets].concat();
    let install =
        ["env", &format!("DESTDIR={OUT}"), "python3", MESON, "install", "--no-rebuild", "-C", FOLDER];
    let mut phases =
        vec![Phase { name: "configure", steps }, Phase { name: "build", steps: vec![run(&ninja, BUILD)] }];
    if installs {
        phases.push(Phase { name: "install", steps: vec![run(&install, BUILD)] });
    }
    (phases, FOLDER.to_owned())
}

/// The cross file: meson takes compilers and flags for another machine from nowhere else.
fn cross_file(context: &Context<'_>) -> Option<String> {
    let arch = context.arch.filter(|_| !context.unit.machine.runs_here())?;
    let variable = |name: &str| context.env.get(name).map_or("", String::as_str);
    let quote = |words: &str| -> String {
        words.split_whitespace().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::from("[binaries]\n");
    for (key, name) in [
        ("c", "CC"),
        ("ar", "AR"),
        ("nm", "NM"),
        ("ranlib", "RANLIB"),
        ("strip", "STRIP"),
        ("pkg-config", "PKG_CONFIG"),
    ] {
        let _ = writeln!(text, "{key} = '{}'", variable(name));
    }
    let _ = writeln!(text, "\n[built-in options]");
    let _ =
        writeln!(text, "c_args = [{}]", quote(&format!("{} {}", variable("CPPFLAGS"), variable("CFLAGS"))));
    let _ = writeln!(text, "c_link_args = [{}]", quote(variable("LDFLAGS")));
    let _ = writeln!(text, "\n[properties]\nneeds_exe_wrapper = true");
    let _ = writeln!(
        text,
        "\n[host_machine]\nsystem = 'linux'\ncpu_family = '{}'\ncpu = '{}'\nendian = '{}'",
        arch.meson.cpu_family, arch.meson.cpu, arch.elf.endian
    );
    Some(text)
}
