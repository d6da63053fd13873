//! What Kafka has of what is wanted or ours, in few calls.

pub mod reader;
mod redpanda;
mod users;

use super::admin::Admin;
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
use futures_util::{StreamExt, TryStreamExt, stream};
use reader::{Acls, Reader};
use std::collections::{BTreeMap, BTreeSet};
use users::FoundUser;

/// Sign-ins at once.
pub const SIGN_INS: usize = 8;

/// Reads everything that is asked for.
///
/// # Errors
/// Anything that could not be read.
pub async fn observe(
    config: &KafkaConfig,
    admin: &Admin,
    redpanda: Option<&AdminApi>,
    ask: &Ask,
) -> Result<Observation> {
    let endpoint = config.endpoint();
    let reader = Reader { admin, endpoint: &endpoint, redpanda };
    let cluster = admin.describe_cluster().await;
    let cluster = cluster.map_err(|trouble| trouble.tell(&endpoint, "", "DescribeCluster", "Describe on Cluster"))?;
    let (topics, names_of_users, principals) = (ask.names(&TOPIC), ask.names(&USER), ask.names(&ACL));
    // Without any principal of ours, our own tells whether there is an authorizer at all.
    let own = BTreeSet::from([config.user.as_str()]);
    let acls = async {
        if !principals.is_empty() {
            reader.acls(&principals).await
        } else if config.authenticates() {
            reader.acls(&own).await.map(|acls| acls.map(|_| Acls::default()))
        } else {
            Ok(None)
        }
    };
    let (topics, users, acls) = tokio::try_join!(reader.topics(&topics), reader.users(&names_of_users), acls)?;

    let flavor = Flavor::told(config.flavor, cluster.id.as_deref());
    let mut server = Server { flavor, authorizer: Some(acls.is_some()), brokers: cluster.brokers, ..Server::default() };
    let mut version = flavor.product().to_owned();
    let mut noticed = notices(config, acls.as_ref());
    if flavor == Flavor::Redpanda {
        let logins = principals.union(&names_of_users).copied().collect();
        let found = redpanda::look(config, redpanda, &logins).await;
        (server.authorizer, server.nodelete_topics) = (found.authorizer, found.nodelete_topics);
        version = found.version.map_or(version.clone(), |number| format!("{version} {number}"));
        noticed.extend(found.notices);
    }
    let mut seen = Observation {
        nodes: Nodes::default(),
        endpoint: endpoint.clone(),
        version: Some(version),
        identity: cluster.id,
        server: server.to_json(),
        resources: BTreeMap::new(),
        unread: BTreeMap::new(),
        notices: noticed,
    };
    for (name, topic) in topics {
        seen.resources.insert(topic_address(&name), Observed::plain(Model::KafkaTopic(topic)));
    }
    for (name, acl) in acls.map(|acls| acls.by_principal).unwrap_or_default() {
        seen.resources.insert(acl_address(&name), Observed::plain(Model::KafkaAcl(acl)));
    }
    seen.notices.extend(users.iter().filter_map(second_credential));
    let models: Vec<(User, Option<String>)> = users
        .iter()
        .map(|user| {
            let wish = mechanism_of(ask, &user.name);
            let model = user.model(wish);
            let stored = credential::stored(&model, wish, user.set_at.as_deref());
            (model, stored)
        })
        .collect();
    let checked: Vec<(User, Option<CredentialStatus>)> = stream::iter(models)
        .map(|(user, stored)| async {
            let status = match ask.proofs.get(&user_address(&user.name)) {
                Some(proof) => Some(credential::status(config, &user, stored, proof, ask.probe_credentials).await),
                None => None,
            };
            let told = |trouble: Trouble| trouble.tell(&endpoint, &user.name, "sign-in", "");
            let status = status.transpose().map_err(told)?;
            Ok::<_, crate::error::Diagnostic>((user, status))
        })
        .buffer_unordered(SIGN_INS)
        .try_collect()
        .await?;
    for (user, credential) in checked {
        let address = user_address(&user.name);
        seen.resources.insert(address, Observed { credential, ..Observed::plain(Model::KafkaUser(user)) });
    }
    Ok(seen)
}

/// The mechanism in which a user is wanted, or was last applied.
fn mechanism_of<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    let address: Address = user_address(name);
    let wanted = ask.wanted.get(&address).map(|wanted| &wanted.model);
    let model = wanted.or_else(|| ask.applied.get(&address).map(|applied| &applied.model))?;
    model.as_kafka_user()?.mechanism.as_deref()
}

fn notices(config: &KafkaConfig, acls: Option<&Acls>) -> Vec<Notice> {
    let about = "kafka".to_owned();
    let mut notices = Vec::new();
    let endpoint = config.endpoint();
    if !config.authenticates() {
        let text = format!("{endpoint} lets everybody in without a sign-in: Kafka isolates no app from any other");
        notices.push(Notice { level: Level::Alarm, about: about.clone(), text });
    } else if acls.is_none() {
        let text = format!("{endpoint} has no authorizer: every user may do everything, and ACLs cannot be kept");
        notices.push(Notice { level: Level::Alarm, about: about.clone(), text });
    }
    for (principal, count) in acls.map(|acls| &acls.strange).into_iter().flatten() {
        let text =
            format!("{count} ACLs of {principal} are of a kind that this version does not know; they are left alone");
        notices.push(Notice { level: Level::Warning, about: about.clone(), text });
    }
    notices
}

fn second_credential(user: &FoundUser) -> Option<Notice> {
    let mechanisms: Vec<&str> = user.credentials.keys().map(String::as_str).collect();
    let text = format!("user {} has more than one password: {}", user.name, mechanisms.join(" and "));
    (mechanisms.len() > 1).then(|| Notice { level: Level::Warning, about: "kafka".to_owned(), text })
}
