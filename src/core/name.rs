//! Names that have rules of their own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Stands where an app's name stands, for what no app but the workspace file itself asks for.
const WORKSPACE: &str = "(workspace)";

/// The name of an app: `[a-z0-9][a-z0-9-]*`. Plans and states also know [`AppName::workspace`], which no app can have.
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

    /// Whose the things are that the workspace file itself asks for. No infraspec and no flag can name it.
    pub fn workspace() -> Self {
        Self(WORKSPACE.to_owned())
    }

    pub fn is_workspace(&self) -> bool {
        self.0 == WORKSPACE
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

    /// Of plans and states, which nornplan wrote itself.
    fn try_from(name: String) -> Result<Self, String> {
        if name == WORKSPACE { Ok(Self::workspace()) } else { Self::new(name) }
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

/// Whether an entry of a list of names stands for a name: one that ends in `*` stands for all that start so.
pub fn stands_for(entry: &str, name: &str) -> bool {
    entry.strip_suffix('*').map_or(entry == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_travels_in_documents_and_cannot_be_named() {
        let text = serde_json::to_string(&AppName::workspace()).unwrap();
        assert_eq!(serde_json::from_str::<AppName>(&text).unwrap(), AppName::workspace());
        assert!(AppName::new("(workspace)").is_err());
        assert!("(workspace)".parse::<AppName>().is_err());
        assert!(!AppName::new("workspace").unwrap().is_workspace());
    }
}
