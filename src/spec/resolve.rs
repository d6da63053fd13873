//! From what was written to what is meant: defaults filled in, values in canonical form, every name checked.

use crate::config::{Config, DefaultUser};
use crate::core::name::AppName;
use crate::error::Diagnostic;
use crate::spec::claims::{Claim, Claims, Guest, KvPlaces, Shared};
use crate::spec::events::topic;
use crate::spec::fields::{MOST_ERRORS, Setting, shown};
use crate::spec::model::{App, Events, Kv};
use crate::spec::names::{self, Named};
use crate::spec::node::Located;
use crate::spec::norn::Form;
use crate::spec::read::{self, Draft};
use crate::spec::source::Spot;
use crate::spec::{postgres, publish};
use std::collections::{BTreeMap, BTreeSet};

/// Resolves one infraspec by itself; what it shares with others is in the claims.
pub fn resolve(draft: &Draft, config: &Config, errors: &mut Vec<Diagnostic>) -> (App, Claims) {
    let stem = stem(draft.name.value.as_str(), &config.strip).to_owned();
    let mut resolver = Resolver { config, draft, stem, claims: Claims::default(), errors };
    let app = App {
        name: draft.name.value.clone(),
        place: draft.name.spot.place(),
        postgres: draft.postgres.as_ref().map(|written| postgres::resolve::resolve(&mut resolver, written)),
        kv: draft.kv.as_ref().map(|kv| resolver.kv(kv)),
        events: draft.events.as_ref().map(|events| resolver.events(events)),
        publish: texts(&draft.publish),
        prevent_destroy: draft.prevent_destroy.as_ref().map(Spot::place),
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
pub const FROM_DATABASE: &str = "the database's name";

/// A name that was made from another.
pub struct Derived {
    pub name: String,
    pub from: &'static str,
    /// Where the other one is written.
    pub spot: Spot,
}

/// What one infraspec is resolved with.
pub struct Resolver<'a> {
    pub config: &'a Config,
    pub draft: &'a Draft,
    /// What default names are made from.
    pub stem: String,
    pub claims: Claims,
    pub errors: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    /// Checks a name as written, or as derived, and claims it for the app.
    pub fn name(&mut self, named: Named, written: Option<&Located<String>>, default: Derived, key: &str) -> String {
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

    /// A name that was made from the app's.
    pub fn of_app(&self, name: String) -> Derived {
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
            let shown = shown(&written.value);
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

    /// Other apps that are let in. One that may write a database may read it anyway; to topics one may only write.
    pub fn guests(
        &mut self,
        readers: &[Located<AppName>],
        writers: &[Located<AppName>],
        to: Shared,
    ) -> (BTreeSet<AppName>, BTreeSet<AppName>) {
        let writing: BTreeSet<AppName> = writers.iter().map(|writer| writer.value.clone()).collect();
        let reads_anyway = |reader: &&Located<AppName>| to != Shared::Events && writing.contains(&reader.value);
        for reader in readers.iter().filter(reads_anyway) {
            let message = format!("{} is a writer and a reader", reader.value);
            self.errors.push(reader.spot.error(message).hint("writers may read: leave it out of readers"));
        }
        let guests = readers.iter().chain(writers);
        self.claims.guests.extend(guests.map(|app| Guest { app: app.clone(), to }));
        (readers.iter().map(|reader| reader.value.clone()).collect(), writing)
    }

    fn kv(&mut self, written: &read::Kv) -> Kv {
        let label = self.draft.form.kv();
        let default = self.of_app(self.stem.clone());
        let namespace = written
            .whole_database
            .is_none()
            .then(|| self.name(Named::Namespace, written.namespace.as_ref(), default, &key("namespace", label)));
        let default = self.of_app(self.stem.clone());
        let user = match &written.shared {
            Some(_) => String::new(),
            None => self.name(Named::KvUser, written.user.as_ref(), default, &key("user", label)),
        };
        if let Some(db) = written.db.as_ref().filter(|db| db.value != 0 && self.config.valkey.cluster) {
            let error = db.spot.error(format!("db is {}, and a cluster has only database 0", db.value));
            self.errors.push(error.hint("leave db out: the namespace keeps apps apart"));
        }
        if let Some(whole) = written.whole_database.as_ref().filter(|_| self.config.valkey.cluster) {
            let error = whole.error("namespace is false, and a cluster has only database 0, which all apps share");
            self.errors.push(error.hint("give it a namespace: leave the key out for the app's name"));
        }
        if let Some(shared) = written.shared.as_ref().filter(|_| self.config.valkey.default_user != DefaultUser::Leave)
        {
            let error = shared.error("a shared app signs in as the user default, which the workspace keeps for itself");
            self.errors.push(
                error.hint("leave default_user out under [valkey], or leave shared out for a user that isolates"),
            );
        }
        let (readers, _) = self.guests(&written.readers, &[], Shared::Kv);
        self.claims.kv = Some(KvPlaces {
            db: written.db.as_ref().map_or_else(|| self.draft.name.spot.clone(), |db| db.spot.clone()),
            shared: written.shared.clone(),
            commands: written.commands.clone(),
            keys: written.keys.clone(),
            channels: written.channels.clone(),
        });
        let values = |texts: &[Located<String>]| texts.iter().map(|text| text.value.clone()).collect();
        Kv {
            namespace,
            user,
            access: written.access,
            db: written.db.as_ref().and_then(|db| u32::try_from(db.value).ok()).unwrap_or_default(),
            shared: written.shared.is_some(),
            commands: written.commands.iter().map(|rule| rule.value.clone()).collect(),
            keys: values(&written.keys),
            channels: values(&written.channels),
            readers,
            credential: written.credential,
            on_destroy: written.on_destroy,
        }
    }

    fn events(&mut self, written: &read::Events) -> Events {
        let label = self.draft.form.events();
        let default = self.of_app(self.stem.clone());
        let user = self.name(Named::KafkaUser, written.user.as_ref(), default, &key("user", label));
        let prefix = written.prefix.as_ref().map(|prefix| self.written(Named::Prefix, prefix));
        let topics = written.topics.iter().map(|topic| topic::resolve(self, topic, written.exact)).collect();
        let groups = written.groups.iter().map(|group| self.written(Named::Group, group)).collect();
        let ids = written.transactional_ids.iter().map(|id| self.written(Named::TransactionalId, id)).collect();
        let (readers, writers) = self.guests(&written.readers, &written.writers, Shared::Events);
        for external in &written.external {
            self.check(Named::Topic, external);
        }
        self.claims.external.clone_from(&written.external);
        self.claims.internal_topics.clone_from(&written.internal_topics);
        Events {
            topics,
            user,
            prefix,
            groups,
            transactional_ids: ids,
            readers,
            writers,
            external: written.external.iter().map(|topic| topic.value.clone()).collect(),
            internal_topics: written.internal_topics.is_some(),
            credential: written.credential,
        }
    }
}

/// As a hint names a key: `database = "..." under [services.postgres]`.
pub fn key(key: &str, label: &str) -> String {
    if label.starts_with(Form::Infrastructure.services()) {
        format!("{key}: ... under {label}")
    } else {
        format!("{key} = \"...\" under [{label}]")
    }
}

fn texts(settings: &[Setting]) -> BTreeMap<String, String> {
    settings.iter().map(|(name, text)| (name.value.clone(), text.value.clone())).collect()
}
