//! What this run has written on the nodes, and what of it is saved.

use crate::services::Durability;
use std::collections::BTreeSet;
use std::sync::Mutex;

#[derive(Default)]
struct State {
    /// Nodes that have been seen to save, by name.
    proven: BTreeSet<String>,
    written: bool,
    unsaved: bool,
}

/// Shared by all batches of a run.
#[derive(Default)]
pub struct Saving(Mutex<State>);

impl Saving {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Nothing panics while it is held.
        work(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Whether a node has been seen to save in this run.
    pub fn is_proven(&self, node: &str) -> bool {
        self.with(|state| state.proven.contains(node))
    }

    /// A node saves.
    pub fn proven(&self, node: &str) {
        self.with(|state| state.proven.insert(node.to_owned()));
    }

    /// From here on something may be written.
    pub fn will_write(&self) {
        self.with(|state| (state.written, state.unsaved) = (true, true));
    }

    /// All nodes have saved whatever they had.
    pub fn saved(&self) {
        self.with(|state| (state.written, state.unsaved) = (true, false));
    }

    pub fn durability(&self) -> Durability {
        self.with(|state| match (state.written, state.unsaved) {
            (_, true) => Durability::Unsaved,
            (true, false) => Durability::Saved,
            (false, false) => Durability::NothingWritten,
        })
    }
}
