//! `k3sroot lint`: what could be better about the recipes.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Global, Lint};
use super::error::{CliError, snippet};
use super::project::{Project, recipes_folder};
use super::{colour, print, print_json};
use model::graph::{CompilerFrom, Graph};
use upkeep::lint::{Finding, Rule, lint};

/// A finding as `--json` prints it.
#[derive(Serialize)]
struct Listed {
    rule: Rule,
    path: String,
    /// Counted from 1; none for what is no place in a text.
    line: Option<usize>,
    message: String,
}

pub(super) fn run(global: &Global, args: &Lint) -> Result<(), CliError> {
    if args.rules {
        return rules(args.json);
    }
    let project = Project::load(global)?;
    for package in &args.packages {
        project.recipe(package)?;
    }
    let wanted: Vec<_> = project.layout.packages().into_iter().collect();
    let arches: Vec<_> = project.arches.iter().map(|arch| arch.name.clone()).collect();
    let graph = Graph::build(&project.recipes, &wanted, &arches, CompilerFrom::Source)?;
    let used = graph.ordered().into_iter().map(|unit| unit.package).collect();
    let mut findings = lint(&recipes_folder(global)?, &project.recipes, &used)?;
    findings.retain(|finding| {
        let about = |package| {
            let folder = finding.path.parent().and_then(|folder| folder.file_name());
            project.recipes[package].path == finding.path || folder == Some(package.as_str().as_ref())
        };
        // Who names a package works on it, and may not have put it to use yet.
        let counts =
            args.packages.is_empty() || (finding.rule != Rule::Unused && args.packages.iter().any(about));
        counts && !args.allow.contains(&finding.rule)
    });
    if args.json {
        print_json(&findings.iter().map(listed).collect::<Vec<_>>())?;
    } else {
        let colour = colour(&std::io::stdout());
        print(&findings.iter().map(|finding| shown(finding, colour)).collect::<String>())?;
    }
    if findings.is_empty() { Ok(()) } else { Err(CliError::Findings { count: findings.len() }) }
}

fn rules(json: bool) -> Result<(), CliError> {
    if json {
        let rules = Rule::ALL.map(|rule| (rule.name(), rule.reason()));
        return print_json(&std::collections::BTreeMap::from(rules));
    }
    let mut text = String::new();
    for rule in Rule::ALL {
        let _ = writeln!(text, "{rule:20} {}", rule.reason());
    }
    print(&text)
}

fn shown(finding: &Finding, colour: bool) -> String {
    let Finding { rule, path, text, span, message } = finding;
    if text.is_empty() {
        return format!("{}: {message} [{rule}]\n", path.display());
    }
    snippet(path, text, span.clone(), &format!("{message} [{rule}]"), None, colour)
}

fn listed(finding: &Finding) -> Listed {
    let before = finding.text.get(..finding.span.start).filter(|_| !finding.text.is_empty());
    Listed {
        rule: finding.rule,
        path: finding.path.display().to_string(),
        line: before.map(|before| before.matches('\n').count() + 1),
        message: finding.message.clone(),
    }
}
