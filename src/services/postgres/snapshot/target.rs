//! What a restore meets in a database.

use super::archive::{Archive, Selection};
use crate::services::Failure;
use crate::services::postgres::catalog::{self, Move, parse};
use crate::services::postgres::connect::{Connector, Purpose, close, value, values};
use crate::services::postgres::diff::rows_in_words;
use crate::services::postgres::model::belongings::several;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Target {
    /// Tables, views and sequences that belong to no extension.
    pub objects: i64,
    /// Users of the sessions that are connected.
    pub sessions: Vec<String>,
    pub tables: Vec<Table>,
    /// What the app's user can neither drop nor change, and the statement that makes it the app's.
    pub foreign: Vec<Move>,
}

/// A table that belongs to no extension.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// As the last ANALYZE counted them; `None` is never, though there is something in it.
    pub rows: Option<u64>,
}

/// Relations that belong to no extension.
#[derive(Deserialize)]
struct Relations {
    objects: i64,
    tables: Vec<Table>,
}

const RELATIONS: &str = "SELECT jsonb_build_object('objects', count(*), 'tables', coalesce(jsonb_agg( \
      jsonb_build_object('schema', n.nspname, 'name', c.relname, 'rows', \
        CASE WHEN c.relkind = 'p' THEN 0 WHEN c.reltuples >= 0 THEN c.reltuples::bigint \
          WHEN pg_relation_size(c.oid) = 0 THEN 0 END)) FILTER (WHERE c.relkind IN ('r', 'p')), '[]'))::text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass \
        AND d.objid = c.oid AND d.deptype = 'e')";

/// Whoever has an owner's rights may drop what it owns.
const INSIDERS: &str = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_has_role($1::name, oid, 'USAGE')";

/// Looks into the database, for a restore as `user`. Sessions of nornplan itself do not count.
pub async fn target(connector: &Connector, database: &str, user: &str) -> Result<Target, Failure> {
    let mut connection = connector.admin(database, Purpose::Observe).await?;
    let relations: String = value(&mut connection, database, RELATIONS, &[]).await?;
    let Relations { objects, tables } = parse(&relations)?;
    let sessions = catalog::strangers(&mut connection, database).await?;
    let insiders: Vec<String> = values(&mut connection, database, INSIDERS, &[user]).await?;
    let foreign = catalog::moves(&mut connection, database, &insiders, user).await?;
    close(connection).await;
    Ok(Target { objects, sessions, tables, foreign })
}

impl Target {
    /// Such as `4 of 6 tables (about 5000 rows)`, of those that a restore makes anew; `None` if it makes none of them
    /// anew.
    pub fn loss(&self, archive: &Archive, selection: &Selection) -> Option<String> {
        let goes = |table: &&Table| archive.replaces(selection, Some(&table.schema), &table.name);
        let going: Vec<&Table> = self.tables.iter().filter(goes).collect();
        let (gone, all) = (u64::try_from(going.len()).ok()?, u64::try_from(self.tables.len()).ok()?);
        if gone == 0 {
            return None;
        }
        let unknown = going.iter().filter(|table| table.rows.is_none()).count();
        let known = going.iter().filter_map(|table| table.rows).fold(0, u64::saturating_add);
        let rows = rows_in_words(Some(known), u64::try_from(unknown).ok()).unwrap_or_else(|| "no rows".to_owned());
        let tables = if gone == all { several(all, "table") } else { format!("{gone} of {}", several(all, "table")) };
        Some(format!("{tables} ({rows})"))
    }

    /// What a restore would have to replace and cannot, as it belongs to others.
    pub fn beyond<'a>(&'a self, archive: &Archive, selection: &Selection) -> Vec<&'a Move> {
        let replaced = |one: &&Move| archive.replaces(selection, one.schema.as_deref(), &one.name);
        self.foreign.iter().filter(replaced).collect()
    }
}

