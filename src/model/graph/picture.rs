//! A picture of a graph: boxes in columns, each to the right of what it needs, with few crossings, and the lines between them.
//!
//! Sugiyama's method without its auxiliary nodes: columns by longest path, rows by the mean row of the neighbours. Pure and
//! deterministic; nodes are numbers.

use std::collections::BTreeSet;

use serde::Serialize;

/// How often the rows are ordered anew; more changes next to nothing.
const SWEEPS: usize = 12;

/// From the left edge of a column to that of the next, in pixels, as all that follows.
const COLUMN: usize = 260;
/// Half of what is between the middles of two rows.
const HALF_ROW: usize = 16;
const WIDTH: usize = 190;
const HEIGHT: usize = 24;
const MARGIN: usize = 12;

/// What there is to draw, in pixels from the left and the top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// The whole picture's width.
    pub width: usize,
    /// The whole picture's height.
    pub height: usize,
    /// A box for every node.
    pub boxes: Vec<Frame>,
    /// A line for every edge that no longer way stands for.
    pub lines: Vec<Line>,
}

/// The box of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Its left edge.
    pub x: usize,
    /// Its upper edge.
    pub y: usize,
    /// How wide it is: all are the same.
    pub width: usize,
    /// How high it is: all are the same.
    pub height: usize,
}

impl Frame {
    fn right(self) -> usize {
        self.x + self.width
    }

    fn middle(self) -> usize {
        self.y + self.height / 2
    }
}

/// A line from what is needed to what needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The node that is needed.
    pub from: usize,
    /// The node that needs it.
    pub to: usize,
    /// Its course, as the `d` of an SVG `path`.
    pub course: String,
}

impl Picture {
    /// The picture of `count` nodes in build order, whose `edges` lead from what is needed, which has the smaller number,
    /// to what needs it.
    pub fn new(count: usize, edges: &[(usize, usize)]) -> Self {
        let edges = without_shortcuts(count, edges);
        let boxes: Vec<Frame> = place(count, &edges)
            .into_iter()
            .map(|place| Frame {
                x: MARGIN + place.column * COLUMN,
                y: MARGIN + (place.half_row + 1) * HALF_ROW - HEIGHT / 2,
                width: WIDTH,
                height: HEIGHT,
            })
            .collect();
        let line = |(from, to): (usize, usize)| {
            let (left, right) = (boxes[from].right(), boxes[to].x);
            let (bend, above, below) = (left.midpoint(right), boxes[from].middle(), boxes[to].middle());
            let course = format!("M{left} {above}C{bend} {above} {bend} {below} {right} {below}");
            Line { from, to, course }
        };
        Self {
            width: boxes.iter().map(|one| one.right()).max().unwrap_or(0) + MARGIN,
            height: boxes.iter().map(|one| one.y + one.height).max().unwrap_or(0) + MARGIN,
            lines: edges.into_iter().map(line).collect(),
            boxes,
        }
    }
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Its column, from the left.
    column: usize,
    /// Its row in the column, in half rows from the top of the picture: columns are centred.
    half_row: usize,
}

/// The places of the nodes.
fn place(count: usize, edges: &[(usize, usize)]) -> Vec<Place> {
    let columns = columns(count, edges);
    let width = columns.iter().map(|column| column + 1).max().unwrap_or(0);
    let mut ordered: Vec<Vec<usize>> = vec![Vec::new(); width];
    for (node, column) in columns.iter().enumerate() {
        ordered[*column].push(node);
    }
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &(before, after) in edges {
        neighbours[before].push(after);
        neighbours[after].push(before);
    }
    let tallest = ordered.iter().map(Vec::len).max().unwrap_or(0);
    let mut places: Vec<Place> = columns.iter().map(|&column| Place { column, half_row: 0 }).collect();
    let settle = |places: &mut Vec<Place>, nodes: &[usize]| {
        for (row, &node) in nodes.iter().enumerate() {
            places[node].half_row = tallest - nodes.len() + 2 * row;
        }
    };
    for nodes in &ordered {
        settle(&mut places, nodes);
    }
    for sweep in 0..SWEEPS {
        let forth: Vec<usize> =
            if sweep % 2 == 0 { (0..width).collect() } else { (0..width).rev().collect() };
        for column in forth {
            // A node without neighbours stays where it is; equals stay in build order.
            ordered[column].sort_by_key(|&node| {
                let rows: Vec<usize> = neighbours[node].iter().map(|&other| places[other].half_row).collect();
                let mean = match rows.len() {
                    0 => places[node].half_row * 1000,
                    all => rows.iter().sum::<usize>() * 1000 / all,
                };
                (mean, node)
            });
            settle(&mut places, &ordered[column]);
        }
    }
    places
}

/// The longest way from the left; what nothing precedes stands just before the first that needs it.
fn columns(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut columns = vec![0; count];
    let mut sorted: Vec<(usize, usize)> = edges.to_vec();
    sorted.sort_unstable();
    for &(before, after) in &sorted {
        columns[after] = columns[after].max(columns[before] + 1);
    }
    for node in 0..count {
        let first =
            edges.iter().filter(|(before, _)| *before == node).map(|(_, after)| columns[*after]).min();
        if let (0, Some(first)) = (columns[node], first) {
            columns[node] = first - 1;
        }
    }
    columns
}

/// The edges without those that a longer way stands for.
fn without_shortcuts(count: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut after: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    for &(from, to) in edges {
        after[from].insert(to);
    }
    // Everything that can be reached, in reverse build order.
    let mut reached: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    for node in (0..count).rev() {
        let mut all = after[node].clone();
        for next in &after[node] {
            all.extend(&reached[*next]);
        }
        reached[node] = all;
    }
    edges
        .iter()
        .copied()
        .filter(|&(from, to)| !after[from].iter().any(|next| *next != to && reached[*next].contains(&to)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stands_to_the_left_and_as_near_as_it_can() {
        // gmp -> gcc -> zlib -> pigz, and m4 -> pigz alone.
        let edges = [(0, 1), (1, 2), (2, 4), (3, 4), (1, 4)];
        let columns: Vec<usize> = place(5, &edges).iter().map(|place| place.column).collect();
        assert_eq!(columns, [0, 1, 2, 2, 3]);
        assert!(place(0, &[]).is_empty());
    }

    #[test]
    fn rows_are_ordered_so_that_edges_do_not_cross() {
        // Two chains whose ends are numbered the other way round.
        let places = place(4, &[(0, 3), (1, 2)]);
        let order = |a: usize, b: usize| places[a].half_row < places[b].half_row;
        assert_eq!(order(0, 1), order(3, 2), "{places:?}");
        for (a, b) in [(0, 1), (2, 3)] {
            assert_ne!(places[a], places[b]);
        }
    }

    #[test]
    fn an_edge_that_others_stand_for_is_left_out() {
        let edges = [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3)];
        assert_eq!(without_shortcuts(4, &edges), [(0, 1), (1, 2), (2, 3)]);
    }
}
