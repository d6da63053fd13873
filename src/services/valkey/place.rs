//! Where an app has its keys, what becomes of those that it leaves behind, and who else reaches them. Pure.

use super::acl::{includes, overlap};
use super::model::{Keys, User, keys_address};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::services::Model;
use std::collections::{BTreeMap, BTreeSet};

/// The keys that a user has as its own: those of a namespace, or all of a database number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `None` is all of the database.
    pub namespace: Option<String>,
    /// The number of the database.
    pub db: u32,
}

impl Place {
    /// By the user's declaration. Of a user that is only known as a server has it, this is unknown.
    pub fn of(user: &User) -> Option<Self> {
        let is_told = user.namespace.is_some() || user.whole_database == Some(true);
        is_told.then(|| Self { namespace: user.namespace.clone(), db: user.db.unwrap_or_default() })
    }

    pub fn of_keys(keys: &Keys) -> Self {
        Self { namespace: Some(keys.namespace.clone()), db: keys.db }
    }

    /// As keys of a namespace, if that is what it is.
    pub fn keys(&self) -> Option<Keys> {
        Some(Keys { namespace: self.namespace.clone()?, db: self.db })
    }

    /// `under shop:* in database 0`, `in database 3`.
    pub fn describe(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("under {namespace}:* in database {}", self.db),
            None => format!("in database {}", self.db),
        }
    }

    /// For a list of several: `shop`, `database 3`.
    pub fn name(&self) -> String {
        self.namespace.clone().unwrap_or_else(|| format!("database {}", self.db))
    }

    /// Whether a pattern reaches keys of it.
    pub fn has_keys_of(&self, pattern: &str) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| reaches(pattern, namespace))
    }

    /// Whether a pattern reaches channels of it. Channels belong to no database.
    pub fn has_channels_of(&self, pattern: &str) -> bool {
        self.namespace.as_ref().is_some_and(|namespace| overlap(pattern, &format!("{namespace}:*")))
    }

    fn pattern(&self) -> String {
        self.namespace.as_ref().map_or_else(|| "*".to_owned(), |namespace| format!("{namespace}:*"))
    }

    /// Whether a user can work with all that is here, as it is declared.
    fn is_open_to(&self, user: &User) -> bool {
        let is_own = |own: Self| own.namespace.is_none() || own.namespace == self.namespace;
        let opens = |rule: &String| rule.strip_prefix('~').is_some_and(|pattern| includes(pattern, &self.pattern()));
        user.db.unwrap_or_default() == self.db
            && (Self::of(user).is_some_and(is_own) || user.more_keys.iter().flatten().any(opens))
    }

    /// Whether some keys are at both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let all_of_it = self.namespace.is_none() || other.namespace.is_none();
        self.db == other.db && (all_of_it || self.namespace == other.namespace)
    }

    /// Whether a user has anything to do with what is here, as it is declared. Its own patterns count for every database:
    /// its commands may lead it there.
    fn is_met_by(&self, user: &User) -> bool {
        let meets = |rule: &String| {
            let pattern = rule.split_once('~').map(|(_, pattern)| pattern);
            pattern.is_some_and(|pattern| pattern != "*" && self.has_keys_of(pattern))
        };
        let reads = |namespace: &String, db: &u32| {
            *db == self.db && self.namespace.as_ref().is_none_or(|mine| mine == namespace)
        };
        Self::of(user).is_some_and(|own| self.overlaps(&own))
            || user.reads.iter().flatten().any(|(namespace, db)| reads(namespace, db))
            || user.reads_databases.as_ref().is_some_and(|databases| databases.contains(&self.db))
            || user.more_keys.iter().flatten().any(meets)
    }
}

/// Whether a pattern reaches keys of a namespace, hash-tagged ones (`{shop}:cart`) among them.
pub fn reaches(pattern: &str, namespace: &str) -> bool {
    overlap(pattern, &format!("{namespace}:*")) || overlap(pattern, &format!("{{{namespace}}}:*"))
}

