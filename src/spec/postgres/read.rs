//! `[services.postgres]` as it was written, typed, and nothing filled in yet.

use crate::core::name::AppName;
use crate::error::Diagnostic;
use crate::services::postgres::model::{Access, Credential};
use crate::spec::fields::{Fields, MOST_ERRORS, Setting, shown, wrong_type};
use crate::spec::node::{Located, Node, Value};
use crate::spec::norn::Form;
use crate::spec::read::read_credential;
use crate::spec::source::Spot;
use std::collections::BTreeSet;

const POSTGRES: [&str; 13] = [
    "database",
    "databases",
    "user",
    "owner",
    "extensions",
    "connection_limit",
    "settings",
    "readers",
    "writers",
    "grants",
    "migrator",
    "adopt_objects",
    "credential",
];
const DATABASE: [&str; 9] = [
    "name",
    "encoding",
    "locale",
    "locale_provider",
    "tablespace",
    "connection_limit",
    "allow_connections",
    "settings",
    "extensions",
];
const EXTENSION: [&str; 3] = ["name", "version", "schema"];
const GRANT: [&str; 2] = ["role", "access"];

/// PostgreSQL's own limit of max_connections.
const MOST_CONNECTIONS: i64 = 262_143;
/// So many databases, extensions or grants may be in one list: no app has more, and each meets all of the others.
const MOST_ITEMS: usize = 1_000;

#[derive(Debug)]
pub struct Postgres {
    /// At least one. Only the one of `database` may be without a name.
    pub databases: Vec<Database>,
    pub user: Option<Located<String>>,
    pub owner: Option<Located<String>>,
    pub extensions: Vec<Extension>,
    pub connection_limit: Option<Located<i64>>,
    pub settings: Vec<Setting>,
    pub readers: Vec<Located<AppName>>,
    pub writers: Vec<Located<AppName>>,
    pub grants: Vec<Grant>,
    pub migrator: Option<Located<String>>,
    pub adopt_objects: bool,
    pub credential: Credential,
}

#[derive(Debug, Default)]
pub struct Database {
    pub name: Option<Located<String>>,
    pub extensions: Vec<Extension>,
    pub connection_limit: Option<Located<i64>>,
    pub allow_connections: Option<bool>,
    pub settings: Vec<Setting>,
    pub encoding: Option<Located<String>>,
    pub locale: Option<Located<String>>,
    pub locale_provider: Option<Located<Provider>>,
    pub tablespace: Option<Located<String>>,
}

/// Whose collations a database sorts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Libc,
    Icu,
    Builtin,
}

impl Provider {
    /// As infraspecs and PostgreSQL spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::Icu => "icu",
            Self::Builtin => "builtin",
        }
    }
}

#[derive(Debug)]
pub struct Extension {
    pub name: Located<String>,
    pub version: Option<Located<String>>,
    pub schema: Option<Located<String>>,
}

/// What a role that no infraspec declares may do.
#[derive(Debug)]
pub struct Grant {
    pub role: Located<String>,
    pub access: Access,
}

/// Reads what stands under `services.postgres`. Errors are pushed onto `errors`.
pub fn read(node: &Node, form: Form, errors: &mut Vec<Diagnostic>) -> Option<Postgres> {
    let label = form.postgres();
    let mut fields = Fields::open(node, label, &POSTGRES, errors)?;
    if let (Some(one), Some(spot)) = (fields.key_spot("database"), fields.key_spot("databases")) {
        fields.fail(
            spot.error(format!("there is database ({one}) and databases"))
                .hint("keep one of them; the first of databases is the main one"),
        );
    }
    let several = items(&mut fields, "databases");
    if let (Some([]), Some(spot)) = (several, fields.key_spot("databases")) {
        fields.fail(spot.error("databases is empty").hint("name at least one, or leave the key out for the default"));
    }
    let one = fields.get("database");
    let extensions = items(&mut fields, "extensions").unwrap_or_default();
    let grants = grant_items(&mut fields);
    let mut postgres = Postgres {
        databases: Vec::new(),
        user: fields.text("user"),
        owner: fields.text("owner"),
        extensions: Vec::new(),
        connection_limit: fields.number("connection_limit", 0..=MOST_CONNECTIONS),
        settings: fields.scalars("settings"),
        readers: fields.apps("readers"),
        writers: fields.apps("writers"),
        grants: Vec::new(),
        migrator: fields.text("migrator"),
        adopt_objects: fields.flag("adopt_objects").unwrap_or_default(),
        credential: read_credential(&mut fields),
    };
    let one = one.and_then(|node| read_database(node, &format!("{label}.database"), errors));
    postgres.databases = read_databases(several.unwrap_or_default(), errors);
    if postgres.databases.is_empty() {
        postgres.databases.push(one.unwrap_or_default());
    }
    postgres.extensions = read_extensions(extensions, errors);
    postgres.grants = read_grants(grants, errors);
    Some(postgres)
}

