//! What a node says of itself and of its users, turned into the model.

use super::acl::{Account, Catalogue, Command, KeyUse, Need, parse_line, readable};
use super::errors::{is_refusal, is_unknown};
use super::node::{Node, Part};
use super::presets::Server;
use crate::error::{Diagnostic, Kind, Result};
use fred::error::{Error, ErrorKind};
use fred::types::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The oldest version whose rules can say what isolates: key permissions and selectors came with it.
const OLDEST_MAJOR: u32 = 7;

/// An answer or an error for each call.
type Answers = Vec<std::result::Result<Value, Error>>;

fn calls(all: &[&[&str]]) -> Vec<Vec<String>> {
    all.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect()
}

/// As many answers as there were calls: a connection that is lost answers all of them with one error.
pub fn one_each(mut answers: Answers, calls: usize) -> Answers {
    if answers.len() < calls {
        let lost = answers.iter().find_map(|answer| answer.as_ref().err().cloned());
        let lost = lost.unwrap_or_else(|| Error::new(ErrorKind::IO, "no answer"));
        answers.resize_with(calls, || Err(lost.clone()));
    }
    answers
}

/// Runs calls in one round trip; the first that fails is the error.
async fn ask(node: &Node, calls: &[Vec<String>]) -> Result<Vec<Value>> {
    let answers = node.try_calls(calls).await;
    answers
        .into_iter()
        .zip(calls)
        .map(|(answer, call)| answer.map_err(|error| node.explain(&error, &call.join(" "))))
        .collect()
}

fn strange(node: &Node, call: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Service, message)
        .on("valkey", &node.name, call)
        .hint("nornplan knows Valkey 8 and 9 and Redis 7; if this is one, please report it")
}

/// What a node is; asked for once in the life of its connection.
///
/// # Errors
/// A node that cannot be read, or that nornplan does not know.
pub async fn server(node: &Node) -> Result<&Server> {
    node.server.get_or_try_init(|| read_server(node)).await
}

/// Reads what rules depend on.
async fn read_server(node: &Node) -> Result<Server> {
    let info = node.call(&["INFO", "server"], "INFO server").await?;
    let info = info.as_str_lossy().unwrap_or_default().into_owned();
    let fact = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    // Valkey gives redis_version too: 7.2.4, whatever it is.
    let (product, version) = match fact("valkey_version") {
        Some(version) => ("Valkey", version),
        None => ("Redis", fact("redis_version").ok_or_else(|| strange(node, "INFO server", "it tells no version"))?),
    };
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if major < OLDEST_MAJOR {
        return Err(strange(node, "INFO server", format!("{product} {version} is too old to isolate apps")));
    }
    let mut answers = ask(node, &calls(&[&["COMMAND"], &["ACL", "GETUSER", "default"]])).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Null);
    let mut catalogue = catalogue(next());
    let database_rules = pairs(next()).contains_key("databases");
    // A sentinel has no CONFIG, and saves in a way of its own.
    let is_sentinel = node.part == Part::Sentinel;
    let (aclfile, settings_unread) = if is_sentinel { (None, false) } else { setting(node, "aclfile").await? };
    let (databases, _) = if is_sentinel { (None, false) } else { setting(node, "databases").await? };
    if catalogue.commands.is_empty() {
        return Err(strange(node, "COMMAND", "it lists no commands"));
    }
    if !can_set_users(node).await {
        catalogue.commands.remove("acl|setuser");
    }
    Ok(Server {
        product: product.to_owned(),
        version,
        database_rules,
        cluster: node.part == Part::OfCluster,
        sentinel: node.part == Part::Sentinel,
        behind_sentinels: node.part == Part::BehindSentinels,
        catalogue,
        aclfile: aclfile.filter(|path| !path.is_empty()),
        config_file: fact("config_file"),
        settings_unread,
        admin: node.admin.clone(),
        lacking: BTreeSet::new(),
        databases: databases.and_then(|count| count.parse().ok()),
        strict: false,
    })
}

