//! Topics.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A topic. Only declared configs are managed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    pub name: String,
    /// `None` leaves what there is, or the broker's default.
    #[serde(default)]
    pub partitions: Option<i32>,
    #[serde(default)]
    pub replication: Option<i32>,
    /// Configs with the values that the broker stores ("604800000", not "7d").
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

impl Resource for Topic {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, partitions, replication, config } = self;
        vec![
            Field::maybe("partitions", partitions.as_ref()),
            Field::maybe("replication", replication.as_ref()),
            Field::new("config", config),
        ]
    }
}
