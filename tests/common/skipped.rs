//! What a test says when it cannot run.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Mutex;

/// Says that `what` was not tested, once; also when cargo keeps what a test prints to itself.
pub(crate) fn skipped(what: &str, why: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = format!("SKIPPED {what}: {why}\n");
    if SAID.lock().unwrap().insert(line.clone()) {
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}
