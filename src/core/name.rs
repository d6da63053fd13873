//! Names that have rules of their own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of an app: `[a-z0-9][a-z0-9-]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

impl AppName {
    /// Checks the name.
    ///
    /// # Errors
    /// A sentence that says which rule it breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, String> {
        let name = name.into();
        let mut characters = name.chars();
        let head = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if head && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            Ok(Self(name))
        } else {
            Err(format!(
                "{name:?} is no name of an app: lower-case letters, digits and -, starting with a letter or digit"
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::new(name)
    }
}

impl TryFrom<String> for AppName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(name)
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
