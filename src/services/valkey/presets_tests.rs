use super::*;
use std::collections::BTreeMap;

fn server(database_rules: bool, leave_out: &[&str]) -> Server {
    let all = [READWRITE, READONLY, "+move +select"].join(" ");
    let commands = all.split_ascii_whitespace().map(|rule| rule.trim_start_matches(['+', '-']));
    let commands = commands.filter(|name| !name.starts_with('@') && !leave_out.contains(name));
    Server { database_rules, catalogue: Catalogue::of(commands), ..Server::default() }
}

fn declared(access: Access) -> User {
    let account = super::super::acl::parse_line("user mail-agent on", false).unwrap();
    User {
        access: Some(access),
        namespace: Some("mail-agent".to_owned()),
        reads: Some(BTreeMap::from([("cafe".to_owned(), 2)])),
        db: Some(0),
        keys: None,
        channels: None,
        databases: None,
        commands: None,
        selectors: None,
        ..account.user
    }
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn readwrite_on_a_server_with_database_rules() {
    let user = expand(&declared(Access::Readwrite), &server(true, &[]));
    assert_eq!(user.keys, Some(set(&["~mail-agent:*"])));
    assert_eq!(user.channels, Some(set(&["&mail-agent:*"])));
    assert_eq!(user.databases.as_deref(), Some("db=0"));
    let commands = user.commands.unwrap();
    assert!(commands.starts_with(&["-@all".to_owned(), "+@string".to_owned()]));
    assert!(commands.contains(&"-clusterscan".to_owned()) && !commands.contains(&"-move".to_owned()));
    let selectors = user.selectors.unwrap();
    assert!(selectors.first().unwrap().starts_with("(%R~cafe:* resetchannels db=2 -@all +@read"));
}

#[test]
fn older_servers_are_confined_by_the_argument_of_select() {
    let user = expand(&declared(Access::Readwrite), &server(false, &["clusterscan", "client|import-source"]));
    let commands = user.commands.unwrap();
    assert!(commands.ends_with(&["-move", "-select", "+select|0"].map(str::to_owned)));
    assert!(!commands.iter().any(|rule| rule.contains("clusterscan") || rule.contains("import-source")));
    assert_eq!(user.databases, None);
    assert!(user.selectors.unwrap().first().unwrap().ends_with("-select +select|2)"));
}

#[test]
fn readonly_reads_and_queues_have_more_channels() {
    let reader = expand(&declared(Access::Readonly), &server(true, &[]));
    assert_eq!(reader.keys, Some(set(&["%R~mail-agent:*"])));
    assert!(!reader.commands.unwrap().iter().any(|rule| rule == "+eval" || rule == "+@string"));
    let queue = expand(&User { db: Some(3), ..declared(Access::Queue) }, &server(true, &[]));
    let channels = ["*", "/3.celery.pidbox", "/3.celeryev/*", "/3.celeryev/worker.*"];
    let channels = channels.map(|channel| format!("&mail-agent:{channel}"));
    assert_eq!(queue.channels, Some(BTreeSet::from(channels)));
}

#[test]
fn in_a_cluster_hash_tags_are_opened_too() {
    let server = Server { cluster: true, ..server(true, &[]) };
    let user = expand(&declared(Access::Readwrite), &server);
    assert_eq!(user.keys, Some(set(&["~mail-agent:*", "~{mail-agent}:*"])));
}

#[test]
fn what_declares_nothing_stays_as_it_is() {
    let observed = super::super::acl::parse_line("user a on ~a +get", true).unwrap().user;
    assert_eq!(expand(&observed, &server(true, &[])), observed);
}
