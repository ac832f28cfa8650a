//! `k3sroot cache`: what the cache holds, whether it is sound, and making it smaller.

use std::fmt::Write as _;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::{Cache, CacheVerb, Global};
use super::error::CliError;
use super::printer::bytes;
use super::project::existing_store;
use super::{print, print_json, quantity};
use store::{GcReport, Stats, Store, Usage, VerifyReport};

pub(super) fn run(global: &Global, args: &Cache) -> Result<(), CliError> {
    match &args.verb {
        None | Some(CacheVerb::Show) => show(&existing_store(global)?, args.json),
        Some(CacheVerb::Verify) => verify(&existing_store(global)?, args.json),
        Some(CacheVerb::Gc { max_size }) => {
            let max_size = quantity::size(max_size)?;
            collect(&existing_store(global)?, max_size, args.json)
        }
    }
}

#[derive(Serialize)]
struct Shown {
    folder: PathBuf,
    kept_bytes: u64,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    files: u64,
    bytes: u64,
}

fn parts(stats: &Stats) -> Vec<Part> {
    let Stats { outcomes, trees, blobs, descriptions, distfiles, logs, failed, damaged, temporary } = stats;
    [
        ("outcomes", outcomes),
        ("trees", trees),
        ("blobs", blobs),
        ("descriptions", descriptions),
        ("distfiles", distfiles),
        ("logs", logs),
        ("failed", failed),
        ("temporary", temporary),
        ("damaged", damaged),
    ]
    .map(|(name, &Usage { files, bytes })| Part { name, files, bytes })
    .into()
}

fn show(store: &Store, json: bool) -> Result<(), CliError> {
    let stats = store.stats()?;
    let shown =
        Shown { folder: store.root().to_owned(), kept_bytes: stats.kept_bytes(), parts: parts(&stats) };
    if json { print_json(&shown) } else { print(&shown.text()) }
}

impl Shown {
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.folder.display());
        for Part { name, files, bytes: size } in &self.parts {
            let _ = writeln!(text, "{name:12} {files:>8} files {:>12}", bytes(*size));
        }
        let _ = writeln!(text, "{:12} {:>8}       {:>12}", "kept", "", bytes(self.kept_bytes));
        text
    }
}

#[derive(Serialize)]
struct Verified {
    outcomes: u64,
    descriptions: u64,
    trees: u64,
    blobs: u64,
    set_aside: Vec<PathBuf>,
    strays: Vec<PathBuf>,
}

fn verify(store: &Store, json: bool) -> Result<(), CliError> {
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30.cyan} {bytes}/{total_bytes}  {elapsed_precise}")
    {
        bar.set_style(style);
    }
    let report = store.verify(&|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let VerifyReport { blobs, trees, outcomes, descriptions, set_aside, strays } = report?;
    let verified = Verified { outcomes, descriptions, trees, blobs, set_aside, strays };
    if json {
        print_json(&verified)?;
    } else {
        print(&verified.text())?;
    }
    let count = verified.set_aside.len();
    if count == 0 { Ok(()) } else { Err(CliError::Damaged { count }) }
}

impl Verified {
    fn text(&self) -> String {
        let Self { outcomes, descriptions, trees, blobs, set_aside, strays } = self;
        let mut text = format!(
            "read {outcomes} outcomes, {descriptions} descriptions, {trees} trees and {blobs} blobs\n"
        );
        for path in set_aside {
            let _ = writeln!(text, "set aside: {}", path.display());
        }
        for path in strays {
            let _ = writeln!(text, "not k3sroot's, left alone: {}", path.display());
        }
        text
    }
}

#[derive(Serialize)]
struct Collected {
    max_size: u64,
    bytes_before: u64,
    bytes_after: u64,
    outcomes: u64,
    trees: u64,
    blobs: u64,
    descriptions: u64,
    distfiles: u64,
    logs: u64,
    failed: u64,
}

fn collect(store: &Store, max_size: u64, json: bool) -> Result<(), CliError> {
    let GcReport { bytes_before, bytes_after, outcomes, trees, blobs, descriptions, distfiles, logs, failed } =
        store.collect(max_size)?;
    let collected = Collected {
        max_size,
        bytes_before,
        bytes_after,
        outcomes,
        trees,
        blobs,
        descriptions,
        distfiles,
        logs,
        failed,
    };
    if json { print_json(&collected) } else { print(&collected.text()) }
}

impl Collected {
    fn text(&self) -> String {
        let Self { outcomes, trees, blobs, descriptions, distfiles, logs, failed, .. } = self;
        let (before, after) = (bytes(self.bytes_before), bytes(self.bytes_after));
        let mut text = format!(
            "removed {outcomes} outcomes, {trees} trees, {blobs} blobs, {descriptions} descriptions, {distfiles} distfiles, \
             {logs} logs and {failed} failed builds\n\
             {before} before, {after} after\n"
        );
        if self.bytes_after > self.max_size {
            let _ = writeln!(text, "the rest is in use: {} were asked for", bytes(self.max_size));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_stand_under_each_other() {
        let stats = Stats {
            blobs: Usage { files: 12_345, bytes: 3 << 30 },
            logs: Usage { files: 2, bytes: 8192 },
            ..Stats::default()
        };
        let shown = Shown { folder: "/c".into(), kept_bytes: stats.kept_bytes(), parts: parts(&stats) };
        insta::assert_snapshot!(shown.text(), @r"
        /c
        outcomes            0 files          0 B
        trees               0 files          0 B
        blobs           12345 files     3.00 GiB
        descriptions        0 files          0 B
        distfiles           0 files          0 B
        logs                2 files     8.00 KiB
        failed              0 files          0 B
        temporary           0 files          0 B
        damaged             0 files          0 B
        kept                            3.00 GiB
        ");
    }

    #[test]
    fn a_limit_that_could_not_be_reached_is_said() {
        let collected = Collected {
            max_size: 1024,
            bytes_before: 8192,
            bytes_after: 4096,
            outcomes: 1,
            trees: 1,
            blobs: 1,
            descriptions: 1,
            distfiles: 0,
            logs: 0,
            failed: 0,
        };
        insta::assert_snapshot!(collected.text(), @r"
        removed 1 outcomes, 1 trees, 1 blobs, 1 descriptions, 0 distfiles, 0 logs and 0 failed builds
        8.00 KiB before, 4.00 KiB after
        the rest is in use: 1.00 KiB were asked for
        ");
    }
}
