//! How long units took, for a better order of work. Losing it costs nothing but time, so nothing here fails.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use super::{DURATIONS, Store, held};
use crate::name::Unit;

impl Store {
    /// Remembers that `unit` took `seconds`; the last time counts.
    pub fn remember_duration(&self, unit: &Unit, seconds: f64) {
        let _turn = held(&self.inner.durations);
        let mut durations = self.durations();
        if !seconds.is_finite() || seconds < 0.0 {
            return;
        }
        durations.insert(unit.to_string(), seconds);
        if let (Ok(json), Ok(mut file)) = (serde_json::to_vec_pretty(&durations), self.inner.session.file()) {
            if file.write_all(&json).is_ok() {
                let _ = file.persist(self.path(DURATIONS));
            }
        }
    }

    /// The seconds that units took, by the unit's name.
    pub fn durations(&self) -> BTreeMap<String, f64> {
        let json = fs::read(self.path(DURATIONS)).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_duration_counts_and_damage_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let unit: Unit = "gcc@build-arm64".parse().unwrap();
        assert!(store.durations().is_empty());
        for seconds in [3.0, 2.5, f64::NAN, -1.0] {
            store.remember_duration(&unit, seconds);
        }
        let expected = BTreeMap::from([("gcc@build-arm64".to_owned(), 2.5)]);
        assert_eq!(Store::open(folder.path()).unwrap().durations(), expected);

        fs::write(folder.path().join(DURATIONS), "{\"gcc").unwrap();
        assert!(store.durations().is_empty());
        store.remember_duration(&unit, 2.5);
        assert_eq!(store.durations(), expected);
    }
}
