//! Checks what recipes say of vulnerabilities: the `[[cve]]` entries.

use toml::Spanned;

use super::schema::RawCve;
use super::validate::Place;
use super::vulnerability::{Cve, CveStatus};
use super::{RecipeError, Source};

/// Whether a text is an identifier of one of the databases.
fn is_identifier(text: &str) -> bool {
    let digits =
        |text: &str, least: usize| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbered = |rest: &str, least: usize| {
        rest.split_once('-')
            .is_some_and(|(year, number)| year.len() == 4 && digits(year, 4) && digits(number, least))
    };
    let group = |text: &str| {
        text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    };
    match text.split_once('-') {
        Some(("CVE", rest)) => numbered(rest, 4),
        Some(("OSV", rest)) => numbered(rest, 1),
        Some(("GHSA", rest)) => rest.split('-').count() == 3 && rest.split('-').all(group),
        _ => false,
    }
}

impl Place<'_> {
    /// The `[[cve]]` entries, each once.
    pub(super) fn cves(&self, raw: &[Spanned<RawCve>], sources: &[Source]) -> Result<Vec<Cve>, RecipeError> {
        let mut cves: Vec<Cve> = Vec::new();
        for entry in raw {
            let cve = self.cve(entry, sources)?;
            if cves.iter().any(|known| known.id == cve.id) {
                let span = entry.get_ref().id.span();
                return Err(self.error(span, format!("{} is there twice", cve.id), None));
            }
            cves.push(cve);
        }
        Ok(cves)
    }

    fn cve(&self, entry: &Spanned<RawCve>, sources: &[Source]) -> Result<Cve, RecipeError> {
        let raw = entry.get_ref();
        if !is_identifier(raw.id.get_ref()) {
            let help = "of what has no number, GitHub's and OSV's identifiers will do: `GHSA-r9hj-j2rw-4q3m`, `OSV-2025-300`";
            let message = "this is no identifier like `CVE-2024-58251`";
            return Err(self.error(raw.id.span(), message, Some(help.to_owned())));
        }
        if !raw.reference.get_ref().starts_with("https://") {
            return Err(self.error(raw.reference.span(), "a reference is an https URL", None));
        }
        let because = raw.because.clone().filter(|because| !because.trim().is_empty());
        let status = match (&raw.fixed_by, &raw.fixed_in, raw.not_affected, &raw.affected, because) {
            (Some(patch), None, None, None, None) => {
                let mut patches = sources.iter().flat_map(|source| &source.patches);
                let Some(known) = patches.find(|known| known.name == *patch.get_ref()) else {
                    let help = "`patches` of a source names those that are applied".to_owned();
                    return Err(self.error(patch.span(), "no source has this patch", Some(help)));
                };
                // What a patch is for stands before its first file.
                let header = known.text.split("\n--- ").next().unwrap_or_default();
                if !header.contains(raw.id.get_ref().as_str()) {
                    let help = "a patch says in its header which vulnerabilities it takes away".to_owned();
                    return Err(self.error(patch.span(), "this patch does not name it", Some(help)));
                }
                CveStatus::FixedBy { patch: patch.get_ref().clone() }
            }
            (None, Some(version), None, None, None) => CveStatus::FixedIn { version: version.clone() },
            (None, None, Some(justification), None, Some(because)) => {
                CveStatus::NotAffected { justification, because }
            }
            (None, None, None, Some(action), None) => CveStatus::Affected { action: action.clone() },
            _ => {
                let help = "give `fixed-by` with a patch, `fixed-in` with a version, `not-affected` with a justification and \
                            `because`, or `affected` with what to do";
                return Err(self.error(
                    entry.span(),
                    "whether it is of concern is said in exactly one way",
                    Some(help.to_owned()),
                ));
            }
        };
        Ok(Cve { id: raw.id.get_ref().clone(), status, reference: raw.reference.get_ref().clone() })
    }
}
