//! Waiting for what comes soon: a condition, the end of a process.

use std::time::{Duration, Instant};

/// Nothing that comes at all takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for the end of a process that was killed.
#[track_caller]
pub fn until_it_ends(pid: &str) {
    until(&format!("{pid} ends"), || !runs(pid));
}

/// Whether a process still runs; one that ended and that nobody has asked for does not.
pub fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}
