//! Chooses modules of Debian's kernel, and lists what modprobe has to know of them, which Debian's packages leave to the
//! machine that they are installed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _};
use walkdir::WalkDir;

use crate::case::Kernel;

/// Folders of modules, below `kernel`, and single ones. What these need comes along.
const FOLDERS: &[&str] =
    &["net/netfilter", "net/ipv4", "net/ipv6", "net/bridge", "net/802", "net/llc", "fs/nls", "lib"];
const SINGLE: &[&str] =
    &["tun", "dummy", "veth", "fuse", "overlay", "loop", "vfat", "crc32c_generic", "failover"];

/// What begins the names of the modules that a kernel has for legacy tables, and without them not.
const LEGACY: &[&str] =
    &["ip_tables", "iptable_", "ip6_tables", "ip6table_", "arp_tables", "arptable_", "ebtables", "ebtable_"];

pub(crate) struct Modules {
    /// The kernel's release, which names the folder of its modules.
    pub(crate) release: String,
    /// By name: `nf_tables`.
    modules: BTreeMap<String, Module>,
}

struct Module {
    bytes: Vec<u8>,
    depends: Vec<String>,
    aliases: Vec<String>,
}

impl Modules {
    /// The modules in `folder`, as `tests/kernel.sh` leaves them.
    pub(crate) fn choose(folder: &Path, kind: Kernel) -> Self {
        let kernel = WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
        let kernel = kernel.into_iter().find(|path| path.ends_with("kernel")).unwrap();
        let release = kernel.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let files: BTreeMap<String, PathBuf> = WalkDir::new(&kernel)
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| (name(entry.path()), entry.into_path()))
            .filter(|(name, _)| kind == Kernel::Whole || !LEGACY.iter().any(|start| name.starts_with(start)))
            .collect();
        let wanted = |(name, path): &(&String, &PathBuf)| {
            FOLDERS.iter().any(|folder| path.starts_with(kernel.join(folder)))
                || SINGLE.contains(&name.as_str())
        };
        let mut waiting: Vec<String> = files.iter().filter(wanted).map(|(name, _)| name.clone()).collect();
        let mut modules = BTreeMap::new();
        while let Some(name) = waiting.pop() {
            // What is needed and is not a file is part of the kernel.
            let Some(path) = files.get(&name).filter(|_| !modules.contains_key(&name)) else { continue };
            let module = Module::read(path);
            waiting.extend(module.depends.iter().cloned());
            modules.insert(name, module);
        }
        Self { release, modules }
    }

    /// The modules, as files; as everywhere, they are in a folder `kernel`, by which iptables-detect.sh knows them.
    pub(crate) fn files(&self) -> impl Iterator<Item = (String, &[u8])> {
        self.modules.iter().map(|(name, module)| (format!("kernel/{name}.ko"), module.bytes.as_slice()))
    }

    /// `modules.dep`: a module and all that it needs, each before what it needs itself.
    pub(crate) fn dependencies(&self) -> String {
        let mut text = String::new();
        for name in self.modules.keys() {
            let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
            self.visit(name, &mut seen, &mut order);
            write!(text, "kernel/{name}.ko:").unwrap();
            for needed in order.iter().rev().skip(1) {
                write!(text, " kernel/{needed}.ko").unwrap();
            }
            text.push('\n');
        }
        text
    }

    fn visit<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        let Some(module) = self.modules.get(name) else { return };
        if seen.insert(name) {
            for needed in &module.depends {
                self.visit(needed, seen, order);
            }
            order.push(name);
        }
    }

    /// `modules.alias`.
    pub(crate) fn aliases(&self) -> String {
        let mut text = String::new();
        for (name, module) in &self.modules {
            for alias in &module.aliases {
                writeln!(text, "alias {alias} {name}").unwrap();
            }
        }
        text
    }
}

impl Module {
    fn read(path: &Path) -> Self {
        let file = fs::read(path).unwrap();
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("ko") => file,
            Some("xz") => {
                let mut bytes = Vec::new();
                xz2::read::XzDecoder::new(file.as_slice()).read_to_end(&mut bytes).unwrap();
                bytes
            }
            _ => panic!("{}: neither .ko nor .ko.xz", path.display()),
        };
        let elf = object::File::parse(bytes.as_slice()).unwrap();
        let information = elf.section_by_name(".modinfo").unwrap().data().unwrap();
        let mut module = Self { bytes: Vec::new(), depends: Vec::new(), aliases: Vec::new() };
        for field in information.split(|byte| *byte == 0) {
            let field = String::from_utf8_lossy(field);
            match field.split_once('=') {
                Some(("depends", names)) => {
                    let names = names.split(',').filter(|name| !name.is_empty());
                    module.depends = names.map(|name| name.replace('-', "_")).collect();
                }
                Some(("alias", alias)) => module.aliases.push(alias.to_owned()),
                _ => {}
            }
        }
        module.bytes = bytes;
        module
    }
}

/// A file's module, in modprobe's spelling.
fn name(path: &Path) -> String {
    let file = path.file_name().unwrap().to_str().unwrap();
    file.split('.').next().unwrap().replace('-', "_")
}
