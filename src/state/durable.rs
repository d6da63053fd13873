//! Files that are whole or not there, whatever happens in between.

use super::room;
use crate::boundary::file as boundary;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How the names of files begin and end that are not whole yet; between the two is the name that they will have, and `-` and
/// what is random.
const PREFIX: &str = ".nornplan-";
const SUFFIX: &str = ".tmp";

/// Replaces a file in one step: a reader, and whoever looks after a crash, finds either the old content or the new.
///
/// `mode` is that of the new file; the umask takes away from it.
///
/// # Errors
/// Whatever the file system refuses; the old file is then still there.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_unsynced(path, content, mode)?;
    sync_directory(directory_of(path))
}

/// The same for one of many files in a directory: after a crash it may be the old one as long as [`sync_directory`] has not
/// returned.
///
/// # Errors
/// Whatever the file system refuses; the old file is then still there.
pub fn replace_unsynced(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    room::replaceable(path)?;
    boundary(|| format!("before write {}", kind(path)))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut file = tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{name}-"))
        .suffix(SUFFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory_of(path))?;
    file.write_all(content)?;
    boundary(|| format!("between write and fsync {}", kind(path)))?;
    file.as_file().sync_all()?;
    boundary(|| format!("before rename {}", kind(path)))?;
    file.persist(path).map_err(|error| error.error)?;
    boundary(|| format!("after rename {}", kind(path)))
}

/// Removes a file durably; one that is not there is no error.
///
/// # Errors
/// Whatever the file system refuses.
pub fn remove(path: &Path) -> io::Result<()> {
    if remove_unsynced(path)? { sync_directory(directory_of(path)) } else { Ok(()) }
}

/// The same for one of many files in a directory: after a crash it may be there as long as [`sync_directory`] has not
/// returned. Says whether there was one.
///
/// # Errors
/// Whatever the file system refuses.
pub fn remove_unsynced(path: &Path) -> io::Result<bool> {
    boundary(|| format!("before remove {}", kind(path)))?;
    match fs::remove_file(path) {
        Ok(()) => boundary(|| format!("after remove {}", kind(path))).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the files that a killed run did not finish, if they were to have one of the names that are meant; no directory is
/// no error.
///
/// # Errors
/// Whatever the file system refuses.
pub fn tidy(directory: &Path, is_meant: impl Fn(&str) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let unfinished = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        if unfinished.and_then(|name| name.rsplit_once('-')).is_some_and(|(name, _)| is_meant(name)) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a directory and those above it, as far as they are missing, durably.
///
/// # Errors
/// Whatever the file system refuses.
pub fn create_directories(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    fs::create_dir_all(directory)?;
    missing.into_iter().try_for_each(|made| {
        boundary(|| format!("before fsync above {}", kind(made)))?;
        File::open(directory_of(made))?.sync_all()?;
        boundary(|| format!("after fsync above {}", kind(made)))
    })
}

/// Makes the names in a directory durable.
///
/// # Errors
/// Whatever the file system refuses.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    boundary(|| format!("before fsync {}", kind(directory)))?;
    File::open(directory)?.sync_all()?;
    boundary(|| format!("after fsync {}", kind(directory)))
}

/// Reads a regular file; `None` if there is nothing. What is no regular file (a pipe would block) is an error.
///
/// # Errors
/// Whatever the file system refuses, and files of another type.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => fs::read(path).map(Some),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        // A link that leads nowhere says that there is something, somewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a link that leads nowhere"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What kind of file it is, for names of boundaries: `.env.staged`, `.json`; of a directory, its name.
fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let shown = name.trim_start_matches('.');
    shown.find('.').map_or(shown, |dot| shown.get(dot..).unwrap_or_default()).to_owned()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
