//! What `doctor` says of a Redpanda, and of what the workspace says about it.

use crate::config::{BrokerKind, KafkaConfig};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::trouble::Cause;
use crate::services::kafka::model::{ACL, USER};
use crate::services::kafka::redpanda::AdminApi;
use crate::services::kafka::redpanda::look::without_admin_api;
use crate::services::kafka::server::Flavor;
use crate::services::{Ask, Check};
use std::collections::BTreeSet;

/// Whether what the workspace says fits the cluster.
pub fn setting(config: &KafkaConfig, cluster: Option<&str>) -> Vec<Check> {
    let (told, shown) = (Flavor::told(config.flavor, cluster), Flavor::of(cluster));
    let mut checks = Vec::new();
    if told != shown {
        let what = format!("kafka.flavor says {}, and the cluster's id says {}", told.product(), shown.product());
        checks.push(Check::warning(what, "leave kafka.flavor out, unless something hides what the brokers are"));
    } else if config.flavor != BrokerKind::Auto {
        checks.push(Check::good(format!("kafka.flavor says {}, as the cluster's id does", told.product())));
    }
    if config.admin.is_some() && told == Flavor::Kafka {
        let what = "kafka.admin_url is set, and this is no Redpanda: it is not used";
        checks.push(Check::warning(what, "leave it out; or set kafka.flavor = \"redpanda\" if it is one"));
    }
    checks
}

/// Where users are kept, and what the Admin API shows.
pub async fn look(config: &KafkaConfig, admin: &Admin, api: Option<&AdminApi>, ask: &Ask) -> Vec<Check> {
    let mut checks = Vec::new();
    if config.authenticates() {
        let asked = admin.describe_users(&[config.user.as_str()]).await;
        let lacks = asked.is_err_and(|trouble| trouble.cause == Cause::Unsupported);
        checks.push(match (lacks, api) {
            (false, _) => Check::good("users are made by the Kafka API"),
            (true, Some(_)) => Check::good("users are made by the Admin API: the Kafka API has no calls for them"),
            (true, None) => Check::bad(
                "users cannot be made: the Kafka API has no calls for them, as Redpanda's before 25.2",
                "set kafka.admin_url",
            ),
        });
    }
    let Some(api) = api else {
        let (what, hint) = without_admin_api();
        checks.push(Check::warning(what, hint));
        return checks;
    };
    let users: BTreeSet<&str> = ask.names(&USER).union(&ask.names(&ACL)).copied().collect();
    let look = api.look(&users).await;
    checks.extend(look.version.as_ref().map(|version| Check::good(format!("Redpanda {version}"))));
    checks.extend(look.checks(&api.config.user));
    checks
}
