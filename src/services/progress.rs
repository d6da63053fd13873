//! How far a service's reading, or another long work, has come, for whoever shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Counts what is read one by one. A clone is the same progress: the service writes it, a display reads it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    done: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
    waits: Arc<AtomicBool>,
}

impl Progress {
    /// So many are to be read.
    pub fn begin(&self, all: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.all.store(all, Ordering::Relaxed);
    }

    /// One more was read.
    pub fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// So much is done by now.
    pub fn reach(&self, done: usize) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// It waits for what another run of nornplan writes.
    pub fn wait(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Whether it has waited for another run.
    pub fn has_waited(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// How many were read, of how many; 0 of 0 where nothing is counted.
    pub fn so_far(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }
}
