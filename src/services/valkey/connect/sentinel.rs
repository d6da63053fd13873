//! What the sentinels know: the primary of a service today, and its replicas.

use super::open::{Door, name_of, open, split};
use crate::config::ValkeyConfig;
use crate::core::listing::some;
use crate::core::suggest::closest;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::valkey::errors::explain;
use crate::services::valkey::node::{Node, Part};
use crate::services::valkey::wire::{self, pairs, strings};
use fred::types::Value;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeSet;

const DEFAULT_PORT: u16 = 26379;

/// Services that are spelled out; more are counted.
const NAMES_SHOWN: usize = 10;

/// The data nodes of a service, as a sentinel names them.
pub struct Told {
    /// The sentinel that was asked.
    pub by: String,
    pub primary: String,
    /// All others. Those that are down are among them: a sentinel forgets none.
    pub others: BTreeSet<String>,
}

/// Why a sentinel is of no use.
struct Useless {
    sentinel: String,
    error: Diagnostic,
    /// It answers, and knows other services.
    knows_others: bool,
}

/// Asks all sentinels side by side; the first one that knows the service is believed.
///
/// # Errors
/// None of them does: each is named, with why.
pub async fn ask(config: &ValkeyConfig, service: &str) -> Result<Told> {
    let mut asked: FuturesUnordered<_> =
        config.sentinels.iter().map(|sentinel| ask_one(config, sentinel, service)).collect();
    let mut useless = Vec::new();
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(told) => return Ok(told),
            Err(why) => useless.push(why),
        }
    }
    useless.sort_by(|one, other| one.sentinel.cmp(&other.sentinel));
    Err(none_knows(useless, service))
}

/// One error for all of them: that a name is wrong says more than that a sentinel is down.
fn none_knows(useless: Vec<Useless>, service: &str) -> Diagnostic {
    if let Some(at) = useless.iter().position(|one| one.knows_others) {
        return useless.into_iter().nth(at).map_or_else(|| no_sentinel(service), |one| one.error);
    }
    let each: Vec<String> = useless.iter().map(|one| format!("{} ({})", one.sentinel, one.error.message)).collect();
    let may_pass = useless.iter().all(|one| one.error.may_pass);
    let hints: BTreeSet<String> = useless.into_iter().filter_map(|one| one.error.hint).collect();
    let hint = hints.into_iter().collect::<Vec<_>>().join("; ");
    Diagnostic::new(Kind::Service, format!("none of the sentinels can be asked: {}", each.join(", ")))
        .on("valkey", service, "SENTINEL GET-MASTER-ADDR-BY-NAME")
        .hint(hint)
        .may_pass(may_pass)
}

fn no_sentinel(service: &str) -> Diagnostic {
    Diagnostic::new(Kind::Config, format!("there is no sentinel to ask for {service}"))
        .hint("name sentinels = [\"host:26379\", ...] under [valkey]")
}

async fn ask_one(config: &ValkeyConfig, sentinel: &str, service: &str) -> Result<Told, Useless> {
    let useless = |error, knows_others| Useless { sentinel: sentinel.to_owned(), error, knows_others };
    let node = open_one(config, sentinel).await.map_err(|error| useless(of_a_sentinel(error), false))?;
    let answer = match tell(&node, service).await {
        Ok(Some(told)) => Ok(told),
        Ok(None) => Err(useless(unknown(&node, service).await, true)),
        Err(error) => Err(useless(of_a_sentinel(error), false)),
    };
    node.close().await;
    answer
}

