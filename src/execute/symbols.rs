//! Configurations as kernel-style build systems write them: `CONFIG_NAME=value`, or `# CONFIG_NAME is not set`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The symbol that a line is about, and its value; a line that is not set says `n`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix("# CONFIG_") {
        Some(rest) => Some((rest.strip_suffix(" is not set")?, "n")),
        None => line.strip_prefix("CONFIG_")?.split_once('='),
    }
}

/// `text` with `symbols` set: of two lines about a symbol, busybox would take the first, so the old ones go.
pub(super) fn set(text: &str, symbols: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    for line in text.lines() {
        if assignment(line).is_none_or(|(name, _)| !symbols.contains_key(name)) {
            result.push_str(line);
            result.push('\n');
        }
    }
    for (name, value) in symbols {
        // Writing to a string cannot fail.
        let _ = match value.as_str() {
            "n" => writeln!(result, "# CONFIG_{name} is not set"),
            value => writeln!(result, "CONFIG_{name}={value}"),
        };
    }
    result
}

/// Symbols whose value in `text` is not the one asked for, with both; a symbol that is not there counts as `n`.
pub(super) fn lost(text: &str, symbols: &BTreeMap<String, String>) -> Vec<String> {
    let found: BTreeMap<&str, &str> = text.lines().filter_map(assignment).collect();
    symbols
        .iter()
        .filter_map(|(name, asked)| {
            let got = found.get(name.as_str()).copied().unwrap_or("n");
            (got != asked).then(|| format!("{name} (asked for {asked}, got {got})"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_symbol_that_is_set_is_there_once() {
        let text = "CONFIG_ASH=y\n# CONFIG_TC is not set\n# about them\nCONFIG_ASH_HELP=y\n";
        let changed = set(text, &symbols(&[("ASH", "n"), ("TC", "y"), ("LAST_ID", "60000")]));
        assert_eq!(
            changed,
            "# about them\nCONFIG_ASH_HELP=y\n# CONFIG_ASH is not set\nCONFIG_LAST_ID=60000\nCONFIG_TC=y\n"
        );
    }

    #[test]
    fn a_symbol_that_did_not_survive_is_named_with_both_values() {
        let text = "CONFIG_ASH=y\n# CONFIG_TC is not set\nCONFIG_LAST_ID=60000\n";
        let asked = symbols(&[("ASH", "y"), ("TC", "y"), ("LAST_ID", "60000"), ("GONE", "n"), ("NEW", "y")]);
        assert_eq!(lost(text, &asked), ["NEW (asked for y, got n)", "TC (asked for y, got n)"]);
    }
}
