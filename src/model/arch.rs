//! Arch records: `sysroot/<arch>.toml`, everything that sets one arch apart from another. Adding an arch is adding a
//! file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use base::beneath;
use base::digest::Sha256;
use base::name::ArchName;

/// One arch, as its file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Arch {
    /// K3s's spelling, which names the tarballs; also the file's name.
    pub name: ArchName,
    /// Other spellings that the command line accepts.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The GNU triple of the programs that are built.
    pub triple: String,
    /// The kernel's name for the arch (`make ARCH=`).
    pub kernel_arch: String,
    /// The largest page size, in bytes, that kernels of the arch use: the least alignment of loadable segments.
    pub page_size: u64,
    /// What every ELF file for the arch says of itself.
    pub elf: Elf,
    /// Compiler flags that choose the processor and its calling convention.
    #[serde(default)]
    pub cflags: Vec<String>,
    /// Linker flags that the arch needs.
    #[serde(default)]
    pub ldflags: Vec<String>,
    /// Options of gcc's configure that choose the same processor as the compiler's default.
    #[serde(default)]
    pub gcc_configure: Vec<String>,
    /// What the names of the build machine's cross compiler and its binutils begin with, on Debian, Fedora and the like.
    #[serde(default)]
    pub cross_gcc: Vec<String>,
    /// What Rust, and so the `cc` crate, calls the target.
    pub rust_target: String,
    /// What meson's cross file says of the machine.
    pub meson: Meson,
    /// The digest of the record's file as it was read.
    #[serde(skip, default = "unread")]
    pub sha256: Sha256,
}

/// The digest of a record's file until it is known.
fn unread() -> Sha256 {
    Sha256::of(&[])
}

/// The ELF identity of an arch.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Elf {
    /// The machine in readelf's words.
    pub machine: String,
    /// `e_machine`, from the ELF specification's registry.
    pub number: u16,
    /// 32 or 64.
    pub class: u8,
    /// `little` or `big`.
    pub endian: String,
}

/// The machine in meson's words.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Meson {
    /// Meson's CPU family.
    pub cpu_family: String,
    /// Meson's CPU name.
    pub cpu: String,
}

/// Raised when the arch records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchError {
    /// A file or the folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a valid record.
    #[error("`{}` is not a valid arch record", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        source: Box<toml::de::Error>,
    },
    /// A record's name is not its file's.
    #[error("`{}` describes `{name}`: rename the file to `{name}.toml` or correct `name`", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
        /// The name inside.
        name: ArchName,
    },
    /// A spelling that no record has.
    #[error("no arch is called `{text}`; known are {known}")]
    Unknown {
        /// What was asked for.
        text: String,
        /// The arches there are.
        known: String,
    },
    /// There is no record at all.
    #[error("`{}` has no arch record", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
}

/// All arch records, by name.
#[derive(Debug, Clone)]
pub struct Arches(BTreeMap<ArchName, Arch>);

impl Arch {
    /// Reads one record from its text; `path` is the file that it stands in.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ArchError> {
        let mut arch: Self = toml::from_str(text)
            .map_err(|source| ArchError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        if path.file_stem().is_none_or(|stem| stem != arch.name.as_str()) {
            return Err(ArchError::FileName { path: path.to_owned(), name: arch.name });
        }
        arch.sha256 = Sha256::of(text.as_bytes());
        Ok(arch)
    }

    /// Whether `machine`, as `uname -m` and Rust name it, is of this arch.
    pub fn is_called(&self, machine: &str) -> bool {
        self.name.as_str() == machine || self.aliases.iter().any(|alias| alias == machine)
    }
}

impl Arches {
    /// Reads every `*.toml` file of `folder`.
    pub fn load(folder: &Path) -> Result<Self, ArchError> {
        let read = |path: &Path, source| ArchError::Read { path: path.to_owned(), source };
        let mut arches = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|source| read(folder, source))? {
            let path = entry.map_err(|source| read(folder, source))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = beneath::read_own(&path).map_err(|source| read(&path, source))?;
            let arch = Arch::parse(&path, &text)?;
            arches.insert(arch.name.clone(), arch);
        }
        if arches.is_empty() {
            return Err(ArchError::Empty { folder: folder.to_owned() });
        }
        Ok(Self(arches))
    }

    /// The arch called `text`, by its name or one of its aliases.
    pub fn find(&self, text: &str) -> Result<&Arch, ArchError> {
        self.iter()
            .find(|arch| arch.is_called(text))
            .ok_or_else(|| ArchError::Unknown { text: text.to_owned(), known: self.names() })
    }

    /// The record of `name`.
    pub fn get(&self, name: &ArchName) -> Result<&Arch, ArchError> {
        self.find(name.as_str())
    }

    /// The records in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arch> {
        self.0.values()
    }

    fn names(&self) -> String {
        self.0.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}
