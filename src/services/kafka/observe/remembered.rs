//! Whom the broker lets in under a name that a new user gets. Pure.

use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::Ask;
use crate::services::kafka::model::USER;
use crate::services::kafka::server::Server;
use std::collections::BTreeSet;

/// New users that are named; more are counted.
const NAMED: usize = 3;

/// Says once, of all users that a plan makes, that who was signed in under such a name before goes on. Kafka does not tell
/// whether anybody is.
pub fn notice(ask: &Ask, there: &BTreeSet<&str>, server: &Server) -> Option<Notice> {
    let wanted = ask.wanted.keys().filter(|address| address.kind == USER).map(|address| address.name.as_str());
    let new: Vec<&str> = wanted.filter(|name| !there.contains(name)).collect();
    let sessions = "its open sessions (connections.max.reauth.ms is 0)";
    let what = match (server.reauthenticates_ms, server.delegation_tokens) {
        (Some(0), Some(true)) => format!("{sessions} and its delegation tokens"),
        (Some(0), Some(false) | None) => sessions.to_owned(),
        (Some(_) | None, Some(true)) => "its delegation tokens".to_owned(),
        (Some(_) | None, Some(false) | None) => return None,
    };
    let text = format!(
        "new users ({}): where one of that name was deleted before, {what} go on, with what the new one may do",
        some(&new, NAMED)
    );
    (!new.is_empty()).then(|| Notice { level: Level::Note, about: "kafka".to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::AppName;
    use crate::core::reconcile::Wanted;
    use crate::services::Model;
    use crate::services::kafka::model::{User, user_address};

    #[test]
    fn it_is_said_once_of_all_new_users_and_only_where_somebody_may_go_on() {
        let mut ask = Ask::default();
        for number in 0..100 {
            let name = format!("u{number:02}");
            let model = Model::KafkaUser(User {
                name: name.clone(),
                mechanism: None,
                iterations: None,
                other_mechanisms: None,
                generated: Some(true),
            });
            ask.wanted.insert(user_address(&name), Wanted { app: AppName::new("a").unwrap(), model });
        }
        let told = |there: &[&str], ms, tokens| {
            let server = Server { reauthenticates_ms: ms, delegation_tokens: tokens, ..Server::default() };
            notice(&ask, &there.iter().copied().collect(), &server).map(|notice| notice.text).unwrap_or_default()
        };
        assert_eq!(
            told(&["u00"], Some(0), Some(true)),
            "new users (u01, u02, u03 and 96 more): where one of that name was deleted before, its open sessions \
             (connections.max.reauth.ms is 0) and its delegation tokens go on, with what the new one may do"
        );
        assert!(!told(&[], Some(0), None).contains("tokens") && !told(&[], None, Some(true)).contains("sessions"));
        assert_eq!((told(&[], Some(60_000), Some(false)), told(&[], None, None)), (String::new(), String::new()));
        let all: Vec<&str> = ask.wanted.keys().map(|address| address.name.as_str()).collect();
        assert_eq!(told(&all, Some(0), Some(true)), "");
    }
}
