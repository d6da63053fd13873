//! nornplan says that two lists of rules are equal if and only if a real server lets users who have them do the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "rules/catalogue.rs"]
mod catalogue;
#[path = "rules/made.rs"]
mod made;
mod support;
#[path = "rules/wire.rs"]
mod wire;

use catalogue::Commands;
use made::{Dice, Made, sample};
use nornplan::core::change::{Resource, three_way};
use nornplan::core::name::AppName;
use nornplan::core::reconcile::Applied;
use nornplan::services::valkey::model::{User, user_address};
use nornplan::services::{Ask, Model, ServiceId};
use std::collections::{BTreeMap, BTreeSet};
use support::{World, variable};
use wire::Wire;

/// Pairs of users in one test; `NORNPLAN_RULE_PAIRS` asks for more, `NORNPLAN_RULE_SEED` for others.
const PAIRS: usize = 400;

const ONE_KEY: [&str; 15] = [
    "xreadgroup group g c streams K >",
    "get K",
    "set K v",
    "set K v get",
    "del K",
    "exists K",
    "incr K",
    "mget K",
    "bitfield K",
    "bitfield K get u4 0",
    "xread streams K 0",
    "eval x 1 K",
    "sort K",
    "object encoding K",
    "move K 1",
];
const TWO_KEYS: [&str; 19] = [
    "xreadgroup group g c streams K L > >",
    "mset K v L v",
    "msetex 2 K v L v",
    "del K L",
    "touch K L",
    "watch K L",
    "xread streams K L 0 0",
    "copy K L",
    "copy K L db 0",
    "copy K L db 1",
    "rename K L",
    "smove K L m",
    "mget K L M",
    "exists K L",
    "lmove K L left left",
    "sort K store L",
    "bitop and K L M",
    "eval x 2 K L",
    "georadius K 1 1 1 m store L",
];
const CHANNELS: [&str; 5] = ["publish C m", "subscribe C", "subscribe C D", "psubscribe C", "psubscribe C D"];
const NO_KEYS: [&str; 17] = [
    "ping b",
    "select 0",
    "select 1",
    "select 2",
    "select 3",
    "select 4",
    "swapdb 0 1",
    "swapdb 1 3",
    "swapdb 3 4",
    "swapdb 2 4",
    "ping a",
    "ping c",
    "echo b",
    "echo c",
    "ping",
    "eval x 0",
    "auth a b",
];

#[derive(Debug)]
struct Pair {
    one: Made,
    other: Made,
}

/// What nornplan reads of users, in the form of a reference where it means the same.
async fn read(world: &World, references: BTreeMap<String, User>) -> BTreeMap<String, User> {
    let app = AppName::new("rules").unwrap();
    let applied = references
        .into_iter()
        .map(|(name, user)| (user_address(&name), Applied { app: app.clone(), model: Model::ValkeyUser(user) }));
    let ask = Ask { applied: applied.collect(), ..Ask::default() };
    let observation = world.service().observe(&ask).await.unwrap_or_else(|error| panic!("{error}"));
    // What is not saved is told beside the users.
    let users = observation.resources.into_iter().filter_map(|(address, observed)| match observed.model {
        Model::ValkeyUser(user) => Some((address.name, user)),
        Model::PostgresRole(_)
        | Model::PostgresDatabase(_)
        | Model::PostgresGrant(_)
        | Model::PostgresLockDown(_)
        | Model::ValkeyDefaultUser(_)
        | Model::ValkeyPersistence(_)
        | Model::ValkeyKeys(_)
        | Model::KafkaUser(_)
        | Model::KafkaTopic(_)
        | Model::KafkaAcl(_)
        | Model::Secret(_) => None,
    });
    users.collect()
}

/// Calls that tell the two users apart if anything does.
fn calls(dice: &mut Dice, pair: &Pair, commands: &Commands, thorough: bool) -> Vec<Vec<String>> {
    let rules: Vec<String> = [&pair.one, &pair.other]
        .iter()
        .flat_map(|made| &made.0)
        .flat_map(|set| set.keys.iter().chain(&set.channels))
        .cloned()
        .collect();
    let patterns = |mark: char| -> BTreeSet<&str> {
        let of_kind = rules.iter().filter(|rule| rule.contains(mark));
        of_kind.filter_map(|rule| Some(rule.split_once(mark)?.1)).collect()
    };
    let many = |dice: &mut Dice, mark: char, number: usize, text: fn(&mut Dice, &str) -> String| -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        for pattern in patterns(mark) {
            texts.extend((0..number).map(|_| text(dice, pattern)));
        }
        texts
    };
    let near = if thorough { 60 } else { 3 };
    let few: Vec<String> =
        many(dice, '~', if thorough { 8 } else { 3 }, sample).into_iter().chain(["a".to_owned()]).collect();
    let mut keys = many(dice, '~', near, made::near);
    keys.extend(["", "a", "b", "ab", "ba", ":", "zz"].map(str::to_owned));
    let keys: Vec<String> = keys.into_iter().collect();
    let channels: Vec<String> = many(dice, '&', near, made::near).into_iter().chain(["a".to_owned()]).collect();
    // K, L and M stand for keys, C and D for channels.
    let mut calls: Vec<Vec<String>> = Vec::new();
    let mut call = |line: &str, names: &[&str; 3]| {
        let word = |word: &str| match word {
            "K" | "C" => names[0].to_owned(),
            "L" | "D" => names[1].to_owned(),
            "M" => names[2].to_owned(),
            _ => word.to_owned(),
        };
        calls.push(line.split(' ').map(word).collect());
    };
    for key in &few {
        let seconds = if thorough { few.clone() } else { vec![dice.pick::<String>(&few).clone()] };
        for second in seconds {
            let third = dice.pick::<String>(&keys);
            TWO_KEYS.iter().for_each(|line| call(line, &[key, &second, third]));
        }
    }
    for key in &keys {
        ONE_KEY.iter().for_each(|line| call(line, &[key, "", ""]));
    }
    for channel in channels.iter().map(String::as_str).chain(patterns('&')) {
        CHANNELS.iter().for_each(|line| call(line, &[channel, dice.pick::<String>(&channels), ""]));
    }
    NO_KEYS.iter().for_each(|line| call(line, &["", "", ""]));
    let some = if thorough { keys.clone() } else { vec![dice.pick::<String>(&keys).clone()] };
    for key in some.iter().chain(thorough.then_some(&few).into_iter().flatten()) {
        calls.extend(commands.calls([key, dice.pick::<String>(&few)]));
    }
    calls.retain(|call| commands.knows(&call[0]));
    calls
}

