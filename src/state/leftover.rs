//! What an unfinished run left in its journal, and how it is folded into the document that it goes on from. Pure.

use super::document::{Document, Event};
use crate::error::{Diagnostic, Kind, Result};

/// Events that a run noted and did not write into the document.
#[derive(Debug)]
pub struct Leftover {
    pub lineage: String,
    pub environment: String,
    /// The serial of the document that the events come on top of.
    pub serial: u64,
    pub events: Vec<Event>,
}

impl Leftover {
    /// Folds what is left into its document. With no document yet (a first run that did not finish), the journal founds it.
    ///
    /// # Errors
    /// It belongs to another state, or to a later version of this one.
    pub fn fold_into(self, document: Option<Document>, fresh: impl Fn() -> Document) -> Result<Document> {
        let Self { lineage, environment, serial, events } = self;
        let refuse = |message: String, hint: &str| {
            Diagnostic::new(Kind::State, message)
                .hint(format!("{hint}; or move the journal away, if you know where it comes from. Nothing was written"))
        };
        let mut document = match document {
            Some(document) => document,
            None => {
                let mut founded = fresh();
                if serial == 0 && environment == founded.environment {
                    founded.lineage.clone_from(&lineage);
                }
                founded
            }
        };
        if lineage != document.lineage || environment != document.environment {
            let message = format!(
                "this journal belongs to another state ({lineage} of {environment}; this one is {} of {})",
                document.lineage, document.environment
            );
            return Err(refuse(message, "bring back the state that it belongs to"));
        }
        if serial > document.serial {
            let message = format!("the state (serial {}) is older than its journal (serial {serial})", document.serial);
            return Err(refuse(message, "bring back the newest state"));
        }
        // A document of a later serial has these events already: the run was killed between writing it and removing
        // the journal.
        if serial == document.serial {
            events.into_iter().for_each(|event| document.fold(event));
        }
        Ok(document)
    }
}
