//! What commands open that no preset has: for those who ask for them by `commands`. Pure.
//!
//! The categories are those of Valkey 9.1; those of Redis 7.0 are the same, for what it has.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Commands that lead beyond what an app's keys and channels say, all with the same categories.
struct Danger {
    commands: &'static str,
    categories: &'static str,
    /// What they let an app do.
    opens: &'static str,
}

const ADMIN: &str = "admin dangerous slow";

/// The worst first.
const DANGERS: [Danger; 46] = [
    Danger {
        commands: "acl|setuser acl|deluser acl|load acl|save",
        categories: ADMIN,
        opens: "give itself every right and take others' away",
    },
    Danger {
        commands: "module|list module|load module|loadex module|unload",
        categories: ADMIN,
        opens: "run any code in the server",
    },
    Danger {
        commands: "config|set config|rewrite config|resetstat",
        categories: ADMIN,
        opens: "change the server's configuration",
    },
    Danger { commands: "monitor", categories: ADMIN, opens: "see every command of every app with its values" },
    Danger { commands: "psync sync replconf", categories: ADMIN, opens: "copy all data of all apps" },
    Danger { commands: "flushall", categories: "dangerous keyspace slow write", opens: "delete the keys of all apps" },
    Danger {
        commands: "replicaof slaveof failover",
        categories: ADMIN,
        opens: "lose all data of all apps by making the server a replica",
    },
    Danger { commands: "shutdown", categories: ADMIN, opens: "stop the server" },
    Danger {
        commands: "config|get",
        categories: ADMIN,
        opens: "read the server's configuration and what is secret in it",
    },
    Danger {
        commands: "acl|list acl|getuser acl|users acl|log acl|dryrun",
        categories: ADMIN,
        opens: "read the rules and password hashes of all users",
    },
    Danger { commands: "debug", categories: ADMIN, opens: "crash and stall the server" },
    Danger {
        commands: "keys",
        categories: "dangerous keyspace read slow",
        opens: "see the names of all keys of all apps",
    },
    Danger {
        commands: "scan clusterscan",
        categories: "keyspace read slow",
        opens: "see the names of all keys of all apps",
    },
    Danger { commands: "cluster|getkeysinslot", categories: "slow", opens: "see the names of all keys of all apps" },
    Danger { commands: "cluster|countkeysinslot", categories: "slow", opens: "count the keys of all apps" },
    // These find keys by what is in them, whatever keys the user has.
    Danger {
        commands: "ft.search ft.aggregate ft.create ft.dropindex ts.mget ts.mrange ts.mrevrange ts.queryindex",
        categories: "search timeseries",
        opens: "find the keys of all apps by what is in them",
    },
    Danger { commands: "randomkey", categories: "keyspace read slow", opens: "see the names of other apps' keys" },
    Danger { commands: "dbsize", categories: "fast keyspace read", opens: "count the keys of all apps" },
    Danger {
        commands: "flushdb",
        categories: "dangerous keyspace slow write",
        opens: "delete all keys of its database",
    },
    Danger { commands: "swapdb", categories: "dangerous fast keyspace write", opens: "exchange whole databases" },
    Danger { commands: "move", categories: "fast keyspace write", opens: "write to other database numbers" },
    Danger { commands: "select", categories: "connection fast", opens: "go to other database numbers" },
    Danger {
        commands: "migrate",
        categories: "dangerous keyspace slow write",
        opens: "have the server connect elsewhere and send keys there",
    },
    Danger {
        commands: "restore restore-asking",
        categories: "dangerous keyspace slow write",
        opens: "load serialised values that can crash the server",
    },
    Danger {
        commands: "client|tracking",
        categories: "connection slow",
        opens: "be told the names of the keys that other apps use",
    },
    Danger {
        commands: "client|import-source",
        categories: "connection slow",
        opens: "keep the keys of all apps from expiring",
    },
    Danger {
        commands: "client|list",
        categories: "admin connection dangerous slow",
        opens: "see who else is connected and what they run",
    },
    Danger {
        commands: "client|kill client|pause client|unpause client|unblock client|no-evict",
        categories: "admin connection dangerous slow",
        opens: "end and stop the connections of other apps",
    },
    Danger {
        commands: "pubsub|channels pubsub|shardchannels",
        categories: "pubsub slow",
        opens: "see the names of all channels of all apps",
    },
    Danger {
        commands: "function|load function|delete function|flush function|restore",
        categories: "scripting slow write",
        opens: "replace and remove the functions of other apps",
    },
    Danger {
        commands: "function|list function|dump",
        categories: "scripting slow",
        opens: "read the functions of other apps",
    },
    Danger {
        commands: "function|stats",
        categories: "scripting slow",
        opens: "see which functions of other apps run, and with what arguments",
    },
    Danger { commands: "script|show", categories: "scripting slow", opens: "read the scripts of other apps" },
    Danger {
        commands: "script|flush script|kill function|kill",
        categories: "scripting slow",
        opens: "stop and remove the scripts of other apps",
    },
    Danger { commands: "script|debug", categories: "scripting slow", opens: "stop the server in a debugger" },
    Danger {
        commands: "slowlog|get slowlog|len slowlog|reset commandlog|get commandlog|len commandlog|reset",
        categories: ADMIN,
        opens: "read other apps' commands with their values",
    },
    Danger {
        commands: "latency|doctor latency|graph latency|histogram latency|history latency|latest latency|reset",
        categories: ADMIN,
        opens: "read and reset the server's measurements",
    },
    Danger { commands: "memory|stats cluster|slot-stats", categories: "slow", opens: "count the keys of all apps" },
    Danger {
        commands: "memory|purge",
        categories: "slow",
        opens: "stall the server while it gives memory back to the system",
    },
    // With no source, servers look up no key of it, and let it make any.
    Danger { commands: "pfmerge", categories: "hyperloglog slow write", opens: "make keys among those of other apps" },
    Danger { commands: "pfdebug", categories: "admin dangerous hyperloglog slow write", opens: "stall the server" },
    Danger { commands: "pfselftest", categories: "admin dangerous hyperloglog slow", opens: "stall the server" },
    Danger {
        commands: "save bgsave bgrewriteaof",
        categories: ADMIN,
        opens: "stall the server while it writes all data to disk",
    },
    Danger {
        commands: "cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|cancelslotmigrations \
                   cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget \
                   cluster|meet cluster|migrateslots cluster|replicate cluster|reset cluster|saveconfig \
                   cluster|set-config-epoch cluster|setslot cluster|syncslots",
        categories: ADMIN,
        opens: "take the cluster apart",
    },
    Danger {
        commands: "cluster|flushslot",
        categories: "admin dangerous keyspace slow write",
        opens: "delete the keys of all apps",
    },
    Danger {
        commands: "cluster|count-failure-reports cluster|getslotmigrations cluster|replicas cluster|slaves",
        categories: ADMIN,
        opens: "read how the cluster fares",
    },
];

