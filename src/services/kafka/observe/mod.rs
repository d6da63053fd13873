//! What Kafka has of what is wanted or ours, in few calls.

pub mod access;
pub mod acls;
mod losses;
mod openness;
pub mod reader;
mod redpanda;
mod rights;
pub mod settings;
mod sign_ins;
mod summary;
mod topics;
mod unmanaged;
mod unseen;
mod users;
mod users_of;

use super::admin::Admin;
use super::client::connect::first_look;
use super::client::trouble::Trouble;
use super::credential;
use super::model::{ACL, TOPIC, USER, User, acl_address, topic_address, user_address};
use super::redpanda::AdminApi;
use super::server::{Flavor, Server};
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::core::nodes::Nodes;
use crate::core::plan::{Level, Notice};
use crate::error::Result;
use crate::services::{Ask, CredentialStatus, Model, Observation, Observed};
use access::Access;
use acls::EveryAcl;
use futures_util::{StreamExt, TryStreamExt, stream};
use reader::{Acls, Reader};
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use users::FoundUser;

/// Sign-ins at once.
pub const SIGN_INS: usize = 8;

/// Reads everything that is asked for.
///
/// # Errors
/// Anything that could not be read.
pub async fn observe(
    config: &KafkaConfig,
    admin: &Arc<Admin>,
    redpanda: Option<&AdminApi>,
    ask: &Ask,
) -> Result<Observation> {
    let endpoint = config.endpoint();
    let reader = Reader { admin, endpoint: &endpoint, redpanda };
    let cluster = first_look(config, admin).await?;
    let signed_in = config.has_principals();
    let if_signed_in = |kind| if signed_in { ask.names(kind) } else { BTreeSet::new() };
    let (topics, names_of_users, principals) = (ask.names(&TOPIC), if_signed_in(&USER), if_signed_in(&ACL));
    // Without any principal of ours, our own tells whether there is an authorizer at all.
    let own = BTreeSet::from([config.user.as_str()]);
    let acls = async {
        if !principals.is_empty() {
            reader.every_acl(&principals).await
        } else if signed_in {
            reader.acls(&own).await.map(|acls| acls.map(|_| EveryAcl::default()))
        } else {
            Ok(None)
        }
    };
    let (topics, users, acls) = tokio::try_join!(reader.topics(&topics), reader.users(&names_of_users), acls)?;

    let lacks = rights::lacking(config, &cluster);
    let settings = Settings::read(admin, &cluster).await;
    let sign_ins = settings.entries().map(sign_ins::of).unwrap_or_default();
    let flavor = Flavor::told(config.flavor, cluster.id.as_deref());
    let mut server = Server {
        flavor,
        authorizer: signed_in.then_some(acls.is_some()),
        brokers: cluster.brokers.len(),
        reauthenticates_ms: sign_ins.reauthenticates_ms,
        delegation_tokens: sign_ins.delegation_tokens,
        ..Server::default()
    };
    // Before it is said that a Redpanda does not tell: there, that is no lack of a sign-in.
    let (unread, noticed) = (unseen::unread(ask, &server), unseen::notices(config, ask, &server));
    let mut version = flavor.product().to_owned();
    let mut of_redpanda = Vec::new();
    if flavor == Flavor::Redpanda {
        let logins = principals.union(&names_of_users).copied().collect();
        let found = redpanda::look(config, redpanda, &logins).await;
        (server.authorizer, server.nodelete_topics) = (found.authorizer, found.nodelete_topics);
        version = found.version.map_or(version.clone(), |number| format!("{version} {number}"));
        of_redpanda = found.notices;
    }
    topics::look_around(&reader, ask, &settings, &topics, &mut server).await;
    let mut seen = Observation {
        nodes: Nodes::default(),
        endpoint: endpoint.clone(),
        version: Some(version),
        identity: cluster.id,
        server: serde_json::Value::Null,
        resources: BTreeMap::new(),
        unread,
        unmanaged: BTreeMap::new(),
        notices: noticed,
    };
    seen.notices.extend(lacks);
    seen.notices.extend(of_redpanda);
    seen.notices.extend(strange(acls.as_ref().map(|acls| &acls.managed)));
    seen.notices.extend(topics::notices(ask, &topics, &server));
    if let Some(acls) = acls.as_ref().filter(|_| !principals.is_empty()) {
        let access = Access::look(config, &settings, flavor, ask, acls).await;
        seen.notices.extend(access.notices());
        let (shut_out, users_untold) = users_of::shut_out(admin, ask, acls, access.open).await;
        (server.shut_out, server.users_untold) = (shut_out, users_untold);
    }
    if let Some(known) = &ask.unmanaged {
        let listed = unmanaged::list(admin, &endpoint, redpanda, known, signed_in).await?;
        seen.unmanaged = listed.found;
        seen.notices.extend(listed.notices);
    }
    for (name, topic) in topics {
        let topic = topics::without_the_rest(ask, topic);
        seen.resources.insert(topic_address(&name), Observed::plain(Model::KafkaTopic(topic)));
    }
    losses::add(config, admin, ask, acls.as_ref(), &mut seen.resources).await;
    for (name, acl) in acls.map(|acls| acls.managed.by_principal).unwrap_or_default() {
        seen.resources.insert(acl_address(&name), Observed::plain(Model::KafkaAcl(acl)));
    }
    let checked = credentials(config, ask, &users).await?;
    for (user, credential) in checked {
        let address = user_address(&user.name);
        seen.resources.insert(address, Observed { credential, ..Observed::plain(Model::KafkaUser(user)) });
    }
    seen.server = server.to_json();
    Ok(seen)
}

/// Users with what is known of their passwords.
async fn credentials(
    config: &KafkaConfig,
    ask: &Ask,
    users: &[FoundUser],
) -> Result<Vec<(User, Option<CredentialStatus>)>> {
    let models: Vec<(User, Option<String>)> = users
        .iter()
        .map(|user| {
            let wish = mechanism_of(ask, &user.name);
            let model = user.model(wish);
            let stored = credential::stored(&model, wish, user.set_at.as_deref());
            (model, stored)
        })
        .collect();
    if ask.probe_credentials {
        ask.progress.begin(models.len());
    }
    stream::iter(models)
        .map(|(user, stored)| async {
            let status = match ask.proofs.get(&user_address(&user.name)) {
                Some(proof) => Some(credential::status(config, &user, stored, proof, ask.probe_credentials).await),
                None => None,
            };
            let told = |trouble: Trouble| trouble.tell(&config.endpoint(), &user.name, "sign-in", "");
            let status = status.transpose().map_err(told)?;
            ask.progress.advance();
            Ok((user, status))
        })
        .buffer_unordered(SIGN_INS)
        .try_collect()
        .await
}

/// The mechanism in which a user is wanted, or was last applied.
fn mechanism_of<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    let address: Address = user_address(name);
    let wanted = ask.wanted.get(&address).map(|wanted| &wanted.model);
    let model = wanted.or_else(|| ask.applied.get(&address).map(|applied| &applied.model))?;
    model.as_kafka_user()?.mechanism.as_deref()
}

fn strange(acls: Option<&Acls>) -> Vec<Notice> {
    let strange = acls.map(|acls| &acls.strange).into_iter().flatten();
    let told = |(principal, count): (&String, &usize)| {
        let text =
            format!("{count} ACLs of {principal} are of a kind that this version does not know; they are left alone");
        Notice { level: Level::Warning, about: "kafka".to_owned(), text }
    };
    strange.map(told).collect()
}
