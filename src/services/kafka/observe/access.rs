//! Who else reaches what apps have, and whether whoever signs in does: what a plan says, and what the doctor says.

use super::acls::EveryAcl;
use super::credentials::Checked;
use super::openness::{self, CLOSE, NO_SUPER, OPEN, Openness, SUPER, UNCLEAR, UNKNOWN};
use super::settings::Settings;
use super::ways_in::{self, By, Way};
use crate::config::KafkaConfig;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::kafka::acl::authorizer::EVERYBODY;
use crate::services::kafka::acl::places::Places;
use crate::services::kafka::acl::strangers::{Owned, Strangers, shut_out};
use crate::services::kafka::model::{ACL, Binding, USER};
use crate::services::kafka::server::Flavor;
use crate::services::{Ask, Check};
use std::collections::{BTreeMap, BTreeSet};

/// Roles that are named; more are counted.
const ROLES: usize = 3;
/// Users that are named; more are counted.
const USERS: usize = 3;
/// Listeners and mechanisms that are named; more are counted.
const LISTENERS: usize = 3;
const NO_SIGN_IN: &str =
    "whoever reaches it comes in without a sign-in, as User:ANONYMOUS: that may be one of super.users";
const SIGN_IN: &str = "give it SASL/SCRAM, or certificates (ssl.client.auth=required); or close it, and take User:ANONYMOUS out \
                       of super.users";
const SCRAM_ALONE: &str = "leave SCRAM alone in that listener's sasl.enabled.mechanisms; or see that nobody there has the name of an app's user";

/// What ACLs beside those of apps come to.
#[derive(Debug, Default)]
pub struct Access {
    strangers: Strangers,
    /// What everybody is denied and apps cannot do for that, as sentences.
    denied: Vec<String>,
    /// Principals that are no users and have ACLs: who is one of them is not known.
    roles: BTreeSet<String>,
    /// Who may do more than ACLs give.
    openness: Openness,
    /// Listeners by which others come in, where nornplan itself does not come without a sign-in: that is said loudest.
    ways_in: Vec<Way>,
    /// Principals that nobody knows and that have ACLs with words that are not known: how many.
    strange: BTreeMap<String, usize>,
    /// Whether the broker told all ACLs.
    whole: bool,
}

impl Access {
    /// Looks at all ACLs, and at what users find out who sign in or just did (`checked`).
    pub async fn look(
        config: &KafkaConfig,
        settings: &Settings,
        flavor: Flavor,
        ask: &Ask,
        acls: &EveryAcl,
        checked: &[Checked],
    ) -> Self {
        let openness = openness::look(config, settings, flavor, ask, acls, checked).await;
        let others: Vec<Owned<'_>> =
            acls.others.iter().flatten().map(|owned| (owned.principal.as_str(), &owned.binding)).collect();
        let (users, principals) = (ask.names(&USER), ask.names(&ACL));
        let is_known = |principal: &str| {
            principal != EVERYBODY
                && principal.strip_prefix("User:").is_some_and(|name| {
                    name == config.user || ask.knows(name) || users.contains(name) || principals.contains(name)
                })
        };
        let strangers: Vec<Owned<'_>> = others.iter().filter(|(principal, _)| !is_known(principal)).copied().collect();
        let is_role = |principal: &&str| !principal.starts_with("User:");
        let wanted: Vec<(&str, &BTreeSet<Binding>)> = ask
            .wanted
            .values()
            .filter_map(|wanted| Some((wanted.app.as_str(), &wanted.model.as_kafka_acl()?.bindings)))
            .collect();
        Self {
            strangers: Strangers::find(&strangers, &Places::of(ask)),
            denied: shut_out(&others, &wanted),
            roles: strangers.iter().map(|(principal, _)| *principal).filter(is_role).map(str::to_owned).collect(),
            openness,
            ways_in: settings.entries().filter(|_| config.authenticates()).map(ways_in::of).unwrap_or_default(),
            strange: acls
                .strange
                .iter()
                .filter(|(whose, _)| !is_known(whose))
                .map(|(whose, count)| (whose.clone(), *count))
                .collect(),
            whole: acls.others.is_some(),
        }
    }

    /// Whether what has no ACL is everybody's; `None` if that is not known.
    pub fn open(&self) -> Option<bool> {
        self.openness.everybodys
    }

    /// What a plan says of it, loudest first.
    pub fn notices(&self) -> Vec<Notice> {
        let open = (self.open() == Some(true)).then(|| OPEN.to_owned());
        let alarms = self.supers().into_iter().chain(open).chain(self.unclear()).chain(self.denied.iter().cloned());
        let alarms = alarms.map(|said| (Level::Alarm, said));
        let strangers = self.strangers.sentences();
        let others =
            self.open_to_clients().into_iter().chain(self.strange()).chain(self.roles()).chain(self.not_whole());
        let others = others.map(|said| (Level::Warning, said));
        let is_too_early = self.openness.is_too_early && self.open().is_none();
        let later = is_too_early.then(|| (Level::Note, format!("{UNKNOWN} until the first app has signed in")));
        let all = alarms.chain(strangers).chain(others).chain(later);
        all.map(|(level, text)| Notice { level, about: "kafka".to_owned(), text }).collect()
    }

