//! The spec of k3sroot itself: the tree, the crates that it is made of, and nothing else, as Rust packages are made there.

use std::fmt::Write as _;

use super::crates::Crates;
use super::distribution::Distribution;
use super::spec::{Head, Spec, rpm_version};

/// What the package of the tool is called, as its program is.
pub const TOOL: &str = "k3sroot";

/// What the spec of the tool is made from.
#[derive(Debug, Clone)]
pub struct ToolFacts<'a> {
    /// For whom.
    pub distribution: Distribution,
    /// Who stands in the changelog.
    pub packager: &'a str,
    /// The program and its crates.
    pub crates: &'a Crates,
    /// The tool's home page, where it has one.
    pub homepage: Option<&'a str>,
    /// The least version of Rust, as `Cargo.toml` has it.
    pub rust: &'a str,
}

/// The archive of the tree.
pub fn tree_file(version: &str) -> String {
    format!("{TOOL}-{version}.tar.gz")
}

/// The archive of the crates.
pub fn vendor_file(version: &str) -> String {
    format!("{TOOL}-{version}-vendor.tar.gz")
}

/// The configuration that makes cargo take crates from the archive.
pub fn cargo_config_file(version: &str) -> String {
    format!("{TOOL}-{version}-cargo.toml")
}

/// The text of that configuration.
pub const fn cargo_config() -> &'static str {
    "[source.crates-io]\nreplace-with = \"vendored-sources\"\n\n\
     [source.vendored-sources]\ndirectory = \"vendor\"\n"
}

/// The spec.
pub fn tool_spec(facts: &ToolFacts<'_>) -> String {
    let ToolFacts { distribution, packager, crates, homepage, rust } = facts;
    let version = crates.version.as_str();
    let mut spec = Spec::new();
    spec.lines("\n# [profile.release] of Cargo.toml strips the program: there is nothing to take out of it.")
        .lines("%global debug_package %{nil}")
        .lines("# What roots are built from is hashed, scripts too: it stays as it is, and nothing of it runs here.")
        .lines("%undefine __brp_mangle_shebangs")
        .lines("%global __requires_exclude_from ^%{_datadir}/k3sroot/\n");
    spec.head(
        *distribution,
        &Head {
            name: TOOL,
            version,
            summary: "Builds the userspace that K3s carries from pinned sources",
            license: &crates.terms,
            homepage: *homepage,
        },
    );
    let files = [tree_file(version), vendor_file(version), cargo_config_file(version)];
    for (number, file) in files.iter().enumerate() {
        spec.tag(&format!("Source{number}"), file);
    }
    for needed in ["cargo", "gcc", &format!("rust >= {rust}")] {
        spec.tag("BuildRequires", needed);
    }
    let mut provides = String::new();
    for (name, version) in &crates.bundled {
        let _ = writeln!(provides, "{:16}bundled(crate({name})) = {}", "Provides:", rpm_version(version));
    }
    spec.lines("").lines("# The crates whose code is in the program.").lines(provides.trim_end());
    spec.description(
        "",
        "k3sroot builds the userspace that K3s carries (busybox, iptables, ip, conntrack and their like) from pinned \
         sources into static, deterministic tarballs: the same bits on every machine, as an ordinary user, without \
         containers and without a network. Its recipes, patches and arch records come with it.",
    );
    spec.section("prep", "%autosetup -p1 -a1\ninstall -Dpm644 %{SOURCE2} .cargo/config.toml\n");
    spec.section("build", "cargo build --release --offline --locked %{?_smp_mflags}\n");
    spec.section("install", INSTALL);
    spec.section("check", "target/release/%{name} lint --recipes recipes\n");
    spec.section("files", FILES);
    spec.finish(*distribution, packager, version)
}

const INSTALL: &str = "\
install -Dpm755 target/release/%{name} %{buildroot}%{_bindir}/%{name}
target/release/%{name} man %{buildroot}%{_mandir}/man1
complete() {
    target/release/%{name} completions \"$1\" > completions
    install -Dpm644 completions \"%{buildroot}%{_datadir}/$2\"
}
complete bash bash-completion/completions/%{name}
complete fish fish/vendor_completions.d/%{name}.fish
complete zsh zsh/site-functions/_%{name}
install -d %{buildroot}%{_datadir}/%{name}
cp -R recipes patches sysroot %{buildroot}%{_datadir}/%{name}
";

const FILES: &str = "\
%license LICENSE
%doc README.md CONTRIBUTING.md docs
%{_bindir}/%{name}
%{_datadir}/%{name}
%{_datadir}/bash-completion/completions/%{name}
%{_datadir}/fish/vendor_completions.d/%{name}.fish
%{_datadir}/zsh/site-functions/_%{name}
%{_mandir}/man1/%{name}*.1*
";
