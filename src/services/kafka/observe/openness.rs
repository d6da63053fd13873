//! Whether who signs in may use whatever has no ACL: `allow.everyone.if.no.acl.found` of Kafka's authorizer.

use super::acls::EveryAcl;
use super::settings::Settings;
use crate::config::KafkaConfig;
use crate::services::Ask;
use crate::services::kafka::acl::authorizer::{Deed, Verdict, decide};
use crate::services::kafka::client::connect::client_as;
use crate::services::kafka::client::trouble::Cause;
use crate::services::kafka::model::USER;
use crate::services::kafka::server::Flavor;
use std::time::Duration;

const SETTING: &str = "allow.everyone.if.no.acl.found";
/// A topic that nobody has.
const NOBODYS: &str = "nornplan-asks-who-is-let-in";
/// How long the look as an app may take; without an answer it is not known.
const PATIENCE: Duration = Duration::from_secs(6);

/// Whether it is so; `None` if that is not known. A broker takes the setting for a secret, so that it tells only whether
/// it is set. An app that has a password can find out: it asks for a topic that nobody has, and that has no ACLs.
pub async fn is_open(
    config: &KafkaConfig,
    settings: &Settings,
    flavor: Flavor,
    ask: &Ask,
    acls: &EveryAcl,
) -> Option<bool> {
    if flavor == Flavor::Redpanda {
        return Some(false);
    }
    match setting(settings) {
        Some(Setting::Unset) => Some(false),
        Some(Setting::Value(value)) => Some(value.eq_ignore_ascii_case("true")),
        Some(Setting::Hidden) | None => {
            tokio::time::timeout(PATIENCE, by_trying(config, ask, acls)).await.unwrap_or_default()
        }
    }
}

enum Setting {
    Unset,
    Hidden,
    Value(String),
}

fn setting(settings: &Settings) -> Option<Setting> {
    Some(match settings.entries()?.iter().find(|entry| entry.name == SETTING) {
        None => Setting::Unset,
        Some(entry) => entry.value.clone().map_or(Setting::Hidden, Setting::Value),
    })
}

async fn by_trying(config: &KafkaConfig, ask: &Ask, acls: &EveryAcl) -> Option<bool> {
    acls.others.as_ref()?;
    let proved = |(address, proof): (&_, &crate::services::Proof)| {
        let address: &crate::core::address::Address = address;
        // A password that is known to sign in: no other is tried without being asked for.
        let wanted = ask.wanted.get(address)?.model.as_kafka_user().filter(|_| address.kind == USER)?;
        let password = proof.to_try().ok().filter(|_| proof.fingerprint.is_some())?;
        Some((wanted, password.clone()))
    };
    let (user, password) = ask.proofs.iter().find_map(proved)?;
    let principal = format!("User:{}", user.name);
    let all = acls.all();
    let deed = Deed { principal: &principal, host: "", resource: "topic", name: NOBODYS, operation: "describe" };
    if decide(all.iter().map(|(whose, acl)| (whose.as_str(), *acl)), &deed) != Verdict::NoAcls {
        return None;
    }
    let client = client_as(config, &user.name, user.mechanism.as_deref()?, &password).ok()?;
    let answer = client.describe_topics(&[NOBODYS]).await;
    // Closing a client waits for its threads.
    drop(tokio::task::spawn_blocking(move || drop(client)));
    match answer.ok()?.into_iter().next()? {
        (_, Ok(_)) => None,
        (_, Err(trouble)) => match trouble.cause {
            Cause::Absent => Some(true),
            Cause::Authorization => Some(false),
            Cause::Unreachable
            | Cause::Authentication
            | Cause::SecurityDisabled
            | Cause::TimedOut
            | Cause::Transient
            | Cause::Exists
            | Cause::Policy
            | Cause::Invalid
            | Cause::Unanswered
            | Cause::Unsupported
            | Cause::Other => None,
        },
    }
}
