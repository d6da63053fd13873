//! Files of snapshots: their names, and how they come to be whole or not at all.

use crate::boundary;
use crate::error::{Diagnostic, Kind};
use crate::state::durable::sync_directory;
use crate::state::room;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;

/// In the commit's place where there is none.
pub const MANUAL: &str = "manual";
/// In the commit's place of what is made before a restore.
pub const PRE_RESTORE: &str = "pre-restore";

/// Bytes that a snapshot needs at the least.
const BEGINNING: u64 = 64 << 10;

/// What a snapshot's name says: `<database>_<label>_<YYYYMMDDTHHMMSS>.dump`, the form that Norn lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub database: String,
    /// The commit's first 12 characters, [`MANUAL`] or [`PRE_RESTORE`].
    pub label: String,
    /// UTC.
    pub stamp: String,
}

impl Name {
    /// Reads the name of a file; `None` if it is no snapshot's.
    pub fn parse(file: &str) -> Option<Self> {
        let (rest, stamp) = file.strip_suffix(".dump")?.rsplit_once('_')?;
        let (database, label) = rest.rsplit_once('_')?;
        let digits = |text: Option<&str>| text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let is_stamp =
            stamp.len() == 15 && stamp.get(8..9) == Some("T") && digits(stamp.get(..8)) && digits(stamp.get(9..));
        (is_stamp && !database.is_empty() && !label.is_empty()).then(|| Self {
            database: database.to_owned(),
            label: label.to_owned(),
            stamp: stamp.to_owned(),
        })
    }

    fn file(&self) -> String {
        format!("{}_{}_{}.dump", safe(&self.database), self.label, self.stamp)
    }
}

/// A database's name as it stands in names of files.
fn safe(database: &str) -> String {
    database.replace('/', "_")
}