    fn supers(&self) -> Option<String> {
        let supers = &self.openness.supers;
        (!supers.is_empty()).then(|| format!("{}: {SUPER}", some(supers, USERS)))
    }

    fn unclear(&self) -> Option<String> {
        let unclear = &self.openness.unclear;
        (!unclear.is_empty()).then(|| format!("{}: {UNCLEAR}", some(unclear, USERS)))
    }

    /// Listeners of one kind.
    fn listeners(&self, is_so: impl Fn(&Way) -> bool) -> Option<String> {
        let mut found = self.ways_in.iter().filter(|way| is_so(way)).map(|way| way.listener.as_str()).peekable();
        found.peek()?;
        Some(some(found, LISTENERS))
    }

    fn open_to_clients(&self) -> Option<String> {
        let listeners = self.listeners(|way| way.by == By::Nothing && !way.of_brokers)?;
        Some(format!("{listeners}: {NO_SIGN_IN}"))
    }

    fn other_mechanisms(&self) -> Vec<String> {
        let said = |way: &Way| match &way.by {
            By::Nothing => None,
            By::Mechanisms(mechanisms) => Some(format!(
                "{}: the users of apps may sign in by {} too, by passwords or tokens that nornplan does not keep",
                way.listener,
                some(mechanisms, LISTENERS)
            )),
        };
        self.ways_in.iter().filter_map(said).collect()
    }

    fn strange(&self) -> Option<String> {
        let first = self.strange.keys().next()?;
        let told = self.strange.iter().map(|(whose, count)| format!("{whose} ({count})"));
        Some(format!(
            "there are ACLs of a kind that is not known here, such as those by which one makes tokens of another user: of {}; \
             see kafka-acls.sh --list --principal {first}",
            some(told, ROLES)
        ))
    }

    fn roles(&self) -> Option<String> {
        let roles = some(&self.roles, ROLES);
        (!self.roles.is_empty())
            .then(|| format!("{roles} have ACLs: who has such a role is not read, so users may do more than is shown"))
    }

    fn not_whole(&self) -> Option<String> {
        let text = "the broker does not tell all ACLs at once: whether others reach what apps have is not known";
        (!self.whole).then(|| text.to_owned())
    }

    /// Whether ACLs isolate apps, where they are checked.
    pub fn isolation(&self) -> Check {
        match self.open() {
            None if self.openness.unclear.is_empty() => Check::warning(
                format!("an authorizer is on; {UNKNOWN}"),
                "brokers hide that setting: an app that has signed in finds it out, so apply first; or see it in the \
                 brokers' server.properties",
            ),
            _ if self.openness.is_closed() && self.open_to_clients().is_none() => {
                Check::good("an authorizer is on: ACLs isolate apps")
            }
            _ => Check::good("an authorizer is on"),
        }
    }

    /// What the doctor says of it.
    pub fn checks(&self) -> Vec<Check> {
        let open = (self.open() == Some(true)).then(|| Check::bad(OPEN, CLOSE));
        let supers = self.supers().map(|said| Check::bad(said, NO_SUPER));
        let unclear = self.unclear().map(|said| Check::bad(said, format!("{NO_SUPER}; {CLOSE}")));
        let open = supers.into_iter().chain(open).chain(unclear);
        let denied =
            self.denied.iter().map(|said| Check::bad(said.clone(), "delete that DENY, or make it of one user"));
        let strangers = self.strangers.report().map(|(level, text)| {
            let hint = "name users that belong here in internal = [...]; delete the ACLs of others";
            if level == Level::Alarm { Check::bad(text, hint) } else { Check::warning(text, hint) }
        });
        let roles = self.roles().map(|said| Check::warning(said, "look at the roles by rpk security role list"));
        let open_to_brokers = self.listeners(|way| way.by == By::Nothing && way.of_brokers);
        let open_to_brokers =
            open_to_brokers.map(|listeners| format!("{listeners}, which is for brokers: {NO_SIGN_IN}"));
        let ways = self.open_to_clients().into_iter().chain(open_to_brokers).map(|said| Check::warning(said, SIGN_IN));
        let mechanisms = self.other_mechanisms().into_iter().map(|said| Check::warning(said, SCRAM_ALONE));
        let strange =
            self.strange().map(|said| Check::warning(said, "delete them, unless whose they are belongs here"));
        let not_whole = self.not_whole().map(|said| Check::warning(said, "list the ACLs by the broker's own tools"));
        open.chain(ways)
            .chain(mechanisms)
            .chain(denied)
            .chain(strangers)
            .chain(strange)
            .chain(roles)
            .chain(not_whole)
            .collect()
    }
}