/// The commands of all dangers.
static NAMES: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| DANGERS.iter().flat_map(|danger| danger.commands.split_ascii_whitespace()).collect());

/// Whether a command leads beyond what a user's keys and channels say.
pub fn leads_beyond(command: &str) -> bool {
    NAMES.contains(command)
}

/// What some commands lead to beyond keys and channels, the worst first, each with those that do. `confined`: whether rules
/// confine whoever runs them to databases; `whole_database`: see [`opened`].
pub fn worst(commands: &BTreeSet<String>, confined: bool, whole_database: bool) -> Vec<(Vec<&str>, &'static str)> {
    let mut worst: Vec<(Vec<&str>, &str)> = Vec::new();
    let harmless =
        |name: &&str| confined && BETWEEN_DATABASES.contains(name) || whole_database && OF_ITS_DATABASE.contains(name);
    for danger in &DANGERS {
        let names = danger.commands.split_ascii_whitespace().filter_map(|name| commands.get(name)).map(String::as_str);
        let names: Vec<&str> = names.filter(|name| !harmless(name)).collect();
        match worst.iter_mut().find(|(_, opens)| *opens == danger.opens) {
            Some((known, _)) => known.extend(names),
            None if names.is_empty() => {}
            None => worst.push((names, danger.opens)),
        }
    }
    worst
}

/// The first danger that is a nuisance or a leak; those before it, the worst, come to having the server with all that is
/// on it.
const FIRST_OF_LESS: &str = "config|get";

/// Whether rules that follow those of a preset give the whole server away.
pub fn has_the_server(rules: &[String]) -> bool {
    let commands = |danger: &Danger| danger.commands.split_ascii_whitespace();
    let opens = |danger: &Danger| commands(danger).any(|name| opens_it(rules, name, danger.categories).is_some());
    DANGERS.iter().take_while(|danger| danger.commands != FIRST_OF_LESS).any(opens)
}

/// What leads from one database number to another. Valkey 9 confines it to those of the user (`db=`), so that it opens
/// nothing there; what it opens elsewhere is told where the server is known.
const BETWEEN_DATABASES: [&str; 2] = ["move", "select"];

/// The rules by which rules that follow those of a preset lead to other database numbers, where the server cannot confine
/// them to one.
pub fn between_databases(rules: &[String]) -> Vec<&str> {
    let dangers = DANGERS.iter().filter(|danger| BETWEEN_DATABASES.contains(&danger.commands));
    let places = dangers.filter_map(|danger| opens_it(rules, danger.commands, danger.categories));
    let mut rules: Vec<&str> = places.filter_map(|place| rules.get(place)).map(String::as_str).collect();
    rules.dedup();
    rules
}

/// Commands that act on one database alone: harmless to others where an app has a whole one.
const OF_ITS_DATABASE: [&str; 5] = ["keys", "scan", "randomkey", "dbsize", "flushdb"];