/// The items of a list, if they are not too many.
fn items<'a>(fields: &mut Fields<'a, '_>, key: &str) -> Option<&'a [Node]> {
    let items = fields.list(key, key)?;
    Some(few(fields, key, items))
}

fn grant_items<'a>(fields: &mut Fields<'a, '_>) -> &'a [Node] {
    let Some(node) = fields.get("grants") else { return &[] };
    if let Value::List(items) = &node.value {
        return few(fields, "grants", items);
    }
    let wrong = wrong_type(node, "grants", "a list of grants");
    fields.fail(wrong.hint("write [{ role = \"metabase\", access = \"readonly\" }]"));
    &[]
}

fn few<'a>(fields: &mut Fields<'a, '_>, key: &str, items: &'a [Node]) -> &'a [Node] {
    let Some(few) = items.get(..MOST_ITEMS).filter(|few| few.len() < items.len()) else { return items };
    if let Some(spot) = fields.key_spot(key) {
        let error = spot.error(format!("{key} has {} items, and at most {MOST_ITEMS} may be", items.len()));
        fields.fail(error.hint("was this list written by a program that went wrong? Else make it several apps"));
    }
    few
}

/// Tells what stands in a list for the second time.
struct Once<'a> {
    list: &'a str,
    seen: BTreeSet<String>,
}

impl<'a> Once<'a> {
    fn new(list: &'a str) -> Self {
        Self { list, seen: BTreeSet::new() }
    }

    fn takes(&mut self, name: &Located<String>, errors: &mut Vec<Diagnostic>) -> bool {
        let new = self.seen.insert(name.value.clone());
        if !new {
            let error = name.spot.error(format!("{:?} is in {} twice", shown(&name.value), self.list));
            errors.push(error.hint("remove one of them"));
        }
        new
    }
}

fn read_databases(items: &[Node], errors: &mut Vec<Diagnostic>) -> Vec<Database> {
    let (mut databases, mut once) = (Vec::new(), Once::new("databases"));
    for item in items {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let Some(database) = read_database(item, "a database", errors) else { continue };
        match &database.name {
            Some(name) if once.takes(name, errors) => databases.push(database),
            Some(_) => {}
            None if lacks(item, "name", &DATABASE) => nameless(&item.spot, "database", "cafe_archive", errors),
            None => {}
        }
    }
    databases
}

