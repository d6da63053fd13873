use super::super::parse_line;
use super::*;

/// Name, categories, and of what it names: `r`ead keys, `w`ritten keys, `c`hannels.
const COMMANDS: [(&str, &[&str], &str); 10] = [
    ("get", &["read"], "r"),
    ("set", &["write"], "w"),
    ("del", &["write"], "w"),
    ("copy", &["write"], "rw"),
    ("publish", &["pubsub"], "c"),
    ("select", &["connection"], ""),
    ("config", &["slow"], ""),
    ("config|get", &["dangerous", "slow"], ""),
    ("config|set", &["dangerous", "slow"], ""),
    ("flushall", &["write", "dangerous"], ""),
];

fn catalogue() -> Catalogue {
    let command = |categories: &[&str], names: &str| Command {
        categories: categories.iter().map(|category| (*category).to_owned()).collect(),
        reads: names.contains('r'),
        writes: names.contains('w'),
        channels: names.contains('c'),
    };
    let commands = COMMANDS.iter().map(|(name, categories, names)| ((*name).to_owned(), command(categories, names)));
    Catalogue { commands: commands.collect() }
}

fn user(rules: &str) -> User {
    parse_line(&format!("user a on {rules}"), true).unwrap().user
}

fn same(one: &str, other: &str) -> bool {
    Meaning::new(&catalogue()).same(&user(one), &user(other))
}

#[test]
fn commands_are_compared_by_what_is_allowed() {
    for (one, other) in [
        ("-@all +get +@read", "-@all +@read"),
        ("-@all +config", "-@all +config|get +config|set"),
        ("-@all +@slow", "-@all +config|get +config|set"),
        ("+@all -@dangerous", "-@all +@read +@write +@connection +@pubsub -flushall"),
        ("-@all +select|0 +select", "-@all +select"),
        ("-@all +select +select|0 -select", "-@all"),
    ] {
        assert!(same(one, other), "{one} / {other}");
    }
    for (one, other) in [
        ("-@all +select|0", "-@all +select"),
        ("-@all +select|0", "-@all +select|1"),
        ("~a -@all +get -@read", "~a -@all -@read +get"),
        ("-@all +@unheard", "-@all +@unheard +get"),
    ] {
        assert!(!same(one, other), "{one} / {other}");
    }
}

#[test]
fn patterns_count_as_far_as_commands_reach_them() {
    for (one, other) in [
        ("~a* ~ab +get", "~a* +get"),
        ("~a +get", "%R~a +get"),
        ("~a +set", "%W~a +set"),
        ("&x ~a +get", "~a +get"),
        ("~a +config", "~b +config"),
        ("~a -@all", "~b &x -@all"),
    ] {
        assert!(same(one, other), "{one} / {other}");
    }
    for (one, other) in [
        ("~a +get +set", "%R~a +get +set"),
        ("~a +copy", "%R~a +copy"),
        ("&x +publish", "&y +publish"),
        // Who may subscribe to `a*` may not subscribe to `ab` unless it says so.
        ("&a* &ab +publish", "&a* +publish"),
        ("~* +get", "~** +get"),
        ("db=0 ~a +get", "~a +get"),
    ] {
        assert!(!same(one, other), "{one} / {other}");
    }
}

#[test]
fn a_selector_that_gives_nothing_new_is_none() {
    assert!(same("~a* +get (~ab -@all +get)", "~a* +get"));
    assert!(same("~a +get +set", "~a +get (~a -@all +set)"));
    // A command has to be allowed whole by one of them.
    assert!(!same("~a ~b +copy", "~a +copy (~b -@all +copy)"));
}

#[test]
fn other_words_for_the_same_rules_are_no_drift() {
    let parse = |text: &str| parse_line(text, false).unwrap().user;
    let catalogue = catalogue();
    let meaning = Meaning::new(&catalogue);
    let wanted = parse("user a on ~a:* -@all +@write -flushall (%R~b:* -@all +@read)");
    let mut there = parse("user a on ~a:* -@all +set +del +copy (%R~b:* -@all +get)");
    assert!(differ_in_text(&there, &wanted));
    meaning.speak_like(&mut there, &wanted);
    assert_eq!(there, wanted);
    let mut more = parse("user a on ~a:* -@all +set +del +copy +flushall (%R~b:* -@all +get)");
    meaning.speak_like(&mut more, &wanted);
    assert_ne!(more.commands, wanted.commands);
    assert_eq!(more.selectors, wanted.selectors);
}
