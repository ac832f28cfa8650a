//! What the documents say is so.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;
use std::process::Command;

use check::Variation;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn readme_shows_the_recipe_as_it_is() {
    let shown = format!("```toml\n{}```", read("recipes/pigz.toml"));
    assert!(read("README.md").contains(&shown), "README.md has another `recipes/pigz.toml` than the folder");
}

#[test]
fn every_make_target_that_is_named_is_there() {
    let makefile = read("Makefile");
    for document in ["README.md", "CONTRIBUTING.md"] {
        for after in read(document).split("make ").skip(1) {
            let word: String = after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            // Prose says "make sure" and "make itself"; a target stands at the end of a word in code.
            let named =
                after[word.len()..].starts_with(['`', '\n']) || after[word.len()..].starts_with(" ARCH=");
            if !word.is_empty() && named {
                assert!(makefile.contains(&format!("\n{word}: ")), "{document} names `make {word}`");
            }
        }
    }
}

#[test]
fn what_ci_runs_is_what_readme_says() {
    let (ci, readme) = (read(".ci/run"), read("README.md"));
    let commands = ci.lines().filter(|line| line.starts_with("sh ") || line.starts_with("make "));
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands, ["sh tests/setup.sh", "make test"]);
    for command in commands {
        assert!(readme.contains(command), "README.md does not say `{command}`");
    }
}

#[test]
fn readme_names_every_package_that_the_tests_install() {
    let setup = read("tests/setup.sh");
    let value = |start: &str, end: char| {
        let from = setup.find(start).unwrap() + start.len();
        setup[from..].split(end).next().unwrap().to_owned()
    };
    let lists = ["everywhere", "compilers", "emulators", "variers", "browser", "system", "venv", "packagers"]
        .map(|list| value(&format!("\n{list}='"), '\''));
    let debian = value("--no-install-recommends $everywhere", '"');
    let mut packages: Vec<&str> =
        lists.iter().chain([&debian]).flat_map(|list| list.split_whitespace()).collect();
    packages.sort_unstable();
    let readme = read("README.md").replace('\n', " ");
    let listed = readme.split("in Debian's names: ").nth(1).unwrap().split('.').next().unwrap();
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), packages);
}

#[test]
fn every_verb_has_a_manual_page_with_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let k3sroot = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_k3sroot")).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let pages = folder.path().join("man1");
    k3sroot(&["man", pages.to_str().unwrap()]);
    let help = k3sroot(&["help"]);
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let verbs = verbs.lines().take_while(|line| line.starts_with("  "));
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.contains(&"build") && verbs.contains(&"man"), "{verbs:?}");
    for verb in verbs.iter().filter(|verb| **verb != "help") {
        let page = fs::read_to_string(pages.join(format!("k3sroot-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("\\-\\-recipes"), "{verb}: {page}");
    }
    assert!(fs::read_to_string(pages.join("k3sroot.1")).unwrap().contains("k3sroot\\-build(1)"));
}

#[test]
fn the_page_of_bits_lists_every_variation() {
    let page = read("docs/reproducibility.md");
    let (_, table) = page.split_once("| variation |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: Vec<&str> = rows.map(|(name, _)| name).collect();
    assert_eq!(listed, Variation::ALL.map(Variation::as_str));
}
