//! The words of the verbs that look at tarballs, and say what is in them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Selection, Signing, Sources};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot verify dist/k3s-root-amd64.tar dist/k3s-root-xtables-amd64.tar\n  \
    k3sroot verify --arch arm64 download.tar\n  \
    k3sroot verify --golden --arch amd64 dist/k3s-root-amd64.tar\n  \
    k3sroot verify --provenance k3s-root-amd64.intoto.jsonl --key key.pub dist/k3s-root-amd64.tar\n\n\
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
    #[command(flatten)]
    pub(in crate::cli) attested: Attested,
}

/// What a statement of where tarballs came from has to say.
#[derive(Debug, Args)]
#[command(next_help_heading = "Provenance")]
pub(in crate::cli) struct Attested {
    /// Check that this statement is about the tarballs: an in-toto statement with SLSA provenance, or one signed.
    #[arg(long, value_name = "FILE", conflicts_with = "golden")]
    pub(in crate::cli) provenance: Option<PathBuf>,
    /// A public key, in PEM, of somebody whose signature counts; may be given several times.
    #[arg(long, value_name = "FILE", requires = "provenance")]
    pub(in crate::cli) key: Vec<PathBuf>,
    /// The statement must name this builder.
    #[arg(long, value_name = "URI", requires = "provenance")]
    pub(in crate::cli) builder_id: Option<String>,
    /// What it was made from must be what the checkout has: recipes, patches, sources.
    #[arg(long, requires = "provenance")]
    pub(in crate::cli) checkout: bool,
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
    It is of what the cache has; `k3sroot build` writes the same documents beside the tarballs. Of several arches one comes after the other.")]
pub(in crate::cli) struct Sbom {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// The form.
    #[arg(long, value_enum, default_value_t = SbomFormat::Spdx)]
    pub(in crate::cli) format: SbomFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot vex --arch amd64 > k3s-root-amd64.openvex.json\n\n\
    It is OpenVEX 0.2.0, made from the `[[cve]]` entries in the recipes of what is inside; scanners that read it are silent \
    about what is fixed or does not concern the root. It is of what the cache has; `k3sroot build` writes it beside the \
    tarballs. Of what was built from a local tree it says `under_investigation`: recipes speak of pinned sources.")]
pub(in crate::cli) struct Vex {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot cve --db ~/nvd\n  \
    k3sroot cve --db ~/nvd --db ~/osv --arch all --fail-on high\n  \
    k3sroot cve --db ~/nvd --tools --json\n\n\
    Nothing is downloaded, and nothing need be built. A folder holds files `*.json` or `*.json.gz`: NVD's feeds of JSON 2.0, \
    what its interface returns, single records of it, or advisories of OSV. Components are known by the CPE and the purl \
    in their recipes. A finding is explained if the recipe's `[[cve]]` entry says that it is fixed or not there; an entry \
    `affected` says what to do, and the finding stays open unless `--accept-affected` is given. What has no known severity \
    counts as severe enough.\n\n\
    Exit status: 0 nothing open, 1 an open finding, 2 k3sroot could not look.")]
pub(in crate::cli) struct Cve {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// A folder of advisories; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    pub(in crate::cli) db: Vec<PathBuf>,
    /// The least severity that makes the exit status 1.
    #[arg(long, value_enum, default_value_t = FailOn::Low)]
    pub(in crate::cli) fail_on: FailOn,
    /// Let what a recipe calls `affected` count as explained: somebody has decided to live with it.
    #[arg(long)]
    pub(in crate::cli) accept_affected: bool,
    /// Look up what only runs during the build too.
    #[arg(long)]
    pub(in crate::cli) tools: bool,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FailOn {
    /// 0.1 and above.
    Low,
    /// 4.0 and above.
    Medium,
    /// 7.0 and above.
    High,
    /// 9.0 and above.
    Critical,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot legal --arch amd64\n  \
    k3sroot legal --arch amd64 --contact 'Example Ltd, 1 High Street, source@example.org' --out handout\n\n\
    It is of what the cache has; `k3sroot build` writes the same beside the tarballs. A pack that is there already is \
    left alone, and a contact in its OFFER.txt stays.\n\n\
    Exit status: 0 complete but for what is warned of, 1 sources are missing, 2 k3sroot could not write it.")]
pub(in crate::cli) struct Legal {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    /// Folder that gets a `k3s-root-<arch>.legal` for every arch [default: dist; with packages named, there is none].
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
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
    /// CycloneDX 1.6, as JSON; `cdx` will do.
    #[value(alias = "cdx")]
    Cyclonedx,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot provenance --arch amd64\n  \
    k3sroot provenance --arch amd64 --sign-key key.pem > k3s-root-amd64.intoto.jsonl\n\n\
    It is of what the cache has; `k3sroot build` writes the same beside the tarballs. `openssl genpkey -algorithm \
    ed25519` makes a key, and `openssl pkey -pubout` its public half for `k3sroot verify --provenance`.")]
pub(in crate::cli) struct Provenance {
    #[command(flatten)]
    pub(in crate::cli) selection: Selection,
    #[command(flatten)]
    pub(in crate::cli) signing: Signing,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    k3sroot compare dist/k3s-root-amd64.tar /\n  \
    rpm -qa --root /mnt > list && k3sroot compare dist/k3s-root-amd64.tar list --format markdown\n\n\
    A side is a root tarball, not compressed; a folder with a root or a whole system in it; what `rpm -qa` prints; or \
    dpkg's status file. `to do` is for who wants what the left side has on the right one. Links lead to programs with \
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
