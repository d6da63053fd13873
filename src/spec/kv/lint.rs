//! What infraspecs allow that reaches into what other apps have: said in every plan, or an error where `strict` is true
//! under `[valkey]`.

use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::plan::Level;
use crate::services::ServiceId;
use crate::services::valkey::model::Access;
use crate::services::valkey::{dangers, includes, overlap, queue_channels, reaches};
use crate::spec::claims::KvPlaces;
use crate::spec::lint::Lint;
use crate::spec::model::Kv;
use crate::spec::node::Located;
use crate::spec::overlap::Loaded;
use crate::spec::source::Spot;

/// So many apps, or things that a rule opens, are named.
const SHOWN: usize = 3;

/// An app that has something on Valkey.
struct Tenant<'a> {
    app: &'a AppName,
    kv: &'a Kv,
    places: &'a KvPlaces,
}

/// Looks all apps over; the worst comes first.
pub fn lint(loaded: &[Loaded]) -> Vec<Lint> {
    let tenants: Vec<Tenant<'_>> = loaded
        .iter()
        .filter_map(|one| {
            Some(Tenant { app: &one.app.name, kv: one.app.kv.as_ref()?, places: one.claims.kv.as_ref()? })
        })
        .collect();
    let mut lints = Vec::new();
    for tenant in &tenants {
        lints.extend(tenant.places.shared.as_ref().map(|spot| tenant.shares(spot)));
        lints.extend(tenant.places.keys.iter().filter_map(|rule| tenant.keys(rule, &tenants)));
        lints.extend(tenant.places.channels.iter().filter_map(|rule| tenant.channels(rule, &tenants)));
        lints.extend(tenant.commands());
    }
    lints.sort_by_key(|lint| lint.level);
    lints
}

/// Channels on which the server tells of itself and of everybody's keys.
const OF_THE_SERVER: [(&str, &str); 5] = [
    ("__keyspace@*__:*", "the names of keys of all apps, as they change"),
    ("__keyevent@*__:*", "the names of keys of all apps, as they change"),
    ("__redis__:*", "the names of keys that other clients have read"),
    ("__sentinel__:*", "which node is the primary"),
    ("__*", "names that begin so are the server's own"),
];

impl Tenant<'_> {
    fn found(&self, spot: &Spot, text: String, hint: impl Into<String>) -> Lint {
        let (service, level) = (ServiceId::Valkey, Level::Warning);
        Lint { service, app: self.app.clone(), spot: spot.clone(), text, hint: hint.into(), level }
    }

    fn shares(&self, spot: &Spot) -> Lint {
        let text = "shared: every app with the common password reads and writes everything on this server";
        let lint = self.found(spot, text.to_owned(), "a namespace, or Valkey 9 without `shared`, would isolate it");
        Lint { level: Level::Alarm, ..lint }
    }

    fn keys(&self, rule: &Located<String>, all: &[Tenant<'_>]) -> Option<Lint> {
        let (mode, pattern) = rule.value.split_once('~')?;
        let reads = mode == "%R";
        let opens = |owner: &&Tenant<'_>| {
            let Some(namespace) = owner.kv.namespace.as_ref().filter(|_| owner.app != self.app) else { return false };
            let let_in = reads && owner.kv.readers.contains(self.app);
            // Database numbers keep nobody out before Valkey 9.
            !let_in && reaches(pattern, namespace)
        };
        let owners: Vec<&Tenant<'_>> = all.iter().filter(opens).collect();
        let how = match mode {
            "%R" => "for reading",
            "%W" => "for writing",
            _ => "for reading and writing",
        };
        let level = if reads { Level::Warning } else { Level::Alarm };
        let Some(first) = owners.first() else {
            // Whoever else is on the server has no infraspec here.
            let opens = match is_everything(pattern) {
                true => "every key on the server",
                false => "keys of whoever else is on the server, whatever they begin with",
            };
            let text = format!("keys {:?} opens {opens}, {how}", rule.value);
            let lint = || self.found(&rule.spot, text, "choose keys such as \"shared:*\"");
            return pattern.starts_with(['*', '?', '[']).then(|| Lint { level, ..lint() });
        };
        let text = format!("keys {:?} opens {}, {how}", rule.value, namespaces(&owners));
        let hint = format!("the owner lets others read: name {} in readers of {}", self.app, first.app);
        let hint = if reads { hint } else { format!("nobody else should write there; {hint}") };
        Some(Lint { level, ..self.found(&rule.spot, text, hint) })
    }

    /// Channels belong to no database.
    fn channels(&self, rule: &Located<String>, all: &[Tenant<'_>]) -> Option<Lint> {
        let pattern = rule.value.strip_prefix('&')?;
        let opens = |owner: &&Tenant<'_>| {
            owner.app != self.app && owner.channels_of_its_own().iter().any(|channels| overlap(pattern, channels))
        };
        let owners: Vec<&Tenant<'_>> = all.iter().filter(opens).collect();
        if owners.is_empty() {
            // What is said of its own keys. A `*` for the number would take in other apps' keys with its name in them.
            let its_own = |namespace: &String| {
                let numbers = ["[0-9]", "[0-9][0-9]"];
                numbers.iter().any(|number| includes(&format!("__keyspace@{number}__:{namespace}:*"), pattern))
            };
            if self.kv.namespace.as_ref().is_some_and(its_own) {
                return None;
            }
            let of_the_server = || OF_THE_SERVER.iter().find(|(channel, _)| overlap(pattern, channel));
            let opens = match is_everything(pattern) {
                true => "every channel on the server, to hear and to send messages".to_owned(),
                false => format!("what the server itself sends: {}", of_the_server()?.1),
            };
            let text = format!("channels {:?} opens {opens}", rule.value);
            return Some(self.found(&rule.spot, text, "choose channels such as \"shared:*\""));
        }
        let text = format!("channels {:?} opens {}, to hear and to send messages", rule.value, namespaces(&owners));
        Some(self.found(&rule.spot, text, "choose channels that lie in nobody's namespace, such as \"shared:*\""))
    }

    /// Patterns of the channels that are nobody else's.
    fn channels_of_its_own(&self) -> Vec<String> {
        match &self.kv.namespace {
            Some(namespace) => vec![format!("{namespace}:*")],
            None if self.kv.access == Access::Queue => queue_channels("", self.kv.db).to_vec(),
            None => Vec::new(),
        }
    }

    fn commands(&self) -> Vec<Lint> {
        let opened = dangers::opened(&self.kv.commands, self.kv.namespace.is_none());
        let level = if dangers::has_the_server(&self.kv.commands) { Level::Alarm } else { Level::Warning };
        let lint = |(place, opens): (usize, Vec<&'static str>)| {
            let rule = self.places.commands.get(place)?;
            let text = format!("{} lets it {}", rule.value, some(opens, SHOWN));
            let lint = self.found(&rule.spot, text, "leave it out, or take away after it what is not needed");
            Some(Lint { level, ..lint })
        };
        opened.into_iter().filter_map(lint).collect()
    }
}

fn is_everything(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*')
}

fn namespaces(owners: &[&Tenant<'_>]) -> String {
    match owners {
        [owner] => {
            let whose = format!("of the app {}", owner.app);
            match &owner.kv.namespace {
                Some(namespace) => format!("the namespace {namespace} {whose}"),
                None => format!("the job queue {whose}"),
            }
        }
        many => format!("the namespaces of {}", some(many.iter().map(|owner| owner.app), SHOWN)),
    }
}
