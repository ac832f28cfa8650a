//! What is right and could still be better: rules for recipes beyond those that they must keep to be read at all.
//!
//! A rule looks at one recipe, at its file as text, or at what lies beside the recipes. Every finding has a place.

mod beside;
mod recipe;
mod rule;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use base::beneath;
use base::name::PackageName;
use model::recipe::Recipes;

pub use recipe::{homepage_fault, summary_fault};
pub use rule::{ParseRuleError, Rule};

/// Something that could be better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that says so.
    pub rule: Rule,
    /// The file.
    pub path: PathBuf,
    /// The file's text, for showing the place; empty for what has no place in a text.
    pub text: String,
    /// The place, in bytes from the start of the text.
    pub span: Range<usize>,
    /// What is found.
    pub message: String,
}

/// Raised when something to look at cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
pub struct LintError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Looks at the recipes in `folder`, which are those in `recipes`, and at what lies beside them. `used` are the packages
/// that end up in the root or are needed for it.
///
/// Findings are in the order of their files, then of their places.
pub fn lint(
    folder: &Path,
    recipes: &Recipes,
    used: &BTreeSet<PackageName>,
) -> Result<Vec<Finding>, LintError> {
    let mut findings = Vec::new();
    let mut locals = BTreeSet::new();
    for recipe in recipes.values() {
        let text = beneath::read_own(&recipe.path)
            .map_err(|source| LintError { path: recipe.path.clone(), source })?;
        let file = text::File::new(&recipe.path, &text);
        locals.extend(file.locals().map(str::to_owned));
        recipe::look(&file, recipe, &mut findings);
        if !used.contains(&recipe.name) {
            let message = "neither the root nor anything in it needs this package".to_owned();
            findings.push(file.finding(Rule::Unused, &["name"], message));
        }
    }
    beside::look(folder, recipes, &locals, &mut findings)?;
    findings.sort_by(|a, b| (&a.path, a.span.start, a.rule).cmp(&(&b.path, b.span.start, b.rule)));
    Ok(findings)
}
