//! Saved plans: a file that says exactly what will be done, checked before it is believed.

use crate::core::digest::sha256;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::Plan;
use crate::state::durable;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's form: the plan as a text of its own, so that the checksum is over its bytes.
#[derive(Serialize, Deserialize)]
struct Envelope {
    nornplan_plan: u32,
    /// sha256 (hex) of `plan`.
    checksum: String,
    plan: String,
}

/// Writes a plan, whole or not at all, readable only by its owner.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, plan: &Plan) -> Result<()> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Diagnostic::new(Kind::Plan, "the plan cannot be saved").in_file(file).because(error)
    };
    let text = serde_json::to_string_pretty(plan).map_err(|error| failed(error.into()))?;
    let envelope = Envelope { nornplan_plan: plan.format_version, checksum: sha256(&text), plan: text };
    let bytes = serde_json::to_vec_pretty(&envelope).map_err(|error| failed(error.into()))?;
    durable::replace(file, &bytes, 0o600).map_err(|error| failed(error.into()))
}

/// Reads a saved plan.
///
/// # Errors
/// A file that is no plan, was cut or changed, or comes from a newer nornplan.
pub fn read(file: &Path) -> Result<Plan> {
    let wrong = |what: &str| {
        Diagnostic::new(Kind::Plan, what.to_owned())
            .in_file(file)
            .hint("make a new one with `nornplan plan --out FILE`")
    };
    let bytes = std::fs::read(file).map_err(|error| wrong("the saved plan cannot be read").because(error))?;
    let envelope: Envelope =
        serde_json::from_slice(&bytes).map_err(|error| wrong("this is no whole saved plan").because(error))?;
    if envelope.nornplan_plan != crate::core::plan::FORMAT_VERSION {
        return Err(wrong("the saved plan has the form of another version of nornplan"));
    }
    if sha256(&envelope.plan) != envelope.checksum {
        return Err(wrong("the saved plan was changed after it was saved"));
    }
    serde_json::from_str(&envelope.plan).map_err(|error| wrong("the saved plan cannot be understood").because(error))
}
