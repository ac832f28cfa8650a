//! Until when work may go on that k3sroot does itself: until somebody stops it, or its time is over. Commands of builds have
//! a supervisor for that; unpacking, patching, hashing and packing ask here, at least after every megabyte.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Asked often by work that may take long. Its clones are the same deadline.
#[derive(Debug, Clone)]
pub struct Deadline {
    stopped: Option<Arc<AtomicBool>>,
    time: Option<(Instant, Duration)>,
}

/// Why work may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Expired {
    /// Somebody stopped it.
    #[error("stopped")]
    Stopped,
    /// Its time is over.
    #[error("it took longer than {} seconds", after.as_secs_f64())]
    TimedOut {
        /// How long it was allowed to take.
        after: Duration,
    },
}

impl Deadline {
    /// The deadline of what may take as long as it likes.
    pub const NEVER: Self = Self { stopped: None, time: None };

    /// For work that ends when `stopped` is set, or `after` has passed from now on.
    pub fn new(stopped: &Arc<AtomicBool>, after: Option<Duration>) -> Self {
        let time = after.and_then(|after| Some((Instant::now().checked_add(after)?, after)));
        Self { stopped: Some(stopped.clone()), time }
    }

    /// Whether work may go on.
    pub fn check(&self) -> Result<(), Expired> {
        if self.stopped.as_ref().is_some_and(|stopped| stopped.load(Ordering::Relaxed)) {
            return Err(Expired::Stopped);
        }
        match self.time {
            Some((end, after)) if Instant::now() >= end => Err(Expired::TimedOut { after }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_until_it_is_stopped_or_its_time_is_over() {
        assert_eq!(Deadline::NEVER.check(), Ok(()));
        let stopped = Arc::new(AtomicBool::new(false));
        let deadline = Deadline::new(&stopped, Some(Duration::from_secs(3600)));
        assert_eq!(deadline.check(), Ok(()));
        assert_eq!(Deadline::new(&stopped, Some(Duration::MAX)).check(), Ok(()), "no clock goes that far");
        let over = Deadline::new(&stopped, Some(Duration::ZERO));
        assert_eq!(over.check(), Err(Expired::TimedOut { after: Duration::ZERO }));
        stopped.store(true, Ordering::Relaxed);
        assert_eq!(deadline.clone().check(), Err(Expired::Stopped));
    }
}