/// One of its settings, and whether it is kept from us: managed offerings have no CONFIG.
async fn setting(node: &Node, name: &str) -> Result<(Option<String>, bool)> {
    let call = format!("CONFIG GET {name}");
    match node.try_calls(&calls(&[&["CONFIG", "GET", name]])).await.pop() {
        Some(Ok(answer)) => Ok((answer.into_array().into_iter().nth(1).and_then(Value::into_string), false)),
        Some(Err(error)) if is_refusal(&error) => Ok((None, true)),
        Some(Err(error)) => Err(node.explain(&error, &call)),
        None => Err(strange(node, &call, "no answer")),
    }
}

/// Whether `ACL SETUSER` is there, whatever `COMMAND` says: without arguments it does nothing but complain of that.
async fn can_set_users(node: &Node) -> bool {
    match node.try_calls(&calls(&[&["ACL", "SETUSER"]])).await.pop() {
        Some(Err(error)) => !is_unknown(&error),
        Some(Ok(_)) | None => true,
    }
}

/// Reads the answer of `COMMAND`: name, arity, flags, first, last and step of the keys, categories, tips, key
/// specifications, subcommands.
fn catalogue(answer: Value) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let mut open = answer.into_array();
    while let Some(described) = open.pop() {
        let mut parts = described.into_array().into_iter();
        let Some(name) = parts.next().and_then(Value::into_string) else { continue };
        let flags: BTreeSet<String> = parts.by_ref().nth(1).map(strings).into_iter().flatten().collect();
        let has_keys = parts.next().and_then(|first| first.as_i64()).is_some_and(|first| first != 0);
        let categories = parts.by_ref().nth(2).map(strings).into_iter().flatten();
        let categories = categories.map(|name| name.trim_start_matches('@').to_owned()).collect();
        let specifications = parts.by_ref().nth(1).map(Value::into_array).unwrap_or_default();
        // A module may say where its keys are, and not what it does with them.
        let unsaid = specifications.is_empty() && (has_keys || flags.contains("movablekeys"));
        let name = name.to_ascii_lowercase();
        let subcommands = parts.next().map(Value::into_array).unwrap_or_default();
        let command = Command {
            categories,
            contains: !subcommands.is_empty(),
            keys: if unsaid {
                BTreeSet::from([KeyUse::unknown()])
            } else {
                specifications.into_iter().filter_map(|specification| key_use(&name, specification)).collect()
            },
            channels: CHANNEL_COMMANDS.contains(&name.as_str()),
            always: flags.contains("no_auth"),
        };
        catalogue.commands.insert(name, command);
        open.extend(subcommands);
    }
    catalogue
}

/// Commands whose arguments are channels that rules are asked about.
const CHANNEL_COMMANDS: [&str; 5] = ["publish", "spublish", "subscribe", "psubscribe", "ssubscribe"];

/// What a command does with the keys of one specification, if these are keys.
fn key_use(command: &str, specification: Value) -> Option<KeyUse> {
    let mut parts = pairs(specification);
    let flags: BTreeSet<String> = parts.remove("flags").map(strings).into_iter().flatten().collect();
    if flags.contains("not_key") {
        return None;
    }
    let writes = ["insert", "delete", "update"].iter().any(|flag| flags.contains(*flag));
    let needs: &[Need] = match (flags.contains("variable_flags"), command) {
        // Reads only with GET.
        (true, "set") => &[Need::Write, Need::Both],
        // Writes nothing if all that it is asked for is GET.
        (true, "bitfield") => &[Need::Read, Need::Both],
        // The keyword before it says which.
        (true, "georadius" | "georadiusbymember") => &[Need::Write],
        (true, _) => &Need::ALL,
        (false, _) => match (flags.contains("access"), writes) {
            (true, true) => &[Need::Both],
            (true, false) => &[Need::Read],
            (false, true) => &[Need::Write],
            (false, false) => &[Need::Either],
        },
    };
    let mut kind = |part: &str| {
        let mut said = parts.remove(part).map(pairs).unwrap_or_default();
        let kind = said.remove("type").and_then(Value::into_string).unwrap_or_default();
        (kind, said.remove("spec").map(pairs).unwrap_or_default())
    };
    let (begin, _) = kind("begin_search");
    let (find, mut range) = kind("find_keys");
    let sorts = begin == "unknown" && (command == "sort" || command == "sort_ro");
    let needs = match needs {
        // What BY and GET name are patterns.
        [Need::Read] if sorts => &[Need::Unnamed],
        needs => needs,
    };
    let only_one = sorts || (find == "range" && range.remove("lastkey").and_then(|last| last.as_i64()) == Some(0));
    let optional = begin != "index" || find != "range";
    Some(KeyUse { needs: needs.iter().copied().collect(), many: !only_one, optional })
}

