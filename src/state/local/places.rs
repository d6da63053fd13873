//! Whether what stands where the state's files belong can be read and replaced. What cannot be seen is not taken for a
//! state that does not exist yet.

use super::files::{Files, cannot};
use crate::error::{Diagnostic, Kind, Result};
use crate::state::room;
use std::io;

/// To be asked before anything is read.
///
/// # Errors
/// The directory is a link that leads to nothing, or no directory; one of the files is a link or no regular file.
pub fn check(files: &Files) -> Result<()> {
    let directory = &files.directory;
    let broken = room::broken_link(directory).map_err(|error| cannot("find the state", directory, error))?;
    if let Some(link) = broken {
        return Err(Diagnostic::new(Kind::State, "it is a symbolic link that leads to nothing")
            .in_file(link)
            .hint("mount or make what it leads to; as it is, nobody knows what the state says. Nothing was written"));
    }
    if directory.exists() && !directory.is_dir() {
        return Err(refuse("it is not a directory", directory));
    }
    for file in [files.document(), files.backup(), files.journal(), files.lock()] {
        match room::replaceable(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(refuse(&error.to_string(), &file)),
            Err(error) => return Err(cannot("find the state", &file, error)),
        }
    }
    Ok(())
}

fn refuse(what: &str, path: &std::path::Path) -> Diagnostic {
    let hint = "the state is kept in regular files only: move it away, or name another directory by state.path (a link to \
                a directory will do). Nothing was written";
    Diagnostic::new(Kind::State, what).in_file(path).hint(hint)
}
