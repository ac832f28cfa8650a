//! ELF files made by hand, arch records, and trees as the packages leave them, made from upstream's inventory.

use std::collections::BTreeMap;
use std::path::Path;

use base::name::PackageName;
use model::arch::{Arch, Arches};
use root::pack::{Expected, ExpectedType, Layout, PackageTree, TarballKind, TreeEntry};

pub(crate) const LAYOUT: &str = include_str!("../../../../recipes/root.toml");

/// The real layout.
pub(crate) fn layout() -> Layout {
    Layout::parse("recipes/root.toml".as_ref(), LAYOUT).unwrap()
}

pub(crate) fn package(name: &str) -> PackageName {
    name.parse().unwrap()
}

/// The real arches. Two crates have tests that look for them.
pub(crate) fn arches() -> Arches {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("sysroot"));
    Arches::load(&folders.find(|folder| folder.is_dir()).unwrap()).unwrap()
}

pub(crate) fn arch(name: &str) -> Arch {
    arches().find(name).unwrap().clone()
}

/// An ELF file as a list of what is in it, to be spoilt before it is written.
#[derive(Clone)]
pub(crate) struct FakeElf {
    pub(crate) machine: u16,
    pub(crate) class: u8,
    pub(crate) big_endian: bool,
    pub(crate) e_type: u16,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<(&'static str, u32)>,
    pub(crate) dynamic: Vec<(u64, u64)>,
    pub(crate) tail: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) p_type: u32,
    pub(crate) flags: u32,
    pub(crate) address: u64,
    pub(crate) align: u64,
    pub(crate) data: Vec<u8>,
}

pub(crate) const LOAD: u32 = 1;
pub(crate) const DYNAMIC: u32 = 2;
pub(crate) const INTERP: u32 = 3;
pub(crate) const STACK: u32 = 0x6474_e551;
pub(crate) const RELRO: u32 = 0x6474_e552;

/// What gcc makes of a function that is protected: the part that reads the canary, by `e_machine`.
pub(crate) fn protected_code(machine: u16) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    match machine {
        62 => vec![0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0],
        183 => words(&[0xf940_0001, 0xf900_2fe1, 0xd280_0001]),
        40 => words(&[0xe593_3000, 0xe58d_3044, 0xe3a0_3000]),
        243 => words(&[0x0004_b783, 0xfcf4_3c23, 0x0000_0793]),
        _ => panic!("{machine}"),
    }
}

impl FakeElf {
    /// A static PIE in which nothing is wrong.
    pub(crate) fn sound(arch: &Arch) -> Self {
        let segment = |p_type, flags, address| Segment {
            p_type,
            flags,
            address,
            align: if p_type == LOAD { arch.page_size } else { 1 },
            data: Vec::new(),
        };
        let mut code = segment(LOAD, 5, 0);
        code.data = protected_code(arch.elf.number);
        Self {
            machine: arch.elf.number,
            class: arch.elf.class,
            big_endian: false,
            e_type: 3,
            segments: vec![
                code,
                segment(LOAD, 6, 0x20000),
                segment(DYNAMIC, 6, 0x20000),
                segment(STACK, 6, 0),
                segment(RELRO, 4, 0x20000),
            ],
            sections: vec![("", 0), (".text", 1), (".shstrtab", 3)],
            dynamic: vec![(30, 8), (0x6fff_fffb, 0x0800_0001)],
            tail: Vec::new(),
        }
    }

    pub(crate) fn segment(&mut self, p_type: u32) -> &mut Segment {
        self.segments.iter_mut().find(|segment| segment.p_type == p_type).unwrap()
    }

