//! What was read of a resource beside its managed fields. Pure.

use crate::core::address::Address;
use crate::services::Observation;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// All facts of a resource; nothing is known of one that was not read.
pub fn facts<T: DeserializeOwned + Default>(observation: &Observation, address: &Address) -> T {
    let facts = observation.resources.get(address).map(|observed| observed.facts.clone()).unwrap_or_default();
    serde_json::from_value(Value::Object(facts.into_iter().collect())).unwrap_or_default()
}

/// One of them.
pub fn fact<T: DeserializeOwned + Default>(observation: &Observation, address: &Address, name: &str) -> T {
    let fact = observation.resources.get(address).and_then(|observed| observed.facts.get(name));
    fact.and_then(|fact| serde_json::from_value(fact.clone()).ok()).unwrap_or_default()
}