/// Where a user had its keys, if it is to have them elsewhere and does not get there any more.
pub fn left(last: &User, wanted: &User) -> Option<Place> {
    Place::of(wanted)?;
    Place::of(last).filter(|place| !place.is_open_to(wanted))
}

/// Declared users of other apps that have anything to do with the keys of a place.
pub fn others_at<'a>(place: &Place, app: &AppName, wanted: &'a BTreeMap<Address, Wanted<Model>>) -> BTreeSet<&'a str> {
    users_at(place, wanted).filter(|(_, other)| *other != app).map(|(user, _)| user).collect()
}

fn users_at<'a>(
    place: &Place,
    wanted: &'a BTreeMap<Address, Wanted<Model>>,
) -> impl Iterator<Item = (&'a str, &'a AppName)> {
    let users = wanted.values().filter_map(|one| Some((one.model.as_valkey_user()?, &one.app)));
    users.filter(|(user, _)| place.is_met_by(user)).map(|(user, app)| (user.name.as_str(), app))
}

/// What becomes of keys that are remembered to go with an app, where its infraspec does not name them any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are to be removed: their app is gone.
    Purged,
    /// They go with the app still, which has others by now.
    Remembered,
    /// They stay for good, and why.
    Forgotten(String),
}

/// Decides on remembered keys that are not wanted under their address.
pub fn fate(
    keys: &Keys,
    app: &AppName,
    wanted: &BTreeMap<Address, Wanted<Model>>,
    applied: &BTreeMap<Address, Applied<Model>>,
) -> Fate {
    let purged = |one: &&Wanted<Model>| one.model.as_valkey_keys().is_some();
    if let Some(again) = wanted.values().filter_map(|one| one.model.as_valkey_keys()).find(|one| *one == keys) {
        return Fate::Forgotten(format!("they are remembered as {} from now on", keys_address(again)));
    }
    let purges = wanted.values().filter(purged).any(|one| one.app == *app);
    let place = Place::of_keys(keys);
    let mut users = users_at(&place, wanted);
    if let Some((user, _)) = users.find(|(_, other)| !purges || *other != app) {
        return Fate::Forgotten(format!("its keys stay, also when {user} is destroyed"));
    }
    // Another app that is to go elsewhere has its keys here until it did.
    let is_here = |user: &User| Place::of(user).is_some_and(|own| own.overlaps(&place));
    let mut others = applied.values().filter(|one| one.app != *app);
    if others.any(|one| one.model.as_valkey_user().is_some_and(is_here)) {
        return Fate::Remembered;
    }
    let has_user = wanted.values().any(|one| one.app == *app && one.model.as_valkey_user().is_some());
    match (has_user, purges) {
        (_, true) => Fate::Remembered,
        (true, false) => Fate::Forgotten(format!(
            "its keys stay, also when {app} is destroyed: its infraspec does not say on_destroy = \"purge-keys\" any more"
        )),
        (false, false) => Fate::Purged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::valkey::model::user_address;

    fn user(namespace: Option<&str>, db: u32) -> User {
        let whole_database = Some(namespace.is_none());
        User { namespace: namespace.map(str::to_owned), db: Some(db), whole_database, ..User::new("shop") }
    }

    fn wanted(app: &str, model: Model) -> Wanted<Model> {
        Wanted { app: AppName::new(app).unwrap(), model }
    }

    fn keys(namespace: &str, db: u32) -> Keys {
        Keys { namespace: namespace.to_owned(), db }
    }

    #[test]
    fn who_gets_elsewhere_leaves_a_place_unless_it_can_still_get_there() {
        let shop = || user(Some("shop"), 0);
        let opens = |rule: &str| Some(BTreeSet::from([rule.to_owned()]));
        let place = |last: &User, next: &User| left(last, next).map(|place| place.describe());
        for (next, leaves) in [
            (shop(), false),
            (User { more_keys: opens("~other:*"), ..shop() }, false),
            (user(Some("store"), 0), true),
            (user(Some("shop"), 1), true),
            (user(None, 0), false),
            (user(None, 1), true),
            (User { more_keys: opens("~sh*"), ..user(Some("store"), 0) }, false),
            (User { more_keys: opens("%R~shop:*"), ..user(Some("store"), 0) }, true),
            (User { more_keys: opens("~shop:a*"), ..user(Some("store"), 0) }, true),
            (User { more_keys: opens("~shop:*"), ..user(Some("store"), 1) }, true),
        ] {
            let expected = leaves.then(|| "under shop:* in database 0".to_owned());
            assert_eq!(place(&shop(), &next), expected, "{next:?}");
        }
        assert_eq!(place(&user(None, 3), &user(Some("shop"), 3)).as_deref(), Some("in database 3"));
        // What is known as a server has it alone.
        assert_eq!(place(&User { whole_database: None, ..user(None, 0) }, &shop()), None);
    }

    #[test]
    fn hash_tagged_keys_of_a_namespace_are_its_own() {
        let shop = Place::of_keys(&keys("shop", 0));
        for (pattern, has) in [("shop:*", true), ("{shop}:*", true), ("{sh*", true), ("{store}:*", false)] {
            assert_eq!(shop.has_keys_of(pattern), has, "{pattern}");
            let rules = Some(BTreeSet::from([format!("%R~{pattern}")]));
            assert_eq!(shop.is_met_by(&User { more_keys: rules, ..user(Some("b"), 1) }), has, "{pattern}");
        }
        assert!(Place { namespace: None, db: 3 }.has_keys_of("store:*"));
        assert!(!shop.is_met_by(&User { more_keys: Some(BTreeSet::from(["~*".to_owned()])), ..user(Some("b"), 1) }));
    }

    #[test]
    fn remembered_keys_go_with_their_app_and_with_nobody_elses() {
        let app = AppName::new("shop").unwrap();
        let of = |all: Vec<Wanted<Model>>| -> Fate {
            let place = |(number, one)| (Address::new(crate::core::address::Kind::new("x"), format!("{number}")), one);
            fate(&keys("shop", 0), &app, &all.into_iter().enumerate().map(place).collect(), &BTreeMap::new())
        };
        let own = |user| wanted("shop", Model::ValkeyUser(user));
        let purges = |keys| wanted("shop", Model::ValkeyKeys(keys));
        let reader = |db| {
            let reads = Some(BTreeMap::from([("shop".to_owned(), db)]));
            wanted("b", Model::ValkeyUser(User { name: "b".to_owned(), reads, ..user(Some("b"), 0) }))
        };
        assert_eq!(of(Vec::new()), Fate::Purged);
        let there = |app: &str, user| Applied { app: AppName::new(app).unwrap(), model: Model::ValkeyUser(user) };
        for (other, is_there) in [("shop", false), ("b", true)] {
            let applied = BTreeMap::from([(user_address("b"), there(other, user(Some("shop"), 0)))]);
            let fate = fate(&keys("shop", 0), &app, &BTreeMap::new(), &applied);
            assert_eq!(fate, if is_there { Fate::Remembered } else { Fate::Purged }, "{other}");
        }
        assert_eq!(of(vec![own(user(Some("shop"), 1)), purges(keys("shop", 1))]), Fate::Remembered);
        assert_eq!(of(vec![own(user(Some("shop"), 1)), purges(keys("shop", 1)), reader(1)]), Fate::Remembered);
        for forgotten in [
            vec![own(user(Some("shop"), 1))],
            vec![own(user(Some("shop"), 0))],
            vec![own(user(Some("shop"), 1)), purges(keys("shop", 1)), reader(0)],
            // As an earlier version had the address of a database with a number.
            vec![own(user(Some("shop"), 0)), purges(keys("shop", 0))],
        ] {
            assert!(matches!(of(forgotten.clone()), Fate::Forgotten(_)), "{forgotten:?}");
        }
    }
}
