//! From what was written to what is meant: defaults filled in, values in canonical form, every name checked.

use crate::config::Config;
use crate::core::name::AppName;
use crate::error::Diagnostic;
use crate::services::postgres::model::{Credential, Extension};
use crate::spec::claims::{Claim, Claims, Guest, Shared};
use crate::spec::fields::{MOST_ERRORS, Setting};
use crate::spec::model::{App, Database, Events, Kv, Postgres};
use crate::spec::names::{self, Named};
use crate::spec::node::Located;
use crate::spec::norn::Form;
use crate::spec::read::{self, Draft};
use crate::spec::source::Spot;
use crate::spec::{publish, topic, units};
use std::collections::{BTreeMap, BTreeSet};

/// Resolves one infraspec by itself; what it shares with others is in the claims.
pub fn resolve(draft: &Draft, config: &Config, errors: &mut Vec<Diagnostic>) -> (App, Claims) {
    let stem = stem(draft.name.value.as_str(), &config.strip).to_owned();
    let mut resolver = Resolver { config, draft, stem, claims: Claims::default(), errors };
    let app = App {
        name: draft.name.value.clone(),
        place: draft.name.spot.place(),
        postgres: draft.postgres.as_ref().map(|postgres| resolver.postgres(postgres)),
        kv: draft.kv.as_ref().map(|kv| resolver.kv(kv)),
        events: draft.events.as_ref().map(|events| resolver.events(events)),
        publish: texts(&draft.publish),
        prevent_destroy: draft.prevent_destroy,
    };
    let claims = resolver.claims;
    publish::check(&app, &draft.publish, errors);
    (app, claims)
}

/// The app's name without the longest of the suffixes that the workspace strips.
fn stem<'a>(name: &'a str, strip: &[String]) -> &'a str {
    let stripped = strip.iter().filter_map(|suffix| name.strip_suffix(suffix.as_str()));
    stripped.filter(|rest| !rest.is_empty()).min_by_key(|rest| rest.len()).unwrap_or(name)
}

const FROM_APP: &str = "the app's name";

/// A name that was made from another.
struct Derived {
    name: String,
    from: &'static str,
    /// Where the other one is written.
    spot: Spot,
}