    pub(crate) fn push(&mut self, p_type: u32, data: &[u8]) {
        self.segments.push(Segment { p_type, flags: 4, address: 0, align: 1, data: data.to_vec() });
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let wide = self.class == 64;
        let big = self.big_endian;
        let put = |out: &mut Vec<u8>, value: u64, size: usize| {
            let bytes = value.to_le_bytes();
            let bytes: Vec<u8> =
                if big { bytes[..size].iter().rev().copied().collect() } else { bytes[..size].to_vec() };
            out.extend(bytes);
        };
        let word = if wide { 8 } else { 4 };
        let mut dynamic = Vec::new();
        for (tag, value) in self.dynamic.iter().chain([&(0, 0)]) {
            put(&mut dynamic, *tag, word);
            put(&mut dynamic, *value, word);
        }
        for segment in &mut self.segments {
            if segment.p_type == DYNAMIC {
                segment.data.clone_from(&dynamic);
            }
        }
        let (header, entry, section) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let mut body = Vec::new();
        let start = header + entry * self.segments.len();
        let mut table = Vec::new();
        for segment in &self.segments {
            let offset = (start + body.len()) as u64;
            let size = segment.data.len() as u64;
            body.extend(&segment.data);
            put(&mut table, segment.p_type.into(), 4);
            if wide {
                put(&mut table, segment.flags.into(), 4);
            }
            for value in [offset, segment.address, segment.address, size, size] {
                put(&mut table, value, word);
            }
            if !wide {
                put(&mut table, segment.flags.into(), 4);
            }
            put(&mut table, segment.align, word);
        }
        body.extend(&self.tail);
        let names_at = (start + body.len()) as u64;
        let mut names = Vec::new();
        let mut sections = Vec::new();
        let all: usize = self.sections.iter().map(|(name, _)| name.len() + 1).sum();
        for (name, sh_type) in &self.sections {
            let strings = *sh_type == 3;
            put(&mut sections, names.len() as u64, 4);
            put(&mut sections, (*sh_type).into(), 4);
            let (offset, size) = if strings { (names_at, all as u64) } else { (0, 0) };
            for value in [0, 0, offset, size] {
                put(&mut sections, value, word);
            }
            put(&mut sections, 0, 4);
            put(&mut sections, 0, 4);
            put(&mut sections, 1, word);
            put(&mut sections, 0, word);
            names.extend(name.as_bytes());
            names.push(0);
        }
        body.extend(names);
        let sections_at = start + body.len();
        let mut out = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1];
        out.resize(16, 0);
        put(&mut out, self.e_type.into(), 2);
        put(&mut out, self.machine.into(), 2);
        put(&mut out, 1, 4);
        for value in [0x1000, header, sections_at] {
            put(&mut out, value as u64, word);
        }
        put(&mut out, 0, 4);
        for value in
            [header, entry, self.segments.len(), section, self.sections.len(), self.sections.len() - 1]
        {
            put(&mut out, value as u64, 2);
        }
        out.extend(table);
        out.extend(body);
        out.extend(sections);
        out
    }
}

/// Every member that the contract has.
pub(crate) fn inventory() -> Vec<Expected> {
    TarballKind::Root.members().chain(TarballKind::Xtables.members()).collect()
}

pub(crate) type Trees = BTreeMap<PackageName, PackageTree<String>>;

