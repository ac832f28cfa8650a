//! The graph for people and programs: a tree as text, Graphviz, and edges to serialise.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Graph, Need};
use crate::name::Unit;

/// One need, for `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// What needs.
    pub unit: Unit,
    /// How.
    pub need: &'static str,
    /// What is needed.
    pub on: Unit,
}

impl Graph {
    /// Every need between two units, in build order.
    pub fn edges(&self) -> Vec<Edge> {
        self.ordered()
            .into_iter()
            .flat_map(|unit| {
                self.direct_needs(&unit).into_iter().map(move |(need, on)| Edge {
                    unit: unit.clone(),
                    need: need.key(),
                    on,
                })
            })
            .collect()
    }
}

/// The needs of each goal as an indented tree; what was shown before is not shown again.
pub fn render_text(graph: &Graph) -> String {
    let mut text = String::new();
    let mut shown = BTreeSet::new();
    for goal in graph.goals() {
        let _ = writeln!(text, "{goal}");
        branch(graph, goal, "", &mut shown, &mut text);
    }
    text
}

fn branch(graph: &Graph, unit: &Unit, indent: &str, shown: &mut BTreeSet<Unit>, text: &mut String) {
    if !shown.insert(unit.clone()) {
        return;
    }
    let needs = graph.direct_needs(unit);
    for (index, (need, on)) in needs.iter().enumerate() {
        let last = index + 1 == needs.len();
        let again = shown.contains(on) && !graph.direct_needs(on).is_empty();
        let (corner, deeper) = if last { ("└─", "   ") } else { ("├─", "│  ") };
        let _ = writeln!(text, "{indent}{corner} {on} ({}){}", need.key(), if again { " …" } else { "" });
        branch(graph, on, &format!("{indent}{deeper}"), shown, text);
    }
}

/// The graph for Graphviz' `dot`, needs pointing at what is needed; what runs while building is dashed.
pub fn render_dot(graph: &Graph) -> String {
    let mut text = String::from("digraph k3sroot {\n  rankdir = LR;\n  node [shape = box];\n");
    for unit in graph.ordered() {
        let shape = if unit.machine.runs_here() { " [style = rounded]" } else { "" };
        let _ = writeln!(text, "  \"{unit}\"{shape};");
    }
    for edge in graph.edges() {
        let dashed = edge.need == Need::Tool.key() || edge.need == Need::Run.key();
        let style = if dashed { " [style = dashed]" } else { "" };
        let _ = writeln!(text, "  \"{}\" -> \"{}\"{style};", edge.unit, edge.on);
    }
    text.push_str("}\n");
    text
}
