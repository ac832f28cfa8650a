//! Stops running sandboxes from another thread.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

/// A switch that many sandboxes share: once thrown, what runs is killed with all its processes, and what is started
/// later ends at once.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    helpers: BTreeSet<i32>,
}

impl Cancel {
    /// A switch that has not been thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws the switch. Returns at once; the sandboxes' `run` return [`super::SandboxError::Cancelled`] when all is
    /// dead. A second call no longer lets the helpers clean up: for a user who presses Ctrl-C twice.
    pub fn cancel(&self) {
        let mut state = self.lock();
        let signal = if state.cancelled { Signal::KILL } else { Signal::TERM };
        state.cancelled = true;
        for helper in &state.helpers {
            send(*helper, signal);
        }
    }

    /// Whether the switch has been thrown.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Whether no sandbox runs.
    pub fn is_idle(&self) -> bool {
        self.lock().helpers.is_empty()
    }

    /// Has a helper signalled from now on until the registration is dropped; its pid must stay its own that long.
    pub(super) fn register(&self, helper: Pid) -> Registration<'_> {
        let helper = helper.as_raw_nonzero().get();
        let mut state = self.lock();
        state.helpers.insert(helper);
        if state.cancelled {
            send(helper, Signal::TERM);
        }
        Registration { cancel: self, helper }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(helper: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(helper) {
        // A helper that has just ended cannot be signalled, and need not be.
        let _ = kill_process(pid, signal);
    }
}

/// A helper that a [`Cancel`] knows of.
pub(super) struct Registration<'a> {
    cancel: &'a Cancel,
    helper: i32,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.cancel.lock().helpers.remove(&self.helper);
    }
}
