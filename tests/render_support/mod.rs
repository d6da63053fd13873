//! Plans to look at, and a small reader of JSON Schema.

pub mod crowded;
mod pieces;
pub mod plans;
pub mod schema;
pub mod valkey;
