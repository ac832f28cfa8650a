//! Several trees become one: what a sysroot or a tools folder is made of.
//!
//! Pure: labelled trees in, one tree or the first clash out. The same thing at the same path may come from many trees;
//! two different things may not, nor may something lie below another tree's file or link. A folder that is empty in
//! one tree may be filled by another.

use std::collections::BTreeMap;

use super::error::Clash;
use super::listing::{Entry, Tree, ancestors};

/// Merges `trees` in order.
pub fn merge(trees: &[(&str, &Tree)]) -> Result<Tree, Box<Clash>> {
    let mut merged: BTreeMap<&str, (&str, &Entry)> = BTreeMap::new();
    for (label, tree) in trees {
        for (path, entry) in tree.entries() {
            let (first, there) = *merged.entry(path).or_insert((label, entry));
            if there != entry {
                return Err(Box::new(clash(path, (first, describe(there)), (label, describe(entry)))));
            }
        }
    }

    let mut filled = Vec::new();
    for (path, (label, _)) in &merged {
        for above in ancestors(path) {
            match merged.get(above) {
                None => {}
                Some((_, Entry::Dir)) => filled.push(above),
                Some((other, entry)) => {
                    let folder = (*label, "a folder".to_owned());
                    return Err(Box::new(clash(above, (other, describe(entry)), folder)));
                }
            }
        }
    }
    for path in filled {
        merged.remove(path);
    }
    let entries = merged.into_iter().map(|(path, (_, entry))| (path.to_owned(), entry.clone()));
    Ok(Tree::new(entries.collect()).expect("trees that do not clash make a tree"))
}

fn clash(path: &str, left: (&str, String), right: (&str, String)) -> Clash {
    Clash {
        path: path.to_owned(),
        left: left.0.to_owned(),
        left_entry: left.1,
        right: right.0.to_owned(),
        right_entry: right.1,
    }
}

fn describe(entry: &Entry) -> String {
    match entry {
        Entry::File { blob, executable, size } => {
            let kind = if *executable { "a program" } else { "a file" };
            format!("{kind} of {size} bytes ({})", blob.short())
        }
        Entry::Symlink { target } => format!("a link to `{target}`"),
        Entry::Dir => "an empty folder".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::digest::BlobDigest;

    fn file(contents: &str, executable: bool) -> Entry {
        let size = contents.len() as u64;
        Entry::File { blob: BlobDigest::of(contents.as_bytes()), executable, size }
    }

    fn link(target: &str) -> Entry {
        Entry::Symlink { target: target.to_owned() }
    }

    fn tree(entries: &[(&str, Entry)]) -> Tree {
        Tree::new(entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect()).unwrap()
    }

    fn merge_two(left: &[(&str, Entry)], right: &[(&str, Entry)]) -> Result<Tree, Box<Clash>> {
        merge(&[("libmnl@arm", &tree(left)), ("musl@arm", &tree(right))])
    }

    #[test]
    fn the_same_thing_twice_is_no_clash() {
        let left = [("lib/a", file("a", false)), ("lib/b", link("a"))];
        let right = [("lib/a", file("a", false)), ("lib/c", file("c", true))];
        let both = tree(&[&left[..], &right[1..]].concat());
        assert_eq!(merge_two(&left, &right).unwrap(), both);
        assert_eq!(merge_two(&right, &left).unwrap(), both);
        assert_eq!(merge(&[]).unwrap(), Tree::default());
    }

    #[test]
    fn different_things_at_one_path_name_both_sides() {
        let cases = [
            (file("a", false), file("b", false)),
            (file("a", false), file("a", true)),
            (file("a", false), link("a")),
            (file("a", false), Entry::Dir),
            (link("a"), link("b")),
            (link("a"), Entry::Dir),
        ];
        for (left, right) in cases {
            for (left, right) in [(&left, &right), (&right, &left)] {
                let clash = merge_two(&[("x/y", left.clone())], &[("x/y", right.clone())]).unwrap_err();
                assert_eq!((clash.path.as_str(), clash.left.as_str()), ("x/y", "libmnl@arm"));
                assert_eq!(clash.right, "musl@arm");
                assert_ne!(clash.left_entry, clash.right_entry);
            }
        }
        let error = merge_two(&[("lib64", link("lib"))], &[("lib64", link("usr/lib"))]).unwrap_err();
        let expected = "`lib64` is a link to `lib` in libmnl@arm and a link to `usr/lib` in musl@arm";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_link_here_and_a_folder_there_is_a_clash_in_either_order() {
        let linked = [("usr/lib64", link("lib"))];
        let filled = [("usr/lib64/deep/a.o", file("", false))];
        for (left, right) in [(&linked, &filled), (&filled, &linked)] {
            let clash = merge_two(left, right).unwrap_err();
            assert_eq!(clash.path, "usr/lib64");
            assert!(clash.to_string().contains("a folder"), "{clash}");
        }
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let merged = merge_two(&[("var", Entry::Dir)], &[("var/a", file("", false))]).unwrap();
        assert_eq!(merged, tree(&[("var/a", file("", false))]));
    }
}
