//! Users as files have them: an aclfile, or the `user` lines of a configuration file. Pure.

use super::rules::{Account, parse_line};
use crate::core::secret::Secret;
use std::collections::BTreeMap;

/// All users of a file, by name; `None` for one whose line was written by hand in a way that is not read here. Nothing is
/// known of any user where other files are included.
pub fn saved_accounts(text: &str, database_rules: bool) -> Option<BTreeMap<String, Option<Account>>> {
    let mut saved = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if first.eq_ignore_ascii_case("include") {
            return None;
        }
        if let (true, Some(name)) = (first.eq_ignore_ascii_case("user"), words.next()) {
            saved.insert(name.to_owned(), account(name, &words.collect::<Vec<_>>(), database_rules));
        }
    }
    Some(saved)
}

/// A line as `ACL LIST` has it, but for passwords that people wrote in plain.
fn account(name: &str, words: &[&str], database_rules: bool) -> Option<Account> {
    // What takes back something that stands before it, and what is quoted.
    let takes_back = |word: &&str| {
        ["reset", "resetpass", "clearselectors"].contains(word)
            || word.starts_with(['<', '!'])
            || word.contains(['"', '\''])
    };
    if words.iter().any(takes_back) || (words.contains(&"on") && words.contains(&"off")) {
        return None;
    }
    let rules: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('>')).collect();
    let mut account = parse_line(&format!("user {name} {}", rules.join(" ")), database_rules).ok()?;
    let plain = words.iter().filter_map(|word| word.strip_prefix('>'));
    account.hashes.extend(plain.map(|password| Secret::new(password.to_owned()).sha256()));
    Some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_both_kinds_of_files() {
        let text = "port 1\n# user commented on\nuser a on #00 ~a:* resetchannels -@all +get\r\nUSER b off >x\n\nuser c on <x\n";
        let saved = saved_accounts(text, false).unwrap();
        assert_eq!(saved.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        let listed = parse_line("user a on #00 ~a:* resetchannels -@all +get", false).unwrap();
        assert!(saved["a"] == Some(listed));
        let by_hand = saved["b"].as_ref().unwrap();
        let sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert!(!by_hand.user.enabled && by_hand.hashes.contains(sha256));
        assert!(saved["c"].is_none());
        assert!(saved_accounts("user a on\ninclude more.conf\n", false).is_none());
    }
}
