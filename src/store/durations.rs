//! How long units took, for a better order of work. Losing it fails no build: it costs time, and what has no source is not
//! waited for in case that it turns out not to be needed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::lock::FileLock;
use super::{DURATIONS, LOCKS, Store};
use base::name::Unit;

/// How long a build took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Took {
    /// On the wall clock, in seconds, with whatever else ran beside it.
    pub seconds: f64,
    /// Of processor time, in seconds.
    pub cpu_seconds: f64,
}

impl Store {
    /// Remembers how long `unit` took; the last time counts. Other runs on this store remember theirs at the same time.
    pub fn remember_duration(&self, unit: &Unit, took: Took) {
        if ![took.seconds, took.cpu_seconds].iter().all(|time| time.is_finite() && *time >= 0.0) {
            return;
        }
        let Ok(_turn) = FileLock::exclusive(&self.path(LOCKS).join(DURATIONS)) else { return };
        let mut durations = self.durations();
        durations.insert(unit.to_string(), took);
        if let (Ok(json), Ok(mut file)) = (serde_json::to_vec_pretty(&durations), self.inner.session.file()) {
            if file.write_all(&json).is_ok() {
                let _ = file.persist(self.path(DURATIONS));
            }
        }
    }

    /// How long units took, by the unit's name.
    pub fn durations(&self) -> BTreeMap<String, Took> {
        let json = fs::read(self.path(DURATIONS)).unwrap_or_default();
        let all: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&json).unwrap_or_default();
        // One entry that cannot be read does not take the others with it.
        let read =
            all.into_iter().filter_map(|(unit, took)| Some((unit, serde_json::from_value(took).ok()?)));
        read.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_at_once_lose_none_of_each_others() {
        let folder = tempfile::tempdir().unwrap();
        let took = Took { seconds: 1.0, cpu_seconds: 2.0 };
        std::thread::scope(|scope| {
            for run in 0..4 {
                let store = Store::open(folder.path()).unwrap();
                scope.spawn(move || {
                    for unit in 0..25 {
                        store.remember_duration(&format!("r{run}u{unit}@build").parse().unwrap(), took);
                    }
                });
            }
        });
        assert_eq!(Store::open(folder.path()).unwrap().durations().len(), 100);
    }

    #[test]
    fn the_last_duration_counts_and_damage_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let unit: Unit = "gcc@build-arm64".parse().unwrap();
        assert!(store.durations().is_empty());
        let took = |seconds, cpu_seconds| Took { seconds, cpu_seconds };
        for took in [took(3.0, 4.0), took(2.5, 4.5), took(f64::NAN, 1.0), took(1.0, -1.0)] {
            store.remember_duration(&unit, took);
        }
        let expected = BTreeMap::from([("gcc@build-arm64".to_owned(), took(2.5, 4.5))]);
        assert_eq!(Store::open(folder.path()).unwrap().durations(), expected);

        let other = r#"{"gcc@build-arm64": {"seconds": 2.5, "cpu_seconds": 4.5}, "m4@build": 3.0}"#;
        fs::write(folder.path().join(DURATIONS), other).unwrap();
        assert_eq!(store.durations(), expected, "the other entry is of another version");

        fs::write(folder.path().join(DURATIONS), "{\"gcc").unwrap();
        assert!(store.durations().is_empty());
        store.remember_duration(&unit, took(2.5, 4.5));
        assert_eq!(store.durations(), expected);
    }
}
