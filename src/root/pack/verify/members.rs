//! The members of a tarball against the contract: names, types, links, permissions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Finding, Verdict};
use crate::pack::archive::{Archive, ArchiveMember, ArchiveType};
use crate::pack::contract::{ExpectedType, TarballKind};
use crate::pack::layout::resolve;
use crate::pack::tar::{broken_name_rule, broken_target_rule, folder_of};

/// A chain of links that is longer than this is a circle; the kernel follows no more.
const MOST_LINKS: usize = 40;

pub(super) fn findings(archive: &Archive<'_>, tarball: TarballKind) -> Vec<Finding> {
    let mut found = Found(Vec::new());
    let mut members: BTreeMap<&str, &ArchiveMember<'_>> = BTreeMap::new();
    for member in &archive.members {
        if members.insert(&member.name, member).is_some() {
            let remedy = "pack it once: the last one wins when the tar is unpacked";
            found.wrong(Check::Names, &member.name, "is in the tarball more than once", remedy);
        }
    }
    inventory(&members, tarball, &mut found);
    for member in members.values() {
        name(member, &mut found);
        permissions(member, &mut found);
        if let ArchiveType::Link(target) = &member.what {
            link(member, target, &members, &mut found);
        }
    }
    found.0
}

struct Found(Vec<Finding>);

impl Found {
    fn wrong(&mut self, check: Check, member: &str, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding {
            check,
            verdict: Verdict::Wrong,
            text: text.into(),
            member: Some(shown(member)),
            remedy: Some(remedy.into()),
        });
    }
}

/// A name with nothing in it that a terminal would act on.
fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

fn inventory(members: &BTreeMap<&str, &ArchiveMember<'_>>, tarball: TarballKind, found: &mut Found) {
    let mut expected = BTreeSet::new();
    for wanted in tarball.members() {
        expected.insert(wanted.name);
        let Some(member) = members.get(wanted.name) else {
            let text = format!("is absent: the contract has {} there", wanted.what);
            found.wrong(Check::Members, wanted.name, text, "build and pack what brings it");
            continue;
        };
        let fits = match (&wanted.what, &member.what) {
            (ExpectedType::Folder, ArchiveType::Folder)
            | (ExpectedType::Program | ExpectedType::Script, ArchiveType::File(_)) => true,
            (ExpectedType::Link(wanted), ArchiveType::Link(target)) => wanted == target,
            _ => false,
        };
        if !fits {
            let text = format!("is {}: the contract has {} there", describe(&member.what), wanted.what);
            found.wrong(Check::Members, wanted.name, text, "pack it as the contract has it");
        }
    }
    for name in tarball.barred().iter().filter(|name| members.contains_key(**name)) {
        let remedy = "leave it out, or put it into `./bin/aux/`";
        found.wrong(Check::Members, name, "must not be there: it hides the node's own program", remedy);
    }
    let extra = members.keys().filter(|name| !expected.contains(*name) && !tarball.barred().contains(name));
    found.0.extend(extra.map(|name| Finding {
        check: Check::Members,
        verdict: Verdict::Note,
        text: "is beyond the contract".to_owned(),
        member: Some(shown(name)),
        remedy: None,
    }));
}

fn describe(what: &ArchiveType<'_>) -> String {
    match what {
        ArchiveType::Folder => "a folder".to_owned(),
        ArchiveType::File(_) => "a file".to_owned(),
        ArchiveType::Link(target) => format!("a link to `{}`", shown(target)),
        ArchiveType::HardLink(target) => format!("a hard link to `{}`", shown(target)),
        ArchiveType::Other(letter) => format!("of the type `{}`", letter.escape_debug()),
    }
}

fn name(member: &ArchiveMember<'_>, found: &mut Found) {
    let is_folder = matches!(member.what, ArchiveType::Folder);
    // GNU tar's name for the folder that was packed; nothing minds it.
    if member.name == "./" && is_folder {
        return;
    }
    let rule = if member.name.contains(char::REPLACEMENT_CHARACTER) {
        Some("it is not UTF-8")
    } else {
        broken_name_rule(&member.name, is_folder)
    };
    if let Some(rule) = rule {
        found.wrong(Check::Names, &member.name, format!("has a name that will not do: {rule}"), "rename it");
    }
}

fn permissions(member: &ArchiveMember<'_>, found: &mut Found) {
    let name = &member.name;
    match &member.what {
        ArchiveType::HardLink(_) | ArchiveType::Other(_) => {
            let text = format!("is {}", describe(&member.what));
            found.wrong(Check::Modes, name, text, "pack folders, regular files and symlinks only");
        }
        // A symlink's permissions mean nothing.
        ArchiveType::Link(_) => {}
        ArchiveType::Folder | ArchiveType::File(_) => {
            let mode = member.mode & 0o7777;
            if mode & 0o7000 != 0 {
                let text = format!("has the mode {mode:04o}, with setuid, setgid or the sticky bit");
                found.wrong(Check::Modes, name, text, "`chmod 0755` it before it is packed");
            } else if mode != 0o755 {
                let text = format!("has the mode {mode:04o}, not 0755");
                found.wrong(Check::Modes, name, text, "`chmod 0755` it before it is packed");
            }
        }
    }
    if (member.uid, member.gid) != (0, 0) {
        let text = format!("belongs to {}:{}, not to 0:0", member.uid, member.gid);
        found.wrong(Check::Modes, name, text, "pack with `tar --owner=0 --group=0 --numeric-owner`");
    }
}

fn link(
    member: &ArchiveMember<'_>,
    target: &str,
    members: &BTreeMap<&str, &ArchiveMember<'_>>,
    found: &mut Found,
) {
    let text = match broken_target_rule(&member.name, target) {
        Some(rule) => format!("cannot lead to `{}`: {rule}", shown(target)),
        None if !leads_to_file(&member.name, target, members) => {
            format!("leads to `{}`, which is not a file of the tarball", shown(target))
        }
        None => return,
    };
    found.wrong(Check::Links, &member.name, text, "link to a file of the tarball by its relative path");
}

fn leads_to_file(name: &str, target: &str, members: &BTreeMap<&str, &ArchiveMember<'_>>) -> bool {
    let follow = |name: &str, target: &str| {
        resolve(folder_of(name).trim_start_matches("./"), target).map(|path| format!("./{path}"))
    };
    let mut next = follow(name, target);
    for _ in 0..MOST_LINKS {
        let Some(name) = next else { return false };
        match members.get(name.as_str()).map(|member| &member.what) {
            Some(ArchiveType::File(_)) => return true,
            Some(ArchiveType::Link(target)) => next = follow(&name, target),
            _ => return false,
        }
    }
    false
}
