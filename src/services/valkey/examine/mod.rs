//! Looks the nodes over for `nornplan doctor`.

mod grouping;
mod persistence;
pub mod sentinels;

use super::connect::Found;
use super::model::Access;
use super::node::Node;
use super::observe::saved::AtRestart;
use super::observe::{Seen, at_restart, open_to_everybody, passwordless, strangers};
use super::rights;
use crate::config::ValkeyConfig;
use crate::services::{Ask, Check};
use fred::types::Value;
use futures_util::future::join_all;
use grouping::grouped;
use std::collections::{BTreeMap, BTreeSet};

/// What is good and bad about every node.
pub async fn checks(found: &Found, seen: &[Seen], ask: &Ask, config: &ValkeyConfig) -> Vec<Check> {
    let nodes = &found.nodes;
    let facts = join_all(nodes.iter().map(facts)).await;
    let at_restart = at_restart(nodes, seen, ask).await;
    let each = seen.iter().zip(&facts).zip(&at_restart);
    let each = each.map(|((seen, facts), at_restart)| (seen.node.clone(), node(seen, facts, at_restart, ask)));
    let unreached = found.unreached.iter().filter(|absent| !absent.sentinel).count();
    let mut checks = grouped(each.collect(), nodes.len() + unreached, "nodes");
    let reach = strangers(seen, ask).lines();
    let next = "remove those that nobody needs (ACL DELUSER), give the others narrower rules, or name those that belong \
                here in internal = [...] of the workspace file";
    checks.extend(reach.map(|what| Check::warning(what, next)));
    checks.extend(passwordless(seen, ask).into_iter().map(|(said, next)| Check::warning(said, next)));
    checks.extend(encryption(config));
    checks
}

/// What `INFO` says, and some settings; empty where it is not told.
async fn facts(node: &Node) -> BTreeMap<String, String> {
    let calls = [&["INFO"][..], &["CONFIG", "GET", "protected-mode"]];
    let calls: Vec<Vec<String>> =
        calls.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect();
    let mut answers = node.try_calls(&calls).await.into_iter().filter_map(Result::ok);
    let info =
        answers.next().and_then(|info| info.as_str_lossy().map(std::borrow::Cow::into_owned)).unwrap_or_default();
    let told = info.lines().filter_map(|line| line.trim().split_once(':'));
    let mut facts: BTreeMap<String, String> = told.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let settings = answers.next().map(Value::into_array).into_iter().flatten().filter_map(Value::into_string);
    let settings: Vec<String> = settings.collect();
    facts.extend(settings.chunks_exact(2).filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone()))));
    facts
}

fn node(seen: &Seen, facts: &BTreeMap<String, String>, at_restart: &AtRestart, ask: &Ask) -> Vec<Check> {
    let mut checks = vec![Check::good(format!("{} answers{}", seen.server.describe(), topology(facts)))];
    if facts.get("loading").is_some_and(|loading| loading == "1") {
        checks.push(Check::warning("it is still loading its data", "apps have to wait; users can be set already"));
    }
    checks.extend(sign_in(seen));
    checks.extend(everybody(seen, facts, ask));
    checks.extend(persistence::checks(&seen.server, at_restart));
    checks.extend(connections(facts));
    checks.extend(memory(facts, ask));
    checks
}

fn topology(facts: &BTreeMap<String, String>) -> String {
    let fact = |name: &str| facts.get(name).map(String::as_str).unwrap_or_default();
    let cluster = if fact("cluster_enabled") == "1" { " of a cluster" } else { "" };
    match (fact("role"), fact("connected_slaves")) {
        ("slave", _) => format!(", a replica{cluster} of {}:{}", fact("master_host"), fact("master_port")),
        ("master", "0" | "") if cluster.is_empty() => String::new(),
        ("master", "1") => format!(", a primary{cluster} with 1 replica"),
        ("master", replicas) => format!(", a primary{cluster} with {replicas} replicas"),
        (_, _) => String::new(),
    }
}

