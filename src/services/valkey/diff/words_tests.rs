use super::*;
use crate::services::valkey::acl::{Command, parse_line};
use crate::services::valkey::model::Access;
use serde_json::json;

/// Twenty commands that read, fifteen that write, and some that are neither.
fn catalogue() -> Catalogue {
    let numbered = |name: &'static str, number: usize| (0..number).map(move |place| format!("{name}{place:02}"));
    let of = |categories: &[&str]| Command {
        categories: categories.iter().map(|name| (*name).to_owned()).collect(),
        ..Command::default()
    };
    let reading = numbered("r", 20).map(|name| (name, of(&["read", "fast"])));
    let writing = numbered("w", 15).map(|name| (name, of(&["write", "slow"])));
    let others = ["select", "time", "wait"].map(|name| (name.to_owned(), of(&["fast"])));
    let dangerous = ["flushall", "keys"].map(|name| (name.to_owned(), of(&["dangerous"])));
    Catalogue { commands: reading.chain(writing).chain(others).chain(dangerous).collect() }
}

fn user(rules: &str) -> User {
    parse_line(&format!("user a on {rules}"), true).unwrap().user
}

fn tell(there: &str, wanted: &User, last: Option<&User>) -> Told {
    let catalogue = catalogue();
    Teller::new(Some(&catalogue)).tell(&user(there), wanted, last)
}

/// What a user that nobody has applied yet gets and loses, in words; confined to one database unless its rules say else.
fn told(there: &str, wanted: &str) -> (Vec<String>, Vec<String>) {
    let told = tell(&format!("db=0 {there}"), &user(&format!("db=0 {wanted}")), None);
    let phrases = |value: Option<&serde_json::Value>| -> Vec<String> {
        value.map(|value| serde_json::from_value(value.clone()).unwrap()).unwrap_or_default()
    };
    let change = told.changes.first();
    (phrases(change.map(|change| &change.after)), phrases(change.map(|change| &change.before)))
}

#[test]
fn few_commands_are_named_and_many_are_told_by_category() {
    for (there, wanted, gets, loses) in [
        ("+r00", "+r00 +time", vec!["run time"], vec![]),
        ("+@all", "+@all -time -select", vec![], vec!["run select, time"]),
        ("-@all", "+@read +@write +time", vec!["run 36 commands: all of @read, all of @write, time"], vec![]),
        ("+@read -r00", "+@write", vec!["run 15 commands: all of @write"], vec!["run 19 commands: 19 of @read"]),
        // All but database 0 is gone.
        ("+select", "+select|0", vec![], vec!["run select"]),
        ("+@all -@dangerous", "+select|0 +@read +@write", vec![], vec!["run select, time, wait"]),
    ] {
        assert_eq!(told(there, wanted), (strings(&gets), strings(&loses)), "{there} / {wanted}");
    }
}

fn strings(phrases: &[&str]) -> Vec<String> {
    phrases.iter().map(|phrase| (*phrase).to_owned()).collect()
}

#[test]
fn dangers_are_told_first_with_what_they_open() {
    let (gets, loses) = told("+time +@dangerous", "+time");
    let worst = ["run flushall (delete the keys of all apps)", "run keys (see the names of all keys of all apps)"]
        .map(str::to_owned);
    assert_eq!((gets, loses), (Vec::new(), worst.to_vec()));
    let (_, loses) = told("alldbs +select", "alldbs");
    assert_eq!(loses, ["run select (go to other database numbers)"]);
    let (_, loses) = told("+@all", "-@all");
    assert_eq!(loses[..2], worst);
    assert_eq!(loses[2], "run 38 more commands: all of @read, all of @write, select, time, wait");
}

#[test]
fn a_selector_is_told_by_what_it_opens() {
    let readers = "%R~b:* resetchannels db=0 -@all";
    let with = |there: &str, wanted: &str| told(&format!("~a:* +time {there}"), &format!("~a:* +time {wanted}"));
    let (gets, _) = with("", &format!("({readers} +@read +time)"));
    assert_eq!(gets, ["read b:* in database 0 with 21 commands: all of @read, time"]);
    let (gets, loses) = with(&format!("({readers} +r00 +r01)"), &format!("({readers} +r00 +wait)"));
    assert_eq!(gets, ["read b:* in database 0 with wait"]);
    assert_eq!(loses, ["read b:* in database 0 with r01"]);
    assert_eq!(with("(&x* -@all +time)", "").1, ["listen and send on the channels x* with time"]);
    assert_eq!(with("(~x* -@all +time)", "").1, ["use x* with time"]);
    assert_eq!(with("(-@all +wait)", "").1, ["reach no key with wait"]);
    let many: String = (0..9).map(|number| format!("(~x{number}* -@all +time) ")).collect();
    let (_, loses) = with(&many, "");
    assert_eq!((loses.len(), loses[5].as_str()), (6, "do what 4 more selectors say"));
}

