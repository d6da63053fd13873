//! Saved plans: a file that says exactly what will be done, checked before it is believed.

use super::overwrite::{self, Written};
use crate::core::digest::sha256;
use crate::core::plan::FORMAT_VERSION;
use crate::error::{Diagnostic, Kind, Result};
use crate::planner::written;
use crate::services::Plan;
use crate::state::durable;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// No plan is that long (bytes): what is longer is not read.
const LONGEST: u64 = 256 << 20;

/// The file's form: the plan as a text of its own, so that the checksum is over its bytes.
#[derive(Serialize)]
struct Envelope {
    nornplan_plan: u32,
    /// sha256 (hex) of `plan`.
    checksum: String,
    plan: String,
}

/// The same as it is read, whatever it is.
#[derive(Deserialize)]
struct Read {
    nornplan_plan: Option<Value>,
    checksum: Option<String>,
    plan: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, IgnoredAny>,
}

impl Read {
    fn has(&self, name: &str) -> bool {
        self.rest.contains_key(name)
    }
}

/// A plan as it came back from its file.
pub struct Saved {
    pub plan: Plan,
    /// sha256 (hex) of the plan as it was saved: no other has it.
    pub digest: String,
}

impl Saved {
    /// The lineage of the state that it founds if there is none yet. It follows from the plan, so that a state tells by it
    /// whether it was founded by this very plan.
    pub fn lineage(&self) -> String {
        let hex = |from: usize, to: usize| self.digest.get(from..to).unwrap_or_default();
        [hex(0, 8), hex(8, 12), hex(12, 16), hex(16, 20), hex(20, 32)].join("-")
    }
}

/// Writes a plan, whole or not at all, readable only by its owner. The same plan makes the same bytes.
///
/// # Errors
/// The file cannot be written, or is there already and is something else.
pub fn write(file: &Path, plan: &Plan) -> Result<()> {
    overwrite::check(file, Written::Plan)?;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Diagnostic::new(Kind::Plan, "the plan cannot be saved").in_file(file).because(error)
    };
    let text = serde_json::to_string_pretty(plan).map_err(|error| failed(error.into()))?;
    let envelope = Envelope { nornplan_plan: plan.format_version, checksum: sha256(&text), plan: text };
    let bytes = serde_json::to_vec_pretty(&envelope).map_err(|error| failed(error.into()))?;
    if bytes.len() as u64 > LONGEST {
        let longest = LONGEST >> 20;
        let message = format!("the plan is too long to be saved: more than {longest} MiB would not be read again");
        return Err(Diagnostic::new(Kind::Plan, message).in_file(file).hint("narrow it to some apps with --app"));
    }
    durable::replace(file, &bytes, 0o600).map_err(|error| failed(error.into()))
}

/// Reads a saved plan.
///
/// # Errors
/// A file that is no plan, was cut or changed, comes from another version of nornplan, or is a plan that no nornplan makes.
pub fn read(file: &Path) -> Result<Saved> {
    const NEW_ONE: &str = "make a new one with `nornplan plan --out FILE`";
    let wrong = |what: &str| Diagnostic::new(Kind::Plan, what.to_owned()).in_file(file).hint(NEW_ONE);
    let bytes = bytes(file)?;
    let read: Read = match serde_json::from_slice(&bytes) {
        Ok(read) => read,
        Err(_) if bytes.trim_ascii().is_empty() => return Err(wrong("this is no saved plan: there is nothing in it")),
        Err(error) if error.is_eof() => return Err(wrong("this is no whole saved plan: it ends too early")),
        Err(error) => return Err(wrong("this is no saved plan").because(error)),
    };
    drop(bytes);
    let version = match read.nornplan_plan.as_ref().map(Value::as_u64) {
        Some(Some(version)) => version,
        Some(None) => return Err(wrong("this is no saved plan: it does not say in which form it is")),
        None if read.has("resources") && read.has("lineage") => {
            return Err(wrong("this is a state, and no saved plan")
                .hint("`nornplan show` shows the state; name the file that `nornplan plan --out FILE` wrote"));
        }
        None if read.has("resources") && read.has("format_version") => {
            return Err(wrong(
                "this is a plan as --format json shows it, for other programs to read; it cannot be carried out",
            ));
        }
        None => return Err(wrong("this is no saved plan")),
    };
    if version != u64::from(FORMAT_VERSION) {
        let which = if version > u64::from(FORMAT_VERSION) { "a newer" } else { "an older" };
        let message =
            format!("the plan was saved by {which} nornplan, in form {version}; this one knows form {FORMAT_VERSION}");
        return Err(
            wrong(&message).hint("make a new one with this nornplan, or carry it out with the one that made it")
        );
    }
    let changed = || wrong("the saved plan was changed after it was saved");
    let (Some(checksum), Some(text), true) = (read.checksum, read.plan, read.rest.is_empty()) else {
        return Err(changed());
    };
    if sha256(&text) != checksum {
        return Err(changed());
    }
    let strange = |by: &Value| {
        let by = by.get("tool_version").and_then(Value::as_str).unwrap_or("another version");
        format!("the saved plan has something in it that this nornplan does not know: it was made by nornplan {by}")
    };
    let inside = || -> Result<Value> {
        serde_json::from_str(&text).map_err(|error| wrong("the saved plan cannot be understood").because(error))
    };
    let plan: Plan = match serde_json::from_str(&text) {
        Ok(plan) => plan,
        Err(error) => return Err(wrong(&strange(&inside()?)).because(error)),
    };
    // What is not understood is not left out: it might be what the reviewer saw. As it was saved, it is the same text.
    if serde_json::to_string_pretty(&plan).ok().as_ref() != Some(&text) {
        let inside = inside()?;
        if serde_json::to_value(&plan).ok().as_ref() != Some(&inside) {
            return Err(wrong(&strange(&inside)));
        }
    }
    written::check(&plan)
        .map_err(|why| wrong("the saved plan is not what nornplan writes").because(std::io::Error::other(why)))?;
    Ok(Saved { plan, digest: checksum })
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    let wrong = |what: &str| Diagnostic::new(Kind::Plan, what.to_owned()).in_file(file);
    let failed = |error: std::io::Error| {
        let hint = if error.kind() == ErrorKind::NotFound {
            "name the file that `nornplan plan --out FILE` wrote"
        } else if error.kind() == ErrorKind::IsADirectory {
            "name the file in it"
        } else {
            "it must be readable for whoever runs this"
        };
        wrong("the saved plan cannot be read").hint(hint).because(error)
    };
    let opened = File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    let long = opened.metadata().map_err(failed)?.len();
    if long <= LONGEST {
        opened.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if long > LONGEST || bytes.len() as u64 > LONGEST {
        let longest = LONGEST >> 20;
        return Err(wrong(&format!("this is no saved plan, or too long a one: more than {longest} MiB are not read")).hint(
            "name the file that `nornplan plan --out FILE` wrote; narrow what is too much for one to some apps with --app",
        ));
    }
    Ok(bytes)
}