/// What a sentinel knows of a service; `None` if it knows no such service.
async fn tell(sentinel: &Node, service: &str) -> Result<Option<Told>> {
    // In the middle of a failover the new primary is still listed as a replica, and the old one only by the last of
    // these. They are sent at once, so that they tell of one moment.
    const CALLS: [&str; 3] = ["GET-MASTER-ADDR-BY-NAME", "REPLICAS", "MASTER"];
    let calls = CALLS.map(|call| ["SENTINEL", call, service].map(str::to_owned).to_vec());
    let answers = sentinel.try_calls(&calls).await.into_iter().zip(CALLS);
    let mut answers = answers
        .map(|(answer, call)| answer.map_err(|error| explain(&error, &sentinel.name, &format!("SENTINEL {call}"))));
    let mut next = || answers.next().unwrap_or(Ok(Value::Null));
    let address = next()?;
    let mut parts = strings(address);
    let (Some(host), Some(port)) = (parts.next(), parts.next()) else { return Ok(None) };
    let primary = format!("{host}:{port}");
    let replicas = next()?.into_array();
    let mut others: BTreeSet<String> = replicas.into_iter().chain([next()?]).filter_map(address_of).collect();
    others.remove(&primary);
    Ok(Some(Told { by: sentinel.name.clone(), primary, others }))
}

/// Opens every sentinel that the workspace names, each with its name.
pub async fn open_all(config: &ValkeyConfig) -> Vec<(Result<Node>, String)> {
    let opened = config.sentinels.iter().map(async |sentinel| {
        let opened = async {
            let node = open_one(config, sentinel).await?;
            wire::server(&node).await?;
            Ok(node)
        };
        let (host, port) = split(sentinel, DEFAULT_PORT);
        (opened.await.map_err(of_a_sentinel), name_of(&host, port))
    });
    join_all(opened).await
}

/// A connection of its own to a sentinel.
///
/// # Errors
/// It cannot be reached or signed in to.
pub async fn open_one(config: &ValkeyConfig, sentinel: &str) -> Result<Node> {
    let (host, port) = split(sentinel, DEFAULT_PORT);
    let user = config.sentinel_user.as_deref().unwrap_or("default");
    let tls = config.use_tls.then_some(&config.tls);
    let client = open(&host, port, &Door { user, password: &config.sentinel_password, tls }).await?;
    Ok(Node::new(name_of(&host, port), client, user, Part::Sentinel))
}

/// Sentinels have users and passwords of their own, and lie elsewhere.
fn of_a_sentinel(error: Diagnostic) -> Diagnostic {
    let Some(hint) = error.hint.clone() else { return error };
    let hint = hint
        .replace("NORNPLAN_VALKEY_PASSWORD (else REDIS_PASSWORD)", "NORNPLAN_VALKEY_SENTINEL_PASSWORD")
        .replace("password_file or password_command", "sentinel_password_file or sentinel_password_command")
        .replace("`user`", "`sentinel_user`")
        .replace("host and port under", "`sentinels` under")
        .replace("`host` under", "`sentinels` under");
    error.hint(hint)
}

async fn unknown(sentinel: &Node, service: &str) -> Diagnostic {
    let known = sentinel.call(&["SENTINEL", "MASTERS"], "SENTINEL MASTERS").await.map(Value::into_array);
    let mut names: Vec<String> = known
        .unwrap_or_default()
        .into_iter()
        .filter_map(|one| pairs(one).remove("name").and_then(Value::into_string))
        .collect();
    names.sort();
    let known = match names.is_empty() {
        true => "it watches none".to_owned(),
        false => format!("it knows {}", some(&names, NAMES_SHOWN)),
    };
    // One that is alone is the one that is meant.
    let likely = closest(service, names.iter().map(String::as_str)).or(match names.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    let next = match likely {
        Some(likely) => format!("did you mean sentinel_service = {likely:?} under [valkey]?"),
        None => "name it as the sentinels do: sentinel_service = \"...\" under [valkey] (default: mymaster)".to_owned(),
    };
    Diagnostic::new(Kind::Service, format!("this sentinel knows no service {service:?}; {known}"))
        .on("valkey", &sentinel.name, "SENTINEL GET-MASTER-ADDR-BY-NAME")
        .hint(next)
}

fn address_of(node: Value) -> Option<String> {
    let mut facts = pairs(node);
    let mut take = |name: &str| facts.remove(name).and_then(Value::into_string);
    Some(format!("{}:{}", take("ip")?, take("port")?))
}
