//! The lock: the kernel's, on a file that is never renamed or removed. It dies with its holder, however that ends.

use super::files::{Files, cannot};
use crate::boundary;
use crate::error::{Diagnostic, Kind, Result};
use crate::state::backend::Holding;
use crate::state::holder::{Holder, Patience};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);
/// How long the lock may be held without a name in the file: by who looks who has it, or has it and is about to sign.
const UNSIGNED: Duration = Duration::from_millis(300);

/// The lock of one environment's state, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, waiting for it at most as long as is allowed.
    ///
    /// # Errors
    /// Somebody holds it (and who), or the file cannot be opened or locked.
    pub async fn take(files: &Files, patience: &Patience<'_>) -> Result<Self> {
        let path = files.lock();
        let start = Instant::now();
        let mut told = false;
        loop {
            let mut file = open(&path).map_err(|error| cannot("open the lock", &path, error))?;
            match file.try_lock() {
                // Somebody may have removed the file that we waited for: another is there now, or none.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => {
                    let mut lock = Self { file, path: path.clone() };
                    boundary::pass(|| "after lock".to_owned());
                    lock.sign(patience.command).map_err(|error| cannot("sign the lock", &path, error))?;
                    boundary::pass(|| "after sign lock".to_owned());
                    return Ok(lock);
                }
                Err(TryLockError::WouldBlock) => {
                    let holding = holder_in(&mut file);
                    if holding.holder.is_none() && start.elapsed() < UNSIGNED {
                        tokio::time::sleep(POLL / 10).await;
                        continue;
                    }
                    if start.elapsed() >= patience.timeout {
                        let message = format!("the state is locked by {holding}");
                        return Err(Diagnostic::new(Kind::State, message).in_file(path).hint(patience.hint()));
                    }
                    if !std::mem::replace(&mut told, true) {
                        patience.waits_for(&holding.to_string());
                    }
                    tokio::time::sleep(POLL.min(patience.timeout.saturating_sub(start.elapsed()))).await;
                }
                Err(TryLockError::Error(error)) => return Err(cannot("lock the state", &path, error)),
            }
        }
    }

    /// Proves that the file that is locked is the one that others look at: whoever removes it, or puts another in its
    /// place, lets a second run in.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<()> {
        if is_at(&self.file, &self.path) {
            return Ok(());
        }
        Err(Diagnostic::new(Kind::State, "the lock is no longer ours: its file was removed, moved or replaced")
            .in_file(&self.path)
            .hint(
                "nothing more was begun. See who else writes this state, and never remove the file of a lock: it is free \
                 as soon as its process has ended. Then apply again, which goes on from what is there",
            ))
    }

    fn sign(&mut self, command: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(&Holder::this(command))?.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The kernel unlocks it with the file; without the name in it, nobody takes a past holder for one.
        let _ = self.file.set_len(0);
    }
}

/// Whether somebody holds the lock, and who.
///
/// # Errors
/// What stands there is no regular file, or it cannot be opened.
pub fn holding(files: &Files) -> Result<Option<Holding>> {
    // What is no regular file would keep us waiting.
    super::places::check(files)?;
    let path = files.lock();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("open the lock", &path, error)),
    };
    // Shared: two that look do not take one another for a holder. A run that begins right now waits or is told so.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder_in(&mut file))),
        Err(TryLockError::Error(error)) => Err(cannot("look at the lock", &path, error)),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Whether a path leads to a file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

fn holder_in(file: &mut File) -> Holding {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    Holding { holder: read.ok().and_then(|_| serde_json::from_str(&text).ok()), session: None }
}
