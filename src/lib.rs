//! nornplan: plan and apply for the shared services of a small platform.
//!
//! The flow is one way, and each arrow is a module:
//!
//! ```text
//! infraspecs -> spec -> wanted ----+
//!                                  +-> diff -> steps + edges -> graph -> Plan -> render (text, json, markdown, graph)
//! services -> observe -> observed -+                                      |
//! state (what is ours, what was last applied) ----------------------------+-> exec -> services, secrets, state
//! ```

pub mod config;
pub mod core;
pub mod error;
pub mod render;
pub mod secrets;
pub mod services;
pub mod spec;
pub mod state;
