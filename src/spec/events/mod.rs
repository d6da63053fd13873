//! Kafka's part of an infraspec.

mod reach;
mod shapes;
pub mod topic;

use super::lint::Lint;
use super::model::Warning;
use super::overlap::Loaded;

/// What infraspecs say of Kafka that may not be meant.
pub fn lint(loaded: &[Loaded]) -> Vec<Warning> {
    shapes::lint(loaded).iter().map(Lint::as_warning).chain(reach::lint(loaded)).collect()
}