/// What we may do.
fn sign_in(seen: &Seen) -> Vec<Check> {
    let (admin, catalogue) = (&seen.server.admin, &seen.server.catalogue);
    let mut checks = Vec::new();
    if !catalogue.knows("acl|setuser") {
        checks.push(Check::bad(
            "ACL SETUSER is not there, as with managed offerings: nornplan cannot make or change users",
            "make them in the offering's own console, and say credential = \"keep\" under [services.kv]",
        ));
    }
    // Of a user that the server does not list, nothing is known.
    let Some(account) = seen.accounts.get(admin) else { return checks };
    let lacking = rights::lacking(&account.user, catalogue);
    let lacking: BTreeSet<&str> = lacking.iter().map(String::as_str).collect();
    if account.user.nopass && admin != "default" {
        checks.push(Check::bad(
            format!("signs in as {admin}, which takes any password: whoever knows the name may do all that it may"),
            format!("give it one: ACL SETUSER {admin} resetpass >PASSWORD"),
        ));
    }
    let (may_not, grant) = (format!("{admin} may not run {}", rights::list(&lacking)), rights::grant(admin, &lacking));
    checks.push(if lacking.is_empty() {
        Check::good(format!("signs in as {admin}, which may run all that nornplan needs"))
    } else if rights::matter(&lacking) {
        Check::bad(may_not, grant)
    } else {
        Check::warning(may_not, grant)
    });
    checks
}

/// What whoever connects may do.
fn everybody(seen: &Seen, facts: &BTreeMap<String, String>, ask: &Ask) -> Vec<Check> {
    let all = open_to_everybody(seen, ask);
    let mut checks: Vec<Check> = all
        .iter()
        .map(|(user, open)| {
            let hint = match *user {
                "default" => {
                    "set default_user = \"admin-only\" or \"off\" under [valkey], or give it a password (ACL SETUSER \
                     default)"
                        .to_owned()
                }
                user => {
                    format!("give it a password (ACL SETUSER {user} resetpass >...), or remove it (ACL DELUSER {user})")
                }
            };
            let tell = if open.is_alarming() { Check::bad } else { Check::warning };
            tell(open.describe(user), hint)
        })
        .collect();
    if !all.iter().any(|(user, _)| *user == "default") {
        checks.push(Check::good("the user `default` does not let just anybody in"));
        return checks;
    }
    if facts.get("protected-mode").is_some_and(|mode| mode == "yes") {
        checks.push(Check::warning(
            "in protected mode: while the user `default` needs no password, other machines may be refused",
            "give that user a password, or bind the server to addresses",
        ));
    }
    checks
}

fn number(facts: &BTreeMap<String, String>, name: &str) -> Option<u64> {
    facts.get(name)?.parse().ok()
}

fn connections(facts: &BTreeMap<String, String>) -> Option<Check> {
    let (now, most) = (number(facts, "connected_clients")?, number(facts, "maxclients")?);
    let said = format!("{now} of {most} connections (maxclients) are in use");
    // Nine in ten.
    Some(if now.saturating_mul(10) < most.saturating_mul(9) {
        Check::good(said)
    } else {
        Check::warning(said, "raise maxclients, or find who holds so many (CLIENT LIST); apps are refused at the limit")
    })
}

/// There are no quotas: what limits one app is what limits all.
fn memory(facts: &BTreeMap<String, String>, ask: &Ask) -> Option<Check> {
    let (most, policy) = (number(facts, "maxmemory")?, facts.get("maxmemory_policy")?);
    let queues = ask.wanted.values().filter_map(|wanted| wanted.model.as_valkey_user());
    let has_queues = queues.into_iter().any(|user| user.access == Some(Access::Queue));
    if most == 0 {
        return Some(Check::warning(
            "maxmemory is 0: any app can take all of the machine's memory",
            "set maxmemory, and maxmemory-policy to noeviction where queues are kept; there are no quotas for single apps",
        ));
    }
    Some(if has_queues && policy.starts_with("allkeys") {
        Check::warning(
            format!("maxmemory-policy is {policy}: when memory is short, keys of any app go, jobs in queues too"),
            "set maxmemory-policy to noeviction or to one of volatile-*",
        )
    } else {
        Check::good(format!("memory is limited, and maxmemory-policy is {policy}"))
    })
}

/// Passwords of apps cross the network as they are.
fn encryption(config: &ValkeyConfig) -> Option<Check> {
    let host = config.host.as_str();
    let is_here = host.starts_with('/') || host == "localhost" || host == "::1" || host.starts_with("127.");
    match (config.use_tls, is_here) {
        (true, _) => Some(Check::good("reached over TLS")),
        (false, true) => None,
        (false, false) => Some(Check::warning(
            "reached without TLS: keys and passwords cross the network as they are",
            "start the server with tls-port, and set tls = true under [valkey]",
        )),
    }
}
