//! Infraspecs: two notations, one model.

pub mod model;
pub mod template;

use crate::config::Config;
use crate::error::Diagnostic;

/// Finds, loads, resolves and cross-checks all infraspecs of a workspace. No service is contacted.
///
/// # Errors
/// All errors of all files at once.
pub fn load(_config: &Config) -> Result<model::Specs, Vec<Diagnostic>> {
    Ok(model::Specs::default())
}
