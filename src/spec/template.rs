//! Templates of `[publish]`: text with placeholders such as `{pg.user}`; `{{` and `}}` are braces.

use std::fmt;

/// Every placeholder that there is. The part before the dot says which service the app must have.
pub const PLACEHOLDERS: [&str; 19] = [
    "app",
    "pg.user",
    "pg.password",
    "pg.host",
    "pg.port",
    "pg.database",
    "pg.sslmode",
    "kv.user",
    "kv.password",
    "kv.host",
    "kv.port",
    "kv.sentinels",
    "kv.sentinel_name",
    "kv.db",
    "kv.namespace",
    "kafka.user",
    "kafka.password",
    "kafka.brokers",
    "kafka.mechanism",
];

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// The name between the braces. Whether there is such a name is not checked here.
    Placeholder(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{` without its `}`.
    Unclosed,
    /// A `}` without its `{`.
    Unopened,
    /// Something between braces that cannot be a name.
    NoName(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => f.write_str("a { has no }"),
            Self::Unopened => f.write_str("a } has no {"),
            Self::NoName(name) => write!(f, "{{{name}}} is no placeholder"),
        }
    }
}

impl std::error::Error for TemplateError {}

/// Splits a template into its parts. Adjacent text is one part; an empty template has none.
///
/// # Errors
/// Braces that do not match, or something between them that cannot be a name.
pub fn parse(template: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' if rest.next_if_eq(&character).is_some() => text.push(character),
            '}' => return Err(TemplateError::Unopened),
            '{' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some('{') | None => return Err(TemplateError::Unclosed),
                        Some(other) => name.push(other),
                    }
                }
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_') {
                    return Err(TemplateError::NoName(name));
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Placeholder(name));
            }
            _ => text.push(character),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn placeholder(name: &str) -> Piece {
        Piece::Placeholder(name.to_owned())
    }

    #[test]
    fn text_placeholders_and_escaped_braces() {
        assert_eq!(
            parse("pg://{pg.user}:{pg.password}@h").unwrap(),
            [text("pg://"), placeholder("pg.user"), text(":"), placeholder("pg.password"), text("@h")]
        );
        assert_eq!(parse("{{\"a\": \"{app}\"}}").unwrap(), [text("{\"a\": \""), placeholder("app"), text("\"}")]);
        assert_eq!(parse("{{{app}}}").unwrap(), [text("{"), placeholder("app"), text("}")]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_is_no_template() {
        assert_eq!(parse("{pg.user"), Err(TemplateError::Unclosed));
        assert_eq!(parse("{pg.{user}"), Err(TemplateError::Unclosed));
        assert_eq!(parse("a}"), Err(TemplateError::Unopened));
        assert_eq!(parse("{}"), Err(TemplateError::NoName(String::new())));
        assert_eq!(parse("{pg user}"), Err(TemplateError::NoName("pg user".to_owned())));
    }
}