/// Proves that a snapshot can be begun in a directory: how large one becomes is not known before.
///
/// # Errors
/// The directory cannot be made or written.
pub fn prove(directory: &Path) -> Result<(), Diagnostic> {
    make(directory).and_then(|()| room::prove(directory, BEGINNING)).map_err(|error| cannot_write(directory, error))
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn cannot_write(directory: &Path, error: io::Error) -> Diagnostic {
    Diagnostic::new(Kind::Service, "the snapshot cannot be written")
        .in_file(directory)
        .hint("make the directory writable and free some space there, or set dir under [snapshots]")
        .because(error)
}

/// A snapshot that is being written, readable by us alone. It is removed unless it is finished.
#[derive(Debug)]
pub struct Partial {
    pub path: PathBuf,
    file: PathBuf,
    /// Locked for as long as somebody lives who writes it.
    _lock: File,
}

impl Partial {
    /// Begins a file that nobody else writes. Two of one database in one second: the later one waits for the next.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub async fn begin(directory: &Path, database: &str, label: &str) -> Result<Self, Diagnostic> {
        let failed = |error: io::Error| cannot_write(directory, error);
        make(directory).map_err(failed)?;
        loop {
            let name = Name { database: database.to_owned(), label: label.to_owned(), stamp: stamp() };
            let file = directory.join(name.file());
            let path = directory.join(format!("{}.partial", name.file()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                // Somebody who tidies took it for one that nobody writes.
                Ok(lock) if lock.try_lock().is_err() || !is_at(&lock, &path) => {}
                Ok(lock) => {
                    let partial = Self { path, file, _lock: lock };
                    // Only who holds the partial file may make the whole one, so this cannot change any more.
                    if !partial.file.exists() {
                        return Ok(partial);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Gives the file its name, for good: where it is, and its bytes.
    ///
    /// # Errors
    /// It cannot be made durable.
    pub fn finish(self) -> Result<(PathBuf, u64), Diagnostic> {
        self.keep().map_err(|error| {
            Diagnostic::new(Kind::Service, "the snapshot cannot be finished").in_file(&self.file).because(error)
        })
    }

    fn keep(&self) -> io::Result<(PathBuf, u64)> {
        let written = File::open(&self.path)?;
        boundary::file(|| "before fsync .dump.partial".to_owned())?;
        written.sync_all()?;
        boundary::file(|| "before rename .dump".to_owned())?;
        let bytes = written.metadata()?.len();
        std::fs::rename(&self.path, &self.file)?;
        boundary::file(|| "after rename .dump".to_owned())?;
        self.file.parent().map_or(Ok(()), sync_directory)?;
        Ok((self.file.clone(), bytes))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `finish` it has another name, and there is nothing to remove.
        drop(std::fs::remove_file(&self.path));
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: io::Result<std::fs::Metadata>| metadata.map(|one| (one.dev(), one.ino())).ok();
    identity(file.metadata()) == identity(std::fs::metadata(path))
}

/// Removes snapshots that killed runs did not finish. No directory is no error; what cannot be removed stays.
pub fn tidy(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_partial = entry.file_name().to_str().is_some_and(|name| name.ends_with(".dump.partial"));
        let Some(file) = is_partial.then(|| File::open(&path).ok()).flatten() else { continue };
        // Held until it is removed, so that nobody begins to write it meanwhile.
        if file.try_lock().is_ok() && is_at(&file, &path) {
            drop(std::fs::remove_file(&path));
        }
    }
}

fn stamp() -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second) = now.to_hms();
    let (month, day) = (u8::from(now.month()), now.day());
    format!("{:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}", now.year())
}

/// Snapshots of one database, the newest first. No directory is no snapshot.
fn of_database(directory: &Path, database: &str) -> Vec<(Name, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<(Name, PathBuf)> = entries
        .filter_map(|entry| Some((Name::parse(entry.file_name().to_str()?)?, entry.path())))
        .filter(|(name, _)| name.database == safe(database))
        .collect();
    found.sort_by(|(one, _), (other, _)| other.stamp.cmp(&one.stamp));
    found
}

/// The name of the newest snapshot of a database, if there is one.
pub fn newest(directory: &Path, database: &str) -> Option<String> {
    let (_, path) = of_database(directory, database).into_iter().next()?;
    Some(path.file_name()?.to_str()?.to_owned())
}

/// Removes all but the newest snapshots of a database, and never one that was made before a restore: those removed. The one
/// that was `made` just now is the newest, whatever its name says: the clock may have been put back.
///
/// # Errors
/// One cannot be removed.
pub fn prune(directory: &Path, database: &str, keep: u16, made: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let is_older = |(name, path): &(Name, PathBuf)| name.label != PRE_RESTORE && path.file_name() != made.file_name();
    let ours = of_database(directory, database).into_iter().filter(is_older);
    let old: Vec<PathBuf> = ours.skip(usize::from(keep.max(1)) - 1).map(|(_, path)| path).collect();
    for path in &old {
        std::fs::remove_file(path).map_err(|error| {
            Diagnostic::new(Kind::Service, "an old snapshot cannot be removed").in_file(path).because(error)
        })?;
    }
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_behind() {
        let name = Name::parse("a_b_manual_20261121T120000.dump").unwrap();
        assert_eq!((name.database.as_str(), name.label.as_str()), ("a_b", MANUAL));
        assert_eq!(name.file(), "a_b_manual_20261121T120000.dump");
        let none = ["x.dump", "x_manual_2026.dump", "a_manual_20261121T120000.dump.partial", "_m_20261121T120000.dump"];
        for wrong in none {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_newest_are_kept_and_those_before_a_restore_always() {
        let directory = tempfile::tempdir().unwrap();
        let names = [
            "a_manual_20260101T000000.dump",
            "a_0123456789ab_20260102T000000.dump",
            "a_pre-restore_20250101T000000.dump",
            "a_manual_20260103T000000.dump",
            "a_b_manual_20200101T000000.dump",
        ];
        for name in names {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        assert_eq!(newest(directory.path(), "a").as_deref(), Some(names[3]));
        assert_eq!(newest(directory.path(), "c"), None);
        let made = directory.path().join(names[3]);
        let removed = prune(directory.path(), "a", 2, &made).unwrap();
        assert_eq!(removed, [directory.path().join(names[0])]);
        assert_eq!(prune(directory.path(), "a", 2, &made).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_was_made_just_now_is_kept_though_the_clock_was_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["a_manual_20260101T000000.dump", "a_manual_20270101T000000.dump", "a_manual_20270102T000000.dump"];
        for name in names {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        let made = directory.path().join(names[0]);
        assert_eq!(prune(directory.path(), "a", 2, &made).unwrap(), [directory.path().join(names[1])]);
        assert_eq!(prune(directory.path(), "a", 1, &made).unwrap(), [directory.path().join(names[2])]);
        assert!(made.exists());
    }

    #[tokio::test]
    async fn two_in_one_second_do_not_meet_and_what_is_not_finished_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("new/deeper");
        let first = Partial::begin(&inside, "a", MANUAL).await.unwrap();
        let second = Partial::begin(&inside, "a", MANUAL).await.unwrap();
        assert_ne!(first.path, second.path);
        std::fs::write(inside.join("a_manual_20260101T000000.dump.partial"), "of a run that was killed").unwrap();
        tidy(&inside);
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 2, "what is being written stays");
        drop(first);
        let (file, bytes) = second.finish().unwrap();
        assert_eq!((bytes, std::fs::read_dir(&inside).unwrap().count()), (0, 1));
        assert!(Name::parse(file.file_name().unwrap().to_str().unwrap()).is_some());
    }
}
