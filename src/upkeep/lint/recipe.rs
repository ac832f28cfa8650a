//! Rules that look at one recipe.

use std::collections::BTreeSet;

use super::text::File;
use super::{Finding, Rule};
use base::version::newer;
use model::recipe::{Archive, CveStatus, Origin, Recipe, System};

/// The longest summary, in characters.
const SUMMARY: usize = 90;

/// The fewest words of a reason.
const REASON: usize = 5;

pub(super) fn look(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    license(file, recipe, findings);
    description(file, recipe, findings);
    sources(file, recipe, findings);
    needs(file, recipe, findings);
    script(file, recipe, findings);
    cves(file, recipe, findings);
    held(file, recipe, findings);
    whitespace(file, findings);
}

fn license(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    if let Err(error) = spdx::Expression::parse(&recipe.license.spdx) {
        let message = format!("`{}` is no SPDX expression: {}", recipe.license.spdx, error.reason);
        findings.push(file.finding(Rule::LicenseExpression, &["license", "spdx"], message));
    }
    let archives = recipe.sources.iter().any(|source| matches!(source.origin, Origin::Archives(_)));
    if archives && recipe.license.files.is_empty() {
        let message = "no licence text is named".to_owned();
        findings.push(file.finding(Rule::LicenseFiles, &["license"], message));
    }
}

/// What is wrong with a summary, if anything is.
pub fn summary_fault(summary: &str) -> Option<String> {
    let length = summary.chars().count();
    match () {
        () if summary.trim().is_empty() => Some("the summary is empty".to_owned()),
        () if summary.contains('\n') => Some("the summary has more than one line".to_owned()),
        () if length > SUMMARY => Some(format!("the summary has {length} characters, more than {SUMMARY}")),
        () if summary.ends_with('.') => Some("the summary ends with a full stop".to_owned()),
        () => None,
    }
}

/// What is wrong with the address of a home page, if anything is.
pub fn homepage_fault(homepage: &str) -> Option<String> {
    (!homepage.starts_with("https://")).then(|| format!("`{homepage}` is no https URL"))
}

fn description(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    let summary = summary_fault(&recipe.summary);
    findings.extend(summary.map(|message| file.finding(Rule::Summary, &["summary"], message)));
    let homepage = homepage_fault(&recipe.homepage);
    findings.extend(homepage.map(|message| file.finding(Rule::Homepage, &["homepage"], message)));
    let mut identity = |key: &str, message: String| {
        findings.push(file.finding(Rule::Identity, &["identity", key], message));
    };
    let two = |text: &str, between: char| {
        text.split_once(between).is_some_and(|(first, second)| !first.is_empty() && !second.is_empty())
    };
    match recipe.identity.purl.as_deref() {
        None => identity("purl", "there is no purl".to_owned()),
        Some(purl) if !purl.strip_prefix("pkg:").is_some_and(|rest| two(rest, '/')) => {
            identity("purl", format!("`{purl}` is not of the form `pkg:type/name`"));
        }
        Some(_) => {}
    }
    match recipe.identity.cpe.as_deref() {
        Some(cpe) if !two(cpe, ':') || cpe.matches(':').count() > 1 => {
            identity("cpe", format!("`{cpe}` is not of the form `vendor:product`"));
        }
        _ => {}
    }
}

fn sources(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    for (index, source) in recipe.sources.iter().enumerate() {
        let Origin::Archives(archives) = &source.origin else { continue };
        let index = index.to_string();
        let keys = ["source", index.as_str()];
        let upstream = |archive: &Archive| archive.urls.iter().any(|url| url.starts_with("https://"));
        let span = file.span(&keys);
        if !archives.first().is_some_and(upstream) && !file.explained(&span) {
            let message = "the first archive has no https URL, and nothing says why".to_owned();
            findings.push(file.at(Rule::Upstream, span, message));
        }
    }
    let version = recipe.version.as_str();
    for (url, span) in file.urls() {
        if url.starts_with("file:") {
            findings.push(file.at(Rule::FileUrl, span.clone(), "a URL begins with `file:`".to_owned()));
        }
        // A short one may stand for something else.
        if version.len() > 2 && url.contains(version) {
            findings.push(file.at(Rule::UrlVersion, span, format!("the URL has `{version}` written out")));
        }
    }
}

fn needs(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    let needs = &recipe.needs;
    for (key, list) in
        [("tools", &needs.tools), ("link", &needs.link), ("target", &needs.target), ("run", &needs.run)]
    {
        let mut seen = BTreeSet::new();
        for (index, need) in list.iter().enumerate().filter(|(_, need)| !seen.insert(*need)) {
            let message = format!("`{need}` is named twice");
            findings.push(file.finding(Rule::NeedTwice, &["needs", key, &index.to_string()], message));
        }
    }
}

fn script(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    let local = recipe.sources.iter().all(|source| matches!(source.origin, Origin::Local(_)));
    if !matches!(recipe.build.system, System::Script { .. }) || local {
        return;
    }
    let span = file.word(&["build", "system"], "script");
    if !file.explained(&span) {
        let message = "nothing says why the commands are written out".to_owned();
        findings.push(file.at(Rule::ScriptReason, span, message));
    }
}

fn cves(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    for (index, cve) in recipe.cves.iter().enumerate() {
        match &cve.status {
            CveStatus::FixedIn { version } if newer(version, &recipe.version) => {
                let message = format!(
                    "{version} is later than {}: until the recipe has it, it is `affected`",
                    recipe.version
                );
                let keys = ["cve", &index.to_string(), "fixed-in"];
                findings.push(file.finding(Rule::CveVersion, &keys, message));
            }
            _ => {}
        }
    }
}

fn held(file: &File<'_>, recipe: &Recipe, findings: &mut Vec<Finding>) {
    let Some(held) = &recipe.held else { return };
    if !newer(&held.newest, &recipe.version) {
        let message = format!("{} is not later than {}: nothing is held back", held.newest, recipe.version);
        findings.push(file.finding(Rule::Held, &["held", "newest"], message));
    }
    if held.because.split_whitespace().count() < REASON {
        let message = format!("the reason has fewer than {REASON} words");
        findings.push(file.finding(Rule::Held, &["held", "because"], message));
    }
}

fn whitespace(file: &File<'_>, findings: &mut Vec<Finding>) {
    let mut start = 0;
    for line in file.text.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        let wrong = match () {
            () if text.contains('\t') => Some("a tab"),
            () if text.trim_end() != text => Some("a blank at the end of the line"),
            () if text.len() == line.len() => Some("no line break at the end of the file"),
            () => None,
        };
        let span = start..start + text.len();
        findings.extend(wrong.map(|message| file.at(Rule::Whitespace, span, message.to_owned())));
        start += line.len();
    }
    if file.text.ends_with("\n\n") {
        let end = file.text.len();
        findings.push(file.at(
            Rule::Whitespace,
            end - 1..end,
            "an empty line at the end of the file".to_owned(),
        ));
    }
}
