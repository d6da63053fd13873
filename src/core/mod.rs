//! The pure heart: what differs, what shall be done, in which order and with whose consent.
//!
//! Nothing here does IO, waits, reads a clock or the environment, or knows any service. The types are generic
//! over the services' model `M` and operation `O`, which `crate::services` supplies.

pub mod address;
pub mod change;
pub mod consent;
pub mod digest;
pub mod graph;
pub mod lint;
pub mod listing;
pub mod name;
pub mod nodes;
pub mod plan;
pub mod reconcile;
pub mod secret;
pub mod step;
pub mod suggest;
#[cfg(test)]
mod testing;
