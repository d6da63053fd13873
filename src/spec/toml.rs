//! TOML into the common tree.

use crate::error::Diagnostic;
use crate::spec::node::{Located, Node, Table, Value};
use crate::spec::source::{Source, Spot};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Syntax errors shown for one file: later ones tend to follow from the first.
const MOST_ERRORS: usize = 3;

/// Parses a whole file.
///
/// # Errors
/// The syntax errors, duplicate keys among them, each with its place.
pub fn parse(source: &Arc<Source>) -> Result<Table, Vec<Diagnostic>> {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if errors.is_empty() {
        let mut errors = Vec::new();
        let table = table(source, document.get_ref(), &mut errors);
        return if errors.is_empty() { Ok(table) } else { Err(errors) };
    }
    Err(errors
        .into_iter()
        .take(MOST_ERRORS)
        .map(|error| {
            let spot = Spot::new(source, error.span().map_or(0, |span| span.start));
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            if message == "duplicate key" {
                return spot.error("this key is there twice").hint("remove one of them");
            }
            if message.contains("recurs") {
                return spot.error("this is nested too deeply").hint("no infraspec needs more than five levels");
            }
            let hint = "TOML has lines of key = \"value\" under [headings.like.this]";
            spot.error(format!("this is no TOML: {message}")).hint(hint)
        })
        .collect())
}

fn table(source: &Arc<Source>, table: &DeTable<'_>, errors: &mut Vec<Diagnostic>) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (name.to_string(), (Spot::new(source, key.span().start), node(source, value, errors)))
    };
    table.iter().map(entry).collect()
}

fn node(source: &Arc<Source>, value: &toml::Spanned<DeValue<'_>>, errors: &mut Vec<Diagnostic>) -> Node {
    let spot = Spot::new(source, value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                errors.push(spot.error("the number is too large").hint("choose a smaller one"));
                Value::Null
            }
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(source, item, errors)).collect()),
        DeValue::Table(inner) => Value::Table(table(source, inner, errors)),
    };
    Located::new(value, spot)
}
