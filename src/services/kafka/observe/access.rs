//! Who else reaches what apps have, and whether whoever signs in does: what a plan says, and what the doctor says.

use super::acls::EveryAcl;
use super::openness::is_open;
use super::settings::Settings;
use crate::config::KafkaConfig;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::kafka::acl::authorizer::EVERYBODY;
use crate::services::kafka::acl::places::Places;
use crate::services::kafka::acl::strangers::{Owned, Strangers, shut_out};
use crate::services::kafka::model::{ACL, Binding, USER};
use crate::services::kafka::server::Flavor;
use crate::services::{Ask, Check};
use std::collections::BTreeSet;

/// Roles that are named; more are counted.
const ROLES: usize = 3;
const OPEN: &str = "who signs in may use every topic, group and transactional id that has no ACL, and the cluster itself \
                    unless it has one (allow.everyone.if.no.acl.found is true): only what has ACLs is isolated";

/// What ACLs beside those of apps come to.
#[derive(Debug, Default)]
pub struct Access {
    strangers: Strangers,
    /// What everybody is denied and apps cannot do for that, as sentences.
    denied: Vec<String>,
    /// Principals that are no users and have ACLs: who is one of them is not known.
    roles: BTreeSet<String>,
    /// Whether what has no ACL is everybody's; `None` if that is not known.
    pub open: Option<bool>,
    /// Whether the broker told all ACLs.
    whole: bool,
}

impl Access {
    /// Looks at all ACLs.
    pub async fn look(config: &KafkaConfig, settings: &Settings, flavor: Flavor, ask: &Ask, acls: &EveryAcl) -> Self {
        let open = is_open(config, settings, flavor, ask, acls).await;
        let others: Vec<Owned<'_>> =
            acls.others.iter().flatten().map(|owned| (owned.principal.as_str(), &owned.binding)).collect();
        let (users, principals) = (ask.names(&USER), ask.names(&ACL));
        let is_known = |principal: &str| {
            principal != EVERYBODY
                && principal.strip_prefix("User:").is_some_and(|name| {
                    name == config.user || ask.known.contains(name) || users.contains(name) || principals.contains(name)
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
            open,
            whole: acls.others.is_some(),
        }
    }

    /// What a plan says of it, loudest first.
    pub fn notices(&self) -> Vec<Notice> {
        let open = (self.open == Some(true)).then(|| (Level::Alarm, OPEN.to_owned()));
        let denied = self.denied.iter().map(|said| (Level::Alarm, said.clone()));
        let strangers = self.strangers.sentences();
        let others = self.roles().into_iter().chain(self.not_whole()).map(|said| (Level::Warning, said));
        let all = open.into_iter().chain(denied).chain(strangers).chain(others);
        all.map(|(level, text)| Notice { level, about: "kafka".to_owned(), text }).collect()
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

    /// What the doctor says of it.
    pub fn checks(&self) -> Vec<Check> {
        let open = (self.open == Some(true)).then(|| {
            Check::bad(
                OPEN,
                "give ACLs to whoever uses what has none, then set allow.everyone.if.no.acl.found=false on every broker and \
                 controller",
            )
        });
        let denied =
            self.denied.iter().map(|said| Check::bad(said.clone(), "delete that DENY, or make it of one user"));
        let strangers = self.strangers.report().map(|(level, text)| {
            let hint = "name users that belong here in internal = [...]; delete the ACLs of others";
            if level == Level::Alarm { Check::bad(text, hint) } else { Check::warning(text, hint) }
        });
        let roles = self.roles().map(|said| Check::warning(said, "look at the roles by rpk security role list"));
        let not_whole = self.not_whole().map(|said| Check::warning(said, "list the ACLs by the broker's own tools"));
        open.into_iter().chain(denied).chain(strangers).chain(roles).chain(not_whole).collect()
    }
}
