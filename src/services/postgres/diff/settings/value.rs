//! Whether a setting can have a value, read as the server reads it (`guc.c`: `parse_int`, `parse_real`,
//! `convert_to_base_unit`, `config_enum_lookup_by_name`; `bool.c`: `parse_bool`). Pure.

use crate::core::suggest::closest;
use crate::services::postgres::server::Parameter;

/// Units of one kind, the largest first.
type Units = &'static [(&'static str, f64)];

/// In bytes.
const SIZES: Units =
    &[("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];
/// In microseconds.
const TIMES: Units = &[
    ("d", 86_400_000_000.0),
    ("h", 3_600_000_000.0),
    ("min", 60_000_000.0),
    ("s", 1_000_000.0),
    ("ms", 1_000.0),
    ("us", 1.0),
];
/// Words that some enums take and no catalog tells.
const UNTOLD: [&str; 8] = ["true", "false", "yes", "no", "1", "0", "debug", "info"];
/// Bounds are told with six digits.
const TOLD: f64 = 1e-5;

/// Why a setting cannot have this value; `None` if it can, or if that is not certain.
pub fn impossible(parameter: &Parameter, name: &str, value: &str) -> Option<String> {
    match parameter.kind.as_str() {
        "bool" => (!is_bool(value)).then(|| "it is on or off".to_owned()),
        // An extension may take words that it does not tell of.
        "enum" if !name.contains('.') => not_among(&parameter.choices, value),
        "integer" => number(parameter, value, true),
        "real" => number(parameter, value, false),
        _ => None,
    }
}

/// A word for yes or no, or its beginning as far as that says which.
fn is_bool(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    ["true", "false", "yes", "no"].iter().any(|word| begins(word, 1))
        || value == "on"
        || begins("off", 2)
        || ["1", "0"].contains(&value.as_str())
}

fn not_among(choices: &[String], value: &str) -> Option<String> {
    let takes = |word: &str| word.eq_ignore_ascii_case(value);
    if choices.is_empty() || choices.iter().any(|word| takes(word)) || UNTOLD.iter().any(|word| takes(word)) {
        return None;
    }
    let meant = closest(value, choices.iter().map(String::as_str));
    let meant = meant.map(|meant| format!(" (did you mean {meant:?}?)")).unwrap_or_default();
    Some(format!("it is one of {}{meant}", choices.join(", ")))
}

fn number(parameter: &Parameter, value: &str, whole: bool) -> Option<String> {
    let no_number =
        || Some(if whole { "it is a whole number" } else { "it is a number" }.to_owned() + &with_unit(parameter));
    let (number, rest) = match read(value, whole) {
        Read::Number(number, rest) => (number, rest.trim_start_matches(is_space)),
        Read::Nothing => return no_number(),
        Read::Unsure => return None,
    };
    let number = match (rest, parameter.unit.as_deref()) {
        ("", _) => number,
        (_, None) => return no_number(),
        (unit, Some(base)) => {
            let (units, base) = base_unit(base)?;
            match in_base(number, unit.trim_end_matches(is_space), units, base) {
                Some(number) => number,
                None => return no_number(),
            }
        }
    };
    let number = if whole { number.round_ties_even() } else { number };
    let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    let (min, max) = (bound(&parameter.min)?, bound(&parameter.max)?);
    let slack = |bound: f64| if whole { 0.0 } else { bound.abs() * TOLD };
    let outside = number < min - slack(min) || number > max + slack(max);
    let counted = parameter.unit.as_ref().map(|unit| format!(", in units of {unit}")).unwrap_or_default();
    let (min, max) = (parameter.min.as_deref()?, parameter.max.as_deref()?);
    outside.then(|| format!("it is between {min} and {max}{counted}"))
}

/// Which units may stand behind a number.
fn with_unit(parameter: &Parameter) -> String {
    let Some(units) = parameter.unit.as_deref().and_then(base_unit).map(|(units, _)| units) else {
        return if parameter.unit.is_none() { " without a unit".to_owned() } else { String::new() };
    };
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let base = parameter.unit.as_deref().unwrap_or_default();
    format!(", with one of the units {} behind it (without one it counts {base})", names.join(", "))
}

/// The kind of a setting's own unit, and how much it is: `8kB` is 8192 bytes.
fn base_unit(text: &str) -> Option<(Units, f64)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = text.split_at_checked(digits)?;
    let count = if count.is_empty() { 1.0 } else { count.parse().ok()? };
    [SIZES, TIMES].into_iter().find_map(|units| {
        let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
        Some((units, size * count))
    })
}

/// The number in the setting's own unit; what is finer than the next smaller unit is rounded off.
fn in_base(number: f64, unit: &str, units: Units, base: f64) -> Option<f64> {
    let at = units.iter().position(|(name, _)| *name == unit)?;
    let (_, size) = units.get(at)?;
    let converted = number * (size / base);
    Some(match units.get(at + 1) {
        Some((_, smaller)) => (converted / (smaller / base)).round_ties_even() * (smaller / base),
        None => converted,
    })
}

/// What stands at the beginning of a text.
enum Read<'a> {
    /// A number, and what is behind it.
    Number(f64, &'a str),
    Nothing,
    /// What only C's own functions can tell.
    Unsure,
}

/// As `strtol` and `strtod` do it: whole numbers may be hexadecimal, or octal with a zero in front.
fn read(value: &str, whole: bool) -> Read<'_> {
    let text = value.trim_start_matches(is_space);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let begins = |word: &str| unsigned.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if !whole && (begins("inf") || begins("nan")) {
        // Infinite, or not a number.
        return Read::Unsure;
    }
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let (Some((digits, rest)), true) = (hex.split_at_checked(end), whole) else { return Read::Unsure };
        return match i64::from_str_radix(digits, 16) {
            Ok(number) if !rest.starts_with(['.', 'p', 'P']) => finish(sign, &number.to_string(), rest),
            _ => Read::Unsure,
        };
    }
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at_checked(end).unwrap_or((unsigned, ""));
    if whole && digits.is_empty() && unsigned.len() < value.len() {
        // A point is looked for where a number ended, and there was none.
        return Read::Nothing;
    }
    if whole && !rest.starts_with(['.', 'e', 'E']) {
        return match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => read_octal(sign, octal, rest),
            _ => finish(sign, digits, rest),
        };
    }
    let end = decimal_end(unsigned);
    let (digits, rest) = unsigned.split_at_checked(end).unwrap_or((unsigned, ""));
    finish(sign, digits, rest)
}

