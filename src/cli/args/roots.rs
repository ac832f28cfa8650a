//! The words of the verbs that look at tarballs, and say what is in them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Selection, Sources};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot verify dist/k3s-root-amd64.tar dist/k3s-root-xtables-amd64.tar\n  \
    k3sroot verify --arch arm64 download.tar\n  \
    k3sroot verify --golden --arch amd64 dist/k3s-root-amd64.tar\n\n\
    Exit status: 0 sound, 1 not sound, 2 k3sroot could not look.")]
pub(in crate::cli) struct Verify {
    /// Tarballs, not compressed.
    #[arg(value_name = "TAR", required_unless_present = "golden")]
    pub(in crate::cli) tars: Vec<PathBuf>,
    /// Compare what the cache has of every package, and the tarballs, with the golden digests of the checkout.
    #[arg(long, requires = "arch")]
    pub(in crate::cli) golden: bool,
    /// Write the golden digests anew, in place of comparing.
    #[arg(long, requires = "golden")]
    pub(in crate::cli) update: bool,
    /// The arch that they are for [default: what their names say, or what their programs are for].
    #[arg(long, value_name = "ARCH")]
    pub(in crate::cli) arch: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot diff old/k3s-root-amd64.tar dist/k3s-root-amd64.tar\n\n\
    Exit status: 0 equal byte for byte, 1 different, 2 k3sroot could not compare.")]
pub(in crate::cli) struct Diff {
    /// The tarball that there was, not compressed.
    #[arg(value_name = "OLD.tar")]
    pub(in crate::cli) old: PathBuf,
    /// The tarball that there is.
    #[arg(value_name = "NEW.tar")]
    pub(in crate::cli) new: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot sbom --arch amd64 > k3s-root-amd64.spdx.json\n  \
    k3sroot sbom --arch arm64 --format cyclonedx\n\n\
    It is of what the cache has; `k3sroot build` writes the same documents beside the tarballs.")]
pub(in crate::cli) struct Sbom {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// The form.
    #[arg(long, value_enum, default_value_t = SbomFormat::Spdx)]
    pub(in crate::cli) format: SbomFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot legal --arch amd64\n  \
    k3sroot legal --arch amd64 --contact 'Example Ltd, 1 High Street, source@example.org' --out handout\n\n\
    It is of what the cache has; `k3sroot build` writes the same beside the tarballs. A pack that is there already is\n\
    left alone, and a contact in its OFFER.txt stays.\n\n\
    Exit status: 0 complete but for what is warned of, 1 sources are missing, 2 k3sroot could not write it.")]
pub(in crate::cli) struct Legal {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Folder that gets a `k3s-root-<arch>.legal` for every arch.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    pub(in crate::cli) out: PathBuf,
    /// Who is to be asked for the sources, for the offer: name and address.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) contact: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) sources: Sources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SbomFormat {
    /// SPDX 2.3, as JSON.
    Spdx,
    /// CycloneDX 1.6, as JSON.
    Cyclonedx,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot compare dist/k3s-root-amd64.tar /\n  \
    rpm -qa --root /mnt > list && k3sroot compare dist/k3s-root-amd64.tar list --format markdown\n\n\
    A side is a root tarball, not compressed; a folder with a root or a whole system in it; what `rpm -qa` prints; or\n\
    dpkg's status file. `to do` is for who wants what the left side has on the right one. Links lead to programs with\n\
    many names; versions are what a program's bytes tell, or its package's.")]
pub(in crate::cli) struct Compare {
    /// What there is.
    #[arg(value_name = "LEFT")]
    pub(in crate::cli) left: PathBuf,
    /// What to look for it in.
    #[arg(value_name = "RIGHT")]
    pub(in crate::cli) right: PathBuf,
    /// The form.
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    pub(in crate::cli) format: CompareFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CompareFormat {
    /// Tables.
    Text,
    /// Tables for a document.
    Markdown,
    /// A line for every name.
    Csv,
    /// Everything.
    Json,
}
