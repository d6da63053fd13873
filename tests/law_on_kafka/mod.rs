//! The pieces of the law of acceptance on Kafka: what is wanted, what people do by hand, what must be so then.

pub mod hand;
pub mod truth;
pub mod wish;