fn read_octal<'a>(sign: f64, octal: &str, rest: &'a str) -> Read<'a> {
    if octal.contains(['8', '9']) {
        // The number ends before them, and no unit begins so.
        return Read::Nothing;
    }
    match i64::from_str_radix(octal, 8) {
        Ok(number) => finish(sign, &number.to_string(), rest),
        Err(_) => Read::Unsure,
    }
}

/// Where a decimal number with a fraction and an exponent ends.
fn decimal_end(text: &str) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
    };
    let next = |at: usize| text.get(at..).and_then(|rest| rest.chars().next());
    let mut end = digits(0);
    if next(end) == Some('.') {
        let fraction = digits(end + 1);
        if end == 0 && fraction == 1 {
            return 0;
        }
        end = fraction;
    }
    if end > 0 && matches!(next(end), Some('e' | 'E')) {
        let signed = end + 1 + usize::from(matches!(next(end + 1), Some('+' | '-')));
        if digits(signed) > signed {
            end = digits(signed);
        }
    }
    end
}

fn finish<'a>(sign: f64, digits: &str, rest: &'a str) -> Read<'a> {
    if digits.is_empty() {
        return Read::Nothing;
    }
    match digits.parse::<f64>() {
        // What is too large or too small for C is an error there in some places only.
        Ok(number) if number.is_infinite() || (number == 0.0 && digits.contains(['e', 'E'])) => Read::Unsure,
        Ok(number) => Read::Number(sign * number, rest),
        Err(_) => Read::Unsure,
    }
}

/// C's `isspace`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: &str, unit: Option<&str>, min: &str, max: &str) -> Parameter {
        Parameter {
            kind: kind.to_owned(),
            unit: unit.map(str::to_owned),
            min: Some(min.to_owned()),
            max: Some(max.to_owned()),
            ..Parameter::default()
        }
    }

    #[test]
    fn numbers_are_read_as_the_server_does() {
        let memory = parameter("integer", Some("kB"), "64", "2147483647");
        for (value, fits) in [
            ("64", true),
            ("63", false),
            ("64kB", true),
            (" +0x40 kB ", true),
            ("0100", true),
            ("077", false),
            ("0900", false),
            ("0.0625MB", true),
            ("6.3e1", false),
            ("6.4E+1", true),
            ("65535.9B", true),
            ("2TB", false),
            ("2047.9GB", true),
            ("64KB", false),
            ("64 kBs", false),
            ("1min", false),
            (".5e4", true),
            ("+.5e4", false),
            ("", false),
            ("plenty", false),
            (".", false),
            ("1e", false),
            ("-64", false),
            ("64\u{fc}", false),
            ("99999999999999999999", false),
        ] {
            assert_eq!(impossible(&memory, "work_mem", value).is_none(), fits, "{value:?}");
        }
        let pages = parameter("integer", Some("8kB"), "100", "1000");
        assert_eq!(impossible(&pages, "x", "800kB"), None);
        assert!(impossible(&pages, "x", "795kB").unwrap().contains("between 100 and 1000, in units of 8kB"));
        let count = parameter("integer", None, "0", "10");
        assert!(impossible(&count, "x", "1kB").unwrap().contains("without a unit"));
        let delay = parameter("real", Some("ms"), "0", "100");
        for (value, fits) in
            [("0.1s", true), ("100000us", true), ("101", false), ("1e2", true), ("nan", true), ("x", false)]
        {
            assert_eq!(impossible(&delay, "x", value).is_none(), fits, "{value:?}");
        }
        assert_eq!(impossible(&parameter("integer", Some("fortnights"), "0", "1"), "x", "1 d"), None, "a unit to come");
    }

    #[test]
    fn words_are_read_as_the_server_does() {
        let jit = parameter("bool", None, "", "");
        for (value, fits) in [
            ("on", true),
            ("o", false),
            ("OF", true),
            ("T", true),
            ("fals", true),
            ("1", true),
            ("01", false),
            ("", false),
            ("offf", false),
            (" on", false),
        ] {
            assert_eq!(impossible(&jit, "jit", value).is_none(), fits, "{value:?}");
        }
        let mut level = parameter("enum", None, "", "");
        level.choices = vec!["local".to_owned(), "remote_write".to_owned()];
        for (value, fits) in [("LOCAL", true), ("yes", true), ("remote", false)] {
            assert_eq!(impossible(&level, "synchronous_commit", value).is_none(), fits, "{value:?}");
        }
        assert!(impossible(&level, "x", "remote_rite").unwrap().contains("did you mean \"remote_write\"?"));
        assert_eq!(impossible(&level, "some.level", "remote"), None);
    }
}
