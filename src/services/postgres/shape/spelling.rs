//! Makes a database that was read comparable with a declared one: other spellings of the same thing, and extensions
//! that nobody declared, are no difference. Pure.

use crate::services::postgres::model::{Database, Extension};
use std::collections::BTreeMap;

type Extensions = BTreeMap<String, Extension>;

/// What is wanted, what is there and what was last applied of one database, made comparable.
pub fn settle(wanted: &Database, there: &mut Database, applied: Option<&mut Database>) {
    let installed = there.extensions.clone();
    as_declared(wanted, there);
    let Some(applied) = applied else { return };
    left_to_the_server(wanted, there, applied);
    let (Some(declared), Some(installed)) = (&wanted.extensions, &installed) else { return };
    if wanted.extensions != there.extensions {
        applied.extensions = applied.extensions.take().map(|last| as_now_declared(declared, installed, last));
    }
}

/// What was applied of the extensions that are declared now, as far as it is declared now. What was left to the server
/// then, and is not any more, was what there is: that is an edit, and no drift.
fn as_now_declared(declared: &Extensions, installed: &Extensions, last: Extensions) -> Extensions {
    let one = |(name, declared): (&String, &Extension)| {
        let (last, there) = (last.get(name), installed.get(name));
        let of = |field: fn(&Extension) -> &Option<String>| {
            let known = last.and_then(|last| field(last).clone());
            field(declared).as_ref().and_then(|_| known.or_else(|| field(there?).clone()))
        };
        last.or(there)?;
        Some((name.clone(), Extension { version: of(|one| &one.version), schema: of(|one| &one.schema) }))
    };
    declared.iter().filter_map(one).collect()
}

/// What was left to the server when it was applied, and is declared now, was what there is: that is an edit, no drift.
fn left_to_the_server(wanted: &Database, there: &Database, applied: &mut Database) {
    let fields = [
        (&wanted.encoding, &there.encoding, &mut applied.encoding),
        (&wanted.locale, &there.locale, &mut applied.locale),
        (&wanted.locale_provider, &there.locale_provider, &mut applied.locale_provider),
        (&wanted.tablespace, &there.tablespace, &mut applied.tablespace),
    ];
    for (wanted, there, last) in fields {
        if wanted.is_some() && wanted != there {
            *last = last.take().or_else(|| there.clone());
        }
    }
    // Of what nobody looked into it is unknown instead.
    if wanted.objects_of_others.is_some()
        && wanted.objects_of_others != there.objects_of_others
        && applied.extensions.is_some()
    {
        applied.objects_of_others = applied.objects_of_others.take().or_else(|| there.objects_of_others.clone());
    }
}

/// Says what is there as the declaration says it, where it means the same.
pub fn as_declared(declared: &Database, there: &mut Database) {
    let spellings = [
        (&declared.encoding, &mut there.encoding, plain as fn(&str) -> String),
        (&declared.locale, &mut there.locale, locale),
        (&declared.locale_provider, &mut there.locale_provider, plain),
    ];
    for (declared, there, canonical) in spellings {
        if let (Some(declared), Some(there)) = (declared, there)
            && canonical(declared) == canonical(there)
        {
            there.clone_from(declared);
        }
    }
    match (&mut there.extensions, &declared.extensions) {
        (Some(there), Some(declared)) => there.retain(|name, there| {
            let Some(declared) = declared.get(name) else { return false };
            there.version = there.version.take().filter(|_| declared.version.is_some());
            there.schema = there.schema.take().filter(|_| declared.schema.is_some());
            true
        }),
        (there, None) => *there = None,
        (None, Some(_)) => {}
    }
}

