//! nornplan: plan and apply for the shared services of a small platform.
//!
//! Each app declares in an infraspec what it needs of one PostgreSQL, one Valkey and one Kafka. nornplan compares that
//! with what the services have, shows the difference as a plan, and carries it out in dependency order, so that every
//! app is isolated from every other. The flow is one way, and each arrow is a module:
//!
//! ```text
//! infraspecs -> spec -> wanted ----+
//!                                  +-> diff -> steps + edges -> graph -> Plan -> render (text, json, markdown, graph)
//! services -> observe -> observed -+                                      |
//! state (what is ours, what was last applied) ----------------------------+-> exec -> services, secrets, state
//! ```
//!
//! A tour, in the order in which data flow:
//!
//! 1. [`cli`] parses the arguments; one thin file per command. [`config`] merges `nornplan.toml` and the environment.
//! 2. [`spec`] finds and reads infraspecs in two notations, fills in every default, and checks apps against each other.
//! 3. [`services`] turns specs into wanted [`services::Model`]s, one type per resource. [`scope`] narrows a run.
//! 4. [`observe`] reads the services in use, side by side. What cannot be read is an error, never empty.
//! 5. [`core`] is pure. [`core::change`] compares wanted, observed and last applied field by field;
//!    [`core::reconcile`] decides the action on each resource; each service's `diff` turns decisions into steps.
//! 6. [`planner`] adds the edges between services, [`core::consent`] holds what nobody consented to, [`core::graph`]
//!    sorts, [`core::lint`] checks the laws. The result is a [`services::Plan`]; all that changes it afterwards
//!    is consent given later, which releases held steps.
//! 7. [`render`] shows it. [`exec`] carries it out: every object is read again right before it is written.
//! 8. [`state`] keeps what is ours, journalled step by step; [`secrets`] stages, publishes and never shows passwords.
//!
//! Whatever goes wrong on the way is an [`error::Diagnostic`]: what, where, and what to do next.
//!
//! A new service is a folder in [`services`], a variant of each of its enums, and a line in its registry.

pub mod boundary;
pub mod cli;
pub mod config;
pub mod core;
pub mod error;
pub mod exec;
pub mod observe;
pub mod planner;
pub mod render;
pub mod scope;
pub mod secrets;
pub mod services;
pub mod sharing;
pub mod side_by_side;
pub mod spec;
pub mod state;