/// What one infraspec is resolved with.
pub struct Resolver<'a> {
    pub config: &'a Config,
    draft: &'a Draft,
    /// What default names are made from.
    stem: String,
    pub claims: Claims,
    pub errors: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    /// Checks a name as written, or as derived, and claims it for the app.
    fn name(&mut self, named: Named, written: Option<&Located<String>>, default: Derived, key: &str) -> String {
        if let Some(written) = written {
            return self.written(named, written);
        }
        let Derived { name, from, spot } = default;
        // A name that follows from a wrong one is not told as well.
        let blamed = || self.errors.iter().any(|error| error.place == Some(spot.place()));
        if let Err(why) = names::check(named, &name, self.config)
            && (from == FROM_APP || !blamed())
        {
            let message = format!("the {} {name:?}, derived from {from}, {why}", named.title());
            self.errors.push(spot.error(message).hint(format!("set another with {key}")));
        }
        self.claims.claims.push(Claim { named, name: name.clone(), spot, derived: Some(key.to_owned()) });
        name
    }

    fn of_app(&self, name: String) -> Derived {
        Derived { name, from: FROM_APP, spot: self.draft.name.spot.clone() }
    }

    /// Checks a name that was written, and claims it for the app.
    pub fn written(&mut self, named: Named, written: &Located<String>) -> String {
        let Located { value: name, spot } = written;
        self.check(named, written);
        self.claims.claims.push(Claim { named, name: name.clone(), spot: spot.clone(), derived: None });
        name.clone()
    }

    fn check(&mut self, named: Named, written: &Located<String>) {
        if self.errors.len() >= MOST_ERRORS {
            return;
        }
        if let Err(why) = names::check(named, &written.value, self.config) {
            let shown: String = written.value.chars().take(80).collect();
            let message = format!("the {} {shown:?} {why}", named.title());
            let hint = self.legal(named, &written.value).unwrap_or_else(|| "choose another name".to_owned());
            self.errors.push(written.spot.error(message).hint(hint));
        }
    }

    /// A name close to one that has characters in it which the service does not take.
    fn legal(&self, named: Named, name: &str) -> Option<String> {
        let lower = name.to_lowercase();
        let others = [lower.clone(), lower.replace([' ', '-'], "_"), lower.replace([' ', '_'], "-")];
        let fits = |other: &String| names::check(named, other, self.config).is_ok();
        let odd = !name.chars().all(|c| named.takes(c)) && name.len() < 60;
        others.into_iter().find(fits).filter(|_| odd).map(|other| format!("{other:?} would do"))
    }

    /// Other apps that are let in. One that may write may read anyway.
    pub fn guests(
        &mut self,
        readers: &[Located<AppName>],
        writers: &[Located<AppName>],
        to: Shared,
    ) -> (BTreeSet<AppName>, BTreeSet<AppName>) {
        let writing: BTreeSet<AppName> = writers.iter().map(|writer| writer.value.clone()).collect();
        for reader in readers.iter().filter(|reader| writing.contains(&reader.value)) {
            let message = format!("{} is a writer and a reader", reader.value);
            self.errors.push(reader.spot.error(message).hint("writers may read: leave it out of readers"));
        }
        let guests = readers.iter().chain(writers);
        self.claims.guests.extend(guests.map(|app| Guest { app: app.clone(), to }));
        (readers.iter().map(|reader| reader.value.clone()).collect(), writing)
    }

    fn postgres(&mut self, written: &read::Postgres) -> Postgres {
        let label = self.draft.form.postgres();
        let databases: Vec<String> = match &written.databases {
            Some(databases) => databases.iter().map(|database| self.written(Named::Database, database)).collect(),
            None => {
                let default = self.of_app(self.stem.replace('-', "_"));
                vec![self.name(Named::Database, None, default, &key("database", label))]
            }
        };
        let first = databases.first().map(String::as_str).unwrap_or_default();
        let role = |end: &str| match written.databases.as_deref().and_then(<[_]>::first) {
            Some(database) => {
                let name = format!("{}_{end}", first.strip_suffix("_db").unwrap_or(first));
                Derived { name, from: "the database's name", spot: database.spot.clone() }
            }
            None => self.of_app(format!("{}_{end}", first.strip_suffix("_db").unwrap_or(first))),
        };
        let (default_user, default_owner) = (role("user"), role("owner"));
        let user = self.name(Named::Role, written.user.as_ref(), default_user, &key("user", label));
        let owner = match written.owner.as_ref() {
            // One role for both is what people have who look after the role themselves.
            Some(owner) if owner.value == user => {
                if written.credential != Credential::Keep {
                    let error = owner.spot.error(format!("the role {user:?} signs in and owns the database"));
                    self.errors.push(error.hint(
                        "an owner can undo its own isolation: name another or none, or set credential = \"keep\"",
                    ));
                }
                user.clone()
            }
            written => self.name(Named::Role, written, default_owner, &key("owner", label)),
        };
        let (readers, writers) = self.guests(&written.readers, &written.writers, Shared::Postgres);
        let extensions = self.extensions(&written.extensions);
        let database = |name| Database { name, extensions: extensions.clone(), ..Database::default() };
        Postgres {
            databases: databases.into_iter().map(database).collect(),
            user,
            owner,
            connection_limit: written.connection_limit.as_ref().and_then(|limit| u32::try_from(limit.value).ok()),
            settings: self.settings(&written.settings),
            readers,
            writers,
            grants: BTreeMap::new(),
            migrator: None,
            adopt_objects: false,
            credential: written.credential,
        }
    }

    fn extensions(&mut self, written: &[Located<String>]) -> BTreeMap<String, Extension> {
        for Located { value, spot } in written {
            if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                let error = spot.error(format!("{value:?} is no name of an extension"));
                self.errors.push(error.hint("such as \"pgcrypto\", \"citext\", \"uuid-ossp\""));
            }
        }
        // plpgsql is in every database.
        let names = written.iter().map(|name| name.value.clone()).filter(|name| name != "plpgsql");
        names.map(|name| (name, Extension::default())).collect()
    }

    fn settings(&mut self, written: &[Setting]) -> BTreeMap<String, String> {
        for (name, value) in written {
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
            if name.value.is_empty() || !name.value.chars().all(legal) {
                let error = name.spot.error(format!("{:?} is no name of a setting", name.value));
                self.errors.push(error.hint("such as statement_timeout or work_mem, in lower case"));
            }
            if ["role", "session_authorization"].contains(&name.value.as_str()) {
                let error = name.spot.error(format!("{} would let the app act as another role", name.value));
                self.errors.push(error.hint("leave it out"));
            }
            if value.value.chars().any(char::is_control) {
                let error = value.spot.error("there is a line break or control character in this value");
                self.errors.push(error.hint("remove it"));
            }
        }
        written.iter().map(|(name, value)| (name.value.clone(), units::setting(&value.value))).collect()
    }

    fn kv(&mut self, written: &read::Kv) -> Kv {
        let label = self.draft.form.kv();
        let default = self.of_app(self.stem.clone());
        let namespace = self.name(Named::Namespace, written.namespace.as_ref(), default, &key("namespace", label));
        let default = self.of_app(self.stem.clone());
        let user = self.name(Named::KvUser, written.user.as_ref(), default, &key("user", label));
        if let Some(db) = written.db.as_ref().filter(|db| db.value != 0 && self.config.valkey.cluster) {
            let error = db.spot.error(format!("db is {}, and a cluster has only database 0", db.value));
            self.errors.push(error.hint("leave db out: the namespace keeps apps apart"));
        }
        let (readers, _) = self.guests(&written.readers, &[], Shared::Kv);
        Kv {
            namespace,
            user,
            access: written.access,
            db: written.db.as_ref().and_then(|db| u32::try_from(db.value).ok()).unwrap_or_default(),
            readers,
            credential: written.credential,
        }
    }

    fn events(&mut self, written: &read::Events) -> Events {
        let label = self.draft.form.events();
        let default = self.of_app(self.stem.clone());
        let user = self.name(Named::KafkaUser, written.user.as_ref(), default, &key("user", label));
        let prefix = written.prefix.as_ref().map(|prefix| self.written(Named::Prefix, prefix));
        let topics = written.topics.iter().map(|written| topic::resolve(self, written)).collect();
        let groups = written.groups.iter().map(|group| self.written(Named::Group, group)).collect();
        let ids = written.transactional_ids.iter().map(|id| self.written(Named::TransactionalId, id)).collect();
        let (readers, writers) = self.guests(&written.readers, &written.writers, Shared::Events);
        for external in &written.external {
            self.check(Named::Topic, external);
        }
        self.claims.external.clone_from(&written.external);
        Events {
            topics,
            user,
            prefix,
            groups,
            transactional_ids: ids,
            readers,
            writers,
            external: written.external.iter().map(|topic| topic.value.clone()).collect(),
            credential: written.credential,
        }
    }
}

/// As a hint names a key: `database = "..." under [services.postgres]`.
fn key(key: &str, label: &str) -> String {
    if label.starts_with(Form::Infrastructure.services()) {
        format!("{key}: ... under {label}")
    } else {
        format!("{key} = \"...\" under [{label}]")
    }
}

fn texts(settings: &[Setting]) -> BTreeMap<String, String> {
    settings.iter().map(|(name, text)| (name.value.clone(), text.value.clone())).collect()
}
