//! Topics.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A topic. Only declared configs are managed, or all of its own where it is `exact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    pub name: String,
    /// `None` leaves what there is, or the broker's default.
    #[serde(default)]
    pub partitions: Option<i32>,
    #[serde(default)]
    pub replication: Option<i32>,
    /// Configs with the values that the broker stores ("604800000", not "7d"). Of what was read: the topic's own ones.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// `true` resets configs of its own that are not declared; `None` leaves them. Declared only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
    /// What counts for it without being its own, or without being managed. Of what was read only; never compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inherited: BTreeMap<String, String>,
    /// The broker's id of it, another one for each topic that is made. Of what was read only; never compared, but a step
    /// is not carried out on another topic than it was planned for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `true` if it was planned on that it holds no messages, so that nothing is lost. Of what is before a step only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub empty: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Topic {
    /// The value that counts, wherever it comes from.
    pub fn effective(&self, config: &str) -> Option<&str> {
        self.config.get(config).or_else(|| self.inherited.get(config)).map(String::as_str)
    }

    pub fn is_exact(&self) -> bool {
        self.exact == Some(true)
    }
}

impl Resource for Topic {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, partitions, replication, config, exact, inherited: _, id: _, empty: _ } = self;
        let mode = exact.map(|exact| if exact { "exact" } else { "declared" });
        vec![
            Field::maybe("partitions", partitions.as_ref()),
            Field::maybe("replication", replication.as_ref()),
            Field::new("config", config),
            Field::maybe("config_mode", mode),
        ]
    }
}
