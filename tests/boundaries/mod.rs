//! The pieces of the test that strikes a run at every boundary between two effects.

pub mod case;
pub mod lane;
pub mod proof;
pub mod proxy;
pub mod scenario;
