//! Rules that people write themselves: commands, keys and channels, brought into the one form that servers print.
//!
//! Whether a server has a command is known only when it is asked.

use crate::error::{Diagnostic, Place};
use crate::spec::fields::{Fields, shown};
use crate::spec::node::Located;
use crate::spec::source::Spot;

/// Longer patterns are no patterns that people write.
const LONGEST: usize = 500;

/// Words of rules that say something else than which commands, keys or channels are open.
const OTHER_RULES: [&str; 14] = [
    "on",
    "off",
    "reset",
    "resetpass",
    "nopass",
    "resetkeys",
    "allkeys",
    "resetchannels",
    "allchannels",
    "alldbs",
    "resetdbs",
    "clearselectors",
    "sanitize-payload",
    "skip-sanitize-payload",
];

/// Why a text is no rule, and what to do next.
type Wrong = (&'static str, &'static str);

/// Command rules in lower case, in their order.
pub fn commands(fields: &mut Fields<'_, '_>) -> Vec<Located<String>> {
    read(fields, "commands", command)
}

/// Key patterns as `~p`, `%R~p` or `%W~p`.
pub fn keys(fields: &mut Fields<'_, '_>) -> Vec<Located<String>> {
    read(fields, "keys", key)
}

/// Channel patterns as `&p`.
pub fn channels(fields: &mut Fields<'_, '_>) -> Vec<Located<String>> {
    read(fields, "channels", channel)
}

fn read(fields: &mut Fields<'_, '_>, name: &str, canonical: fn(&str) -> Result<String, Wrong>) -> Vec<Located<String>> {
    let mut rules: Vec<Located<String>> = Vec::new();
    for Located { value, spot } in fields.texts(name).unwrap_or_default() {
        if value.starts_with(['#', '>', '<', '!']) {
            fields.fail(of_a_password(name, &spot));
            continue;
        }
        let error: Diagnostic = match check(&value).and_then(|()| canonical(&value)) {
            Ok(rule) => match rules.iter().find(|known| known.value == rule && name != "commands") {
                None => {
                    rules.push(Located::new(rule, spot));
                    continue;
                }
                Some(known) => spot
                    .error(format!("{:?} says the same as another of {name} ({})", shown(&value), known.spot))
                    .hint("leave one of them out"),
            },
            Err((why, hint)) => spot.error(format!("{:?} in {name} {why}", shown(&value))).hint(hint),
        };
        fields.fail(error);
    }
    rules
}

/// A rule that sets a password. Neither it nor its line is shown: both have the secret in them.
fn of_a_password(name: &str, spot: &Spot) -> Diagnostic {
    let mut error = spot.error(format!("a rule in {name} is that of a password"));
    if let Some(Place::Text { text, .. }) = &mut error.place {
        "…".clone_into(text);
    }
    error.hint(
        "take it out, and change the password; passwords are generated, or credential = \"keep\" leaves them alone",
    )
}

/// What is no rule of any of the three kinds.
fn check(text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err(("is empty", "write a rule, or leave it out"));
    }
    if text.len() > LONGEST {
        return Err(("is longer than any rule", "check what it should be"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(("has a space or a control character", "one rule is one item of the list, without spaces"));
    }
    if text.contains('\u{FFFD}') {
        return Err(("has a character that stands for what is no text", "write the bytes that are meant as text"));
    }
    if text.starts_with('(') || text.starts_with("db=") {
        return Err(("is a rule that nornplan makes itself", "`db` and `readers` say what these would"));
    }
    if OTHER_RULES.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(("is a rule that nornplan makes itself", "write only commands, keys and channels that are open"));
    }
    Ok(())
}