/// What rules open that follow those of a preset, each by its place among them: replayed in order, so that what a later
/// rule takes away again is not told. `whole_database`: whether no other app has keys in the same database.
pub fn opened(rules: &[String], whole_database: bool) -> Vec<(usize, Vec<&'static str>)> {
    let mut opened: Vec<(usize, Vec<&'static str>)> = Vec::new();
    for danger in &DANGERS {
        let commands = danger.commands.split_ascii_whitespace();
        let commands = commands.filter(|command| !BETWEEN_DATABASES.contains(command));
        let commands = commands.filter(|command| !(whole_database && OF_ITS_DATABASE.contains(command)));
        for place in commands.filter_map(|command| opens_it(rules, command, danger.categories)) {
            match opened.iter_mut().find(|(known, _)| *known == place) {
                Some((_, told)) if told.contains(&danger.opens) => {}
                Some((_, told)) => told.push(danger.opens),
                None => opened.push((place, vec![danger.opens])),
            }
        }
    }
    for (place, _) in rules.iter().enumerate().filter(|(_, rule)| is_of_unknown_module(rule)) {
        if !opened.iter().any(|(known, _)| *known == place) {
            opened.push((place, vec![OF_AN_UNKNOWN_MODULE]));
        }
    }
    opened.sort_by_key(|(place, _)| *place);
    opened
}

/// Modules whose commands take the keys that they name and no others: a point parts the names of modules from the rest.
const MODULES: [&str; 7] = ["bf", "cf", "cms", "json", "tdigest", "topk", "ts"];

const OF_AN_UNKNOWN_MODULE: &str = "run a command of a module, which may do anything";

fn is_of_unknown_module(rule: &str) -> bool {
    let module = rule.strip_prefix('+').and_then(|name| name.split_once('.'));
    module.is_some_and(|(module, _)| !MODULES.contains(&module))
}

/// The place of the rule by which a command is open in the end.
fn opens_it(rules: &[String], command: &str, categories: &str) -> Option<usize> {
    let concerns = |name: &str| match name.strip_prefix('@') {
        Some(category) => category == "all" || categories.split_ascii_whitespace().any(|one| one == category),
        None => name == command || command.split_once('|').is_some_and(|(container, _)| container == name),
    };
    // A first argument (`+select|3`) opens a part, and cannot be taken away.
    let opens_part =
        |name: &str| !command.contains('|') && name.split_once('|').is_some_and(|(whole, _)| whole == command);
    rules.iter().enumerate().fold(None, |open, (place, rule)| match (rule.strip_prefix('+'), rule.strip_prefix('-')) {
        (Some(name), _) if concerns(name) || opens_part(name) => Some(place),
        (_, Some(name)) if concerns(name) => None,
        (Some(_) | None, Some(_) | None) => open,
    })
}

#[cfg(test)]
mod tests {
    use super::super::presets;
    use super::*;

    fn rules(rules: &[&str]) -> Vec<String> {
        rules.iter().map(|rule| (*rule).to_owned()).collect()
    }

    fn told(some: &[&str], whole: bool) -> Vec<(usize, Vec<&'static str>)> {
        opened(&rules(some), whole)
    }

    #[test]
    fn no_preset_opens_any_of_it() {
        for preset in presets::all() {
            let mut rules: Vec<&str> = preset.split_ascii_whitespace().collect();
            rules.extend(["-move", "-select"]);
            assert_eq!(told(&rules, false), []);
        }
    }

    #[test]
    fn what_a_rule_opens_is_told_unless_a_later_one_closes_it() {
        assert_eq!(told(&["+get", "+keys"], false), [(1, vec!["see the names of all keys of all apps"])]);
        assert_eq!(told(&["+keys"], true), []);
        assert_eq!(told(&["+@read", "-@dangerous", "-scan", "-randomkey", "-dbsize", "-clusterscan"], false), []);
        assert_eq!(told(&["+client|kill"], false), [(0, vec!["end and stop the connections of other apps"])]);
        let client = told(&["+client", "-client|list"], false);
        assert!(client[0].1.contains(&"be told the names of the keys that other apps use"));
        assert!(!client[0].1.contains(&"see who else is connected and what they run"));
        assert_eq!(told(&["+select|3"], false), []);
        assert_eq!(told(&["+json.set", "+ts.add", "-ft.search"], false), []);
        for rule in ["+ft.search", "+ft._list", "+@search", "+ts.mrange", "+rg.pyexecute"] {
            assert_eq!(told(&["+json.set", rule], false).len(), 1, "{rule}");
        }
        assert!(told(&["+@all"], false)[0].1.len() > 30);
    }

    #[test]
    fn what_leads_to_other_databases_is_told_by_itself() {
        assert_eq!(between_databases(&rules(&["+get", "+select|3"])), ["+select|3"]);
        assert_eq!(between_databases(&rules(&["+@all", "-move", "+@connection"])), ["+@connection"]);
        assert_eq!(between_databases(&rules(&["+@all"])), ["+@all"]);
        assert!(between_databases(&rules(&["+select", "-select", "+get", "+@read"])).is_empty());
    }

    #[test]
    fn the_worst_have_the_server() {
        assert!(has_the_server(&rules(&["+config|set"])) && has_the_server(&rules(&["+@admin"])));
        assert!(has_the_server(&rules(&["+shutdown"])) && !has_the_server(&rules(&["+config|get"])));
        assert!(!has_the_server(&rules(&["+keys"])) && !has_the_server(&rules(&["+@admin", "-@all", "+scan"])));
    }
}
