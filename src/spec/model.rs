//! What infraspecs say, with every default filled in and every name checked.

use crate::core::digest::sha256;
use crate::core::name::AppName;
use crate::core::plan::Level;
use crate::error::Place;
use crate::services::ServiceId;
use crate::services::postgres::model::{Access, Credential, Extension};
use crate::services::valkey::model::{Access as KvAccess, OnDestroy};
use crate::spec::claims::KvPlaces;
use crate::spec::source::Spot;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// All infraspecs of a workspace.
#[derive(Clone, Debug, Default)]
pub struct Specs {
    pub apps: BTreeMap<AppName, App>,
    /// What is accepted and not managed (`storage`, `nats`), one sentence each.
    pub notes: Vec<String>,
    /// What they allow that may not be meant, the worst first.
    pub warnings: Vec<Warning>,
    /// Where apps say what they ask for on Valkey.
    pub kv_places: BTreeMap<AppName, KvPlaces>,
    /// Those of the apps that no infraspec here declares: the state knows them from another checkout.
    pub only_in_state: BTreeSet<AppName>,
}

impl Specs {
    /// Where an app says that it shares a password on Valkey, else where it says its name.
    pub fn place_of_sharing(&self, app: &App) -> Place {
        let shared = self.kv_places.get(&app.name).and_then(|places| places.shared.as_ref());
        shared.map_or_else(|| app.place.clone(), Spot::place)
    }

    /// Where an app says the number of its database on Valkey, else where it says its name.
    pub fn place_of_database(&self, app: &App) -> Place {
        self.kv_places.get(&app.name).map_or_else(|| app.place.clone(), |places| places.db.place())
    }
}

/// Something that an infraspec allows and that may not be meant.
#[derive(Clone, Debug)]
pub struct Warning {
    /// What it is about: left out of a plan that leaves that out.
    pub service: ServiceId,
    pub level: Level,
    /// Whose infraspec it is.
    pub app: AppName,
    /// A sentence with its place.
    pub text: String,
}

/// One app.
#[derive(Clone, Debug, Serialize)]
pub struct App {
    pub name: AppName,
    /// Where it says its name.
    #[serde(skip)]
    pub place: Place,
    pub postgres: Option<Postgres>,
    pub kv: Option<Kv>,
    pub events: Option<Events>,
    /// More names for the app's environment, by template (`{pg.user}` and so on; checked by [`crate::spec::publish`]).
    pub publish: BTreeMap<String, String>,
    /// Where it says so, if it does.
    #[serde(serialize_with = "whether")]
    pub prevent_destroy: Option<Place>,
}

/// Where a thing is said means nothing, only that it is.
#[expect(clippy::ref_option, reason = "serde passes it so")]
fn whether<S: Serializer>(place: &Option<Place>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bool(place.is_some())
}

impl App {
    /// Whether it signs in to Valkey with the password that such apps share.
    pub fn shares_valkey(&self) -> bool {
        self.kv.as_ref().is_some_and(|kv| kv.shared)
    }

    /// sha256 (hex) of what the infraspec means: the same however it is written and wherever it lies.
    pub fn digest(&self) -> String {
        // Sorted maps of texts and numbers: serialising them cannot fail.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        sha256(canonical)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Postgres {
    /// At least one. The first is `DATABASE_URL`.
    pub databases: Vec<Database>,
    pub user: String,
    pub owner: String,
    /// Of the user. `None` is unlimited.
    pub connection_limit: Option<u32>,
    /// Of the user, in all databases.
    pub settings: BTreeMap<String, String>,
    pub readers: BTreeSet<AppName>,
    pub writers: BTreeSet<AppName>,
    /// What roles that no infraspec declares may do in all of the databases: [`Access::Readonly`] or
    /// [`Access::Readwrite`].
    pub grants: BTreeMap<String, Access>,
    /// A role that people look after, which makes tables for the app to use.
    pub migrator: Option<String>,
    /// Whether objects that other roles own become the user's.
    pub adopt_objects: bool,
    /// `Generate` or `Keep`.
    pub credential: Credential,
}

/// One database of an app. `None` leaves a matter to the server, and as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Database {
    pub name: String,
    /// Those of the app, and its own.
    pub extensions: BTreeMap<String, Extension>,
    /// Of all sessions together. `None` is unlimited.
    pub connection_limit: Option<u32>,
    /// Whether it is closed to everybody, as for an app that is laid to rest.
    pub closed: bool,
    /// Of everybody in this database.
    pub settings: BTreeMap<String, String>,
    /// As PostgreSQL spells it: `UTF8`.
    pub encoding: Option<String>,
    /// Both LC_COLLATE and LC_CTYPE (or the ICU or builtin locale): `C.UTF-8`, `en-US`.
    pub locale: Option<String>,
    /// `libc`, `icu` or `builtin`.
    pub locale_provider: Option<String>,
    pub tablespace: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kv {
    /// `None`: it has all keys of its database number, without a prefix.
    pub namespace: Option<String>,
    pub user: String,
    pub access: KvAccess,
    pub db: u32,
    /// Whether it has no user of its own, and signs in with the password that all such apps share.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Command rules after those of `access`, in lower case and in their order: `+get`, `-@write`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Key patterns beside the namespace's: `~p`, `%R~p`, `%W~p`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub keys: BTreeSet<String>,
    /// Channel patterns beside the namespace's: `&p`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub channels: BTreeSet<String>,
    pub readers: BTreeSet<AppName>,
    pub credential: Credential,
    pub on_destroy: OnDestroy,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Events {
    pub topics: Vec<Topic>,
    pub user: String,
    pub prefix: Option<String>,
    pub groups: BTreeSet<String>,
    pub transactional_ids: BTreeSet<String>,
    pub readers: BTreeSet<AppName>,
    pub writers: BTreeSet<AppName>,
    pub external: BTreeSet<String>,
    /// Whether it makes topics of its own under `<app>.`, as Kafka Streams does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub internal_topics: bool,
    pub credential: Credential,
}

impl Events {
    /// Under what the app makes topics by itself, where it may.
    pub fn internal_prefix(&self, app: &AppName) -> Option<String> {
        self.internal_topics.then(|| format!("{app}."))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topic {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication: Option<i32>,
    /// Canonical values: durations in ms and sizes in bytes where Kafka wants them so.
    pub config: BTreeMap<String, String>,
    /// Whether configs of its own that are not declared are reset.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    pub readers: BTreeSet<AppName>,
    pub writers: BTreeSet<AppName>,
}