#[test]
fn keys_are_told_by_what_they_open_and_not_by_how_they_are_written() {
    assert_eq!(told("~a:* +time", "~a:* ~a:b:* +time"), (Vec::new(), Vec::new()));
    assert_eq!(told("%R~a:* +time", "~a:* +time").0, ["read and write a:*"]);
    let (_, loses) = told("~* &* +time", "~a:* &a:* +time");
    assert_eq!(loses, ["read and write all keys", "listen and send on all channels"]);
    assert_eq!(told("db=0,2 +time", "db=2 +time").1, ["use database 0"]);
    assert_eq!(told("alldbs +time", "db=2 +time").1, ["use all databases"]);
}

#[test]
fn risks_follow_from_what_comes_and_goes() {
    let risks = |there: &str, wanted: &str| tell(there, &user(wanted), None).risks;
    assert_eq!(risks("+time", "+time +wait"), BTreeSet::from([Risk::WidensAccess]));
    assert_eq!(risks("~a* +time", "~b* +time"), BTreeSet::from([Risk::WidensAccess, Risk::Interrupts]));
    assert_eq!(risks("+time", "+time"), BTreeSet::new());
}

/// A user as an infraspec wants it, with the rules that this means.
fn declared(access: Access, rules: &str) -> User {
    User { access: Some(access), namespace: Some("a".to_owned()), ..user(rules) }
}

fn fields(told: &Told) -> Vec<(&str, Cause)> {
    told.changes.iter().map(|change| (change.field.as_str(), change.cause)).collect()
}

#[test]
fn what_the_infraspec_changes_is_told_as_that_and_only_what_a_hand_changed_by_rules() {
    let (write, read) = ("~a:* +@read +@write", "%R~a:* +@read");
    let (last, wanted) = (declared(Access::Readwrite, write), declared(Access::Readonly, read));
    let edited = tell(write, &wanted, Some(&last));
    assert_eq!(fields(&edited), [("access", Cause::ChangedInSpec)]);
    assert_eq!((&edited.changes[0].before, &edited.changes[0].after), (&json!("readwrite"), &json!("readonly")));
    assert_eq!(edited.risks, BTreeSet::from([Risk::Interrupts]));
    // The same, and somebody gave and took something meanwhile.
    let both = tell("~a:* ~b:* +@read -r00 +@write +flushall", &wanted, Some(&last));
    assert_eq!(fields(&both), [("access", Cause::ChangedInSpec), (RULES_IN_WORDS, Cause::Drifted)]);
    assert_eq!(both.changes[1].before, json!(["run flushall (delete the keys of all apps)", "read and write b:*"]));
    assert_eq!(both.changes[1].after, json!(["run r00"]));
}

#[test]
fn what_no_hand_and_no_infraspec_changed_is_of_the_version() {
    let last = declared(Access::Readonly, "%R~a:* +@read +wait");
    let wanted = declared(Access::Readonly, "%R~a:* +@read +time");
    let told = tell("%R~a:* +@read +wait +flushall", &wanted, Some(&last));
    assert_eq!(fields(&told), [(RULES_IN_WORDS, Cause::Drifted), (RULES_IN_WORDS, Cause::RulesChanged)]);
    assert_eq!(told.changes[0].before, json!(["run flushall (delete the keys of all apps)"]));
    assert_eq!((&told.changes[1].before, &told.changes[1].after), (&json!(["run wait"]), &json!(["run time"])));
}

#[test]
fn what_is_unknown_is_no_difference() {
    let wanted = User { keys: None, commands: None, ..user("+time") };
    assert!(tell("~* +@all", &wanted, None).changes.is_empty());
    let last = User { keys: None, ..declared(Access::Readonly, "+time") };
    let told = tell("~b:* +time", &declared(Access::Readonly, "~a:* +time"), Some(&last));
    // Nobody knows what was applied, so it is no hand's work.
    assert_eq!(fields(&told), [(RULES_IN_WORDS, Cause::RulesChanged)]);
}

#[test]
fn differences_are_told_from_what_was_expected_to_what_is_there() {
    let catalogue = catalogue();
    let teller = Teller::new(Some(&catalogue));
    let changes = teller.differences(&user("~a:* +time"), &user("~a:* ~b:* +wait"));
    let names: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(names, [RULES_IN_WORDS, "keys", "commands"]);
    assert_eq!(changes[0].before, json!(["run time"]));
    assert_eq!(changes[0].after, json!(["run wait", "read and write b:*"]));
}