/// Such as `schema hid and 2 tables belong to usrlegacy`.
pub fn whose(objects: &[&Move]) -> String {
    let mut owners: BTreeMap<&str, BTreeMap<&str, Vec<&Move>>> = BTreeMap::new();
    for one in objects {
        owners.entry(&one.owner).or_default().entry(&one.kind).or_default().push(one);
    }
    let each = owners.iter().map(|(owner, kinds)| {
        let words: Vec<String> = kinds.values().map(|of_kind| named(of_kind)).collect();
        let verb = if kinds.values().map(Vec::len).sum::<usize>() == 1 { "belongs" } else { "belong" };
        let words = match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            Some((last, _)) => last.clone(),
            None => String::new(),
        };
        format!("{words} {verb} to {owner}")
    });
    each.collect::<Vec<_>>().join("; ")
}

/// One by its name, several by their number.
fn named(of_kind: &[&Move]) -> String {
    match of_kind {
        [] => String::new(),
        [one] => match &one.schema {
            Some(schema) => format!("{} {schema}.{}", one.kind, one.name),
            None => format!("{} {}", one.kind, one.name),
        },
        [first, ..] => several(u64::try_from(of_kind.len()).unwrap_or_default(), &first.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(owner: &str, kind: &str, schema: Option<&str>, name: &str) -> Move {
        let [owner, kind, name] = [owner, kind, name].map(str::to_owned);
        Move { owner, kind, schema: schema.map(str::to_owned), name, statement: String::new() }
    }

    fn table(name: &str, rows: Option<u64>) -> Table {
        Table { schema: "public".to_owned(), name: name.to_owned(), rows }
    }

    const LIST: &str = "1; 2615 1 SCHEMA - hid o\n2; 1259 2 TABLE public a o\n3; 1259 3 TABLE hid my tab o\n\
        4; 1255 4 FUNCTION hid f(integer, text) o\n5; 0 0 COMMENT hid TABLE b o\n6; 1259 5 TABLE public c o\n";

    #[test]
    fn owners_are_named_with_what_is_theirs() {
        let objects = [
            object("legacy", "schema", None, "hid"),
            object("legacy", "table", Some("hid"), "a"),
            object("legacy", "table", Some("hid"), "b"),
            object("ada", "view", Some("public"), "v"),
        ];
        let all: Vec<&Move> = objects.iter().collect();
        assert_eq!(whose(&all), "view public.v belongs to ada; schema hid and 2 tables belong to legacy");
    }

    #[test]
    fn only_what_the_snapshot_has_is_replaced() {
        let archive = Archive::parse(LIST);
        let foreign = vec![
            object("x", "schema", None, "hid"),
            object("x", "table", Some("hid"), "my tab"),
            object("x", "function", Some("hid"), "f"),
            object("x", "table", Some("hid"), "b"),
            object("x", "schema", None, "other"),
        ];
        let tables = vec![table("a", Some(5000)), table("c", None), table("stays", Some(7))];
        let target = Target { objects: 3, sessions: Vec::new(), tables, foreign };
        let names = |selection: &Selection| {
            target.beyond(&archive, selection).iter().map(|one| one.name.clone()).collect::<Vec<_>>()
        };
        let tables = |names: &[&str]| Selection {
            tables: names.iter().map(|name| (*name).to_owned()).collect(),
            schemas: Vec::new(),
        };
        let all = Selection::default();
        assert_eq!(names(&all), ["hid", "my tab", "f"]);
        assert_eq!(names(&tables(&["my tab"])), ["my tab"]);
        assert_eq!(names(&Selection { tables: Vec::new(), schemas: vec!["public".to_owned()] }), [""; 0]);
        let loss = target.loss(&archive, &all).unwrap();
        assert_eq!(loss, "2 of 3 tables (about 5000 rows and unknown ones in 1 table)");
        assert_eq!(target.loss(&archive, &tables(&["a"])).unwrap(), "1 of 3 tables (about 5000 rows)");
        assert_eq!(target.loss(&archive, &tables(&["my tab"])), None);
    }
}
