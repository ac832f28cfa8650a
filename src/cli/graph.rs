//! `k3sroot graph`: which unit needs which.

use super::args::{Global, Graph, GraphFormat};
use super::error::CliError;
use super::project::Project;
use super::{print, print_json};
use crate::graph::{render_dot, render_text};

pub(super) fn run(global: &Global, args: &Graph) -> Result<(), CliError> {
    let project = Project::load(global)?;
    let (graph, _) = project.graph(&args.selection)?;
    match args.format {
        GraphFormat::Text => print(&render_text(&graph)),
        GraphFormat::Dot => print(&render_dot(&graph)),
        GraphFormat::Json => print_json(&graph.edges()),
    }
}
