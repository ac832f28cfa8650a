//! The spec of K3s, so changed that it takes the root from our package and not from a tarball among its sources.
//!
//! The text is somebody else's: only the lines that name the tarball change, and whatever else is in it stays as it is.

use diffy::DiffOptions;

use super::ROOT;
use base::name::ArchName;

/// Raised when a spec cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum K3sError {
    /// No source is the tarball.
    #[error(
        "no `Source` is a file called `{file}`: this spec takes its root from elsewhere, or has been changed already"
    )]
    NoSource {
        /// What was looked for.
        file: String,
    },
    /// The source is there and nothing names it.
    #[error("`Source{number}` is `{file}`, and nothing unpacks it with `%{{SOURCE{number}}}`")]
    NotUsed {
        /// The number of the source.
        number: String,
        /// Its file.
        file: String,
    },
    /// Without one there is no place for another.
    #[error("there is no `BuildRequires` beside which `{ROOT}` could stand")]
    NoRequirement,
    /// Signatures that do not list the tarball.
    #[error("there is no line with the digest of `{file}`")]
    NoSignature {
        /// What was looked for.
        file: String,
    },
}

/// The tarball's name in K3s's sources.
fn tarball(arch: &ArchName) -> String {
    format!("{ROOT}-{arch}.tar")
}

/// The spec with the root for `arch` from our package.
pub fn edit_spec(text: &str, arch: &ArchName) -> Result<String, K3sError> {
    let file = tarball(arch);
    let number = text.lines().find_map(|line| source_number(line, &file));
    let number = number.ok_or_else(|| K3sError::NoSource { file: file.clone() })?;
    let installed = format!("%{{_datadir}}/{ROOT}/{file}");
    // Behind the last one of the head; those of other packages stand further down.
    let head = text.lines().take_while(|line| !line.starts_with("%description")).enumerate();
    let (last, example) =
        head.filter(|(_, line)| line.starts_with("BuildRequires:")).last().ok_or(K3sError::NoRequirement)?;
    let value = example["BuildRequires:".len()..].trim_start();
    let column = example.len() - value.len();
    let requirement = format!("{:column$}{ROOT}", "BuildRequires:");
    let mut used = false;
    let mut lines = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if source_number(line, &file).is_none() {
            let changed = with_path(line, number, &installed);
            used |= changed != line;
            lines.push(changed);
        }
        if index == last {
            lines.push(requirement.clone());
        }
    }
    if used { Ok(lines.join("\n")) } else { Err(K3sError::NotUsed { number: number.to_owned(), file }) }
}

/// The number of the source on this line, if its file is called `file`.
fn source_number<'a>(line: &'a str, file: &str) -> Option<&'a str> {
    let (tag, value) = line.split_once(':')?;
    let number = tag.trim().strip_prefix("Source")?;
    let is_it = number.chars().all(|c| c.is_ascii_digit()) && value.trim().rsplit('/').next() == Some(file);
    // A source without a number is the first.
    is_it.then_some(if number.is_empty() { "0" } else { number })
}

/// The line with the path in place of the source.
fn with_path(line: &str, number: &str, path: &str) -> String {
    let line = line.replace(&format!("%{{SOURCE{number}}}"), path).replace(&format!("%{{S:{number}}}"), path);
    let bare = format!("%SOURCE{number}");
    let mut text = String::new();
    let mut rest = line.as_str();
    while let Some(at) = rest.find(&bare) {
        let (before, after) = (&rest[..at], &rest[at + bare.len()..]);
        let whole = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        text.push_str(before);
        text.push_str(if whole { path } else { &bare });
        rest = after;
    }
    text + rest
}

/// The signatures without the tarball's.
pub fn edit_signatures(text: &str, arch: &ArchName) -> Result<String, K3sError> {
    let file = tarball(arch);
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let is_it = |line: &String| line.trim_start().starts_with(&format!("\"{file}\""));
    let at = lines.iter().position(is_it).ok_or(K3sError::NoSignature { file: file.clone() })?;
    let removed = lines.remove(at);
    // The last of a list has no comma behind it.
    if !removed.trim_end().ends_with(',') && at > 0 {
        let length = lines[at - 1].trim_end().trim_end_matches(',').len();
        lines[at - 1].truncate(length);
    }
    Ok(lines.join("\n"))
}

