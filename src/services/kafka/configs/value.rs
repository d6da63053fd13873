//! Values: in the form in which a broker shows them, and whether they may be so.

use super::{Config, Kind, find};
use crate::core::suggest;
use crate::spec::units::Unit;

/// What is wrong with a value, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub message: String,
    pub hint: String,
}

/// How people write that there is no limit.
const INFINITE: &str = "infinite";
/// What else they try.
const ENDLESS: [&str; 8] = ["unlimited", "infinity", "inf", "forever", "never", "none", "no limit", "unbounded"];

/// A declared value in the broker's form: "7d" is "604800000", `TRUE` is `true`, "compact, delete" is "compact,delete".
/// Of a config that is not in the table, as it was written.
///
/// # Errors
/// What is wrong with it.
pub fn check(name: &str, text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return wrong("there is a line break or control character in this value", "remove it");
    }
    let Some(config) = find(name) else { return Ok(text.trim().to_owned()) };
    let value = parse(config, text)?;
    match config.kind {
        Kind::Int(lowest, highest) | Kind::Long(lowest, highest) => within(config, &value, lowest, highest, false),
        Kind::IntOrDefault(lowest, highest) => within(config, &value, lowest, highest, true),
        Kind::Ratio if !value.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio)) => {
            wrong(format!("{value} is not between 0 and 1"), "write a fraction such as 0.5")
        }
        Kind::Word(words) if !words.contains(&value.as_str()) => {
            wrong(format!("there is no {value:?}"), known(&value, words))
        }
        Kind::Words(words) => match value.split(',').find(|word| !words.contains(word)) {
            Some("") => wrong("no word stands there", known("", words)),
            Some(other) => wrong(format!("there is no {other:?}"), known(other, words)),
            None => Ok(value),
        },
        Kind::Ratio | Kind::Word(_) | Kind::Flag | Kind::Text => Ok(value),
    }
}

/// A value that a broker has shown, in the form in which declared ones are compared with it.
pub fn as_stored(name: &str, text: &str) -> String {
    find(name).and_then(|config| parse(config, text).ok()).unwrap_or_else(|| text.to_owned())
}

fn wrong<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { message: message.into(), hint: hint.into() })
}

fn known(word: &str, words: &[&str]) -> String {
    suggest::hint(word, words)
}

/// By type alone.
fn parse(config: &Config, text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    match config.kind {
        Kind::Int(..) | Kind::Long(..) | Kind::IntOrDefault(..) => number(config, text),
        Kind::Ratio => match text.parse::<f64>() {
            // As Java prints it, but for very small ones: 0.5, 1.0.
            Ok(ratio) if ratio.is_finite() => Ok(format!("{ratio:?}")),
            Ok(_) | Err(_) => wrong(format!("{text:?} is no number"), "write a fraction such as 0.5"),
        },
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            flag @ ("true" | "false") => Ok(flag.to_owned()),
            _ => wrong(format!("{text:?} is neither true nor false"), "write true or false"),
        },
        // Redpanda calls it none, and takes both.
        Kind::Word(_) if config.name == "compression.type" && text == "none" => Ok("uncompressed".to_owned()),
        Kind::Word(_) | Kind::Text => Ok(text.to_owned()),
        Kind::Words(_) => {
            let mut words: Vec<&str> = text.split(',').map(str::trim).collect();
            words.sort_unstable();
            words.dedup();
            Ok(words.join(","))
        }
    }
}

fn number(config: &Config, text: &str) -> Result<String, Wrong> {
    if text == INFINITE {
        let endless = i64::MAX.to_string();
        return match (config.kind, config.default) {
            (Kind::Long(-1, _), _) => Ok("-1".to_owned()),
            (Kind::Long(..), default) if default == endless => Ok(endless),
            _ => wrong("it cannot be infinite", "write a number"),
        };
    }
    if ENDLESS.contains(&text.to_lowercase().as_str()) {
        return wrong(format!("{text:?} is no number"), "no limit is written \"infinite\"");
    }
    let unit = Unit::of(config.name);
    if unit == Unit::None {
        return match text.parse::<i64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => wrong(format!("{text:?} is no whole number"), "write a number without a unit"),
        };
    }
    unit.canonical(text).map_err(|message| Wrong {
        message,
        hint: "a bare number counts in the unit that the config's name ends with".to_owned(),
    })
}

fn within(config: &Config, value: &str, lowest: i64, highest: i64, own: bool) -> Result<String, Wrong> {
    let fits = |number: i64| (lowest..=highest).contains(&number) || (own && number == -1);
    if value.parse().is_ok_and(fits) {
        return Ok(value.to_owned());
    }
    let or = if own { ", or -1 for the codec's own" } else { "" };
    let least = shown(config, lowest);
    let hint = match highest {
        i64::MAX => format!("{least} is the least"),
        highest => format!("it may be {least} to {}{or}", shown(config, highest)),
    };
    let hint = if lowest == -1 && !own { format!("{hint}; -1 or \"infinite\" is no limit") } else { hint };
    let too = if value.parse().is_ok_and(|number: i64| number > highest) { "much" } else { "little" };
    wrong(format!("{value} is too {too}"), hint)
}

/// A limit, and how people would write it.
fn shown(config: &Config, limit: i64) -> String {
    match (Unit::of(config.name), limit) {
        (Unit::Bytes, 2_147_483_647) => "2147483647 (1 byte less than 2GiB)".to_owned(),
        (Unit::Bytes, limit) if limit >= 1 << 20 && limit % (1 << 20) == 0 => {
            format!("{limit} ({}MiB)", limit >> 20)
        }
        (Unit::Bytes | Unit::Milliseconds | Unit::None, limit) => limit.to_string(),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