/// The first call that the server allows to only one of two users.
fn told_apart(wire: &mut Wire, calls: &[Vec<String>], databases: &[&str], users: [&str; 2]) -> Option<String> {
    for database in databases {
        wire.ask(&["SELECT", database]);
        for some in calls.chunks(200) {
            let questions: Vec<Vec<&str>> = users
                .iter()
                .flat_map(|user| some.iter().map(move |call| (*user, call)))
                .map(|(user, call)| {
                    ["ACL", "DRYRUN", user].into_iter().chain(call.iter().map(String::as_str)).collect()
                })
                .collect();
            let answers = wire.ask_all(&questions);
            if let Some((question, error)) = questions.iter().zip(&answers).find(|(_, answer)| answer.is_error()) {
                panic!("{question:?}: {error:?}");
            }
            let (one, other) = answers.split_at(some.len());
            let mut found = some.iter().zip(one).zip(other);
            if let Some(((call, one), other)) = found.find(|((_, one), other)| one.is_ok() != other.is_ok()) {
                return Some(format!("{call:?} in database {database}: {} / {}", one.text(), other.text()));
            }
        }
    }
    None
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[tokio::test]
async fn rules_are_equal_if_and_only_if_the_server_allows_the_same() {
    let pairs = number("NORNPLAN_RULE_PAIRS").map_or(PAIRS, |pairs| usize::try_from(pairs).unwrap());
    let seed = number("NORNPLAN_RULE_SEED").unwrap_or(1);
    let mut wire = Wire::admin();
    let commands = Commands::read(&mut wire);
    let world = World::new(ServiceId::Valkey, "rules");
    let name = |side: &str, place: usize| format!("t-rules-{}-{side}{place}", std::process::id());
    let mut dice = Dice::new(seed);
    let mut made = Vec::new();
    // Some rules are refused: `~a` after `~*`, commands that this version does not have.
    let mut set = |side: &str, place: usize, rules: &Made| {
        let mut words = ["ACL", "SETUSER", &name(side, place), "reset", "on"].map(str::to_owned).to_vec();
        words.extend(rules.words());
        wire.ask(&words).text() == "OK"
    };
    while made.len() < pairs {
        let one = Made::new(&mut dice, &commands);
        let other = match made.len() % 4 {
            0 | 1 => one.said_otherwise(&mut dice, &commands),
            2 => one.nearly(&mut dice, &commands),
            _ => one.said_otherwise(&mut dice, &commands).nearly(&mut dice, &commands),
        };
        if set("a", made.len(), &one) && set("b", made.len(), &other) {
            made.push(Pair { one, other });
        }
    }
    let blank = (0..pairs).map(|place| (name("a", place), User::new(name("a", place))));
    let ones = read(&world, blank.collect()).await;
    let as_one = (0..pairs).map(|place| (name("b", place), ones[&name("a", place)].clone()));
    let others = read(&world, as_one.collect()).await;
    let (mut equal, mut wrong) = (0, Vec::new());
    for (place, pair) in made.iter().enumerate() {
        let (a, b) = (name("a", place), name("b", place));
        let said_equal = three_way(&ones[&a].fields(), &others[&b].fields(), None).changes.is_empty();
        let confined = format!("{pair:?}").contains("db");
        let databases: &[&str] = if confined { &["0", "1", "3", "4"] } else { &["0"] };
        let first = &databases[..databases.len().min(2)];
        let mut apart = told_apart(&mut wire, &calls(&mut dice, pair, &commands, false), first, [&a, &b]);
        if apart.is_none() && !said_equal {
            apart = told_apart(&mut wire, &calls(&mut dice, pair, &commands, true), databases, [&a, &b]);
        }
        equal += usize::from(apart.is_none());
        if said_equal != apart.is_none() {
            wrong.push(format!(
                "{:?}\n{:?}\nsaid equal: {said_equal}, told apart by {apart:?}",
                pair.one.words(),
                pair.other.words()
            ));
        }
    }
    let names: Vec<Vec<String>> = (0..pairs)
        .map(|place| ["ACL".to_owned(), "DELUSER".to_owned(), name("a", place), name("b", place)].to_vec())
        .collect();
    wire.ask_all(&names);
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {pairs} wrong\n{}",
        wrong.len(),
        wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n\n")
    );
    assert!(equal > pairs / 4 && equal < pairs * 3 / 4, "{equal} of {pairs} are equal: these rules test one side only");
}