/// The change of the file at `path`, which begins at the top of the distribution's checkout, as a patch for `patch -p1`.
pub fn unified(path: &str, before: &str, after: &str) -> String {
    let mut options = DiffOptions::new();
    options.set_original_filename(format!("a/{path}")).set_modified_filename(format!("b/{path}"));
    options.create_patch(before, after).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spec in the style of a distribution's, with what must stay.
    const SPEC: &str = "\
Name:          k3s
Release:       1%{?dist}
Source0:       https://words.invalid/k3s.tar.gz#/%{name}.tar.gz
Source3:       https://words.invalid/v0.14.1/k3s-root-amd64.tar
Source30:      https://words.invalid/charts.tgz
BuildRequires: golang
BuildRequires: yq

%description
BuildRequires: this is prose.

%prep
tar -xf %{SOURCE3} --no-same-owner
tar -xf %SOURCE3 && ls %SOURCE30 %{SOURCE30} %{S:3}
";

    fn amd64() -> ArchName {
        "amd64".parse().unwrap()
    }

    #[test]
    fn only_lines_about_the_tarball_change() {
        let edited = edit_spec(SPEC, &amd64()).unwrap();
        insta::assert_snapshot!(unified("SPECS/k3s/k3s.spec", SPEC, &edited), @r"
        --- a/SPECS/k3s/k3s.spec
        +++ b/SPECS/k3s/k3s.spec
        @@ -1,14 +1,14 @@
         Name:          k3s
         Release:       1%{?dist}
         Source0:       https://words.invalid/k3s.tar.gz#/%{name}.tar.gz
        -Source3:       https://words.invalid/v0.14.1/k3s-root-amd64.tar
         Source30:      https://words.invalid/charts.tgz
         BuildRequires: golang
         BuildRequires: yq
        +BuildRequires: k3s-root

         %description
         BuildRequires: this is prose.

         %prep
        -tar -xf %{SOURCE3} --no-same-owner
        -tar -xf %SOURCE3 && ls %SOURCE30 %{SOURCE30} %{S:3}
        +tar -xf %{_datadir}/k3s-root/k3s-root-amd64.tar --no-same-owner
        +tar -xf %{_datadir}/k3s-root/k3s-root-amd64.tar && ls %SOURCE30 %{SOURCE30} %{_datadir}/k3s-root/k3s-root-amd64.tar
        ");
    }

    #[test]
    fn what_cannot_be_changed_is_said() {
        let wrong =
            |from: &str, to: &str| edit_spec(&SPEC.replace(from, to), &amd64()).unwrap_err().to_string();
        assert!(
            wrong("root-amd64", "root-arm64").contains("no `Source` is a file called `k3s-root-amd64.tar`")
        );
        assert!(wrong("BuildRequires: ", "Requires: ").contains("no `BuildRequires`"));
        let unused = SPEC.replace("SOURCE3}", "SOURCE4}").replace("%SOURCE3 ", "").replace("S:3", "S:4");
        let unused = edit_spec(&unused, &amd64()).unwrap_err().to_string();
        assert_eq!(unused, "`Source3` is `k3s-root-amd64.tar`, and nothing unpacks it with `%{SOURCE3}`");
        let twice = edit_spec(&edit_spec(SPEC, &amd64()).unwrap(), &amd64());
        assert!(twice.unwrap_err().to_string().contains("has been changed already"));
    }

    #[test]
    fn the_signature_goes_and_the_rest_is_json_still() {
        let line = |file: &str| format!("  \"{file}\": \"0\"");
        for order in [["a.tar", "k3s-root-amd64.tar"], ["k3s-root-amd64.tar", "a.tar"]] {
            let text = format!("{{\n \"Signatures\": {{\n{}\n }}\n}}\n", order.map(line).join(",\n"));
            let edited = edit_signatures(&text, &amd64()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&edited).unwrap();
            assert_eq!(value, serde_json::json!({ "Signatures": { "a.tar": "0" } }));
            assert!(edit_signatures(&edited, &amd64()).is_err());
        }
    }
}
