//! The journal: completed steps as JSON lines, durable at once, folded into the document at the end of a run or by the
//! next one. Its first line says which document it goes on from.

use super::files::{Files, cannot};
use crate::boundary;
use crate::error::{Diagnostic, Kind, Result};
use crate::state::document::{Document, Event};
use crate::state::durable;
use crate::state::leftover::Leftover;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const FORMAT_VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    journal: u32,
    lineage: String,
    environment: String,
    /// The serial of the document that the events come on top of.
    serial: u64,
}

/// Reads what is left of an unfinished run. A torn last line was never promised to anyone and is passed by.
///
/// # Errors
/// It cannot be read, or a line before the last is damaged.
pub fn read(files: &Files) -> Result<Option<Leftover>> {
    let path = files.journal();
    let Some(bytes) = durable::read(&path).map_err(|error| cannot("read the journal", &path, error))? else {
        return Ok(None);
    };
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()).peekable();
    let Some((_, first)) = lines.next() else { return Ok(None) };
    let head: Head = match serde_json::from_slice(first) {
        Ok(head) => head,
        Err(_) if lines.peek().is_none() => return Ok(None),
        Err(error) => return Err(damaged(&path, 1, error)),
    };
    if head.journal > FORMAT_VERSION {
        let message = format!("the journal has format {}, and this nornplan knows {FORMAT_VERSION}", head.journal);
        return Err(Diagnostic::new(Kind::State, message)
            .in_file(&path)
            .hint("a newer nornplan did not finish: run its apply. Nothing was written"));
    }
    let mut events = Vec::new();
    while let Some((number, line)) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => return Err(damaged(&path, number + 1, error)),
        }
    }
    let Head { journal: _, lineage, environment, serial } = head;
    Ok(Some(Leftover { lineage, environment, serial, events }))
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the last durable line ends.
    good: u64,
}

impl Journal {
    /// Begins the journal of a run, which has folded in whatever an earlier one left.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(files: &Files, document: &Document) -> Result<Self> {
        let path = files.journal();
        boundary::pass(|| "before journal begin".to_owned());
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|error| cannot("begin the journal", &path, error))?;
        let head = Head {
            journal: FORMAT_VERSION,
            lineage: document.lineage.clone(),
            environment: document.environment.clone(),
            serial: document.serial,
        };
        let mut journal = Self { path, file, good: 0 };
        journal.write(&[head])?;
        durable::sync_directory(&files.directory).map_err(|error| cannot("begin the journal", &journal.path, error))?;
        Ok(journal)
    }

    /// Appends events with one write and one fsync: when this returns, they survive anything.
    ///
    /// # Errors
    /// They cannot be written; none of them counts then.
    pub fn append(&mut self, events: &[Event]) -> Result<()> {
        self.write(events)
    }

    fn write(&mut self, lines: &[impl Serialize]) -> Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).map_err(|error| {
                Diagnostic::new(Kind::State, "a step cannot be written as JSON").in_file(&self.path).because(error)
            })?;
            text.push(b'\n');
        }
        let written = boundary::file(|| "before append journal".to_owned())
            .and_then(|()| self.file.write_all(&text))
            .and_then(|()| boundary::file(|| "between append and fsync journal".to_owned()))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A torn line must not stand in the middle of the journal.
            let _ = self.file.set_len(self.good);
            let _ = std::io::Seek::seek(&mut self.file, std::io::SeekFrom::Start(self.good));
            return Err(cannot("write the journal", &self.path, error));
        }
        self.good += u64::try_from(text.len()).unwrap_or(u64::MAX);
        boundary::pass(|| "after append journal".to_owned());
        Ok(())
    }
}

fn damaged(path: &Path, line: usize, error: serde_json::Error) -> Diagnostic {
    Diagnostic::new(Kind::State, format!("line {line} of the journal is damaged")).in_file(path).because(error).hint(
        "an earlier run did not finish, and what it did cannot be read: move the journal away; the next plan shows \
             what is there. Nothing was written",
    )
}
