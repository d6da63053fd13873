//! Putting a document in the place of the present one.

use super::backend::{Locked, View};
use super::beside;
use super::document::Document;
use super::format::{self, Unreadable, newer};
use super::holder::Patience;
use crate::config::Config;
use crate::error::{Diagnostic, Kind, Result};
use crate::render;
use std::time::Duration;

/// A document that may be written, with the lock held until this is dropped.
#[derive(Debug)]
pub struct Push {
    locked: Box<dyn Locked>,
    /// As it will be written.
    pub document: Document,
    /// What is there; `None` if it cannot be read.
    pub present: Option<Document>,
    /// Whether both are the same, so that nothing is to be written.
    pub already_so: bool,
}

/// Reads a document, takes the lock and compares.
///
/// # Errors
/// The text is no document of this environment; without `force` also: it is another state's, or not newer than what is
/// there, or what is there cannot be read.
pub async fn prepare(config: &Config, text: &str, force: bool, timeout: Duration, command: &str) -> Result<Push> {
    let mut document = format::parse(text).map_err(|unreadable| match unreadable {
        Unreadable::Newer(version) => newer(version),
        Unreadable::Corrupt { what, .. } => {
            let error = Diagnostic::new(Kind::State, format!("this is no state: {what}"));
            error.hint("push what `nornplan state pull` has printed. Nothing was written")
        }
    })?;
    if document.environment != config.environment {
        let message =
            format!("this is the state of environment {}, not of {}", document.environment, config.environment);
        return Err(Diagnostic::new(Kind::State, message).hint("name its environment by --env. Nothing was written"));
    }
    let backend = super::backend(config);
    let mut locked = backend.lock(&Patience { timeout, command, tell: render::tell }).await?;
    let view = match locked.view().await {
        Err(_) if force => None,
        view => Some(view?),
    };
    let mut already_so = false;
    if let Some(view) = &view {
        if !force {
            beside::refuse_empty(config, view)?;
            refuse(&document, view).map_err(|error| error.on("state", backend.place(), ""))?;
        }
        already_so = view.exists && !view.leftover && view.moved.is_none() && view.saved == document;
    }
    let present = view.filter(|view| view.exists).map(|view| view.document);
    if !already_so {
        let newest = document.serial.max(present.as_ref().map_or(0, |present| present.serial));
        document.serial = super::serial_after(newest)?;
    }
    Ok(Push { locked, document, present, already_so })
}

/// What would lose something.
fn refuse(document: &Document, view: &View) -> Result<()> {
    let there = &view.document;
    let message = if let Some(to) = &view.moved {
        format!("the state was moved to {to}")
    } else if !view.exists || view.saved == *document {
        return Ok(());
    } else if there.lineage != document.lineage {
        format!("this is another state: its lineage is {}, and {} is there", document.lineage, there.lineage)
    } else if view.leftover {
        "a run did not finish, and its journal would be lost".to_owned()
    } else if document.serial < there.serial {
        format!("it is older than what is there: serial {}, and {} is there", document.serial, there.serial)
    } else if document.serial == there.serial {
        format!("what is there has the same serial ({}) and says something else", there.serial)
    } else {
        return Ok(());
    };
    Err(Diagnostic::new(Kind::State, message).hint(
        "compare it with what `nornplan state pull` prints; --force puts it there all the same, and keeps what is there as \
         the backup. Nothing was written",
    ))
}

impl Push {
    /// Writes it.
    ///
    /// # Errors
    /// The backend fails; what was there is then still there.
    pub async fn write(mut self) -> Result<Document> {
        self.locked.write(&self.document).await?;
        self.locked.remove_journal().await?;
        Ok(self.document)
    }
}
