//! What `doctor` says of Kafka.

mod brokers;
mod redpanda;

use super::admin::Admin;
use super::client::connect::first_look;
use super::client::native::Cluster;
use super::client::refusals::acl_command;
use super::model::{ACL, TOPIC};
use super::observe::access::Access;
use super::observe::reader::Reader;
use super::observe::settings::Settings;
use super::redpanda::AdminApi;
use super::server::Flavor;
use crate::config::KafkaConfig;
use crate::services::{Ask, Check};

/// What nornplan does to a cluster, and so must be allowed to.
const CHANGES: [(&str, &str); 2] = [("create", "Create"), ("alter", "Alter")];

/// Looks the cluster over.
pub async fn examine(config: &KafkaConfig, admin: &Admin, api: Option<&AdminApi>, ask: &Ask) -> Vec<Check> {
    let endpoint = config.endpoint();
    let cluster = match first_look(config, admin).await {
        Ok(cluster) => cluster,
        Err(told) => return vec![Check::failed(&told)],
    };
    let flavor = Flavor::told(config.flavor, cluster.id.as_deref());
    let (product, brokers) = (flavor.product(), cluster.brokers.len());
    let id = cluster.id.as_deref().unwrap_or("without an id");
    let mut checks = vec![Check::good(format!("{endpoint} answers: {product}, cluster {id}, brokers: {brokers}"))];
    checks.push(who(config, admin));
    let settings = Settings::read(admin, &cluster).await;
    checks.extend(brokers::look(admin, &cluster, &settings, ask).await);
    checks.extend(redpanda::setting(config, cluster.id.as_deref()));
    if flavor == Flavor::Redpanda {
        checks.extend(redpanda::look(config, admin, api, ask).await);
    }
    let reader = Reader { admin, endpoint: &endpoint, redpanda: api };
    let mut access = Vec::new();
    if config.has_principals() {
        match reader.every_acl(&ask.names(&ACL)).await {
            Ok(Some(acls)) => {
                let found = Access::look(config, &settings, flavor, ask, &acls, &[]).await;
                // Redpanda answers the same whether it checks ACLs or not.
                if flavor == Flavor::Kafka {
                    checks.push(found.isolation());
                }
                access = found.checks();
            }
            Ok(None) => checks.push(Check::bad(
                "there is no authorizer: every user may do everything",
                "set authorizer.class.name (Redpanda: kafka_enable_authorization), and super.users",
            )),
            Err(told) => checks.push(Check::failed(&told)),
        }
    }
    checks.push(rights(admin, &cluster));
    // What may not be seen of topics shows at those that are asked for.
    if let Err(told) = reader.topics(&ask.names(&TOPIC)).await {
        checks.push(Check::failed(&told));
    }
    checks.extend(access);
    checks
}

/// As whom nornplan comes in.
fn who(config: &KafkaConfig, admin: &Admin) -> Check {
    let how = if config.use_tls { "over TLS" } else { "without TLS" };
    if config.authenticates() {
        return Check::good(format!("signed in as {} by {} {how}", config.user, config.mechanism));
    }
    if config.tls.cert_file.is_none() {
        return Check::bad(
            "everybody is let in without a sign-in: no app is isolated from another",
            "give the listener SASL/SCRAM, and set kafka.mechanism",
        );
    }
    if config.has_principals() {
        return Check::good(format!("let in by its certificate {how}"));
    }
    Check::warning(
        format!("{} is let in by its certificate, and apps have no users: only topics are made", admin.principal()),
        "people make the ACLs of apps' certificates; or set kafka.user_mechanism where apps sign in by SCRAM",
    )
}

/// What it may do to the cluster.
fn rights(admin: &Admin, cluster: &Cluster) -> Check {
    let who = admin.principal();
    let Some(allowed) = &cluster.allowed else {
        return Check::warning(
            format!("the broker does not say what {who} may do to the cluster"),
            "nornplan needs Describe, DescribeConfigs, Create and Alter on Cluster, and all on Topic *",
        );
    };
    if !allowed.contains("describe") {
        let needs = "Describe and DescribeConfigs on Cluster";
        return Check::bad(format!("{who} may not look at the cluster"), acl_command(who, needs));
    }
    let missing: Vec<&str> =
        CHANGES.into_iter().filter(|(right, _)| !allowed.contains(right)).map(|(_, told)| told).collect();
    if missing.is_empty() {
        return Check::good(format!("{who} may describe, create and alter"));
    }
    let needs = format!("{} on Cluster", missing.join(" and "));
    Check::warning(
        format!("{who} may look and not change ({}): plan and drift work, apply does not", missing.join(", ")),
        format!("to apply, also: {}", acl_command(who, &needs)),
    )
}
