//! The two statements that read PostgreSQL, and the rows that they answer with.

mod inside;
mod shared;

pub use inside::{Inside, inside};
pub use shared::{DatabaseRow, Shared, shared};

use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// One privilege of one role; no grantee is PUBLIC.
#[derive(Debug, Deserialize)]
pub struct Acl {
    pub grantee: Option<String>,
    pub privilege: String,
    /// Of default privileges: r for tables, S for sequences.
    #[serde(default)]
    pub kind: Option<char>,
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Diagnostic::new(Kind::Service, "the catalogs were answered in another form than expected")
            .on("postgres", "catalogs", "")
            .because(error)
            .into()
    })
}

/// The privileges of one grantee (`None` is PUBLIC), of one kind where there are kinds.
pub fn privileges(acl: &[Acl], grantee: Option<&str>, kind: Option<char>) -> BTreeSet<String> {
    acl.iter()
        .filter(|row| row.grantee.as_deref() == grantee && row.kind == kind)
        .map(|row| row.privilege.clone())
        .collect()
}
