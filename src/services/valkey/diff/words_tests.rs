use super::*;
use crate::services::valkey::acl::{Command, parse_line};

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
    Catalogue { commands: reading.chain(writing).chain(others).collect() }
}

fn told(there: &str, wanted: &str) -> Told {
    let catalogue = catalogue();
    let user = |rules: &str| parse_line(&format!("user a on {rules}"), true).unwrap().user;
    Teller::new(Some(&catalogue)).tell(&user(there), &user(wanted))
}

#[test]
fn few_commands_are_named_and_many_are_told_by_category() {
    for (there, wanted, notes) in [
        ("+r00", "+r00 +time", vec!["gives commands: time"]),
        ("+@all", "+@all -time -select", vec!["takes commands away: select, time"]),
        ("-@all", "+@all", vec!["gives 38 commands: all of @read, all of @write, select, time, wait"]),
        ("+@read -r00", "+@write", vec!["gives 15 commands: all of @write", "takes 19 commands away: 19 of @read"]),
        // All but database 0 is gone.
        ("+select", "+select|0", vec!["takes commands away: select"]),
        ("+@all", "+select|0 +@read +@write", vec!["takes commands away: select, time, wait"]),
    ] {
        assert_eq!(told(there, wanted).notes, notes, "{there} / {wanted}");
    }
}

#[test]
fn a_selector_is_told_by_what_it_opens() {
    let readers = "%R~b:* resetchannels db=0 -@all";
    let told = |there: &str, wanted: &str| told(&format!("~a:* +time {there}"), &format!("~a:* +time {wanted}"));
    let given = told("", &format!("({readers} +@read +time)"));
    assert_eq!(given.notes, ["gives 21 commands on %R~b:* db=0: all of @read, time"]);
    assert_eq!(given.risks, BTreeSet::from([Risk::WidensAccess]));
    let changed = told(&format!("({readers} +r00 +r01)"), &format!("({readers} +r00 +wait)"));
    assert_eq!(changed.notes, ["gives commands on %R~b:* db=0: wait", "takes commands away on %R~b:* db=0: r01"]);
    let taken = told("(&x* -@all +time)", "");
    assert_eq!(taken.notes, ["takes commands away on &x*: time"]);
    assert_eq!(taken.risks, BTreeSet::from([Risk::Interrupts]));
}

#[test]
fn many_selectors_are_counted_and_what_is_wanted_is_told_first() {
    let many: String = (0..100).map(|one| format!(" (~a{one} -@all +w00)")).collect();
    let told = told(&format!("~a:* +time{many}"), "~a:* +time (%R~z:* -@all +r00)");
    assert_eq!(told.notes.len(), 6, "{:?}", told.notes);
    assert_eq!(told.notes.first().unwrap(), "gives commands on %R~z:*: r00");
    assert_eq!(told.notes.last().unwrap(), "and 96 more selectors change");
    assert_eq!(told.risks, BTreeSet::from([Risk::Interrupts, Risk::WidensAccess]));
}

#[test]
fn keys_are_told_by_what_they_open_and_not_by_how_they_are_written() {
    assert_eq!(told("~a:* +time", "~a:* ~a:b:* +time").notes, Vec::<String>::new());
    assert_eq!(told("%R~a:* +time", "~a:* +time").notes, ["gives keys: ~a:*"]);
    assert_eq!(told("~* &* +time", "~a:* &a:* +time").notes, ["takes keys away: ~*", "takes channels away: &*"]);
}
