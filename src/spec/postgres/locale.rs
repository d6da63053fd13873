//! What a database is created with and keeps: encoding, locale, tablespace.

use crate::error::Diagnostic;
use crate::spec::fields::shown;
use crate::spec::names;
use crate::spec::node::Located;
use crate::spec::postgres::encoding;
use crate::spec::postgres::read::{Database, Provider};

/// As PostgreSQL has room for (`LOCALE_NAME_BUFLEN`).
const LONGEST_LOCALE: usize = 127;
/// PostgreSQL's own (17 has the first two, 18 all).
const BUILTIN: [&str; 3] = ["C", "C.UTF-8", "PG_UNICODE_FAST"];

/// The encoding as PostgreSQL spells it.
pub fn encoding(written: &Database, errors: &mut Vec<Diagnostic>) -> Option<String> {
    let Located { value, spot } = written.encoding.as_ref()?;
    match encoding::canonical(value) {
        Ok(name) => Some(name.to_owned()),
        Err((why, hint)) => {
            let shown = shown(value);
            errors.push(spot.error(format!("the encoding {shown:?} {why}")).hint(hint));
            None
        }
    }
}

/// The locale, checked as far as it goes without the server, which has its operating system's.
pub fn locale(written: &Database, encoding: Option<&str>, errors: &mut Vec<Diagnostic>) -> Option<String> {
    let provider = written.locale_provider.as_ref();
    let Some(Located { value, spot }) = &written.locale else {
        if let Some(provider) = provider.filter(|provider| provider.value != Provider::Libc) {
            let word = provider.value.word();
            let error = provider.spot.error(format!("locale_provider is {word:?}, and there is no locale"));
            errors.push(error.hint(if provider.value == Provider::Icu {
                "add one, such as locale = \"en-US\""
            } else {
                "add one, such as locale = \"C.UTF-8\""
            }));
        }
        return None;
    };
    let shown = shown(value);
    if value.is_empty() || value.len() > LONGEST_LOCALE || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let error = spot.error(format!("{shown:?} is no locale"));
        errors.push(error.hint("such as \"C.UTF-8\" or \"en_US.UTF-8\" (libc), \"en-US\" (icu)"));
        return None;
    }
    if provider.is_none_or(|provider| provider.value != Provider::Builtin) {
        return Some(value.clone());
    }
    // PostgreSQL takes this spelling of it too.
    let value = if value == "C.UTF8" { "C.UTF-8" } else { value };
    if !BUILTIN.contains(&value) {
        let error = spot.error(format!("the provider \"builtin\" has no locale {shown:?}"));
        errors.push(error.hint(crate::core::suggest::hint(value, &BUILTIN)));
    } else if let Some(encoding) = encoding.filter(|encoding| value != "C" && *encoding != "UTF8") {
        let error = spot.error(format!("the builtin locale {shown:?} is for UTF8, and encoding is {encoding}"));
        errors.push(error.hint("leave encoding out, or take the locale \"C\""));
    }
    Some(value.to_owned())
}

/// A tablespace that the server has.
pub fn tablespace(written: &Database, errors: &mut Vec<Diagnostic>) -> Option<String> {
    let Located { value, spot } = written.tablespace.as_ref()?;
    let shown = shown(value);
    if let Err(why) = names::check_existing(value) {
        let error = spot.error(format!("the tablespace {shown:?} {why}"));
        errors.push(error.hint("name one that the server has (\\db in psql), or leave it out for the default"));
    } else if value == "pg_global" {
        let error = spot.error("the tablespace \"pg_global\" is for what all databases share");
        errors.push(error.hint("leave it out for the default, or name another (\\db in psql)"));
    }
    Some(value.clone())
}
