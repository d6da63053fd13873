//! A list that many users share, written as if each had its own.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

type List = Option<Arc<Vec<String>>>;

pub fn serialize<S: Serializer>(list: &List, serializer: S) -> Result<S::Ok, S::Error> {
    list.as_deref().serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<List, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.map(Arc::new))
}
