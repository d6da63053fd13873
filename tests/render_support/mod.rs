//! Plans to look at, and a small reader of JSON Schema.

pub mod plans;
pub mod schema;