/// Trees as `make install` of the packages leaves them, more than is packed included. A file's handle is
/// `package:path`.
pub(crate) fn trees() -> Trees {
    let mut trees = Trees::new();
    let mut file = |owner: &str, path: &str| {
        let handle = format!("{owner}:{path}");
        trees.entry(package(owner)).or_default().insert(path.to_owned(), TreeEntry::File(handle));
    };
    let files = "busybox bin/busybox; coreutils usr/bin/coreutils; findutils usr/bin/find usr/bin/xargs; \
         util-linux sbin/blkid sbin/losetup usr/bin/nsenter bin/dmesg sbin/mkswap; \
         iproute2 usr/sbin/ip usr/sbin/tc; ethtool usr/sbin/ethtool; conntrack-tools usr/sbin/conntrack; \
         ipset usr/sbin/ipset; fuse-overlayfs usr/bin/fuse-overlayfs; slirp4netns usr/bin/slirp4netns; \
         pigz usr/bin/pigz; nftables usr/sbin/nft; \
         iptables usr/sbin/xtables-nft-multi usr/sbin/xtables-legacy-multi usr/sbin/iptables-apply usr/lib/libxtables.a; \
         ebtables usr/sbin/ebtables-legacy usr/sbin/ebtables-legacy-save usr/sbin/ebtablesd usr/sbin/ebtablesu; \
         k3s-scripts usr/sbin/iptables-detect.sh usr/sbin/xtables-set-mode.sh";
    for line in files.split(';') {
        let mut words = line.split_whitespace();
        let owner = words.next().unwrap();
        words.for_each(|path| file(owner, path));
    }
    let mut link = |owner: &str, path: String, target: &str| {
        trees.get_mut(&package(owner)).unwrap().insert(path, TreeEntry::Symlink(target.to_owned()));
    };
    let folders = [("bin", "busybox"), ("sbin", "../bin/busybox"), ("usr/bin", "../../bin/busybox")];
    let unnamed = "dmesg fdisk flock fstrim hexdump mkswap readprofile renice setsid swapoff swapon find ip nsenter losetup";
    for (index, name) in unnamed.split(' ').enumerate() {
        let (folder, target) = folders[index % 3];
        link("busybox", format!("{folder}/{name}"), target);
    }
    link("busybox", "bin/mount".to_owned(), "busybox");
    link("busybox", "sbin/modprobe".to_owned(), "../bin/busybox");
    link("busybox", "usr/sbin/chroot".to_owned(), "../../bin/busybox");
    link("pigz", "usr/bin/unpigz".to_owned(), "pigz");
    link("ipset", "usr/sbin/ipset-translate".to_owned(), "/usr/sbin/ipset");
    link("iptables", "usr/bin/iptables-xml".to_owned(), "/usr/sbin/xtables-legacy-multi");
    let links = TarballKind::Root.members().filter_map(|member| match member.what {
        ExpectedType::Link(target) => Some((member.name, target)),
        _ => None,
    });
    for (index, (path, leads_to)) in links.enumerate() {
        let name = path.rsplit('/').next().unwrap();
        let (folder, target) = folders[index % 3];
        match leads_to {
            "busybox" if name == "linuxrc" => link("busybox", name.to_owned(), "bin/busybox"),
            "busybox" => link("busybox", format!("{folder}/{name}"), target),
            "coreutils" => {
                link("coreutils", format!("usr/bin/{name}"), "coreutils");
                if !["b2sum", "chcon", "chroot"].contains(&name) {
                    link("busybox", format!("{folder}/{name}"), target);
                }
            }
            // iptables installs these for its own default, the legacy tool.
            "iptables-detect.sh" => link("iptables", format!("usr/sbin/{name}"), "xtables-legacy-multi"),
            "xtables-nft-multi" | "xtables-legacy-multi" | "iptables-apply" => {
                link("iptables", format!("usr/sbin/{name}"), leads_to);
            }
            "../busybox" | "pigz" => {}
            other => panic!("{other}"),
        }
    }
    trees
}

/// What `handle` stands for: a program of the arch, or a script.
pub(crate) fn contents(handle: &str, arch: &Arch) -> Vec<u8> {
    let script = handle.contains(".sh") || handle.contains("iptables-apply");
    if script { b"#!/bin/sh\n".to_vec() } else { tagged(arch, handle) }
}

fn tagged(arch: &Arch, tag: &str) -> Vec<u8> {
    let mut elf = FakeElf::sound(arch);
    elf.tail = tag.as_bytes().to_vec();
    elf.bytes()
}

/// A member of a tarball as a hostile packer could write it.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) kind: tar::EntryType,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) target: String,
    pub(crate) contents: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(name: &str, kind: tar::EntryType, target: &str, contents: &[u8]) -> Self {
        let mode = if kind == tar::EntryType::Symlink { 0o777 } else { 0o755 };
        let (name, target) = (name.to_owned(), target.to_owned());
        Self { name, kind, mode, owner: (0, 0), target, contents: contents.to_vec() }
    }
}

/// A whole tarball, with nothing wrong in it.
pub(crate) fn tarball(kind: TarballKind, arch: &Arch) -> Vec<Raw> {
    let raw = |member: Expected| match member.what {
        ExpectedType::Folder => Raw::new(member.name, tar::EntryType::Directory, "", b""),
        ExpectedType::Link(target) => Raw::new(member.name, tar::EntryType::Symlink, target, b""),
        ExpectedType::Script => Raw::new(member.name, tar::EntryType::Regular, "", b"#!/bin/sh\n"),
        ExpectedType::Program => {
            Raw::new(member.name, tar::EntryType::Regular, "", &tagged(arch, member.name))
        }
    };
    kind.members().map(raw).collect()
}

/// The bytes of a tarball, whatever is in it.
pub(crate) fn tar_of(members: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_uid(member.owner.0);
        header.set_gid(member.owner.1);
        header.set_mtime(1_735_689_600);
        header.set_size(member.contents.len() as u64);
        let old = header.as_old_mut();
        old.name[..member.name.len()].copy_from_slice(member.name.as_bytes());
        old.linkname[..member.target.len()].copy_from_slice(member.target.as_bytes());
        header.set_cksum();
        out.extend(header.as_bytes());
        out.extend(&member.contents);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}
