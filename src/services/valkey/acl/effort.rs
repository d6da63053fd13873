//! How much work a comparison may be: rules can be made so that telling what they come to takes longer than anybody waits.
//! Pure.

use std::cell::Cell;

/// Work that is left, in units of about five nanoseconds. Shared by all that is compared together, so that many wild rules
/// take no longer than a few.
pub struct Effort(Cell<u64>);

impl Effort {
    /// For what is compared together: about twenty milliseconds.
    pub fn new() -> Self {
        Self::of(4_000_000)
    }

    pub fn of(units: u64) -> Self {
        Self(Cell::new(units))
    }

    /// For one thing more that is compared: rules of people and presets need no more than that.
    pub fn grow(&self) {
        self.0.set(self.0.get().saturating_add(30_000));
    }

    /// `None` if it would be more than is left: the question stays open then.
    pub fn spend(&self, units: usize) -> Option<()> {
        let left = self.0.get().checked_sub(u64::try_from(units).ok()?)?;
        self.0.set(left);
        Some(())
    }
}
