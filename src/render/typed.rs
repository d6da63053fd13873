//! Commands in texts, so that they do what is said of them when they are typed as they stand.

use super::clean;
use std::sync::OnceLock;

/// How a command begins in a text: all that is to be typed stands between backticks.
const BEGINS: &str = "`nornplan";

/// What was said to this run and goes for every command: `--env prod`.
static GLOBAL: OnceLock<String> = OnceLock::new();

/// Sets, once, the flags that every command takes along which is told of from now on, each with its value.
pub fn take_along(flags: &[(&str, String)]) {
    if !flags.is_empty() {
        let flags: Vec<String> = flags.iter().map(|(flag, value)| format!("{flag} {}", shell_word(value))).collect();
        let _ = GLOBAL.set(flags.join(" "));
    }
}

/// A text in which each command has the flags that this run was given for all.
pub fn typed(text: &str) -> String {
    with(GLOBAL.get().map(String::as_str), text)
}

fn with(flags: Option<&str>, text: &str) -> String {
    let Some(flags) = flags else { return text.to_owned() };
    // A line may end behind the name.
    let spaced =
        |text: &str, space: &str| text.replace(&format!("{BEGINS}{space}"), &format!("{BEGINS} {flags}{space}"));
    spaced(&spaced(text, " "), "\n")
}

/// One word for a shell, quoted where that would read something else.
pub fn shell_word(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._/-:@+,=".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    format!("'{}'", clean(text).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_takes_the_flags_along_and_other_words_stay() {
        let text = "Run `nornplan plan`, then `nornplan\napply`: nornplan is `nornplan`";
        assert_eq!(with(None, text), text);
        let told = "Run `nornplan --env prod plan`, then `nornplan --env prod\napply`: nornplan is `nornplan`";
        assert_eq!(with(Some("--env prod"), text), told);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_something_else() {
        for (word, quoted) in [
            ("plan.json", "plan.json"),
            ("my plan.json", "'my plan.json'"),
            ("it's", "'it'\\''s'"),
            ("$(id)", "'$(id)'"),
            ("*", "'*'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
