//! What the layout's own text can get wrong: each is an error that shows its place.

use std::collections::BTreeSet;

use root::pack::{Layout, LayoutError};

use crate::fake::{LAYOUT, arch, layout, package};

const SMALL: &str = r#"
checksums = "sums-{arch}"
[[tarball]]
name = "root"
file = "root-{arch}.tar"
folders = ["bin", "bin/aux"]
[[tarball]]
name = "other"
file = "other-{arch}.tar"
folders = ["bin"]
[places]
bin = { root = "bin" }
aux = { root = "bin/aux" }
both = { root = "bin/aux", other = "bin" }
[gives-way]
a = ["b"]
[[file]]
package = "a"
from = ["bin/a"]
to = "bin"
[[file]]
package = "b"
from = ["bin/b"]
to = "both"
[[links]]
package = "a"
from = ["bin/*"]
target = "../a"
to = "aux"
[[links.except]]
names = ["x"]
reason = "because"
[[link]]
names = ["y"]
target = "b"
to = "both"
"#;

/// The small layout with `from` replaced by `to`: the message, and the text that it points to.
fn wrong(from: &str, to: &str) -> (String, String) {
    assert_eq!(SMALL.matches(from).count(), 1, "{from:?} must be there once");
    let text = SMALL.replace(from, to);
    let LayoutError::Invalid { text, span, message, .. } =
        Layout::parse("root.toml".as_ref(), &text).expect_err(to);
    (message, text[span].to_owned())
}

#[test]
fn the_real_layout_is_read() {
    let layout = layout();
    let names = "busybox conntrack-tools coreutils ebtables ethtool findutils fuse-overlayfs iproute2 ipset iptables \
                 k3s-scripts nftables pigz slirp4netns util-linux";
    assert_eq!(layout.packages(), names.split_whitespace().map(package).collect::<BTreeSet<_>>());
    let arm = arch("arm").name;
    assert_eq!(layout.checksums_file(&arm), "sha256sum-arm.txt");
    let files: Vec<String> = layout.tarball_files(&arm).into_iter().map(|(_, file)| file).collect();
    assert_eq!(files, ["k3s-root-arm.tar", "k3s-root-xtables-arm.tar"]);
    assert!(!LAYOUT.contains('\t') && LAYOUT.lines().all(|line| line.len() <= 130));
    Layout::parse("root.toml".as_ref(), SMALL).unwrap();
}

/// `keep` and the layout must not drift apart: the build would end with a file that is not there.
#[test]
fn recipes_keep_what_the_layout_takes() {
    let recipes = model::recipe::load("../../recipes".as_ref()).unwrap();
    for (package, path) in layout().files() {
        let keep = &recipes[package].keep;
        let kept = keep.iter().any(|glob| {
            let glob = globset::GlobBuilder::new(glob).literal_separator(true).build().unwrap();
            glob.compile_matcher().is_match(path)
        });
        assert!(keep.is_empty() || kept, "{package} does not keep {path}");
    }
}

#[test]
fn unknown_keys_and_wrong_types_show_their_line() {
    let (message, place) = wrong("reason = ", "raison = ");
    assert!(message.contains("unknown field `raison`, expected `names` or `reason`"), "{message}");
    assert_eq!(place, "raison");
    let (message, _) = wrong("package = \"b\"", "package = \"B b\"");
    assert!(message.contains("`B b` is not a package name"), "{message}");
    let (message, _) = wrong("names = [\"y\"]", "");
    assert!(message.contains("missing field `names`"), "{message}");
    let (_, place) = wrong("from = [\"bin/*\"]", "from = \"bin/*\"");
    assert_eq!(place, "\"bin/*\"");
}

