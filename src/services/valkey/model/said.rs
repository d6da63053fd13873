//! Patterns of rules as people say them, each phrase after the word "may".

use std::collections::BTreeSet;

/// `read and write a:*, b:*` of `~a:*` and `~b:*`; one phrase for each way of use.
pub fn keys_in_words(patterns: &BTreeSet<String>) -> Vec<String> {
    let uses = [("", "read and write"), ("%R", "read"), ("%W", "write")];
    let phrase = |(mode, verb): (&str, &str)| {
        let split = patterns.iter().filter_map(|rule| rule.split_once('~'));
        let of_mode: Vec<&str> = split.filter(|(its, _)| *its == mode).map(|(_, pattern)| pattern).collect();
        named(&of_mode, "all keys").map(|keys| format!("{verb} {keys}"))
    };
    uses.into_iter().filter_map(phrase).collect()
}

/// `listen and send on the channels news.*` of `&news.*`.
pub fn channels_in_words(patterns: &BTreeSet<String>) -> Option<String> {
    let patterns: Vec<&str> = patterns.iter().map(|rule| rule.strip_prefix('&').unwrap_or(rule)).collect();
    let channels = named(&patterns, "all channels")?;
    let the = if patterns.contains(&"*") { "" } else { "the channels " };
    Some(format!("listen and send on {the}{channels}"))
}

/// `use database 2` of numbers, or of `*`.
pub fn databases_in_words(numbers: &BTreeSet<String>) -> Option<String> {
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let word = if numbers.len() == 1 { "database" } else { "databases" };
    let databases = named(&numbers, "all databases")?;
    Some(if numbers.contains(&"*") { format!("use {databases}") } else { format!("use {word} {databases}") })
}

fn named(patterns: &[&str], all: &str) -> Option<String> {
    const SHOWN: usize = 8;
    match patterns {
        [] => None,
        patterns if patterns.contains(&"*") => Some(all.to_owned()),
        patterns => Some(crate::core::listing::some(patterns, SHOWN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn patterns_are_said_by_what_they_open() {
        let keys = keys_in_words(&set(&["~a:*", "~b:*", "%R~c:*", "%W~d~:*"]));
        assert_eq!(keys, ["read and write a:*, b:*", "read c:*", "write d~:*"]);
        assert_eq!(keys_in_words(&set(&["~*"])), ["read and write all keys"]);
        assert_eq!(keys_in_words(&set(&[])), Vec::<String>::new());
        assert_eq!(channels_in_words(&set(&["&a:*"])).unwrap(), "listen and send on the channels a:*");
        assert_eq!(channels_in_words(&set(&["&*"])).unwrap(), "listen and send on all channels");
        assert_eq!(channels_in_words(&set(&[])), None);
        assert_eq!(databases_in_words(&set(&["2"])).unwrap(), "use database 2");
        assert_eq!(databases_in_words(&set(&["2", "3"])).unwrap(), "use databases 2, 3");
        assert_eq!(databases_in_words(&set(&["*"])).unwrap(), "use all databases");
    }
}
