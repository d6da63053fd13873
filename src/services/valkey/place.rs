//! Where an app has its keys, what becomes of those that it leaves behind, and who else reaches them. Pure.

use super::acl::{includes, overlap};
use super::model::{Keys, User, keys_address};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::secrets::model::secret_address;
use crate::secrets::password::SHARED;
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

    /// Whether a user has anything to do with what is here, as it is declared. Its own patterns count for every database:
    /// its commands may lead it there.
    fn is_met_by(&self, user: &User) -> bool {
        let meets = |rule: &String| {
            let pattern = rule.split_once('~').map(|(_, pattern)| pattern);
            pattern.is_some_and(|pattern| pattern != "*" && overlap(pattern, &self.pattern()))
        };
        let reads = |namespace: &String, db: &u32| {
            *db == self.db && self.namespace.as_ref().is_none_or(|mine| mine == namespace)
        };
        let is_own = |own: Self| {
            own.db == self.db
                && (self.namespace.is_none() || own.namespace.is_none() || own.namespace == self.namespace)
        };
        Self::of(user).is_some_and(is_own)
            || user.reads.iter().flatten().any(|(namespace, db)| reads(namespace, db))
            || user.reads_databases.as_ref().is_some_and(|databases| databases.contains(&self.db))
            || user.more_keys.iter().flatten().any(meets)
    }
}

/// Where a user had its keys, if it is to have them elsewhere and does not get there any more.
pub fn left(last: &User, wanted: &User) -> Option<Place> {
    let (former, next) = (Place::of(last)?, Place::of(wanted)?);
    (former != next && !former.is_open_to(wanted)).then_some(former)
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
pub fn fate(keys: &Keys, app: &AppName, wanted: &BTreeMap<Address, Wanted<Model>>) -> Fate {
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
    let secret = wanted.get(&secret_address(app.as_str())).and_then(|one| one.model.as_secret());
    if secret.is_some_and(|secret| secret.values.values().any(|value| value.contains(SHARED))) {
        return Fate::Forgotten(format!("its keys stay: {app} goes on with the password that apps share"));
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
