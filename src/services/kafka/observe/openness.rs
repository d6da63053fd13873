//! Who may do more than ACLs give: everybody with what has none (`allow.everyone.if.no.acl.found`), and super users. A
//! broker takes both settings for secrets, and tells only whether the former is set. Who signs in can find it out.

use super::acls::EveryAcl;
use super::credentials::{Checked, SIGN_INS};
use super::settings::Settings;
use crate::config::KafkaConfig;
use crate::core::secret::Secret;
use crate::services::Ask;
use crate::services::kafka::acl::standing::{Standing, not_theirs, standing, unlisted};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::connect::{client_as, close};
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::{Binding, USER, User};
use crate::services::kafka::server::Flavor;
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SETTING: &str = "allow.everyone.if.no.acl.found";
/// How long the looks as apps may take; what has no answer by then is not known.
const PATIENCE: Duration = Duration::from_secs(6);
/// Users that are asked one after another, until one knows.
const FEW: usize = 3;

pub const OPEN: &str = "who signs in may use every topic, group and transactional id that has no ACL, and the cluster itself \
                        unless it has one (allow.everyone.if.no.acl.found is true): only what has ACLs is isolated";
pub const CLOSE: &str = "give ACLs to whoever uses what has none, then set allow.everyone.if.no.acl.found=false on every broker \
                     and controller";
pub const SUPER: &str = "may do everything to every app, whatever ACLs say, as super.users may";
pub const NO_SUPER: &str = "take it out of super.users on every broker and controller, or give the app another user";
pub const UNCLEAR: &str = "may do more to the cluster than ACLs give: as one of super.users, or as everybody where \
                       allow.everyone.if.no.acl.found is true";
pub const UNKNOWN: &str = "whether who signs in may use what has no ACL (allow.everyone.if.no.acl.found) is not known";

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub struct Openness {
    /// Whether what has no ACL is everybody's; `None` if that is not known.
    pub everybodys: Option<bool>,
    /// Users that may do everything, whatever ACLs say.
    pub supers: BTreeSet<String>,
    /// Users that may do more than ACLs give, for one of both reasons.
    pub unclear: BTreeSet<String>,
    /// Whether there is nobody yet who could find it out, and there will be.
    pub is_too_early: bool,
}

impl Openness {
    /// Whether nobody may do more than ACLs give, as far as that can be known.
    pub fn is_closed(&self) -> bool {
        self.everybodys == Some(false) && self.supers.is_empty() && self.unclear.is_empty()
    }

    /// Adds what one user found out.
    pub fn add(&mut self, name: &str, told: Told) {
        match told {
            Told::Open(open) => self.everybodys = self.everybodys.or(open),
            Told::Super => drop(self.supers.insert(name.to_owned())),
            Told::Unclear => drop(self.unclear.insert(name.to_owned())),
        }
    }
}

/// What somebody who signed in found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is no super user, and whether what has no ACL is everybody's.
    Open(Option<bool>),
    Super,
    Unclear,
}

/// What it is judged by.
pub struct Rules<'a> {
    pub acls: Vec<(String, &'a Binding)>,
    /// Whether these are all ACLs: else nothing follows from there being none.
    whole: bool,
    /// What the settings say.
    setting: Option<bool>,
}

impl<'a> Rules<'a> {
    pub fn new(acls: &'a EveryAcl, settings: &Settings) -> Self {
        Self { acls: acls.all(), whole: acls.others.is_some(), setting: setting(settings) }
    }

    /// Whether a user may do more than ACLs give, by what it may do to the cluster; it is asked for more if need be.
    pub async fn judge(&self, user: &str, allowed: &BTreeSet<&str>, client: impl Fn() -> Option<Admin>) -> Told {
        let principal = format!("User:{user}");
        if !self.whole {
            return Told::Open(self.setting);
        }
        match standing(&self.acls, &principal, allowed) {
            Standing::Closed => Told::Open(Some(false)),
            Standing::Super => Told::Super,
            Standing::Ordinary if self.setting.is_some() => Told::Open(self.setting),
            Standing::Either if self.setting == Some(false) => Told::Super,
            rest @ (Standing::Ordinary | Standing::Either) => {
                let Some(client) = client() else { return Told::Open(None) };
                let told = if rest == Standing::Either {
                    match not_theirs(&self.acls, &principal) {
                        Some(topic) => may_alter(&client, &topic).await.map_or(Told::Unclear, by_alter),
                        None => Told::Unclear,
                    }
                } else {
                    Told::Open(self.may_use_unlisted(&client).await)
                };
                close(client);
                told
            }
        }
    }

    /// Whether somebody may see what nobody has and no ACL is about.
    async fn may_use_unlisted(&self, client: &Admin) -> Option<bool> {
        if let Some(topic) = unlisted(&self.acls, "topic") {
            let answer = client.describe_topics(&[&topic]).await.ok()?.into_iter().next()?.1;
            return is_let(answer.map(drop));
        }
        let group = unlisted(&self.acls, "group")?;
        match client.describe_groups(&[&group]).await.ok()?.into_iter().next()? {
            // A broker that is still looking for the group's coordinator has let the question pass.
            Err(trouble) if trouble.cause == Cause::Transient => Some(true),
            answer => is_let(answer.map(drop)),
        }
    }
}

