//! The document as a file: `state/<env>.json`, with the one before it as `<env>.json.backup`.

use crate::config::Config;
use crate::error::{Diagnostic, Kind, Place, Result};
use crate::state::document::Document;
use crate::state::durable;
use crate::state::format::{self, Unreadable, newer};
use std::io;
use std::path::{Path, PathBuf};

/// Files may be read by those who may read the workspace: there is no secret in them. The umask takes away from it.
pub const FILE_MODE: u32 = 0o666;

/// Where the files of one environment's state are.
#[derive(Clone, Debug)]
pub struct Files {
    pub directory: PathBuf,
    pub environment: String,
}

impl Files {
    /// Where the workspace keeps its state.
    pub fn of(config: &Config) -> Self {
        Self { directory: config.state.path.clone(), environment: config.environment.clone() }
    }

    pub fn document(&self) -> PathBuf {
        self.file("json")
    }

    pub fn backup(&self) -> PathBuf {
        self.file("json.backup")
    }

    pub fn journal(&self) -> PathBuf {
        self.file("journal")
    }

    pub fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    /// What the document was when the state was moved to another backend. As long as it is there and no document is, the
    /// state is not taken for empty.
    pub fn moved(&self) -> PathBuf {
        self.file("json.moved")
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", self.environment))
    }
}

/// Reads the document; `None` if there is none yet.
///
/// # Errors
/// It cannot be read, is corrupt, of a newer form, or of another environment. Nothing is written then.
pub fn read(files: &Files, path: &Path) -> Result<Option<Document>> {
    let Some(bytes) = durable::read(path).map_err(|error| cannot("read the state", path, error))? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| corrupt(files, "it is not text in UTF-8", None))?;
    let document = format::parse(&text).map_err(|unreadable| match unreadable {
        Unreadable::Newer(version) => newer(version).in_file(path),
        Unreadable::Corrupt { what, line: 0, .. } => corrupt(files, &what, None),
        Unreadable::Corrupt { what, line, column } => {
            let wrong = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
            corrupt(files, &what, Some(Place::Text { file: path.to_owned(), line, column, text: wrong }))
        }
    })?;
    if document.environment != files.environment {
        let message =
            format!("this is the state of environment {}, not of {}", document.environment, files.environment);
        return Err(Diagnostic::new(Kind::State, message)
            .in_file(path)
            .hint("put each environment's own file back in its place. Nothing was written"));
    }
    Ok(Some(document))
}

/// Writes the document durably, keeping the one that it replaces as a backup.
///
/// # Errors
/// The file system refuses; the old document is then still there.
pub fn write(files: &Files, document: &Document) -> Result<()> {
    let path = files.document();
    let text = format::text(document).map_err(|error| {
        Diagnostic::new(Kind::State, "the state cannot be written as JSON").in_file(&path).because(error)
    })?;
    let write = || {
        if let Some(old) = durable::read(&path)? {
            durable::replace(&files.backup(), &old, FILE_MODE)?;
        }
        durable::replace(&path, text.as_bytes(), FILE_MODE)
    };
    write().map_err(|error| cannot("write the state", &path, error))
}

/// What the operating system refused, and what to see to.
pub fn cannot(what: &str, path: &Path, error: io::Error) -> Diagnostic {
    let hint = if error.kind() == io::ErrorKind::PermissionDenied || error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        "give your user the right to read and write it, or name another directory by state.path"
    } else {
        "see to it that it is a regular file on a disk that is not full, or name another directory by state.path"
    };
    Diagnostic::new(Kind::State, format!("cannot {what}")).in_file(path).hint(hint).because(error)
}

fn corrupt(files: &Files, what: &str, place: Option<Place>) -> Diagnostic {
    let (document, backup) = (files.document(), files.backup());
    let way_back = if backup.is_file() {
        format!("cp {} {} brings back the state before the last write; or", backup.display(), document.display())
    } else {
        "bring back a good copy; or".to_owned()
    };
    Diagnostic::new(Kind::State, format!("the state is corrupt: {what}"))
        .at(place.unwrap_or_else(|| Place::File(document.clone())))
        .hint(format!(
            "{way_back} move it away: what is declared and matches is then adopted, with no write to any service. \
             Nothing was written"
        ))
}
