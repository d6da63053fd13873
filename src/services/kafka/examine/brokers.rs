//! What `doctor` says of the brokers: whether each is reached where it sends clients, and settings that bite.

use crate::core::listing::some;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{Broker, Cluster};
use crate::services::kafka::client::refusals::acl_command;
use crate::services::kafka::model::Topic;
use crate::services::kafka::observe::settings::Settings;
use crate::services::{Ask, Check};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a connection to a broker may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Brokers and topics that a sentence names at most.
const NAMED: usize = 3;

/// Looks at every broker, and at the settings of the first.
pub async fn look(admin: &Admin, cluster: &Cluster, configured: &Settings, ask: &Ask) -> Vec<Check> {
    let mut checks: Vec<Check> = addresses(cluster).await.into_iter().collect();
    let configs = configured.values();
    if configs.is_empty() {
        checks.push(Check::warning(
            "the settings of the brokers cannot be seen: whether topics make themselves is not known",
            acl_command(admin.principal(), "DescribeConfigs on Cluster"),
        ));
    }
    let topics: Vec<&Topic> = ask.wanted.values().filter_map(|wanted| wanted.model.as_kafka_topic()).collect();
    checks.extend(settings(&configs, cluster.brokers.len(), &topics));
    checks
}

/// Clients reach brokers only at the addresses that these advertise, whatever address they began with.
async fn addresses(cluster: &Cluster) -> Option<Check> {
    let tried = cluster.brokers.iter().map(|Broker { id, host, port }| async move {
        let why = match tokio::time::timeout(PATIENCE, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        Some(format!("broker {id} at {host}:{port} ({why})"))
    });
    let missed: Vec<String> = join_all(tried).await.into_iter().flatten().collect();
    let what = format!("the cluster sends clients on to what is not reached from here: {}", some(&missed, NAMED));
    let hint =
        "start that broker, or set its advertised.listeners to an address that is reached from here and from the apps";
    (!missed.is_empty()).then(|| Check::bad(what, hint))
}

/// What settings of the brokers come to: pure.
fn settings(configs: &BTreeMap<String, String>, brokers: usize, topics: &[&Topic]) -> Vec<Check> {
    let is = |name: &str, value: &str| configs.get(name).is_some_and(|set| set == value);
    let number = |name: &str| configs.get(name).and_then(|value| value.parse::<usize>().ok());
    let mut checks = Vec::new();
    if is("auto.create.topics.enable", "true") {
        checks.push(Check::warning(
            "topics make themselves when a client that may create them names them (auto.create.topics.enable): with the \
             brokers' defaults, before nornplan makes them as declared",
            "set auto.create.topics.enable=false on every broker",
        ));
    }
    if is("delete.topic.enable", "false") {
        checks.push(Check::warning(
            "the brokers delete no topics (delete.topic.enable): those that are no longer declared stay",
            "set delete.topic.enable=true on every broker and controller, if they shall go",
        ));
    }
    if let (Some(copies), Some(least)) = (number("default.replication.factor"), number("min.insync.replicas")) {
        if copies > brokers {
            checks.push(Check::bad(
                format!("topics that do not say it get {copies} replicas (default.replication.factor), and brokers are up: {brokers}"),
                "start the missing brokers, or lower default.replication.factor",
            ));
        } else if copies == 1 && brokers > 2 {
            checks.push(Check::warning(
                format!("topics that do not say it are on 1 of {brokers} brokers (default.replication.factor): what it holds goes with it"),
                "set default.replication.factor=3, or declare `replication` with the topics",
            ));
        }
        if least > copies {
            checks.push(Check::warning(
                format!(
                    "min.insync.replicas={least} is more than topics have by default ({copies}): it has no effect there, and \
                     before Kafka 3.7 it refuses every message with acks=all"
                ),
                "set it below default.replication.factor",
            ));
        }
    }
    let wide = topics.iter().filter(|topic| {
        topic.replication.and_then(|count| usize::try_from(count).ok()).is_some_and(|count| count > brokers)
    });
    let wide: Vec<&str> = wide.map(|topic| topic.name.as_str()).collect();
    if !wide.is_empty() {
        checks.push(Check::bad(
            format!("declared with more replicas than there are brokers ({brokers}): {}", some(&wide, NAMED)),
            "start the missing brokers, or declare a smaller `replication`",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(settings_of: &[(&str, &str)], brokers: usize, replication: i32) -> String {
        let configs = settings_of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let topic = Topic { name: "orders".to_owned(), replication: Some(replication), ..Topic::default() };
        settings(&configs, brokers, &[&topic]).into_iter().map(|check| check.what).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn settings_that_bite_are_told() {
        let copies = |copies, least| [("default.replication.factor", copies), ("min.insync.replicas", least)];
        assert_eq!(told(&copies("1", "1"), 1, 1), "");
        assert_eq!(told(&copies("3", "2"), 3, 3), "");
        assert!(told(&copies("1", "1"), 3, 3).starts_with("topics that do not say it are on 1 of 3 brokers"));
        assert!(told(&copies("3", "1"), 2, 2).starts_with("topics that do not say it get 3 replicas"));
        assert!(told(&copies("1", "2"), 1, 1).starts_with("min.insync.replicas=2 is more than topics have"));
        assert!(told(&[], 2, 3).ends_with("than there are brokers (2): orders"));
        assert!(told(&[("auto.create.topics.enable", "true")], 1, 1).starts_with("topics make themselves"));
        assert!(told(&[("delete.topic.enable", "false")], 1, 1).starts_with("the brokers delete no topics"));
    }
}
