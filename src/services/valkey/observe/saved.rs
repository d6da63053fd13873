//! What the nodes would have after a restart, as far as it is known here.

use super::Seen;
use crate::core::address::Address;
use crate::services::valkey::connect::Node;
use crate::services::valkey::model::persistence_address;
use crate::services::valkey::presets::Persistence;
use crate::services::valkey::unsaved::Unsaved;
use crate::services::{Ask, Observed};

/// What would be lost at the next restart, where anything can be saved at all.
pub async fn unsaved(_nodes: &[Node], seen: &[Seen], ask: &Ask) -> Option<(Address, Observed)> {
    if seen.iter().all(|node| node.server.persistence() == Persistence::Volatile) {
        return None;
    }
    let unsaved = Unsaved { by_earlier_run: ask.unsaved, ..Unsaved::default() };
    Some((persistence_address(), unsaved.observed()?))
}
