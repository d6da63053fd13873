//! What the reader of a plan must know of the nodes.

use super::{Seen, passwordless};
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::services::valkey::everybody::{self, Open};
use crate::services::valkey::model::{USER, User};
use crate::services::valkey::place::Place;
use crate::services::valkey::possible::strays;
use crate::services::valkey::presets::{Persistence, Server};
use crate::services::valkey::strangers::Strangers;
use crate::services::{Ask, Model};
use std::collections::BTreeSet;

/// Told by itself.
const DEFAULT: &str = "default";

/// What must be known of the nodes, loudest first.
pub fn notices(seen: &[Seen], ask: &Ask) -> Vec<Notice> {
    let notice = |level, text| Notice { level, about: "valkey".to_owned(), text };
    let mut notices = Vec::new();
    for node in seen {
        for (user, open) in open_to_everybody(node, ask) {
            let level = if open.is_alarming() { Level::Alarm } else { Level::Warning };
            notices.push(notice(level, format!("{}: {}", node.node, open.describe(user))));
        }
        let lasting = match node.server.persistence() {
            Persistence::AclFile | Persistence::ConfigFile => None,
            Persistence::Volatile => {
                Some("volatile: with neither aclfile nor configuration file, users are gone at restart")
            }
            Persistence::Unknown => Some(
                "whether users outlive a restart is not known: CONFIG GET is switched off or not allowed (+config|get)",
            ),
        };
        notices.extend(lasting.map(|text| notice(Level::Warning, format!("{}: {text}", node.node))));
    }
    notices.extend(strangers(seen, ask).sentence().map(|text| notice(Level::Warning, text)));
    let passwordless = passwordless(seen, ask).into_iter();
    notices.extend(passwordless.map(|(said, next)| notice(Level::Warning, format!("{said} until you {next}"))));
    notices.sort();
    notices
}

/// Users that nobody declares, on whatever node, and that reach what apps have. Administrators are no strangers.
pub fn strangers(seen: &[Seen], ask: &Ask) -> Strangers {
    let (places, mut strangers) = (places(ask), Strangers::default());
    let wanted = ask.names(&USER);
    for node in seen {
        let others = node.accounts.iter().filter(|(name, _)| {
            let is_known = ask.knows(name) || wanted.contains(name.as_str());
            !is_known && **name != node.server.admin && name.as_str() != DEFAULT
        });
        others.for_each(|(_, account)| strangers.add(account, &node.server.catalogue, &places));
    }
    strangers
}

/// Apps whose own command rules lead to other database numbers, where the server cannot confine them to theirs.
pub fn straying(server: &Server, ask: &Ask) -> Vec<Notice> {
    let users = ask.wanted.values().filter_map(|wanted| Some((&wanted.app, wanted.model.as_valkey_user()?)));
    let notice = |(app, user): (&AppName, &User)| {
        let text = strays(user.more_commands.as_ref()?, server)?;
        Some(Notice { level: Level::Warning, about: app.to_string(), text })
    };
    users.filter_map(notice).collect()
}

/// What whoever connects to a node may do without a password, by the user that lets them: `default`, or any other,
/// whoever made it.
pub fn open_to_everybody<'a>(node: &'a Seen, ask: &Ask) -> Vec<(&'a str, Open)> {
    let places = places(ask);
    let users = node.accounts.values().map(|account| &account.user);
    let open = |user: &'a User| Some((user.name.as_str(), everybody::open(user, &node.server.catalogue, &places)?));
    users.filter_map(open).collect()
}

/// What apps have that are declared or ours.
pub fn places(ask: &Ask) -> BTreeSet<Place> {
    let wanted = ask.wanted.values().map(|wanted| &wanted.model);
    let applied = ask.applied.values().map(|applied| &applied.model);
    wanted.chain(applied).filter_map(Model::as_valkey_user).filter_map(Place::of).collect()
}
