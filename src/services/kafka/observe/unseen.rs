//! What cannot be seen of users and ACLs, and so is neither changed nor forgotten: pure.

use crate::config::KafkaConfig;
use crate::core::address::{Address, Kind};
use crate::core::plan::{Level, Notice};
use crate::services::Ask;
use crate::services::kafka::model::{ACL, USER};
use crate::services::kafka::server::Server;
use std::collections::BTreeMap;

/// What is ours of it, and why it is not told what became of it. ACLs that an infraspec declares are not among them where
/// there is no authorizer: the plan says of each that it cannot be made.
pub fn unread(ask: &Ask, server: &Server) -> BTreeMap<Address, String> {
    let ours = ask.applied.keys();
    let why = |address: &Address| match server.authorizer {
        None if [USER, ACL].contains(&address.kind) => Some("kafka.mechanism is \"none\""),
        Some(false) if address.kind == ACL && !ask.wanted.contains_key(address) => Some("the broker has no authorizer"),
        None | Some(_) => None,
    };
    ours.filter_map(|address| Some((address.clone(), format!("{}, so this is not read", why(address)?)))).collect()
}

/// Who is let in, and what that leaves of isolation.
pub fn notices(config: &KafkaConfig, ask: &Ask, server: &Server) -> Vec<Notice> {
    let endpoint = config.endpoint();
    let mut notices = Vec::new();
    let mut tell = |level, text| notices.push(Notice { level, about: "kafka".to_owned(), text });
    match (config.authenticates(), config.tls.cert_file.is_some(), server.authorizer) {
        (false, false, _) => tell(
            Level::Alarm,
            format!(
                "{endpoint} lets everybody in without a sign-in (kafka.mechanism = \"none\"): Kafka isolates no app from any \
                 other; only topics are made, and no users and ACLs"
            ),
        ),
        (false, true, _) => tell(
            Level::Warning,
            format!(
                "nornplan shows {endpoint} a certificate and does not sign in (kafka.mechanism = \"none\"): only topics are \
                 made; whether apps need certificates, and what those may do, is up to ssl.client.auth and to ACLs that \
                 people make"
            ),
        ),
        (true, _, Some(false)) => tell(
            Level::Alarm,
            format!("{endpoint} has no authorizer: every user may do everything, and ACLs cannot be kept"),
        ),
        (true, _, Some(true) | None) => {}
    }
    if let Some(text) = left(ask, server) {
        tell(Level::Warning, text);
    }
    notices
}

/// Says what of the state is left as it is.
fn left(ask: &Ask, server: &Server) -> Option<String> {
    let unread = unread(ask, server);
    let count = |kind: &Kind| unread.keys().filter(|address| address.kind == *kind).count();
    let (users, acls) = (count(&USER), count(&ACL));
    let what = match (users, acls) {
        (0, 0) => return None,
        (0, acls) => format!("ACLs of {}", some_users(acls)),
        (users, 0) => some_users(users),
        (users, acls) => format!("{} and ACLs of {}", some_users(users), some_users(acls)),
    };
    let why = if server.authorizer.is_none() { "kafka.mechanism = \"none\"" } else { "there is no authorizer" };
    Some(format!("the state has {what}: while {why} they are not read, and stay as they are, here and on the broker"))
}

fn some_users(count: usize) -> String {
    if count == 1 { "1 user".to_owned() } else { format!("{count} users") }
}
