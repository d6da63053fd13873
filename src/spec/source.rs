//! The text of one file, and points in it.

use crate::error::{Diagnostic, Kind, Place};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest infraspec that is read. The largest that people write has a few kilobytes.
pub const LARGEST: u64 = 1 << 20;

/// How much of a line is shown in an error.
const LONGEST_LINE: usize = 300;

/// The text of one file.
#[derive(Debug)]
pub struct Source {
    /// As it is shown: relative to the workspace where it lies in it.
    shown: PathBuf,
    text: String,
    /// Where each line starts; of what is no text, nowhere.
    starts: Vec<usize>,
}

impl Source {
    /// Reads a file. A byte-order mark at its start is passed by.
    ///
    /// # Errors
    /// No regular file, unreadable, larger than [`LARGEST`] (before it is read), invalid UTF-8, a NUL byte.
    pub fn read(path: &Path, root: &Path) -> Result<Arc<Self>, Diagnostic> {
        let shown = path.strip_prefix(root).unwrap_or(path).to_path_buf();
        let wrong = |message: String| Diagnostic::new(Kind::Spec, message).in_file(&shown);
        let unreadable = |error: std::io::Error| {
            let looped = error.raw_os_error() == Some(libc::ELOOP);
            let what = if looped { "is a loop of symbolic links" } else { "cannot be read" };
            let hint = "repair or remove it, or pass it by with exclude = [...] in nornplan.toml";
            wrong(what.to_owned()).because(error).hint(hint)
        };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(wrong("is a directory, where an infraspec is a file".to_owned())
                .hint("rename it, or pass it by with exclude = [...] in nornplan.toml"));
        }
        if !metadata.is_file() {
            return Err(wrong("is no regular file".to_owned()).hint("an infraspec is a text file"));
        }
        let too_large = || {
            wrong("is larger than the 1 MiB that an infraspec may have".to_owned())
                .hint("if it is no infraspec, pass it by with exclude = [...] in nornplan.toml")
        };
        if metadata.len() > LARGEST {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(too_large());
        }
        Self::decode(shown, bytes)
    }

    fn decode(shown: PathBuf, bytes: Vec<u8>) -> Result<Arc<Self>, Diagnostic> {
        let (text, invalid) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(valid))
            }
        };
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        let source = Self::new(shown, text);
        if let Some(offset) = invalid {
            return Err(Spot::new(&source, offset).error("is not UTF-8").hint("save the file as UTF-8"));
        }
        if let Some(offset) = source.text.find('\0') {
            let hint = "remove it; or is this no text file?";
            return Err(Spot::new(&source, offset).error("there is a NUL byte here").hint(hint));
        }
        Ok(source)
    }

    /// A text that is at hand already.
    pub fn new(shown: PathBuf, text: String) -> Arc<Self> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { shown, text, starts })
    }

    /// What is no file: errors name it, and no line of it.
    pub fn elsewhere(shown: &str) -> Arc<Self> {
        Arc::new(Self { shown: PathBuf::from(shown), text: String::new(), starts: Vec::new() })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line (from 0) and the byte where it starts.
    fn line_of(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        (line, self.starts.get(line).copied().unwrap_or_default())
    }

    /// The offset of a line and column (both from 1, columns in characters).
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
    }

    fn place(&self, offset: usize) -> Place {
        if self.starts.is_empty() {
            return Place::File(self.shown.clone());
        }
        let (line, start) = self.line_of(offset);
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let whole = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let before = self.text.get(start..offset).unwrap_or(whole);
        // Shown on a terminal: nothing in a file shall steer it, and a tab would misplace the mark below.
        let text = whole.chars().take(LONGEST_LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Place::Text { file: self.shown.clone(), line: line + 1, column: before.chars().count() + 1, text }
    }
}

/// A point in a file.
#[derive(Clone, Debug)]
pub struct Spot {
    source: Arc<Source>,
    offset: usize,
}

impl Spot {
    pub fn new(source: &Arc<Source>, offset: usize) -> Self {
        Self { source: source.clone(), offset }
    }

    pub fn place(&self) -> Place {
        self.source.place(self.offset)
    }

    /// An error of an infraspec, here.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Kind::Spec, message).at(self.place())
    }
}

impl std::fmt::Display for Spot {
    /// `file:line`, to name it in an error that points elsewhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.source.starts.is_empty() {
            return write!(f, "{}", self.source.shown.display());
        }
        let (line, _) = self.source.line_of(self.offset);
        write!(f, "{}:{}", self.source.shown.display(), line + 1)
    }
}