fn command(text: &str) -> Result<String, Wrong> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "allcommands" => return Err(("is another word for +@all", "write \"+@all\"")),
        "nocommands" => return Err(("is another word for -@all", "write \"-@all\"")),
        _ if lower.starts_with(['~', '%']) => return Err(("is a rule for keys", "write it into keys")),
        _ if lower.starts_with('&') => return Err(("is a rule for channels", "write it into channels")),
        _ => {}
    }
    let Some(name) = lower.strip_prefix(['+', '-']) else {
        return Err(("neither gives nor takes", "write a sign before it: \"+get\", \"-del\", \"+@read\""));
    };
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_' || c == '-')
    };
    let example = "such as \"+get\", \"-@write\", \"+config|get\"";
    match (name.strip_prefix('@'), name.split_once('|')) {
        (Some(category), _) if is_word(category) => Ok(lower),
        (None, None) if is_word(name) => Ok(lower),
        (None, Some((_, argument))) if lower.starts_with('-') && argument.parse::<u32>().is_ok() => {
            Err(("takes a first argument away, which servers cannot", "take the whole command away"))
        }
        (None, Some((command, sub))) if is_word(command) && is_word(sub) => Ok(lower),
        (_, _) => Err(("is no rule for commands", example)),
    }
}

fn key(text: &str) -> Result<String, Wrong> {
    if text.starts_with('&') {
        return Err(("is a rule for channels", "write it into channels"));
    }
    if text.starts_with(['+', '-']) {
        return Err(("is a rule for commands", "write it into commands; a key that starts so is \"~+...\""));
    }
    let (mode, pattern) = match (text.strip_prefix('%'), text.strip_prefix('~')) {
        (Some(rest), _) => {
            let hint = "%R~ opens keys for reading, %W~ for writing; ~ or nothing for both";
            let Some((mode, pattern)) = rest.split_once('~') else { return Err(("has no ~ after its %", hint)) };
            match mode.to_ascii_uppercase().as_str() {
                "R" => ("%R", pattern),
                "W" => ("%W", pattern),
                "RW" | "WR" => ("", pattern),
                _ => return Err(("has an unknown mode before its ~", hint)),
            }
        }
        (None, Some(pattern)) => ("", pattern),
        (None, None) => ("", text),
    };
    if pattern.is_empty() {
        return Err(("has no pattern", "such as \"shared:*\""));
    }
    Ok(format!("{mode}~{pattern}"))
}

fn channel(text: &str) -> Result<String, Wrong> {
    if text.starts_with(['~', '%']) {
        return Err(("is a rule for keys", "write it into keys"));
    }
    if text.starts_with(['+', '-']) {
        return Err(("is a rule for commands", "write it into commands; a channel that starts so is \"&+...\""));
    }
    match text.strip_prefix('&').unwrap_or(text) {
        "" => Err(("has no pattern", "such as \"news.*\"")),
        pattern => Ok(format!("&{pattern}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_what_servers_print() {
        for (written, canonical) in
            [("shared:*", "~shared:*"), ("~a", "~a"), ("%r~a", "%R~a"), ("%RW~a", "~a"), ("%W~~a", "%W~~a")]
        {
            assert_eq!(key(written).as_deref(), Ok(canonical));
        }
        assert_eq!(channel("news.*").as_deref(), Ok("&news.*"));
        assert_eq!(channel("&&x").as_deref(), Ok("&&x"));
        assert_eq!(command("+CONFIG|Get").as_deref(), Ok("+config|get"));
        assert_eq!(command("+select|3").as_deref(), Ok("+select|3"));
        assert_eq!(command("-@write").as_deref(), Ok("-@write"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for wrong in ["get", "+", "+@", "+a|b|c", "+get;", "~a", "&a", "+@read|x", "-select|3", "allcommands"] {
            assert!(command(wrong).is_err(), "{wrong}");
        }
        for wrong in ["%~a", "%X~a", "%R", "~", "%R~", "&a", "+a"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
        for wrong in ["&", "~a", "%R~a", "-a"] {
            assert!(channel(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "a b", "NOPASS", "(~a +get)", "db=3", "reset", "a\tb", "a\u{FFFD}"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
