//! What infraspecs say about PostgreSQL: as it is written, and as it is meant.

pub mod encoding;
mod extensions;
mod locale;
mod outside;
pub mod read;
pub mod resolve;
mod settings;
