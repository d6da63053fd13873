//! One client of librdkafka: its connection, what goes in and out of its calls in safe types, and what went wrong.

pub mod again;
pub mod batches;
pub mod connect;
pub mod link;
pub mod native;
pub mod poller;
mod reasons;
pub mod refusals;
pub mod trouble;
pub mod words;
