//! What the two builds see of their conditions: a script looks, in the stage itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::super::table::{Paint, Tone, table};
use check::Variation;

/// The longest value that is shown.
const LONGEST: usize = 38;

/// Prints a line `name=value` for everything that a process can be asked about. What it runs comes from the folders
/// below, so that a varied `PATH` finds nothing else.
const SCRIPT: &str = r#"
path=$PATH
PATH=/usr/bin:/bin:/usr/sbin:/sbin
echo "environment=CFLAGS ${CFLAGS-not set}"
echo "build_path=$PWD"
echo "user_group=$(id -u):$(id -g)"
echo "umask=$(umask)"
echo "time=$(date -u +%Y-%m)"
echo "timezone=${TZ-not set}"
locale=${LC_ALL-not set}
there=$(locale -a 2>/dev/null | tr -d '\n-' | tr A-Z a-z)
case $there in *"$(echo "$locale" | tr -d - | tr A-Z a-z)"*) ;; *) locale="$locale, not installed" ;; esac
echo "locales=$locale"
echo "home=${HOME-not set}"
echo "exec_path=$path"
echo "domain_host=$(uname -n).$(cat /proc/sys/kernel/domainname)"
mkdir order
for name in a b c d e f g h; do : >"order/$name"; done
echo "fileordering=$(cd order && find . -type f | tr -d './\n')"
echo "num_cpus=$(nproc)"
persona=$(cat /proc/self/personality)
[ $((0x$persona & 0x40000)) -eq 0 ] && echo "aslr=random addresses" || echo "aslr=fixed addresses"
echo "kernel=$(uname -r)"
"#;

/// The command that prints what it sees; it makes a folder `order` where it starts.
pub(super) fn command() -> Vec<String> {
    ["/bin/sh", "-c", SCRIPT].map(str::to_owned).to_vec()
}

/// What it printed, by the names of variations.
pub(super) fn read(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A variation, as both builds see it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Seen {
    pub(super) variation: Variation,
    pub(super) first: String,
    pub(super) second: String,
}

/// The table of what is varied, and what is not.
pub(super) fn text(varied: &[Seen], obstacles: &BTreeMap<Variation, String>) -> String {
    let cell = |text: &str| (shorten(text), Tone::Plain);
    let rows: Vec<_> = varied
        .iter()
        .map(|seen| vec![cell(seen.variation.as_str()), cell(&seen.first), cell(&seen.second)])
        .collect();
    let mut text =
        table(&[("varied", false), ("first build", false), ("second build", false)], &rows, Paint(false));
    for (variation, why) in obstacles {
        let _ = writeln!(text, "not varied: {variation}: {why}");
    }
    text
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        // The end of a path tells more than its beginning.
        Some(_) => format!("…{}", text.chars().skip(text.chars().count() - LONGEST + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_looks_at_every_variation_of_a_process() {
        let folder = tempfile::tempdir().unwrap();
        let command = command();
        let output = std::process::Command::new(&command[0])
            .args(&command[1..])
            .current_dir(folder.path())
            .env("TZ", "Asia/Kathmandu")
            .output()
            .unwrap();
        let seen = read(&String::from_utf8(output.stdout).unwrap());
        for variation in Variation::ALL {
            let by_call = matches!(variation, Variation::Sandbox | Variation::Archives | Variation::Cache);
            assert_eq!(seen.contains_key(variation.as_str()), !by_call, "{variation}: {seen:?}");
        }
        assert_eq!(seen["timezone"], "Asia/Kathmandu");
        assert_eq!(seen["fileordering"].len(), 8);
    }

    #[test]
    fn what_is_not_varied_is_said() {
        let seen = |variation, first: &str, second: &str| Seen {
            variation,
            first: first.to_owned(),
            second: second.to_owned(),
        };
        let long = format!("/a/{}/end", "long/".repeat(20));
        let varied = [seen(Variation::BuildPath, "/b", &long), seen(Variation::Umask, "0022", "0007")];
        let obstacles = [(Variation::Time, "no `libfaketime`".to_owned())].into();
        insta::assert_snapshot!(text(&varied, &obstacles), @r"
        varied      first build  second build
        build_path  /b           …ng/long/long/long/long/long/long//end
        umask       0022         0007
        not varied: time: no `libfaketime`
        ");
    }
}
