//! Cross-app checks: what no infraspec can see by itself. Every check walks sorted names, so a thousand apps cost no
//! more than sorting them.

use crate::core::name::AppName;
use crate::core::suggest;
use crate::error::Diagnostic;
use crate::spec::claims::{Claim, Claims, Guest, Outsider, Part, Shared};
use crate::spec::model::App;
use crate::spec::names::Named;
use crate::spec::node::Located;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// One app that loaded.
pub struct Loaded {
    pub app: App,
    pub claims: Claims,
    pub name: Located<AppName>,
    /// Whether no infraspec here declares it (`crate::spec::neighbour`).
    pub only_in_state: bool,
}

/// Apps whose infraspecs have errors of their own: what they seem to lack may be there.
#[derive(Debug, Default)]
pub struct Broken {
    pub names: BTreeSet<AppName>,
    /// Whether one of them does not even tell its name.
    pub nameless: bool,
}

/// So many collisions are told: more have one cause, such as a directory that was copied.
const MOST_ERRORS: usize = 1_000;

/// Checks all apps against one another.
pub fn check(loaded: &[Loaded], broken: &Broken) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let mut apps: BTreeMap<&AppName, &Loaded> = BTreeMap::new();
    for one in loaded {
        if let Some(first) = apps.get(&one.name.value) {
            let message = format!("the app {} is declared at {} already", one.name.value, first.name.spot);
            errors.push(one.name.spot.error(message).hint("rename one of them, or remove one of the files"));
        } else {
            apps.insert(&one.name.value, one);
        }
    }
    let names = Names::gather(&apps);
    same_names(&names, &apps, &mut errors);
    similar_topics(&names, &mut errors);
    crate::spec::kv::database::check(loaded, &mut errors);
    prefixes(&names, &mut errors);
    internal_topics(&apps, &names, &mut errors);
    for named in [Named::Group, Named::TransactionalId] {
        foreign_patterns(&apps, &names, named, &mut errors);
    }
    for (name, one) in &apps {
        for guest in &one.claims.guests {
            check_guest(name, guest, &apps, broken, &mut errors);
        }
        for outsider in &one.claims.outsiders {
            check_outsider(name, outsider, &names, &mut errors);
        }
        for topic in &one.claims.external {
            check_external(name, topic, &apps, &names, &mut errors);
        }
    }
    errors
}

/// A name and whose it is.
type Owned<'a> = (&'a Claim, &'a AppName);

/// All claimed names, by what they name, sorted; those of the app that comes first stand first.
struct Names<'a>(BTreeMap<Named, BTreeMap<&'a str, Vec<Owned<'a>>>>);

impl<'a> Names<'a> {
    fn gather(apps: &BTreeMap<&'a AppName, &'a Loaded>) -> Self {
        let mut names: BTreeMap<Named, BTreeMap<&str, Vec<Owned<'_>>>> = BTreeMap::new();
        for (app, one) in apps {
            for claim in &one.claims.claims {
                let same = names.entry(claim.named).or_default().entry(claim.name.as_str()).or_default();
                same.push((claim, app));
            }
        }
        Self(names)
    }

    fn of(&self, named: Named) -> impl Iterator<Item = (&'a str, &[Owned<'a>])> {
        self.0.get(&named).into_iter().flatten().map(|(name, owned)| (*name, owned.as_slice()))
    }

    fn get(&self, named: Named, name: &str) -> Option<Owned<'a>> {
        self.0.get(&named)?.get(name)?.first().copied()
    }

    /// The first name of another app that starts so.
    fn reached(&self, named: Named, prefix: &str, app: &AppName) -> Option<Owned<'a>> {
        let from_there = (Bound::Included(prefix), Bound::Unbounded);
        let starting = self.0.get(&named)?.range::<str, _>(from_there).take_while(|(name, _)| name.starts_with(prefix));
        starting.flat_map(|(_, owned)| owned).find(|(_, owner)| *owner != app).copied()
    }

    /// A prefix of another app that a topic's name, or a prefix, lies within: one of the starts of it.
    fn covering(&self, name: &str, app: &AppName) -> Option<Owned<'a>> {
        let starts = name.char_indices().skip(1).filter_map(|(end, _)| name.get(..end));
        starts.filter_map(|start| self.get(Named::Prefix, start)).find(|(_, owner)| *owner != app)
    }
}