#[test]
fn tarballs_and_places_must_fit() {
    for (from, to, expected, place) in [
        ("\"sums-{arch}\"", "\"sums\"", "the name does not tell the arches apart", "\"sums\""),
        ("\"root-{arch}.tar\"", "\"x/{arch}\"", "the name does not tell the arches apart", "\"x/{arch}\""),
        (
            "\"root-{arch}.tar\"",
            "\"{arch}{arch}\"",
            "the name does not tell the arches apart",
            "\"{arch}{arch}\"",
        ),
        ("name = \"other\"", "name = \"root\"", "the name or its file is taken", "\"root\""),
        ("\"other-{arch}.tar\"", "\"root-{arch}.tar\"", "the name or its file is taken", "\"other\""),
        ("\"sums-{arch}\"", "\"root-{arch}.tar\"", "the name or its file is taken", "\"root\""),
        (
            "[\"bin\", \"bin/aux\"]",
            "[\"bin/aux\", \"bin\"]",
            "the folder is in one that is not listed",
            "\"bin/aux\"",
        ),
        ("[\"bin\", \"bin/aux\"]", "[\"bin\", \"bin\"]", "the folder is listed twice", "\"bin\""),
        ("[\"bin\", \"bin/aux\"]", "[\"bin/\"]", "`bin/` is not a plain relative path", "\"bin/\""),
        ("[\"bin\", \"bin/aux\"]", "[\"/bin\"]", "`/bin` is not a plain relative path", "\"/bin\""),
        ("aux = { root =", "aux = { roof =", "no [[tarball]] has this name", "roof"),
        ("other = \"bin\" }", "other = \"sbin\" }", "`sbin` is not a folder of this tarball", "\"sbin\""),
        ("bin = { root = \"bin\" }", "bin = {}", "the place `bin` is in no tarball", ""),
    ] {
        assert_eq!(wrong(from, to), (expected.to_owned(), place.to_owned()));
    }
}

#[test]
fn rules_must_refer_to_what_there_is() {
    for (from, to, expected, place) in [
        (
            "target = \"b\"\nto = \"both\"",
            "target = \"b\"\nto = \"bath\"",
            "`bath` is not a place",
            "\"bath\"",
        ),
        (
            "target = \"../a\"",
            "target = \"a\"",
            "from `bin/aux` in the tarball `root`, `a` leads to no [[file]]",
            "\"a\"",
        ),
        (
            "target = \"b\"",
            "target = \"../a\"",
            "from `bin` in the tarball `other`, `../a` leads to no [[file]]",
            "\"../a\"",
        ),
        (
            "target = \"b\"",
            "target = \"/bin/b\"",
            "from `bin/aux` in the tarball `root`, `/bin/b` leads to no [[file]]",
            "\"/bin/b\"",
        ),
        ("target = \"../a\"", "target = \"b\"", "`b` is a file of `b`, not of `a`", "\"b\""),
        ("a = [\"b\"]", "a = [\"c\"]", "nothing of `c` is in the layout", "\"c\""),
        ("a = [\"b\"]", "c = [\"b\"]", "nothing of `c` is in the layout", "c"),
        ("a = [\"b\"]", "a = [\"a\"]", "`a` and `a` give way to each other", "\"a\""),
        ("a = [\"b\"]", "a = [\"b\"]\nb = [\"a\"]", "`a` and `b` give way to each other", "\"b\""),
    ] {
        assert_eq!(wrong(from, to), (expected.to_owned(), place.to_owned()));
    }
}

#[test]
fn lists_and_paths_must_be_plain() {
    for (from, to, expected, place) in [
        ("from = [\"bin/a\"]", "from = []", "the list is empty", "[]"),
        ("from = [\"bin/a\"]", "from = [\"x\", \"x\"]", "`x` is listed twice", "\"x\""),
        ("from = [\"bin/a\"]", "from = [\"../a\"]", "`../a` is not a plain relative path", "\"../a\""),
        ("from = [\"bin/a\"]", "from = [\"bin/a b\"]", "`bin/a b` has white space in it", "\"bin/a b\""),
        ("from = [\"bin/*\"]", "from = [\"bin/[\"]", "unclosed character class; missing ']'", "\"bin/[\""),
        ("names = [\"y\"]", "names = [\"bin/y\"]", "a name, not a path, belongs here", "\"bin/y\""),
        ("names = [\"x\"]", "names = []", "the list is empty", "[]"),
        ("\"because\"", "\" \"", "an exception needs a reason", "\" \""),
        (
            "reason = \"because\"",
            "reason = \"because\"\n[[links.except]]\nnames = [\"x\"]\nreason = \"again\"",
            "`x` is excepted twice",
            "[\"x\"]",
        ),
    ] {
        assert_eq!(wrong(from, to), (expected.to_owned(), place.to_owned()));
    }
}

#[test]
fn a_glob_that_no_regular_expression_can_express_is_refused() {
    let deep = format!("\"{}a{}\"", "{".repeat(300), "}".repeat(300));
    let (message, place) = wrong("from = [\"bin/*\"]", &format!("from = [{deep}]"));
    assert!(message.contains("too deep"), "{message}");
    assert_eq!(place, deep);
}
