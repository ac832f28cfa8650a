//! What runs did, beside the logs of what they built, so that it can be shown later. Losing one costs nothing else.

use std::fs;
use std::io::Write as _;

use super::error::{StoreError, at};
use super::inventory::file_name;
use super::{Store, read_if_there};

/// The folder, in that of the logs.
const RUNS: &str = "logs/runs";
/// How many runs are remembered.
const KEPT: usize = 100;

impl Store {
    /// Remembers a run, and forgets the oldest if there are too many. Of two names the later run's is the greater.
    pub fn remember_run(&self, name: &str, record: &[u8]) -> Result<(), StoreError> {
        let _activity = self.active();
        let folder = self.path(RUNS);
        fs::create_dir_all(&folder).map_err(at("make", &folder))?;
        let mut file = self.inner.session.file()?;
        file.write_all(record).map_err(at("write", file.path()))?;
        let path = folder.join(format!("{name}.json"));
        file.persist(&path).map_err(|error| at("write", &path)(error.error))?;
        let runs = self.runs()?;
        for old in runs.iter().filter(|run| *run != name).take(runs.len().saturating_sub(KEPT)) {
            // Another k3sroot may have been faster.
            let _ = fs::remove_file(folder.join(format!("{old}.json")));
        }
        Ok(())
    }

    /// The names of the runs that are remembered, oldest first.
    pub fn runs(&self) -> Result<Vec<String>, StoreError> {
        let files = self.files_in(RUNS)?;
        let names = files.iter().filter_map(|file| file_name(&file.path)?.strip_suffix(".json"));
        Ok(names.map(str::to_owned).collect())
    }

    /// What was remembered under `name`.
    pub fn run(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        // A name that was not given here may lead anywhere.
        if !self.runs()?.iter().any(|run| run == name) {
            return Ok(None);
        }
        read_if_there(&self.path(RUNS).join(format!("{name}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_runs_are_remembered_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.runs().unwrap().is_empty());
        for run in 0..=KEPT {
            store.remember_run(&format!("{run:03}"), run.to_string().as_bytes()).unwrap();
        }
        let runs = store.runs().unwrap();
        assert_eq!((runs.len(), runs[0].as_str(), runs[KEPT - 1].as_str()), (KEPT, "001", "100"));
        assert_eq!(store.run("042").unwrap().unwrap(), b"42");
        for none in ["000", "", "../runs/042"] {
            assert_eq!(store.run(none).unwrap(), None, "{none}");
        }
    }
}
