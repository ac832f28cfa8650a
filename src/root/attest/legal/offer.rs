//! The offer to hand out the sources, in words of our own.

use std::fmt::Write as _;

use super::super::contents::Contents;

/// What stands before the address.
const ADDRESS: &str = "\nWrite to:\n\n";
/// What stands in its place until somebody fills it in.
const PLACEHOLDER: &str = "[who distributes these programs: put your name and address here]";

/// The offer.
pub(super) fn text(contents: &Contents<'_>, contact: Option<&str>) -> String {
    let mut files = String::new();
    for tarball in &contents.tarballs {
        let _ = writeln!(files, "    {}  {}", tarball.sha256, tarball.file);
    }
    let arch = contents.arch;
    let contact = contact.map_or(PLACEHOLDER, str::trim);
    format!(
        "Source code of the programs in K3s's userspace root for {arch}

This is about the programs in these files, and in whatever they have become a part of:

{files}
Some of them, or libraries that are linked into them, come under licences that give everybody who receives them a right
to their source code: the GNU General Public License, the GNU Lesser General Public License and others. `manifest.md`
says what comes under which licence; the licences themselves are in `licenses`.

If this text came to you in its folder, you have the source code. The archives in `sources` are as their authors
published them; `patches` has what we changed in them, in the order of each `series`; `recipes` says how they were
built, by the program k3sroot.

If you received the programs without it, you can have the same from us. For at least three years from the day on which
we last gave the programs to anybody, whoever asks gets a complete copy that machines can read, on a medium that is
usual for software or over a network, and pays no more than what it costs us to make and send that copy. Say which of
the digests above is that of your file.
{ADDRESS}{contact}
"
    )
}

/// The address that an offer has; none if nobody filled one in.
pub fn contact(offer: &str) -> Option<&str> {
    let (_, contact) = offer.split_once(ADDRESS)?;
    Some(contact.trim()).filter(|contact| !contact.is_empty() && *contact != PLACEHOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_where_one_was_filled_in() {
        let offer = |address: &str| format!("Source code\n{ADDRESS}{address}\n");
        assert_eq!(contact(&offer("Example Ltd\n1 High Street")), Some("Example Ltd\n1 High Street"));
        for nobody in [offer(PLACEHOLDER), offer(" "), "Write to: me".to_owned(), String::new()] {
            assert_eq!(contact(&nobody), None, "{nobody}");
        }
    }
}
