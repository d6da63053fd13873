//! Boundaries between two effects: where a run can be killed, cut off or failed, and the next one must converge.
//!
//! Effects go through few central functions, and these call this module before and after each of them with a name that is
//! made from what is done (`before postgres CREATE DATABASE`), never from a value: a new statement is a new boundary by
//! itself. Without the feature `failpoints` all of this is empty and no name is ever made.
//!
//! With it, the environment says what happens (`failpoints.rs`). The crate `fail` does not serve: its points must be named
//! in the source and configured one by one, it does not tell which were passed and how often, so that a test could go
//! through all of them without a list, and it knows nothing of a proxy that cuts a connection.

#[cfg(feature = "failpoints")]
mod failpoints;

#[cfg(feature = "failpoints")]
pub use failpoints::{Broken, around, call, file, pass, twice};

#[cfg(not(feature = "failpoints"))]
mod nothing {
    use std::io;

    /// A boundary at which nothing can fail.
    #[inline(always)]
    pub fn pass(_name: impl FnOnce() -> String) {}

    /// A boundary in the work on a file.
    ///
    /// # Errors
    /// Never.
    #[inline(always)]
    pub fn file(_name: impl FnOnce() -> String) -> io::Result<()> {
        Ok(())
    }

    /// The boundaries before and after a call that changes something.
    ///
    /// # Errors
    /// Those of the call.
    #[inline(always)]
    pub fn around<W>(_name: impl Fn() -> String, work: W) -> W {
        work
    }

    /// Whether every step is to be carried out twice.
    #[inline(always)]
    pub const fn twice() -> bool {
        false
    }
}

#[cfg(not(feature = "failpoints"))]
pub use nothing::{around, file, pass, twice};