/// UTF-8 and utf8 are UTF8.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// The server keeps libc's names as they are given (but POSIX is C) and from 16 on writes ICU's as language tags; an
/// operating system knows `en_US.UTF-8` and `en_US.utf8` as one.
fn locale(name: &str) -> String {
    let one = |name: &str| match name.trim() {
        "POSIX" => "c".to_owned(),
        name => plain(name),
    };
    match name.split_once('/') {
        Some((collate, ctype)) => format!("{} / {}", one(collate), one(ctype)),
        None => one(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_no_difference() {
        for (one, other) in [
            ("en_US.UTF-8", "en_US.utf8"),
            ("C.UTF-8", "C.utf8"),
            ("POSIX", "C"),
            ("en_us", "en-US"),
            ("C / C.utf8", "POSIX / C.UTF-8"),
        ] {
            assert_eq!(locale(one), locale(other), "{one} {other}");
        }
        for (one, other) in [("C", "C.UTF-8"), ("en-US", "en-GB"), ("de_DE.UTF-8", "de_DE@euro"), ("C", "C / C.utf8")] {
            assert_ne!(locale(one), locale(other), "{one} {other}");
        }
        let mut declared = Database::new("a", "o");
        declared.encoding = Some("utf-8".to_owned());
        let mut there = Database { encoding: Some("UTF8".to_owned()), ..declared.clone() };
        as_declared(&declared, &mut there);
        assert_eq!(there, declared);
    }

    #[test]
    fn what_was_left_to_the_server_was_what_there_is() {
        let of = |encoding: Option<&str>| Database { encoding: encoding.map(str::to_owned), ..Database::new("a", "o") };
        let settled = |wanted, there, last| {
            let mut applied = of(last);
            settle(&of(wanted), &mut of(there), Some(&mut applied));
            applied.encoding
        };
        assert_eq!(settled(Some("LATIN1"), Some("UTF8"), None).as_deref(), Some("UTF8"));
        assert_eq!(settled(Some("LATIN1"), Some("UTF8"), Some("SQL_ASCII")).as_deref(), Some("SQL_ASCII"));
        assert_eq!(settled(Some("utf-8"), Some("UTF8"), None), None, "it is as declared");
        assert_eq!(settled(None, Some("UTF8"), None), None);

        let objects = |count: u64| Some(BTreeMap::from([("deploy".to_owned(), count)]));
        for (looked_into, expected) in [(true, objects(2)), (false, None)] {
            let mut applied = of(None);
            applied.extensions = looked_into.then(Extensions::new);
            let wanted = Database { objects_of_others: Some(BTreeMap::new()), ..of(None) };
            settle(&wanted, &mut Database { objects_of_others: objects(2), ..of(None) }, Some(&mut applied));
            assert_eq!(applied.objects_of_others, expected, "to be adopted from now on");
        }
    }

    #[test]
    fn only_what_is_declared_of_an_extension_counts() {
        let extension = |version: Option<&str>| Extension { version: version.map(str::to_owned), schema: None };
        let with = |all: &[(&str, Option<&str>)]| Database {
            extensions: Some(all.iter().map(|(name, version)| ((*name).to_owned(), extension(*version))).collect()),
            ..Database::new("a", "o")
        };
        let there = || with(&[("hstore", Some("1.4")), ("citext", Some("1.6")), ("vector", Some("0.8"))]);
        let mut seen = there();
        as_declared(&with(&[("hstore", None), ("citext", Some("1.5"))]), &mut seen);
        assert_eq!(seen, with(&[("hstore", None), ("citext", Some("1.6"))]));
        let (mut seen, mut applied) = (there(), with(&[("hstore", None)]));
        settle(&with(&[("hstore", Some("1.8"))]), &mut seen, Some(&mut applied));
        assert_eq!(applied, with(&[("hstore", Some("1.4"))]));
        settle(&with(&[("hstore", None)]), &mut there(), Some(&mut applied));
        assert_eq!(applied, with(&[("hstore", Some("1.4"))]), "that it is left to the server now is to be recorded");
        let mut applied = with(&[("citext", None), ("hstore", None)]);
        settle(&with(&[("citext", None), ("ltree", None)]), &mut there(), Some(&mut applied));
        assert_eq!(applied, with(&[("citext", None)]), "the rest does not count any more");
        let mut applied = with(&[("hstore", None)]);
        settle(&with(&[]), &mut there(), Some(&mut applied));
        assert_eq!(applied, with(&[("hstore", None)]), "that it is declared no longer is to be recorded");
        settle(&with(&[("hstore", None)]), &mut there(), Some(&mut applied));
        assert_eq!(applied, with(&[("hstore", None)]));
        // What was not declared, or is not any more, has not drifted, whoever else there is.
        let wanted = with(&[("hstore", None), ("vector", None), ("ltree", None)]);
        let mut applied = with(&[("hstore", Some("1.4")), ("citext", None)]);
        settle(&wanted, &mut there(), Some(&mut applied));
        assert_eq!(applied, with(&[("hstore", None), ("vector", None)]));
        // One that is gone has.
        let mut applied = with(&[("ltree", None)]);
        settle(&with(&[("ltree", None)]), &mut there(), Some(&mut applied));
        assert_eq!(applied, with(&[("ltree", None)]));
        let mut unknown = Database { extensions: None, ..there() };
        as_declared(&with(&[]), &mut unknown);
        assert_eq!(unknown.extensions, None::<Extensions>);
    }
}
