//! A page of a record: one file, which asks nothing of the network.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::{Record, Span, UnitRecord};
use base::name::Unit;
use model::graph::Picture;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the page's script draws.
#[derive(Serialize)]
struct View<'a> {
    record: &'a Record,
    /// Units that were at work, as numbers, in rows in which no two overlap.
    lanes: Vec<Vec<usize>>,
    /// Downloads, as numbers, in rows like those.
    downloads: Vec<Vec<usize>>,
    /// The units that the run is as long as.
    critical: Vec<&'a Unit>,
    /// The graph, whose nodes are the units.
    picture: Picture,
}

/// The page that shows `record`.
pub fn page(record: &Record) -> Result<String, serde_json::Error> {
    let units = &record.units;
    let numbers: BTreeMap<&Unit, usize> =
        units.iter().enumerate().map(|(number, unit)| (&unit.unit, number)).collect();
    let edges: Vec<(usize, usize)> = units
        .iter()
        .enumerate()
        .flat_map(|(after, unit)| {
            let needs = unit.needs.iter().filter_map(|need| numbers.get(need));
            needs.map(move |&before| (before, after))
        })
        .collect();
    let view = View {
        record,
        lanes: lanes(units.iter().map(|unit| unit.span)),
        downloads: lanes(record.downloads.iter().map(|download| Some(download.span))),
        critical: critical_path(units),
        picture: Picture::new(units.len(), &edges),
    };
    // No `<` in the data can end the element that it is in.
    let data = serde_json::to_string(&view)?.replace('<', "\\u003c");
    Ok(PAGE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT).replace("/*DATA*/", &data))
}

/// The numbers of those that have a time, each in the first row that is free.
fn lanes(spans: impl Iterator<Item = Option<Span>>) -> Vec<Vec<usize>> {
    let mut spans: Vec<(Span, usize)> =
        spans.enumerate().filter_map(|(number, span)| Some((span?, number))).collect();
    spans.sort_by(|(left, _), (right, _)| left.from.total_cmp(&right.from));
    let mut lanes: Vec<(f64, Vec<usize>)> = Vec::new();
    for (span, number) in spans {
        match lanes.iter_mut().find(|(free, _)| *free <= span.from) {
            Some((free, lane)) => {
                *free = span.to;
                lane.push(number);
            }
            None => lanes.push((span.to, vec![number])),
        }
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// From the unit that ended last back to the beginning: each time the unit that ended last before this one began. That is
/// a need that it waited for, or whatever had the worker that it waited for.
fn critical_path(units: &[UnitRecord]) -> Vec<&Unit> {
    /// Two moments as near as this are one: what is waited for ends, then the next thing begins.
    const SAME: f64 = 0.05;
    /// How long it takes until a worker that is free has its next unit.
    const HANDED_ON: f64 = 0.5;
    let mut path: Vec<&Unit> = Vec::new();
    let (mut before, mut needs): (f64, &[Unit]) = (f64::INFINITY, &[]);
    loop {
        let candidates = units.iter().filter_map(|unit| {
            let span = unit.span.filter(|span| span.to <= before + SAME && span.from < before)?;
            let was_waited_for =
                needs.contains(&unit.unit) || path.is_empty() || span.to >= before - HANDED_ON;
            was_waited_for.then_some(())?;
            // Where a need and a stranger ended at once, it waited for the need.
            let moment = if needs.contains(&unit.unit) { span.to + SAME } else { span.to };
            Some((moment, span, unit))
        });
        let Some((_, span, unit)) = candidates.max_by(|left, right| left.0.total_cmp(&right.0)) else {
            break;
        };
        path.push(&unit.unit);
        (before, needs) = (span.from, &unit.needs);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::super::record::State;
    use super::*;

    /// A unit with its begin and end, and the numbers of its needs.
    type Given<'a> = (&'a str, Option<(f64, f64)>, &'a [usize]);

    fn units(given: &[Given<'_>]) -> Vec<UnitRecord> {
        given
            .iter()
            .map(|(unit, span, needs)| UnitRecord {
                unit: unit.parse().unwrap(),
                version: "1".parse().unwrap(),
                state: State::Built,
                span: span.map(|(from, to)| Span { from, to }),
                phases: Vec::new(),
                cpu_seconds: Some(1.0),
                files: Some(1),
                bytes: Some(1),
                needs: needs.iter().map(|need| given[*need].0.parse().unwrap()).collect(),
                failure: None,
                blocked_by: None,
            })
            .collect()
    }

    fn example() -> Vec<UnitRecord> {
        units(&[
            ("gmp@build", Some((0.0, 3.0)), &[]),
            ("m4@build", Some((0.0, 1.0)), &[]),
            ("gcc@build-amd64", Some((3.0, 9.0)), &[0]),
            ("bison@build", Some((1.0, 2.0)), &[1]),
            ("musl@amd64", None, &[2]),
            ("zlib@amd64", Some((9.0, 10.0)), &[2, 3, 4]),
        ])
    }

    #[test]
    fn no_two_units_of_a_row_overlap() {
        assert_eq!(lanes(example().iter().map(|unit| unit.span)), [vec![0, 2, 5], vec![1, 3]]);
    }

    #[test]
    fn the_critical_path_goes_back_along_what_was_waited_for() {
        let path =
            |units: &[UnitRecord]| critical_path(units).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(path(&example()), ["gmp@build", "gcc@build-amd64", "zlib@amd64"]);
        assert!(path(&example()[4..5]).is_empty());
        // With one worker, what needs nothing of each other waits for each other.
        let alone = units(&[("m4@build", Some((0.0, 1.0)), &[]), ("gmp@build", Some((1.01, 3.0)), &[])]);
        assert_eq!(path(&alone), ["m4@build", "gmp@build"]);
        // It began so late for another reason: its source was not here.
        let late = units(&[("m4@build", Some((0.0, 1.0)), &[]), ("gmp@build", Some((2.0, 3.0)), &[])]);
        assert_eq!(path(&late), ["gmp@build"]);
    }

    #[test]
    fn the_page_is_whole_and_what_it_shows_cannot_become_markup() {
        let record = Record {
            id: "2026-11-21T22-42-06Z".to_owned(),
            k3sroot: "0".to_owned(),
            words: vec!["k3sroot".to_owned(), "</script><script>alert(1)</script>".to_owned()],
            error: None,
            seconds: 10.0,
            jobs: 2,
            saved: 0.0,
            units: example(),
            downloads: Vec::new(),
            tarballs: Vec::new(),
        };
        let page = page(&record).unwrap();
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("/*DATA*/") && !page.contains("/*STYLE*/") && !page.contains("/*SCRIPT*/"));
        // Its rules forbid it to ask anybody for anything, and it names nobody.
        let namespace = "http://www.w3.org/2000/svg";
        assert!(!page.replace(namespace, "").contains("://"), "the page names an address");
        let (_, data) = page.split_once("type=\"application/json\">").unwrap();
        let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
        assert_eq!(data["record"]["words"][1], record.words[1]);
        assert_eq!(data["picture"]["lines"].as_array().unwrap().len(), 5);
    }
}
