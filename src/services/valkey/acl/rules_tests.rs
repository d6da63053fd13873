use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn catalogue() -> Catalogue {
    let commands = ["get", "set", "del", "select", "config", "config|get", "config|set", "flushall"];
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let categories = [
        ("read", set(&["get"])),
        ("write", set(&["set", "del", "flushall"])),
        ("dangerous", set(&["flushall", "config|get", "config|set"])),
        ("slow", set(&["config"])),
        ("connection", set(&["select"])),
    ];
    Catalogue {
        commands: set(&commands),
        categories: categories.into_iter().map(|(name, set)| (name.to_owned(), set)).collect(),
    }
}

#[test]
fn reads_a_line_and_writes_it_back() {
    let hash = "ab".repeat(32);
    let line = format!(
        "user mail on sanitize-payload #{hash} ~mail:* resetchannels &mail:* db=0 -@all +get \
         (%R~cafe:* resetchannels -@all +get)"
    );
    let account = parse_line(&line, true).unwrap();
    assert_eq!(account.hashes, BTreeSet::from([hash.clone()]));
    assert!(account.user.enabled && !account.user.nopass);
    assert_eq!(account.user.databases.as_deref(), Some("db=0"));
    assert_eq!(account.user.commands, Some(words("-@all +get")));
    assert_eq!(
        setuser(&account.user, &account.hashes).join(" "),
        format!(
            "SETUSER mail reset on #{hash} ~mail:* resetchannels &mail:* db=0 -@all +get \
         (%R~cafe:* resetchannels -@all +get)"
        )
    );
}

#[test]
fn synonyms_have_one_form() {
    let read = |text: &str| Rules::parse(text.split_ascii_whitespace(), false);
    assert_eq!(read("allkeys allchannels allcommands"), read("~* &* +@all"));
    assert_eq!(read("%RW~a"), read("~a"));
    assert_eq!(read("%R~a %W~a %R~b"), read("~a %R~b"));
    assert_eq!(read("~a +get"), read("~a resetchannels -@all +GET"));
    assert_eq!(read("~a resetkeys ~b"), read("~b"));
    assert_ne!(read("%R~a"), read("~a"));
}

#[test]
fn a_line_that_ends_in_a_selector_is_an_error() {
    assert!(parse_line("user a on -@all (~b +get", false).is_err());
    assert!(parse_line("on -@all", false).is_err());
}

#[test]
fn rules_are_compared_by_what_they_allow() {
    let catalogue = catalogue();
    let same = |one: &str, other: &str| catalogue.same(&words(one), &words(other));
    assert!(same("-@all +get +@read", "-@all +@read"));
    assert!(same("-@all +config", "-@all +config|get +config|set"));
    assert!(same("-@all +@slow", "-@all +config|get +config|set"));
    assert!(same("+@all -@dangerous", "-@all +@read +@write +@connection -flushall"));
    assert!(same("-@all +select|0 +select", "-@all +select"));
    assert!(!same("-@all +select|0", "-@all +select"));
    assert!(!same("-@all +select|0", "-@all +select|1"));
    assert!(same("-@all +select +select|0 -select", "-@all"));
    assert!(!same("-@all +get -@read", "-@all -@read +get"));
    assert!(!same("-@all +@unheard", "-@all +@unheard +get"));
}

#[test]
fn other_words_for_the_same_rules_are_no_drift() {
    let parse = |text: &str| parse_line(text, false).unwrap().user;
    let wanted = parse("user a on ~a:* -@all +@write -flushall (%R~b:* -@all +@read)");
    let mut there = parse("user a on ~a:* -@all +set +del (%R~b:* -@all +get)");
    assert!(differ_in_text(&there, &wanted));
    speak_like(&mut there, &wanted, &catalogue());
    assert_eq!(there, wanted);
    let mut more = parse("user a on ~a:* -@all +set +del +flushall (%R~b:* -@all +get)");
    speak_like(&mut more, &wanted, &catalogue());
    assert_ne!(more.commands, wanted.commands);
}
