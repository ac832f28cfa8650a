//! `k3sroot diff`: what came, went and changed from one tarball to another.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::Diff;
use super::error::CliError;
use super::place::io_error;
use super::table::{Paint, Tone};
use super::{colour, print, print_json};
use base::beneath;
use root::pack::{self, Archive, Change, Difference, Side, Sole};

/// What is printed as JSON.
#[derive(Serialize)]
struct Compared<'a> {
    old_file: &'a Path,
    new_file: &'a Path,
    equal: bool,
    difference: &'a Difference,
}

pub(super) fn run(args: &Diff) -> Result<(), CliError> {
    let difference = compare(args).map_err(|error| CliError::NoAnswer(Box::new(error)))?;
    let equal = difference.is_equal();
    if args.json {
        print_json(&Compared { old_file: &args.old, new_file: &args.new, equal, difference: &difference })?;
    } else {
        print(&text(args, &difference, Paint(colour(&io::stdout()))))?;
    }
    if equal { Ok(()) } else { Err(CliError::Different) }
}

fn compare(args: &Diff) -> Result<Difference, CliError> {
    let bytes = |path: &PathBuf| beneath::read_named(path).map_err(io_error("read", path));
    let (old, new) = (bytes(&args.old)?, bytes(&args.new)?);
    let archive = |path: &PathBuf, source| CliError::Archive { path: path.clone(), source };
    let old = Archive::read(&old).map_err(|error| archive(&args.old, error))?;
    let new = Archive::read(&new).map_err(|error| archive(&args.new, error))?;
    Ok(pack::diff(&old, &new))
}

fn text(args: &Diff, difference: &Difference, paint: Paint) -> String {
    let Difference { old, new, came, went, changed } = difference;
    let (old_file, new_file) = (args.old.display(), args.new.display());
    if difference.is_equal() {
        return format!("equal: `{old_file}` and `{new_file}` have the sha256 {}\n", new.sha256);
    }
    let whole =
        |Side { sha256, size, members }: &Side| format!("{members} members, {size} bytes, sha256 {sha256}");
    let mut text = format!("old: {old_file}: {}\nnew: {new_file}: {}\n", whole(old), whole(new));
    for (word, tone, members) in [("came", Tone::Good, came), ("went", Tone::Bad, went)] {
        if !members.is_empty() {
            text.push('\n');
        }
        for Sole { name, what, size } in members {
            let size = size.map(|size| format!(", {size} bytes")).unwrap_or_default();
            let _ = writeln!(text, "{} {name}: {what}{size}", paint.word(tone, word));
        }
    }
    for member in changed {
        let _ = writeln!(text, "\n{} {}", paint.word(Tone::Odd, "changed"), member.name);
        for change in &member.changes {
            let _ = writeln!(text, "  {}", line(change));
        }
    }
    if difference.same_members() {
        text += "\nEvery member is the same: times, order or padding differ.\n";
    }
    let _ = writeln!(
        text,
        "\ntotal: {} came, {} went, {} changed; {}",
        came.len(),
        went.len(),
        changed.len(),
        sizes(Some(old.size as u64), Some(new.size as u64))
    );
    text
}

fn line(change: &Change) -> String {
    match change {
        Change::Property { name, old, new } => format!("{name:19} {old} -> {new}"),
        Change::Size { old, new } => format!("{:19} {}", "size", sizes(Some(*old), Some(*new))),
        Change::Section { name, old, new } => format!("{name:19} {}", sizes(*old, *new)),
        Change::Contents => format!("{:19} other bytes of the same size", "contents"),
    }
}

/// Two sizes in bytes, and how far they are apart.
fn sizes(old: Option<u64>, new: Option<u64>) -> String {
    let (Some(old), Some(new)) = (old, new) else {
        let word = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        return format!("{} -> {} bytes", word(old), word(new));
    };
    let sign = if new < old { '-' } else { '+' };
    let delta = new.abs_diff(old);
    #[expect(clippy::cast_precision_loss, reason = "a percentage with one decimal place")]
    let percent = if old == 0 || delta == 0 {
        String::new()
    } else {
        format!(", {sign}{:.1} %", delta as f64 * 100.0 / old as f64)
    };
    format!("{old} -> {new} bytes ({sign}{delta}{percent})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_say_how_far_they_are_apart() {
        assert_eq!(sizes(Some(1000), Some(1100)), "1000 -> 1100 bytes (+100, +10.0 %)");
        assert_eq!(sizes(Some(1000), Some(999)), "1000 -> 999 bytes (-1, -0.1 %)");
        assert_eq!(sizes(Some(0), Some(7)), "0 -> 7 bytes (+7)");
        assert_eq!(sizes(Some(7), Some(7)), "7 -> 7 bytes (+0)");
        assert_eq!(sizes(None, Some(7)), "- -> 7 bytes");
        assert_eq!(sizes(Some(7), None), "7 -> - bytes");
    }
}
