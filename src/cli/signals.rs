//! Ctrl-C and SIGTERM: the first finishes what is in flight, the second ends the run at once.

use super::output;
use crate::error::{Diagnostic, Kind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Listens from when it is made.
#[derive(Clone, Default)]
pub struct Interrupts {
    pub stop: CancellationToken,
    pub abort: CancellationToken,
    number: Arc<AtomicI32>,
}

impl Interrupts {
    /// # Errors
    /// The system does not let us listen.
    pub fn listen() -> Result<Self> {
        let failed = |error| Diagnostic::new(Kind::Usage, "cannot listen for signals").because(error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let this = Self::default();
        let heard = this.clone();
        tokio::spawn(async move {
            loop {
                let number = tokio::select! {
                    _ = interrupt.recv() => libc::SIGINT,
                    _ = terminate.recv() => libc::SIGTERM,
                };
                heard.number.store(number, Ordering::SeqCst);
                if heard.stop.is_cancelled() {
                    output::message("Stopping at once. What was in flight is found out by the next `nornplan apply`.");
                    heard.abort.cancel();
                    return;
                }
                output::message("Interrupted: finishing what is in flight. Once more stops at once.");
                heard.stop.cancel();
            }
        });
        Ok(this)
    }

    /// The signal that was heard, if one was.
    pub fn heard(&self) -> Option<i32> {
        Some(self.number.load(Ordering::SeqCst)).filter(|number| *number != 0)
    }
}
