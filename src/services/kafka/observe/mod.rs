//! What Kafka has of what is wanted or ours, in few calls.

pub mod access;
pub mod acls;
mod beneath;
pub mod credentials;
mod external;
pub mod losses;
pub mod openness;
pub mod reader;
mod redpanda;
mod remembered;
mod rights;
pub mod settings;
mod sign_ins;
mod summary;
mod topics;
mod unmanaged;
mod unseen;
mod users;
mod users_of;
mod ways_in;

use super::admin::Admin;
use super::client::connect::first_look;
use super::client::native::Cluster;
use super::model::{ACL, TOPIC, Topic, USER, acl_address, topic_address, user_address};
use super::redpanda::AdminApi;
use super::server::{Flavor, Server};
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::core::plan::{Level, Notice};
use crate::error::Result;
use crate::services::{Ask, Model, Observation, Observed};
use access::Access;
use acls::EveryAcl;
use credentials::Checked;
use reader::{Acls, Reader};
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use users::FoundUser;

/// What was read, and what follows from none of it being an error.
struct Found {
    cluster: Cluster,
    settings: Settings,
    topics: BTreeMap<String, Topic>,
    users: Vec<FoundUser>,
    /// `None` if the broker keeps none, or nobody signs in.
    acls: Option<EveryAcl>,
}

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
    let signed_in = config.has_principals();
    let if_signed_in = |kind| if signed_in { ask.names(kind) } else { BTreeSet::new() };
    let (logins, principals) = (if_signed_in(&USER), if_signed_in(&ACL));
    let found = read(&reader, config, &ask.names(&TOPIC), &logins, &principals).await?;

    let flavor = Flavor::told(config.flavor, found.cluster.id.as_deref());
    let sign_ins = found.settings.entries().map(sign_ins::of).unwrap_or_default();
    let mut server = Server {
        flavor,
        authorizer: signed_in.then_some(found.acls.is_some()),
        brokers: found.cluster.brokers.len(),
        reauthenticates_ms: sign_ins.reauthenticates_ms,
        delegation_tokens: sign_ins.delegation_tokens,
        ..Server::default()
    };
    // Before it is said that a Redpanda does not tell: there, that is no lack of a sign-in.
    let mut seen = Observation {
        version: Some(flavor.product().to_owned()),
        identity: found.cluster.id.clone(),
        unread: unseen::unread(ask, &server),
        notices: unseen::notices(config, ask, &server),
        ..Observation::default()
    };
    seen.notices.extend(rights::lacking(config, &found.cluster));
    if flavor == Flavor::Redpanda {
        let told = redpanda::look(config, redpanda, &principals.union(&logins).copied().collect()).await;
        (server.authorizer, server.nodelete_topics) = (told.authorizer, told.nodelete_topics);
        if let Some(number) = told.version {
            seen.version = Some(format!("{} {number}", flavor.product()));
        }
        seen.notices.extend(told.notices);
    }
    topics::look_around(&reader, ask, &found.settings, &found.topics, &mut server).await;
    seen.notices.extend(found.acls.iter().flat_map(|acls| strange(&acls.managed)));
    seen.notices.extend(topics::notices(ask, &found.topics, &server));
    seen.notices.extend(external::missing(&reader, ask).await);
    let names: BTreeSet<&str> = found.users.iter().map(|user| user.name.as_str()).collect();
    seen.notices.extend(remembered::notice(ask, &names, &server).filter(|_| signed_in));
    let users = credentials::check(config, ask, &found.users).await?;
    if let Some(acls) = found.acls.as_ref().filter(|_| !principals.is_empty()) {
        let access = Access::look(config, &found.settings, flavor, ask, acls, &users).await;
        seen.notices.extend(access.notices());
        (server.shut_out, server.users_untold) = users_of::shut_out(admin, ask, acls, access.open()).await;
        (server.cut_off, server.cut_off_untold) = users_of::cut_off(admin, ask, acls).await;
        (server.beneath, server.beneath_untold) = beneath::look(admin, ask, acls).await;
    }
    if let Some(known) = &ask.unmanaged {
        let listed = unmanaged::list(admin, &endpoint, redpanda, known, signed_in.then_some(&found.cluster)).await?;
        seen.unmanaged = listed.found;
        seen.notices.extend(listed.notices);
    }
    seen.resources = resources(config, admin, ask, found, users).await;
    seen.server = server.to_json();
    seen.endpoint = endpoint;
    Ok(seen)
}

async fn read(
    reader: &Reader<'_>,
    config: &KafkaConfig,
    topics: &BTreeSet<&str>,
    logins: &BTreeSet<&str>,
    principals: &BTreeSet<&str>,
) -> Result<Found> {
    let cluster = first_look(config, reader.admin).await?;
    // Without any principal of ours, our own tells whether there is an authorizer at all.
    let own = BTreeSet::from([config.user.as_str()]);
    let acls = async {
        if !principals.is_empty() {
            reader.every_acl(principals).await
        } else if config.has_principals() {
            reader.acls(&own).await.map(|acls| acls.map(|_| EveryAcl::default()))
        } else {
            Ok(None)
        }
    };
    let settings = async { Ok(Settings::read(reader.admin, &cluster).await) };
    let all = tokio::try_join!(settings, reader.topics(topics), reader.users(logins), acls)?;
    let (settings, topics, users, acls) = all;
    Ok(Found { cluster, settings, topics, users, acls })
}

/// Each of them as a plan needs it, with what would be lost with it, and whether its password is the published one.
async fn resources(
    config: &KafkaConfig,
    admin: &Arc<Admin>,
    ask: &Ask,
    found: Found,
    users: Vec<Checked>,
) -> BTreeMap<Address, Observed> {
    let mut resources = BTreeMap::new();
    for (name, topic) in found.topics {
        let topic = topics::without_the_rest(ask, topic);
        resources.insert(topic_address(&name), Observed::plain(Model::KafkaTopic(topic)));
    }
    losses::add(config, admin, ask, found.acls.as_ref(), &mut resources).await;
    for (name, acl) in found.acls.map(|acls| acls.managed.by_principal).unwrap_or_default() {
        resources.insert(acl_address(&name), Observed::plain(Model::KafkaAcl(acl)));
    }
    for Checked { user, status, .. } in users {
        let address = user_address(&user.name);
        resources.insert(address, Observed { credential: status, ..Observed::plain(Model::KafkaUser(user)) });
    }
    resources
}

fn strange(acls: &Acls) -> impl Iterator<Item = Notice> {
    acls.strange.iter().map(|(principal, count)| {
        let text =
            format!("{count} ACLs of {principal} are of a kind that this version does not know; they are left alone");
        Notice { level: Level::Warning, about: "kafka".to_owned(), text }
    })
}
