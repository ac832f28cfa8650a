//! `k3sroot graph`: which unit needs which.

use std::fmt::Write as _;

use super::args::{Global, Graph, GraphFormat};
use super::error::CliError;
use super::project::Project;
use super::{print, print_json};
use base::name::Unit;
use model::graph::{self, Need, render_dot, render_svg, render_text};

pub(super) fn run(global: &Global, args: &Graph) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let (graph, _) = project.graph(&args.selection)?;
    if let [unit, need] = &args.why[..] {
        return why(&graph, unit, need);
    }
    match if args.svg { GraphFormat::Svg } else { args.format } {
        GraphFormat::Text => print(&render_text(&graph)),
        GraphFormat::Dot => print(&render_dot(&graph)),
        GraphFormat::Svg => print(&render_svg(&graph)),
        GraphFormat::Json => print_json(&graph.edges()),
    }
}

/// Says on what way building `unit` comes to involve `need`.
fn why(graph: &graph::Graph, unit: &str, need: &str) -> Result<(), CliError> {
    if unit == need {
        return Err(CliError::NotTwo { unit: unit.to_owned() });
    }
    let (units, needs) = (named(graph, unit)?, named(graph, need)?);
    let ways = units.iter().flat_map(|unit| {
        needs
            .iter()
            .filter(move |need| *need != unit)
            .filter_map(move |need| graph.way(unit, need).map(|way| (unit, way)))
    });
    let Some((unit, way)) = ways.min_by_key(|(_, way)| way.len()) else {
        return Err(CliError::NotInvolved { unit: unit.to_owned(), need: need.to_owned() });
    };
    print(&steps(unit, &way))
}

fn steps(unit: &Unit, way: &[(Need, Unit)]) -> String {
    let mut text = format!("{unit}\n");
    for (step, (need, on)) in way.iter().enumerate() {
        let _ = writeln!(text, "{:indent$}└─ {on} ({})", "", need.key(), indent = 3 * step);
    }
    text
}

/// The units of the graph that `text` names: itself, or a package wherever it is built.
fn named(graph: &graph::Graph, text: &str) -> Result<Vec<Unit>, CliError> {
    let units = graph.ordered().into_iter();
    let found: Vec<Unit> =
        units.filter(|unit| unit.to_string() == text || unit.package.as_str() == text).collect();
    if found.is_empty() { Err(CliError::NotInGraph { text: text.to_owned() }) } else { Ok(found) }
}
