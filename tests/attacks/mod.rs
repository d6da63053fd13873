//! What is tried against the isolation of apps on Valkey.

pub mod crossings;
pub mod sweep;
pub mod work;
