//! Finished tarballs, anybody's: they are read without surprises, and what can be packed reads back the same.

use std::collections::BTreeSet;

use root::pack::{
    Archive, ArchiveMember, ArchiveType, Check, Content, FileKind, Member, diff, verify, write_tar,
};

use super::archive::{from_lines, mend};

const FILES: [&str; 3] = ["k3s-root-amd64.tar", "k3s-root-xtables-arm64.tar", "other.tar"];

/// The first byte says how the rest becomes a tar and how that is called.
pub fn tarball(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let mut bytes = if how & 1 != 0 { from_lines(rest) } else { rest.to_vec() };
    if how & 2 != 0 {
        mend(&mut bytes);
    }
    match verify(FILES[usize::from(how >> 2) % FILES.len()], &bytes, super::arches(), None) {
        Ok(report) => {
            assert_eq!(report.checks.len(), Check::ALL.len());
            for finding in &report.findings {
                plain(&finding.text);
                finding.member.as_deref().map(plain);
            }
        }
        Err(error) => plain(&error.to_string()),
    }
    let Ok(archive) = Archive::read(&bytes) else { return };
    let names: BTreeSet<&str> = archive.members.iter().map(|member| plain_name(member)).collect();
    let same = diff(&archive, &archive);
    assert!(same.is_equal() && same.same_members());
    let end = [0; 1024];
    let gone = diff(&archive, &Archive::read(&end).unwrap());
    assert_eq!((gone.came.len(), gone.went.len()), (0, names.len()));
    gone.went.iter().for_each(|sole| plain(&sole.name));
    repack(&archive);
}

fn plain_name<'m>(member: &'m ArchiveMember<'_>) -> &'m str {
    member.name.trim_end_matches('/')
}

/// Nothing that a terminal would act on.
fn plain(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// Writes what was read.
fn repack(archive: &Archive<'_>) {
    let members: Vec<Member<Vec<u8>>> = archive
        .members
        .iter()
        .filter_map(|member| {
            let content = match &member.what {
                ArchiveType::Folder => Content::Folder,
                ArchiveType::File(contents) => {
                    Content::File { contents: contents.to_vec(), kind: FileKind::Program }
                }
                ArchiveType::Link(target) => Content::Link { target: target.clone() },
                ArchiveType::HardLink(_) | ArchiveType::Other(_) => return None,
            };
            Some(Member { name: member.name.clone(), content, origin: None })
        })
        .collect();
    let mut written = Vec::new();
    if let Err(error) = write_tar(&members, 1_735_689_600, &mut written) {
        assert!(written.is_empty(), "{error}");
        return;
    }
    assert_eq!(written.len() % 10240, 0);
    let read = Archive::read(&written).unwrap();
    let mut expected: Vec<_> = archive.members.iter().map(|member| (&member.name, &member.what)).collect();
    expected.retain(|(_, what)| !matches!(what, ArchiveType::HardLink(_) | ArchiveType::Other(_)));
    expected.sort_by_key(|(name, _)| *name);
    let found: Vec<_> = read.members.iter().map(|member| (&member.name, &member.what)).collect();
    assert_eq!(found, expected);
    for member in &read.members {
        assert_eq!((member.uid, member.gid, member.mtime), (0, 0, 1_735_689_600), "{member:?}");
    }
}
