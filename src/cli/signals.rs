//! Ctrl-C, SIGTERM, and SIGHUP when a terminal is closed: the first has what is in flight finished, within a bound; the
//! second gives it up.
//!
//! Before a command listens, and where none does, a signal ends the process: nothing is written then but whole files.

use super::output;
use crate::error::{Diagnostic, Kind, Result};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long what is in flight may take to finish, unless somebody says otherwise: less than the 30 s after which
/// Kubernetes kills.
pub const GRACE: Duration = Duration::from_secs(25);

/// How long writing the state and the report may take after what was in flight is given up: a disk, or whoever reads the
/// report, may hang.
const LAST: Duration = Duration::from_secs(10);

/// Listens from when it is made.
#[derive(Clone, Default)]
pub struct Interrupts {
    /// Nothing more is begun.
    pub stop: CancellationToken,
    /// Nothing is waited for any more.
    pub abort: CancellationToken,
    number: Arc<AtomicI32>,
    is_writing: Arc<AtomicBool>,
}

impl Interrupts {
    /// From the first signal on, what is in flight has so much time.
    ///
    /// # Errors
    /// The system does not let us listen.
    pub fn listen(grace: Duration) -> Result<Self> {
        let mut signals = Signals::listen()?;
        let this = Self::default();
        let heard = this.clone();
        tokio::spawn(async move {
            let mut number = signals.next().await;
            heard.number.store(number, Ordering::SeqCst);
            heard.say(&format!(
                "Interrupted: finishing what is in flight, for {} s at most. Once more stops at once.",
                grace.as_secs()
            ));
            heard.stop.cancel();
            tokio::select! {
                again = signals.next() => {
                    number = again;
                    heard.number.store(number, Ordering::SeqCst);
                    heard.say("Stopping at once. What was in flight is found out by the next `nornplan apply`.");
                }
                () = tokio::time::sleep(grace) => {
                    heard.say("It takes too long: what is in flight is given up. The next `nornplan apply` finds out what became of it.");
                }
            }
            heard.abort.cancel();
            tokio::select! {
                _ = signals.next() => {}
                () = tokio::time::sleep(LAST) => {}
            }
            // What is written is whole at any moment.
            std::process::exit(128 + number);
        });
        Ok(this)
    }

    /// For what only looks, and can be broken off at any point.
    ///
    /// # Errors
    /// The system does not let us listen.
    pub fn listen_looking() -> Result<Self> {
        Self::listen(Duration::ZERO)
    }

    fn say(&self, text: &str) {
        if self.is_writing.load(Ordering::SeqCst) {
            output::message(text);
        }
    }

    /// From now on there is something in flight, and what becomes of it is told.
    pub fn writing_begins(&self) {
        self.is_writing.store(true, Ordering::SeqCst);
    }

    /// Does what can be broken off at any point; `None` if a signal was heard.
    pub async fn unless_heard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Does what comes after all that was in flight; `None` if that was given up, and this takes long after it as well. What
    /// was done is then still told in time.
    pub async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.abort.cancelled().await;
            tokio::time::sleep(LAST / 2).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = late => None,
        }
    }

    /// The signal that was heard, if one was.
    pub fn heard(&self) -> Option<i32> {
        Some(self.number.load(Ordering::SeqCst)).filter(|number| *number != 0)
    }

    /// The same, where one was heard.
    pub fn number(&self) -> i32 {
        self.heard().unwrap_or(libc::SIGINT)
    }
}

/// The signals that end a run: that of a closed terminal not where whoever started it has switched it off (`nohup`). Ctrl-C
/// is heard even where a script has started the run with `&`: CI cancels by it.
struct Signals(Vec<(i32, Signal)>);

impl Signals {
    fn listen() -> Result<Self> {
        let hang_up = (!is_among(libc::SIGHUP, ignored())).then_some(libc::SIGHUP);
        let numbers = [libc::SIGINT, libc::SIGTERM].into_iter().chain(hang_up);
        let signals = numbers.map(|number| Ok((number, signal(SignalKind::from_raw(number))?)));
        signals
            .collect::<std::io::Result<_>>()
            .map(Self)
            .map_err(|error| Diagnostic::new(Kind::Usage, "cannot listen for signals").because(error))
    }

    async fn next(&mut self) -> i32 {
        poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The signals that this process ignores, one bit each; none where the kernel does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn is_among(number: i32, mask: u64) -> bool {
    u32::try_from(number - 1).is_ok_and(|bit| mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))
}

/// Has a file that grows beyond its limit (`ulimit -f`) be an error of who writes it, and not the end of the process.
pub fn outlive_large_files() {
    // Listening is all that it takes.
    drop(signal(SignalKind::from_raw(libc::SIGXFSZ)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_mask_counts_from_one() {
        let mask = u64::from_str_radix("0000000000001001", 16).expect("a mask");
        assert!(is_among(libc::SIGHUP, mask) && is_among(libc::SIGPIPE, mask));
        assert!(!is_among(libc::SIGINT, mask) && !is_among(libc::SIGTERM, mask));
        // Rust's runtime ignores it in every program.
        assert!(is_among(libc::SIGPIPE, ignored()) || cfg!(not(target_os = "linux")));
    }
}
