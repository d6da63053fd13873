//! The pieces of the law of acceptance: what is wanted, what people do by hand, what is so.

pub mod hand;
pub mod truth;
pub mod wish;
