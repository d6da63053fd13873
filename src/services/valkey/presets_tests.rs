use super::*;
use std::collections::BTreeMap;

fn server(database_rules: bool, leave_out: &[&str]) -> Server {
    let all = [READWRITE, READONLY, ASKING_A_SENTINEL, "+move +select"].join(" ");
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
fn categories_of_modules_are_closed_where_they_exist() {
    let commands = |server: &Server| expand(&declared(Access::Readonly), server).commands.unwrap();
    let mut server = server(true, &[]);
    assert!(!commands(&server).contains(&"-@search".to_owned()));
    let categories = ["search".to_owned(), "read".to_owned()].into();
    let search = super::super::acl::Command { categories, ..Default::default() };
    server.catalogue.commands.insert("ft.search".to_owned(), search);
    assert!(commands(&server).contains(&"-@search".to_owned()));
}

fn whole(access: Access, db: u32) -> User {
    User { namespace: None, whole_database: Some(true), db: Some(db), reads: Some(BTreeMap::new()), ..declared(access) }
}

#[test]
fn a_whole_database_is_opened_only_where_the_server_confines_to_it() {
    let user = expand(&whole(Access::Queue, 3), &server(true, &[]));
    assert_eq!((user.keys, user.databases.as_deref()), (Some(set(&["~*"])), Some("db=3")));
    assert_eq!(user.channels, Some(set(&["&/3.celery.pidbox", "&/3.celeryev/*", "&/3.celeryev/worker.*"])));
    assert!(user.commands.unwrap().ends_with(&["+scan", "+randomkey", "+dbsize"].map(str::to_owned)));
    let readonly = expand(&whole(Access::Readonly, 3), &server(true, &[]));
    assert_eq!((readonly.keys, readonly.channels), (Some(set(&["%R~*"])), Some(set(&[]))));
    let older = expand(&whole(Access::Readwrite, 3), &server(false, &[]));
    assert_eq!(older.keys, Some(set(&[])));
    assert!(!older.commands.unwrap().contains(&"+scan".to_owned()));
}

#[test]
fn readers_of_a_whole_database_are_confined_to_it() {
    let user = User { reads: None, reads_databases: Some([3].into()), ..declared(Access::Readwrite) };
    let selectors = expand(&user, &server(true, &[])).selectors.unwrap();
    let selector = selectors.first().unwrap();
    assert!(
        selector.starts_with("(%R~* resetchannels db=3 -@all +@read") && selector.ends_with("+dbsize)"),
        "{selector}"
    );
    assert_eq!(expand(&user, &server(false, &[])).selectors, Some(set(&[])));
}

#[test]
fn rules_of_ones_own_come_last() {
    let more = User {
        more_keys: Some(set(&["~shared:*", "%R~mail-agent:x"])),
        more_channels: Some(set(&["&news.*"])),
        more_commands: Some(vec!["+keys".to_owned(), "-get".to_owned()]),
        ..declared(Access::Readwrite)
    };
    let user = expand(&more, &server(false, &[]));
    assert_eq!(user.keys, Some(set(&["~mail-agent:*", "~shared:*", "%R~mail-agent:x"])));
    assert_eq!(user.channels, Some(set(&["&mail-agent:*", "&news.*"])));
    assert!(user.commands.unwrap().ends_with(&["+select|0", "+keys", "-get"].map(str::to_owned)));
    let all = User { more_commands: Some(vec!["+@all".to_owned(), "-keys".to_owned()]), ..more };
    let commands = expand(&all, &server(false, &[])).commands;
    assert_eq!(commands.as_deref(), Some(&vec!["+@all".to_owned(), "-keys".to_owned()]));
}

#[test]
fn in_a_cluster_hash_tags_are_opened_too() {
    let server = Server { cluster: true, ..server(true, &[]) };
    let user = expand(&declared(Access::Readwrite), &server);
    assert_eq!(user.keys, Some(set(&["~mail-agent:*", "~{mail-agent}:*"])));
}

#[test]
fn behind_sentinels_clients_may_ask_who_is_the_primary_and_nothing_more_of_a_sentinel() {
    let asks = |server: &Server, rule: &str| {
        let user = expand(&declared(Access::Readonly), server);
        user.commands.unwrap().iter().any(|one| one == rule)
    };
    let behind = Server { behind_sentinels: true, ..server(true, &[]) };
    assert!(asks(&behind, "+role") && !asks(&server(true, &[]), "+role"));
    let sentinel = Server { sentinel: true, ..server(true, &[]) };
    let user = expand(&declared(Access::Readwrite), &sentinel);
    assert_eq!((user.keys, user.selectors), (Some(BTreeSet::new()), Some(BTreeSet::new())));
    assert!(asks(&sentinel, "+sentinel|get-master-addr-by-name") && !asks(&sentinel, "+@read"));
}

#[test]
fn what_declares_nothing_stays_as_it_is() {
    let observed = super::super::acl::parse_line("user a on ~a +get", true).unwrap().user;
    assert_eq!(expand(&observed, &server(true, &[])), observed);
}