fn by_alter(may: bool) -> Told {
    if may { Told::Super } else { Told::Open(Some(true)) }
}

/// Whether somebody may alter a topic, there or not: the broker only tries to give it the partition that it has.
pub async fn may_alter(client: &Admin, topic: &str) -> Option<bool> {
    is_let(client.create_partitions(&[(topic, 1)], true).await.ok()?.into_iter().next()?)
}

/// Whether the broker's answer was for somebody who may ask.
fn is_let(answer: Result<(), Trouble>) -> Option<bool> {
    let Err(trouble) = answer else { return Some(true) };
    match trouble.cause {
        Cause::Absent | Cause::Invalid | Cause::Exists | Cause::Policy => Some(true),
        Cause::Authorization => Some(false),
        Cause::Unreachable
        | Cause::Authentication
        | Cause::SecurityDisabled
        | Cause::TimedOut
        | Cause::Transient
        | Cause::Unanswered
        | Cause::Unsupported
        | Cause::Other => None,
    }
}

/// Finds it out as apps whose passwords are known to sign in: as one of them, or as all if passwords are to be tried
/// anyway. Who has signed in just now (`checked`) need not do so again.
pub async fn look(
    config: &KafkaConfig,
    settings: &Settings,
    flavor: Flavor,
    ask: &Ask,
    acls: &EveryAcl,
    checked: &[Checked],
) -> Openness {
    if flavor == Flavor::Redpanda {
        return Openness { everybodys: Some(false), ..Openness::default() };
    }
    let rules = Rules::new(acls, settings);
    let mut found = Openness { everybodys: rules.setting, ..Openness::default() };
    let seen: BTreeMap<&str, &BTreeSet<&'static str>> =
        checked.iter().filter_map(|one| Some((one.user.name.as_str(), one.allowed.as_ref()?))).collect();
    let mut users = proved(ask, &seen);
    users.sort_by_key(|(user, _)| !seen.contains_key(user.name.as_str()));
    if !ask.probe_credentials {
        users.truncate(seen.len().max(FEW));
    }
    found.is_too_early = users.is_empty() && ask.wanted.values().any(|one| one.model.generates_password());
    let mut asked = Vec::new();
    for (user, password) in users {
        let (rules, known) = (&rules, seen.get(user.name.as_str()).copied());
        let told = async move { (user.name.as_str(), find_out(config, rules, user, password, known).await) };
        asked.push(told.boxed());
    }
    let at_once = if ask.probe_credentials { SIGN_INS } else { 1 };
    let mut answers = stream::iter(asked).buffer_unordered(at_once);
    let all = async {
        let mut count = 0;
        // One user finds out what becomes of that which has no ACL; super users show only one by one.
        while ask.probe_credentials || count < seen.len() || found.everybodys.is_none() {
            let Some((name, told)) = answers.next().await else { break };
            told.into_iter().for_each(|told| found.add(name, told));
            count += 1;
        }
    };
    // What was found out by then counts.
    let _ = tokio::time::timeout(PATIENCE, all).await;
    found
}

async fn find_out(
    config: &KafkaConfig,
    rules: &Rules<'_>,
    user: &User,
    password: &Secret,
    known: Option<&BTreeSet<&'static str>>,
) -> Option<Told> {
    let mechanism = user.mechanism.as_deref().unwrap_or_else(|| config.mechanism_of_users());
    let client = || client_as(config, &user.name, mechanism, password).ok();
    if let Some(allowed) = known {
        return Some(rules.judge(&user.name, allowed, client).await);
    }
    let first = client()?;
    let cluster = first.describe_cluster().await;
    close(first);
    Some(rules.judge(&user.name, &cluster.ok()?.allowed?, client).await)
}

/// Users with passwords that are known to sign in: no other is tried without being asked for.
fn proved<'a>(ask: &'a Ask, seen: &BTreeMap<&str, &BTreeSet<&str>>) -> Vec<(&'a User, &'a Secret)> {
    let proved = ask.proofs.iter().filter(|(address, _)| address.kind == USER).filter_map(|(address, proof)| {
        let user = ask.wanted.get(address)?.model.as_kafka_user()?;
        let is_known = proof.fingerprint.is_some() || seen.contains_key(user.name.as_str());
        Some((user, proof.to_try().ok().filter(|_| is_known)?))
    });
    proved.collect()
}

/// What the settings say of it; `None` if they do not.
fn setting(settings: &Settings) -> Option<bool> {
    match settings.entries()?.iter().find(|entry| entry.name == SETTING) {
        None => Some(false),
        Some(entry) => entry.value.as_ref().map(|value| value.eq_ignore_ascii_case("true")),
    }
}
