//! How every report begins: the environment, and where each service is.

use super::layout::table;
use super::{Style, clean, environment, words};
use crate::core::plan::ServiceHead;
use crate::services::ServiceId;
use std::collections::BTreeMap;

/// The first thing to check before saying yes.
pub(super) fn lines(
    name: &str,
    services: &BTreeMap<String, ServiceHead>,
    narrowed_to: &[String],
    style: Style,
) -> Vec<String> {
    let mut lines = vec![environment(name, style)];
    let rows: Vec<[String; 3]> = in_order(services)
        .into_iter()
        .map(|(name, head)| {
            let title = words::service_title(name);
            // A product without a version says nothing that its title does not say.
            let version = head.version.as_deref().map(clean).filter(|version| *version != title);
            let facts: Vec<String> = version.into_iter().chain(head.nodes.describe()).collect();
            [title, clean(&head.endpoint), facts.join(", ")]
        })
        .collect();
    lines.extend(table(&rows, "  "));
    if !narrowed_to.is_empty() {
        let flags: Vec<String> = narrowed_to.iter().map(|flag| clean(flag)).collect();
        lines.push(format!("  narrowed to {}; nothing else was looked at", flags.join(" ")));
    }
    lines
}

/// The same in one line, for a question: a long plan has scrolled its head away by then.
pub fn places(services: &BTreeMap<String, ServiceHead>) -> String {
    let servers = in_order(services).into_iter().filter(|(name, _)| *name != ServiceId::Secrets.as_str());
    let places: Vec<String> =
        servers.map(|(name, head)| format!("{} {}", words::service_title(name), clean(&head.endpoint))).collect();
    places.join(", ")
}

/// The services in the order in which they are always named.
pub(super) fn in_order(services: &BTreeMap<String, ServiceHead>) -> Vec<(&String, &ServiceHead)> {
    ServiceId::ALL.into_iter().filter_map(|id| services.get_key_value(id.as_str())).collect()
}
