//! Whether a directory takes what will be written to it, found out before that is needed.

use crate::boundary;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// More than this is not tried: nothing that a run writes for itself comes near it.
const MOST: u64 = 64 << 20;
const AT_ONCE: usize = 64 << 10;

/// Proves that so many bytes can be written durably in a directory, by writing as many and taking them back.
///
/// # Errors
/// Whatever the file system refuses: no right to write, read-only, full, over a quota, no directory.
pub fn prove(directory: &Path, bytes: u64) -> io::Result<()> {
    boundary::file(|| "before probe of room".to_owned())?;
    let mut probe = tempfile::tempfile_in(directory)?;
    // Zeros would take no room on some file systems.
    let filling = vec![0x6e; AT_ONCE];
    let mut left = bytes.min(MOST);
    while left > 0 {
        let part = filling.get(..usize::try_from(left).unwrap_or(AT_ONCE)).unwrap_or(&filling);
        probe.write_all(part)?;
        left = left.saturating_sub(u64::try_from(part.len()).unwrap_or(u64::MAX));
    }
    probe.sync_all()?;
    boundary::file(|| "after probe of room".to_owned())
}

/// The symbolic link on the way to a path that leads to nothing, if there is one. What lies behind it is not absent: it
/// cannot be seen, as on a disk that is not mounted.
///
/// # Errors
/// Whatever the file system refuses.
pub fn broken_link(path: &Path) -> io::Result<Option<PathBuf>> {
    for path in path.ancestors().filter(|path| !path.as_os_str().is_empty()) {
        match fs::metadata(path) {
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(Some(path.to_owned()));
        }
    }
    Ok(None)
}

/// Whether an atomic write may put a file in a place. In that of a link, a device or a pipe it would not write to what that
/// leads to, but remove it.
///
/// # Errors
/// It may not, or cannot be told.
pub fn replaceable(path: &Path) -> io::Result<()> {
    let refuse = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(meta) if meta.is_symlink() => refuse("it is a symbolic link, which would be replaced"),
        Ok(meta) if meta.is_dir() => refuse("it is a directory"),
        Ok(_) => refuse("it is not a regular file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let here = tempfile::tempdir().unwrap();
        prove(here.path(), 200_000).unwrap();
        prove(here.path(), 0).unwrap();
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
        assert!(prove(&here.path().join("none"), 1).is_err());
    }

    #[test]
    fn a_link_to_nothing_is_found_on_the_way() {
        let here = tempfile::tempdir().unwrap();
        let [link, there] = ["link", "there"].map(|name| here.path().join(name));
        symlink(&there, &link).unwrap();
        for path in [&link, &link.join("state"), &link.join("state/default.json")] {
            assert_eq!(broken_link(path).unwrap().as_deref(), Some(link.as_path()));
        }
        assert_eq!(broken_link(&there.join("state")).unwrap(), None);
        fs::create_dir(&there).unwrap();
        assert_eq!(broken_link(&link.join("state")).unwrap(), None);
        let circle = here.path().join("circle");
        symlink(&circle, &circle).unwrap();
        assert!(broken_link(&circle).is_err());
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let here = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| here.path().join(name));
        replaceable(&file).unwrap();
        fs::write(&file, "x").unwrap();
        replaceable(&file).unwrap();
        symlink(&file, &link).unwrap();
        for wrong in [link.as_path(), here.path(), Path::new("/dev/null")] {
            assert!(replaceable(wrong).is_err(), "{}", wrong.display());
        }
    }
}