/// All users of a node, by name.
///
/// # Errors
/// A node that cannot be read, or that tells of one of `ours` what nornplan does not understand. Other users may be as
/// strange as they like.
pub async fn all_accounts(
    node: &Node,
    server: &Server,
    ours: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Account>> {
    let list = node.call(&["ACL", "LIST"], "ACL LIST").await?;
    if !matches!(list, Value::Array(_)) {
        return Err(strange(node, "ACL LIST", "the answer is no list of users"));
    }
    let mut accounts = BTreeMap::new();
    for line in strings(list) {
        match parse_line(&line, server.database_rules) {
            Ok(account) => drop(accounts.insert(account.user.name.clone(), account)),
            Err(message) if line.split_ascii_whitespace().nth(1).is_none_or(&ours) => {
                return Err(strange(node, "ACL LIST", message));
            }
            Err(_) => {}
        }
    }
    Ok(accounts)
}

/// Some users of a node, by name; absent ones are left out.
pub async fn accounts(node: &Node, server: &Server, names: &BTreeSet<String>) -> Result<BTreeMap<String, Account>> {
    let calls: Vec<Vec<String>> =
        names.iter().map(|name| vec!["ACL".to_owned(), "GETUSER".to_owned(), name.clone()]).collect();
    let answers = ask(node, &calls).await?;
    let there = names.iter().zip(answers);
    there
        .filter_map(|(name, answer)| Some((name.clone(), account(node, server, name, answer).transpose()?)))
        .map(|(name, account)| Ok((name, account?)))
        .collect()
}

/// What `ACL GETUSER` answers; nothing if there is no such user.
pub fn account(node: &Node, server: &Server, name: &str, answer: Value) -> Result<Option<Account>> {
    if answer.is_null() {
        return Ok(None);
    }
    let account = parse_line(&line(name, answer), server.database_rules);
    account.map(Some).map_err(|message| strange(node, "ACL GETUSER", message))
}

/// An answer of `ACL GETUSER` as the line that `ACL LIST` has for the user.
fn line(name: &str, answer: Value) -> String {
    let mut parts = pairs(answer);
    let mut take = |name: &str| parts.remove(name).unwrap_or(Value::Null);
    let mut words = vec!["user".to_owned(), name.to_owned()];
    words.extend(strings(take("flags")));
    words.extend(strings(take("passwords")).map(|hash| format!("#{hash}")));
    let selectors = take("selectors");
    words.extend(["keys", "channels", "databases", "commands"].into_iter().filter_map(|part| text(&take(part))));
    for selector in selectors.into_array() {
        let mut parts = pairs(selector);
        let mut rules = Vec::new();
        for part in ["keys", "channels", "databases", "commands"] {
            rules.extend(parts.remove(part).as_ref().and_then(text).filter(|rules| !rules.is_empty()));
        }
        words.push(format!("({})", rules.join(" ")));
    }
    words.join(" ")
}

pub(super) fn strings(value: Value) -> impl Iterator<Item = String> {
    value.into_array().into_iter().filter_map(|value| text(&value))
}

fn text(value: &Value) -> Option<String> {
    value.as_bytes().map(readable)
}

/// A map as RESP2 sends it: names and values in turn.
pub(super) fn pairs(value: Value) -> BTreeMap<String, Value> {
    let mut items = if value.is_null() { Vec::new() } else { value.into_array() }.into_iter();
    let mut pairs = BTreeMap::new();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        pairs.extend(name.into_string().map(|name| (name, value)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_of_a_lost_connection_passes_for_answered() {
        let lost = || Err(Error::new(ErrorKind::IO, "lost"));
        assert!(one_each(vec![lost()], 3).iter().all(Result::is_err));
        assert_eq!(one_each(Vec::new(), 2).iter().filter(|answer| answer.is_err()).count(), 2);
        let told = one_each(vec![Ok(Value::Null), lost()], 3);
        assert_eq!(told.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false]);
    }
}
