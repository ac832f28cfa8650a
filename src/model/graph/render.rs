//! The graph for people and programs: a tree as text, Graphviz, and edges to serialise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::picture::{Frame, Picture};
use super::{Graph, Need};
use base::name::Unit;

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

/// The graph as a picture, from what is needed at the left to the goals at the right. Needs that others bring along are
/// not drawn; what runs while building is dashed. It is readable on light and dark paper.
pub fn render_svg(graph: &Graph) -> String {
    let units = graph.ordered();
    let numbers: BTreeMap<&Unit, usize> =
        units.iter().enumerate().map(|(number, unit)| (unit, number)).collect();
    let edges: BTreeMap<(usize, usize), &str> =
        graph.edges().iter().map(|edge| ((numbers[&edge.on], numbers[&edge.unit]), edge.need)).collect();
    let picture = Picture::new(units.len(), &edges.keys().copied().collect::<Vec<_>>());
    let Picture { width, height, .. } = picture;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<style>\n\
         rect {{ fill: #fff; stroke: #555 }} text {{ fill: #111 }} path {{ fill: none; stroke: #888 }}\n\
         .runs {{ stroke-dasharray: 4 3 }} .goal {{ stroke-width: 2 }}\n\
         @media (prefers-color-scheme: dark) {{ rect {{ fill: #222; stroke: #aaa }} text {{ fill: #eee }} }}\n\
         </style>\n"
    );
    for line in &picture.lines {
        let runs = [Need::Tool.key(), Need::Run.key()].contains(&edges[&(line.from, line.to)]);
        let class = if runs { " class=\"runs\"" } else { "" };
        let _ = writeln!(text, "<path{class} d=\"{}\"/>", line.course);
    }
    for (unit, Frame { x, y, width, height }) in units.iter().zip(&picture.boxes) {
        let class = if graph.goals().contains(unit) { " class=\"goal\"" } else { "" };
        let _ = writeln!(
            text,
            "<rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>\
             <text x=\"{}\" y=\"{}\">{unit}</text>",
            x + 8,
            y + 16
        );
    }
    text.push_str("</svg>\n");
    text
}
