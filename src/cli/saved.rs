//! Saved plans: a file that says exactly what will be done, checked before it is believed.

use crate::error::{Diagnostic, Kind, Result};
use crate::services::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;

/// The file's form: the plan as a text of its own, so that the checksum is over its bytes.
#[derive(Serialize, Deserialize)]
struct Envelope {
    nornplan_plan: u32,
    /// sha256 (hex) of `plan`.
    checksum: String,
    plan: String,
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
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
    let envelope = Envelope { nornplan_plan: plan.format_version, checksum: checksum(&text), plan: text };
    let bytes = serde_json::to_vec_pretty(&envelope).map_err(|error| failed(error.into()))?;
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mut temporary = tempfile::NamedTempFile::new_in(directory).map_err(|error| failed(error.into()))?;
    temporary.write_all(&bytes).map_err(|error| failed(error.into()))?;
    temporary.as_file().sync_all().map_err(|error| failed(error.into()))?;
    temporary.persist(file).map_err(|error| failed(error.error.into()))?;
    Ok(())
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
    if checksum(&envelope.plan) != envelope.checksum {
        return Err(wrong("the saved plan was changed after it was saved"));
    }
    serde_json::from_str(&envelope.plan).map_err(|error| wrong("the saved plan cannot be understood").because(error))
}
