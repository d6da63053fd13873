use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
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
    assert_eq!(account.user.commands.as_deref(), Some(&words("-@all +get")));
    assert_eq!(
        setuser(&account.user, &account.hashes).join(" "),
        format!(
            "SETUSER mail reset on sanitize-payload #{hash} ~mail:* resetchannels &mail:* db=0 -@all +get \
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
fn patterns_and_names_may_look_like_something_else() {
    let account = parse_line("user (a on ~(b) resetchannels -@all (~x) resetchannels &y) -@all +get)", false).unwrap();
    assert_eq!(account.user.name, "(a");
    assert_eq!(account.user.keys, Some(BTreeSet::from(["~(b)".to_owned()])));
    assert_eq!(account.user.selectors, Some(BTreeSet::from(["(~x) resetchannels &y) -@all +get)".to_owned()])));
    let selector = Rules::parse_selector("(~x) resetchannels &y) -@all +get)");
    assert_eq!(selector.keys, BTreeSet::from(["~x)".to_owned()]));
    assert_eq!(selector.commands, words("-@all +get"));
}

#[test]
fn unchecked_payloads_are_seen_and_ended() {
    let mut account = parse_line("user a on skip-sanitize-payload -@all", false).unwrap();
    assert!(account.user.skips_sanitizing);
    account.user.skips_sanitizing = false;
    assert!(setuser(&account.user, &account.hashes).contains(&"sanitize-payload".to_owned()));
}

#[test]
fn a_line_that_ends_in_a_selector_is_an_error() {
    assert!(parse_line("user a on -@all (~b +get", false).is_err());
    assert!(parse_line("on -@all", false).is_err());
}