/// A database is its name, or a table with more.
fn read_database(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Database> {
    if let Some(name) = name_alone(node) {
        return Some(Database { name: Some(name), ..Database::default() });
    }
    if !matches!(node.value, Value::Table(_)) {
        errors.push(no_item(node, what, "write \"cafe\", or { name = \"cafe\", connection_limit = 50 }"));
        return None;
    }
    let providers = [Provider::Libc, Provider::Icu, Provider::Builtin].map(|provider| (provider.word(), provider));
    let mut fields = Fields::open(node, what, &DATABASE, errors)?;
    let provider = fields.choice("locale_provider", &providers);
    let extensions = items(&mut fields, "extensions").unwrap_or_default();
    let database = Database {
        name: fields.text("name"),
        extensions: Vec::new(),
        connection_limit: fields.number("connection_limit", 0..=MOST_CONNECTIONS),
        allow_connections: fields.flag("allow_connections"),
        settings: fields.scalars("settings"),
        encoding: fields.text("encoding"),
        locale: fields.text("locale"),
        locale_provider: provider.zip(fields.key_spot("locale_provider")).map(|(word, at)| Located::new(word, at)),
        tablespace: fields.text("tablespace"),
    };
    Some(Database { extensions: read_extensions(extensions, errors), ..database })
}

fn read_extensions(items: &[Node], errors: &mut Vec<Diagnostic>) -> Vec<Extension> {
    let (mut extensions, mut once) = (Vec::new(), Once::new("extensions"));
    for item in items {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let extension = read_extension(item, errors);
        extensions.extend(extension.filter(|extension| once.takes(&extension.name, errors)));
    }
    extensions
}

/// An extension is its name, or a table with more.
fn read_extension(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Extension> {
    if let Some(name) = name_alone(node) {
        return Some(Extension { name, version: None, schema: None });
    }
    if !matches!(node.value, Value::Table(_)) {
        let example = "write \"pgcrypto\", or { name = \"vector\", version = \"0.8.0\" }";
        errors.push(no_item(node, "an extension", example));
        return None;
    }
    let mut fields = Fields::open(node, "an extension", &EXTENSION, errors)?;
    let (name, version, schema) = (fields.text("name"), fields.text("version"), fields.text("schema"));
    if lacks(node, "name", &EXTENSION) {
        nameless(&node.spot, "extension", "vector", errors);
    }
    Some(Extension { name: name?, version, schema })
}

fn read_grants(items: &[Node], errors: &mut Vec<Diagnostic>) -> Vec<Grant> {
    let (mut grants, mut once) = (Vec::new(), Once::new("grants"));
    for item in items {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let grant = read_grant(item, errors);
        grants.extend(grant.filter(|grant| once.takes(&grant.role, errors)));
    }
    grants
}

/// How much a role may do is said, never guessed.
fn read_grant(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Grant> {
    if !matches!(node.value, Value::Table(_)) {
        let role = name_alone(node).map_or("metabase".to_owned(), |name| shown(&name.value));
        let hint = format!("write {{ role = {role:?}, access = \"readonly\" }}");
        errors.push(wrong_type(node, "a grant", "a table").hint(hint));
        return None;
    }
    let words = [("readonly", Access::Readonly), ("readwrite", Access::Readwrite)];
    let mut fields = Fields::open(node, "a grant", &GRANT, errors)?;
    let (role, access) = (fields.text("role"), fields.choice("access", &words));
    if lacks(node, "role", &GRANT) {
        let error = node.spot.error("the grant names no role");
        fields.fail(error.hint("write { role = \"metabase\", access = \"readonly\" }"));
    }
    if lacks(node, "access", &GRANT) {
        let error = node.spot.error("the grant does not say how much it gives");
        fields.fail(error.hint("add access = \"readonly\", or access = \"readwrite\""));
    }
    Some(Grant { role: role?, access: access? })
}

/// What could be a name in quotes is told so.
fn no_item(node: &Node, what: &str, example: &str) -> Diagnostic {
    let wrong = wrong_type(node, what, "a string or a table");
    if matches!(node.value, Value::List(_) | Value::Null) { wrong.hint(example) } else { wrong }
}

fn name_alone(node: &Node) -> Option<Located<String>> {
    if let Value::Text(name) = &node.value { Some(Located::new(name.clone(), node.spot.clone())) } else { None }
}

/// Whether a key is missing; an unknown one may be it mistyped, and is told already.
fn lacks(node: &Node, key: &str, known: &[&str]) -> bool {
    let Value::Table(table) = &node.value else { return false };
    !table.contains_key(key) && table.keys().all(|key| known.contains(&key.as_str()))
}

fn nameless(spot: &Spot, what: &str, example: &str, errors: &mut Vec<Diagnostic>) {
    let error = spot.error(format!("the {what} has no name"));
    errors.push(error.hint(format!("write {{ name = {example:?}, ... }}")));
}