/// Two apps (or one, twice) with one name.
fn same_names(names: &Names<'_>, apps: &BTreeMap<&AppName, &Loaded>, errors: &mut Vec<Diagnostic>) {
    let only_in_state = |app: &AppName| apps.get(app).is_some_and(|one| one.only_in_state);
    let mut told = BTreeSet::new();
    for named in names.0.keys().copied() {
        for (name, owned) in names.of(named) {
            let mut owned = owned.iter();
            let Some((first, owner)) = owned.next() else { continue };
            if errors.len() >= MOST_ERRORS {
                return;
            }
            for (claim, app) in owned.take(MOST_ERRORS) {
                // What has an address passes from one to the other, or is blocked: the plan says which.
                if named.is_addressed() && (only_in_state(owner) || only_in_state(app)) {
                    continue;
                }
                // Roles are derived from databases: those that collide for that reason are told once.
                let derived = named == Named::Role && claim.derived.is_some() && first.derived.is_some();
                if derived && told.contains(&(*owner, *app)) {
                    continue;
                }
                if named == Named::Database {
                    told.insert((*owner, *app));
                }
                errors.push(collision(named, name, (first, owner), (claim, app)));
            }
        }
    }
}

fn collision(named: Named, name: &str, (first, owner): Owned<'_>, (claim, app): Owned<'_>) -> Diagnostic {
    let title = named.title();
    if owner == app {
        let message = format!("{app} has the {title} {name:?} twice, also at {}", first.spot);
        return claim.spot.error(message).hint("remove one of them");
    }
    // The one that was derived is the one to write out; if only the other was, the error belongs there.
    let ((claim, app), (first, owner)) = match (&claim.derived, &first.derived) {
        (None, Some(_)) => ((first, owner), (claim, app)),
        (Some(_), _) | (None, None) => ((claim, app), (first, owner)),
    };
    let derived = if claim.derived.is_some() { ", derived from its name," } else { "" };
    let message = format!("the {title} {name:?} of {app}{derived} is also that of {owner} ({})", first.spot);
    claim.spot.error(message).hint(match &claim.derived {
        Some(key) => format!("set another with {key}"),
        None => "each app has its own; readers and writers let another in".to_owned(),
    })
}

/// Kafka's metrics cannot tell `a.b` from `a_b`, and Kafka refuses the second of them.
fn similar_topics(names: &Names<'_>, errors: &mut Vec<Diagnostic>) {
    let mut flat: BTreeMap<String, Owned<'_>> = BTreeMap::new();
    for (name, owned) in names.of(Named::Topic) {
        for one in owned {
            let (claim, app) = *one;
            let (first, owner) = *flat.entry(name.replace('.', "_")).or_insert((claim, app));
            if first.name != claim.name && errors.len() < MOST_ERRORS {
                let (one, other, at) = (&claim.name, &first.name, &first.spot);
                let message = format!("the topic {one:?} of {app} collides with {other:?} of {owner} ({at})");
                let hint = "Kafka takes . and _ in names of topics for the same: rename one of them";
                errors.push(claim.spot.error(message).hint(hint));
            }
        }
    }
}

/// A prefix that reaches another app's topics or prefix.
fn prefixes(names: &Names<'_>, errors: &mut Vec<Diagnostic>) {
    for (prefix, owned) in names.of(Named::Prefix) {
        for (claim, app) in owned {
            let reached = names.reached(Named::Topic, prefix, app);
            // Equal prefixes are told as a name that two apps have.
            let inner = || names.reached(Named::Prefix, prefix, app).filter(|(inner, _)| inner.name != prefix);
            if let Some((theirs, owner)) = reached.or_else(inner) {
                let (title, name, at) = (theirs.named.title(), &theirs.name, &theirs.spot);
                let message = format!("the prefix {prefix:?} of {app} reaches the {title} {name:?} of {owner} ({at})");
                errors
                    .push(claim.spot.error(message).hint("choose a longer prefix; readers and writers let another in"));
            }
        }
    }
}

/// What lies where an app makes topics by itself: it may delete whatever is there.
fn internal_topics(apps: &BTreeMap<&AppName, &Loaded>, names: &Names<'_>, errors: &mut Vec<Diagnostic>) {
    for (app, one) in apps {
        let Some(spot) = &one.claims.internal_topics else { continue };
        let prefix = format!("{app}.");
        let within = [Named::Topic, Named::Prefix].into_iter().find_map(|named| names.reached(named, &prefix, app));
        let Some((theirs, owner)) = within.or_else(|| names.covering(&prefix, app)) else { continue };
        let (title, name, at) = (theirs.named.title(), &theirs.name, &theirs.spot);
        let message =
            format!("{app} makes and deletes topics under {prefix:?}, where the {title} {name:?} of {owner} is ({at})");
        let hint = format!("choose another {title} for {owner}, or leave internal_topics out");
        errors.push(spot.error(message).hint(hint));
    }
}

