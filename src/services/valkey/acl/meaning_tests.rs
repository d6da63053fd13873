use super::super::{Command, KeyUse, Need, parse_line};
use super::*;

/// Name, categories, and what it names: a key that it `r`eads, `w`rites, does `b`oth with or `e`ither, `m`any that it
/// reads, `s`ome that it does not name, `c`hannels; `a`: anybody may
/// call it, `+`: it has subcommands.
const COMMANDS: [(&str, &[&str], &str); 16] = [
    ("sort", &["fast"], "rs"),
    ("auth", &["connection"], "a"),
    ("exists", &["fast"], "e"),
    ("incr", &["fast"], "b"),
    ("mget", &["fast"], "m"),
    ("psubscribe", &["pubsub"], "c"),
    ("get", &["read"], "r"),
    ("set", &["write"], "w"),
    ("del", &["write"], "w"),
    ("copy", &["write"], "rw"),
    ("publish", &["pubsub"], "c"),
    ("select", &["connection"], ""),
    ("config", &["slow"], "+"),
    ("config|get", &["dangerous", "slow"], ""),
    ("config|set", &["dangerous", "slow"], ""),
    ("flushall", &["write", "dangerous"], ""),
];

fn catalogue() -> Catalogue {
    let key = |what: char| {
        let need = match what {
            'e' => Need::Either,
            'r' => Need::Read,
            'w' => Need::Write,
            'b' => Need::Both,
            's' => Need::Unnamed,
            'm' => return Some(KeyUse { needs: BTreeSet::from([Need::Read]), many: true, optional: false }),
            _ => return None,
        };
        Some(KeyUse { needs: BTreeSet::from([need]), many: false, optional: false })
    };
    let command = |categories: &[&str], names: &str| Command {
        categories: categories.iter().map(|category| (*category).to_owned()).collect(),
        keys: names.chars().filter_map(key).collect(),
        channels: names.contains('c'),
        contains: names.contains('+'),
        always: names.contains('a'),
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
        ("~[ab]:* +get", "~a:* ~b:* +get"),
        ("%R~a* %W~ab +get +set", "%R~a* ~ab +get +set"),
        ("%W~a +exists", "%R~a +exists"),
        ("~a +get +auth", "~a +get"),
        ("db=0 +select", "db=0 +select|0"),
        ("db=0 +config", "+config"),
        ("~a +config", "~b +config"),
        ("~a -@all", "~b &x -@all"),
    ] {
        assert!(same(one, other), "{one} / {other}");
    }
    for (one, other) in [
        ("~a +get +set", "%R~a +get +set"),
        ("~a +copy", "%R~a +copy"),
        // One pattern has to give both.
        ("%R~a* %W~ab +incr", "%R~a* ~ab +incr"),
        ("%R~a %W~a* +exists", "%R~a +exists"),
        ("&x +publish", "&y +publish"),
        // Who may subscribe to the pattern `a*` may not subscribe to the pattern `ab` unless it says so.
        ("&a* &ab +psubscribe", "&a* +psubscribe"),
        ("~* +sort", "~** +sort"),
        ("db=0 ~a +get", "~a +get"),
    ] {
        assert!(!same(one, other), "{one} / {other}");
    }
}

#[test]
fn a_selector_that_gives_nothing_new_is_none() {
    assert!(same("~a* +get (~ab -@all +get)", "~a* +get"));
    assert!(same("~a +get +set", "~a +get (~a -@all +set)"));
    assert!(same("~a ~b +get", "~a +get (~b -@all +get)"));
    assert!(same("&a* &ab +publish", "&a* +publish"));
    // A command has to be allowed whole by one of them.
    assert!(!same("~a ~b +mget", "~a +mget (~b -@all +mget)"));
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

/// What a server says may be made so that telling what it means takes longer than anybody waits.
#[test]
fn wild_rules_are_taken_for_others_at_once() {
    let catalogue = catalogue();
    let meaning = Meaning::new(&catalogue);
    let selectors = |number: usize, keys: fn(usize) -> String| -> String {
        (0..number).map(|one| format!(" (~{} resetchannels -@all +get +mget +copy +del)", keys(one))).collect()
    };
    let stars = |one: usize| format!("*{one}*a*{one}*b");
    let marks = |one: usize| format!("*{one}{}", "?".repeat(one % 7 + 9));
    let keys: String = (0..30).map(|one| format!(" ~*{one}*a*{one}")).collect();
    let numbers: String = (0..3000).map(|one| format!(" +select|{one}")).collect();
    let wild = [
        (format!("~{} +get", "*a*b".repeat(125)), format!("~{} +get", "*a*c".repeat(125))),
        (format!("~*a{} +get", "?".repeat(30)), format!("~*a{}* +get", "?".repeat(30))),
        (format!("{keys} +get"), format!("{keys} ~x +get")),
        (format!("-@all{}", selectors(25, stars)), format!("-@all{}", selectors(26, stars))),
        (format!("-@all{}", selectors(31, marks)), format!("-@all{}", selectors(30, marks))),
        (format!("-@all{}", selectors(1000, stars)), format!("-@all{}", selectors(999, stars))),
        (format!("-@all{numbers} db=1,2"), format!("-@all{numbers} db=1,2,3")),
    ];
    for (one, other) in wild.iter().chain(&wild) {
        let (mut one, other) = (user(one), user(other));
        assert!(!meaning.same(&one, &other));
        meaning.speak_like(&mut one, &other);
        assert!(differ_in_text(&one, &other));
    }
    // What there is of effort was spent, and no more of it.
    assert!(meaning.effort.spend(1_000_000).is_none());
    // Whoever comes after them is understood all the same.
    assert!(meaning.same(&user("~a:* ~a:b:* +get"), &user("~a:* +get")));
}
