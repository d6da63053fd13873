//! The lock: the kernel's, on a file that is never renamed or removed. It dies with its holder, however that ends.

use super::local::{Files, cannot};
use crate::error::{Diagnostic, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const POLL: Duration = Duration::from_millis(100);

/// Who holds the lock, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub user: String,
    pub host: String,
    pub pid: u32,
    /// The command line, with no secret in it.
    pub command: String,
    /// RFC 3339, in UTC.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, host, pid, command, since } = self;
        write!(f, "{user} on {host} (process {pid}) since {since}: {command}")
    }
}

/// The lock of one environment's state, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, waiting for it at most as long as `timeout`. Blocks the thread.
    ///
    /// # Errors
    /// Somebody holds it (and who), or the file cannot be opened or locked.
    pub fn take(files: &Files, timeout: Duration, command: &str) -> Result<Self> {
        let path = files.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| cannot("open the lock", &path, error))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < timeout => {
                    std::thread::sleep(POLL.min(timeout.saturating_sub(start.elapsed())));
                }
                Err(TryLockError::WouldBlock) => return Err(held(files, &mut file, timeout)),
                Err(TryLockError::Error(error)) => return Err(cannot("lock the state", &path, error)),
            }
        }
        let mut lock = Self { file };
        lock.sign(command).map_err(|error| cannot("sign the lock", &path, error))?;
        Ok(lock)
    }

    fn sign(&mut self, command: &str) -> std::io::Result<()> {
        let holder = Holder {
            user: variable(&["USER", "LOGNAME"]).unwrap_or_else(|| "somebody".to_owned()),
            host: host(),
            pid: std::process::id(),
            command: command.to_owned(),
            since: OffsetDateTime::now_utc()
                .replace_nanosecond(0)
                .ok()
                .and_then(|now| now.format(&Rfc3339).ok())
                .unwrap_or_default(),
        };
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(&holder)?.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The kernel unlocks it with the file; without the name in it, nobody takes a past holder for one.
        let _ = self.file.set_len(0);
    }
}

fn held(files: &Files, file: &mut File, timeout: Duration) -> Diagnostic {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let holder = read.ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    let who = holder.map_or_else(|| "another run".to_owned(), |holder| holder.to_string());
    let hint = if timeout.is_zero() {
        "wait until it ends, or let this run wait for it with --lock-timeout 5m"
    } else {
        "it did not end in time; give --lock-timeout longer, or see what that run waits for"
    };
    Diagnostic::new(Kind::State, format!("the state is locked by {who}")).in_file(files.lock()).hint(hint)
}

fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    kernel
        .filter(|name| !name.is_empty())
        .or_else(|| variable(&["HOSTNAME"]))
        .unwrap_or_else(|| "this machine".to_owned())
}
