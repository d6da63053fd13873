//! What a server cannot do, whoever consents: the reason stands in the plan, and that step does not run. Pure.

use crate::core::suggest::closest;
use crate::error::{Diagnostic, Kind, Place};
use crate::services::Observation;
use crate::services::valkey::acl::Catalogue;
use crate::services::valkey::dangers::between_databases;
use crate::services::valkey::model::User;
use crate::services::valkey::presets::Server;
use crate::spec::model::App;
use std::collections::BTreeSet;

/// Why a user cannot be made as it is declared on this server, and what to do instead.
pub fn impossible(user: &User, server: &Server) -> Option<String> {
    let is_there = |db: &u32| server.databases.is_none_or(|count| *db < count);
    let db = user.db.filter(|db| !is_there(db)).map(|db| above(db, server));
    let whole = user.whole_database == Some(true);
    let confine = || {
        let needs = whole || user.reads_databases.as_ref().is_some_and(|databases| !databases.is_empty());
        (needs && !server.database_rules).then(|| no_isolation(whole, server))
    };
    let unknown = || user.more_commands.iter().flatten().find_map(|rule| unknown(rule, server));
    let strays = || user.more_commands.as_ref().and_then(|rules| strays(rules, server)).filter(|_| server.strict);
    db.or_else(confine).or_else(unknown).or_else(strays)
}

/// That rules lead to other database numbers here, and what to do about it.
pub fn strays(rules: &[String], server: &Server) -> Option<String> {
    let opening = between_databases(rules);
    (!server.database_rules && !opening.is_empty()).then(|| {
        format!(
            "{} in commands leads it to other database numbers, where {} cannot confine it: leave it out, or use Valkey 9",
            opening.join(" and "),
            server.describe()
        )
    })
}

/// That an app without a user of its own would be sent to a database that is not there. `place` is where it asks for it.
pub fn no_such_database(app: &App, place: Place, observation: &Observation) -> Option<Diagnostic> {
    let server: Server = serde_json::from_value(observation.server.clone()).ok()?;
    let db = app.kv.as_ref()?.db;
    let is_there = server.databases.is_none_or(|count| db < count);
    (!is_there).then(|| Diagnostic::new(Kind::Spec, above(db, &server)).at(place))
}

/// That a database number is not there.
fn above(db: u32, server: &Server) -> String {
    let count = server.databases.unwrap_or_default();
    format!(
        "there is no database {db} here: {} has {count}, numbered from 0. Choose a smaller db, or raise `databases` in the \
         server's configuration and restart it",
        server.describe()
    )
}

fn no_isolation(its_own: bool, server: &Server) -> String {
    let server = server.describe();
    if its_own {
        format!(
            "database numbers do not isolate on {server}: whoever has all keys of one has those of all. Use a namespace, \
             or Valkey 9; `shared = true` goes without any isolation"
        )
    } else {
        format!(
            "database numbers do not isolate on {server}, so that it cannot be let into one alone. Take it out of the \
             readers of apps with namespace = false, or use Valkey 9"
        )
    }
}

/// Why a command rule is none here, if it is not.
fn unknown(rule: &str, server: &Server) -> Option<String> {
    let Catalogue { commands } = &server.catalogue;
    let name = rule.trim_start_matches(['+', '-']);
    let (kind, known): (&str, BTreeSet<String>) = match name.strip_prefix('@') {
        Some(_) => {
            let all = commands.values().flat_map(|command| &command.categories);
            ("category", all.map(|category| format!("@{category}")).chain(["@all".to_owned()]).collect())
        }
        None => ("command", commands.keys().cloned().collect()),
    };
    // A first argument (`select|3`) is no subcommand.
    let with_argument = || {
        let (command, _) = name.split_once('|')?;
        let inside = format!("{command}|");
        (known.contains(command) && !known.iter().any(|other| other.starts_with(&inside))).then_some(())
    };
    if known.contains(name) || with_argument().is_some() {
        return None;
    }
    let near = closest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean {near}?"));
    let next = near.unwrap_or_else(|| format!("correct {rule:?} in commands, or leave it out"));
    Some(format!("{} has no {kind} {name}: {next}", server.describe()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::valkey::acl::Command;

    fn server() -> Server {
        let mut catalogue = Catalogue::of(["get", "select", "config", "config|get", "json.set"]);
        let read = Command { categories: BTreeSet::from(["read".to_owned()]), ..Command::default() };
        catalogue.commands.insert("get".to_owned(), read);
        let (product, version) = ("Redis".to_owned(), "7.0.15".to_owned());
        Server { product, version, catalogue, databases: Some(16), ..Server::default() }
    }

    fn why(change: impl FnOnce(&mut User)) -> String {
        let mut user = User::new("mail");
        change(&mut user);
        impossible(&user, &server()).unwrap_or_default()
    }

    #[test]
    fn what_a_server_lacks_is_named_with_what_to_do() {
        assert_eq!(why(|user| user.db = Some(15)), "");
        assert!(why(|user| user.db = Some(16)).starts_with("there is no database 16 here: Redis 7.0.15 has 16"));
        assert!(why(|user| user.whole_database = Some(true)).contains("do not isolate on Redis 7.0.15"));
        assert!(why(|user| user.reads_databases = Some(BTreeSet::from([2]))).contains("cannot be let into one alone"));
        let unlimited = Server { databases: None, database_rules: true, ..server() };
        let user = User { db: Some(99), whole_database: Some(true), ..User::new("mail") };
        assert_eq!(impossible(&user, &unlimited), None);
    }

    #[test]
    fn what_leads_to_other_databases_is_told_where_nothing_confines_it_and_refused_where_it_is_strict() {
        let user = User { more_commands: Some(vec!["+select|3".to_owned()]), ..User::new("mail") };
        let rules = user.more_commands.clone().unwrap();
        assert_eq!(impossible(&user, &server()), None);
        assert!(strays(&rules, &server()).unwrap().starts_with("+select|3 in commands leads it to other database"));
        let strict = Server { strict: true, ..server() };
        assert_eq!(impossible(&user, &strict), strays(&rules, &strict));
        assert_eq!(impossible(&user, &Server { database_rules: true, ..strict }), None);
    }

    #[test]
    fn commands_that_the_server_does_not_have_are_named() {
        let rules = |rules: &[&str]| {
            let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
            why(|user| user.more_commands = Some(rules))
        };
        assert_eq!(rules(&["+get", "-config|get", "+config", "+select|3", "+@read", "-@all", "+json.set"]), "");
        assert!(rules(&["+get", "+gett"]).starts_with("Redis 7.0.15 has no command gett: did you mean get?"));
        assert!(rules(&["+@raed"]).starts_with("Redis 7.0.15 has no category @raed: did you mean @read?"));
        assert!(rules(&["+config|gte"]).contains("did you mean config|get?"));
    }
}