/// A group or transactional id that lies in what another app has without saying: `<app>` and all that starts `<app>.`.
fn foreign_patterns(apps: &BTreeMap<&AppName, &Loaded>, names: &Names<'_>, named: Named, errors: &mut Vec<Diagnostic>) {
    for (name, owned) in names.of(named) {
        let head = name.split('.').next().unwrap_or(name);
        let Ok(head) = AppName::new(head) else { continue };
        let Some(other) = apps.get(&head).filter(|other| other.app.events.is_some()) else { continue };
        for (claim, app) in owned.iter().filter(|(_, app)| **app != head) {
            let (title, at) = (named.title(), &other.name.spot);
            let message =
                format!("the {title} {name:?} of {app} reaches into {head} ({at}), whose are {head} and {head}.*");
            errors.push(claim.spot.error(message).hint(format!("{app} has {app} and {app}.* without saying so")));
        }
    }
}

fn check_guest(
    app: &AppName,
    guest: &Guest,
    apps: &BTreeMap<&AppName, &Loaded>,
    broken: &Broken,
    errors: &mut Vec<Diagnostic>,
) {
    let Guest { app: Located { value: name, spot }, to } = guest;
    if name == app {
        errors.push(spot.error(format!("{app} lets itself in")).hint("an app has its own without saying so"));
        return;
    }
    let Some(other) = apps.get(name) else {
        if !broken.names.contains(name) && !broken.nameless {
            let near = suggest::closest(name.as_str(), apps.keys().map(|name| name.as_str()));
            let hint = near.map_or("readers and writers are names of apps with infraspecs; one that another checkout declares, and the state \
                 knows, is known here with --app"
                    .to_owned(), |near| {
                format!("did you mean {near:?}?")
            });
            errors.push(spot.error(format!("there is no app {name}")).hint(hint));
        }
        return;
    };
    let has = match to {
        Shared::Postgres => other.app.postgres.is_some(),
        Shared::Kv => other.app.kv.is_some(),
        Shared::Events => other.app.events.is_some(),
    };
    if !has && !broken.names.contains(name) {
        let message = format!("{name} ({}) does not have {}, so it cannot be let in", other.name.spot, to.title());
        errors.push(spot.error(message).hint(format!("declare {} in the infraspec of {name}", to.title())));
    }
}

/// A role of `grants`, and a migrator, is one that no infraspec declares. The app's own were told when it was resolved.
fn check_outsider(app: &AppName, outsider: &Outsider, names: &Names<'_>, errors: &mut Vec<Diagnostic>) {
    let Outsider { role: Located { value: role, spot }, part } = outsider;
    let Some((claim, owner)) = names.get(Named::Role, role).filter(|(_, owner)| *owner != app) else { return };
    let message = format!("the role {role:?} is not from outside: it is {owner}'s ({})", claim.spot);
    errors.push(spot.error(message).hint(match part {
        Part::Reader => format!("leave it out of grants, and name {owner} in readers"),
        Part::Writer => format!("leave it out of grants, and name {owner} in writers"),
        Part::Migrator => format!("a migrator belongs to no app; to let {owner} write, name it in writers"),
    }));
}

/// An external topic is one that no infraspec declares.
fn check_external(
    app: &AppName,
    topic: &Located<String>,
    apps: &BTreeMap<&AppName, &Loaded>,
    names: &Names<'_>,
    errors: &mut Vec<Diagnostic>,
) {
    let Located { value: name, spot } = topic;
    if let Some((claim, owner)) = names.get(Named::Topic, name).or_else(|| names.covering(name, app)) {
        let message = format!("the topic {name:?} is not external: it is {owner}'s ({})", claim.spot);
        errors.push(spot.error(message).hint(if owner == app {
            "leave it out of external".to_owned()
        } else {
            format!("leave it out, and name {app} in readers of {owner}")
        }));
        return;
    }
    // Names of apps have no dot.
    let head = name.split_once('.').and_then(|(head, _)| AppName::new(head).ok());
    let Some(maker) = head.and_then(|head| apps.get(&head)) else { return };
    if let Some(makes) = &maker.claims.internal_topics {
        let owner = &maker.name.value;
        let message = format!("the topic {name:?} is not external: {owner} makes topics under {owner}. ({makes})");
        errors.push(spot.error(message).hint(if owner == app {
            "leave it out of external".to_owned()
        } else {
            format!("declare it in the infraspec of {owner}, and name {app} in its readers")
        }));
    }
}
