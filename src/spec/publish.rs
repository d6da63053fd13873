//! `[publish]`: names of variables, and templates whose placeholders the app can fill.

use crate::core::suggest;
use crate::error::Diagnostic;
use crate::services::postgres::model::Credential;
use crate::spec::fields::Setting;
use crate::spec::model::App;
use crate::spec::template::{PLACEHOLDERS, Piece, TemplateError, parse};

/// Checks every published name and template of an app.
pub fn check(app: &App, published: &[Setting], errors: &mut Vec<Diagnostic>) {
    for (name, template) in published {
        if !is_variable(&name.value) {
            let message = format!("{:?} is no name of a variable", name.value);
            errors.push(name.spot.error(message).hint("letters, digits and _, not starting with a digit"));
        }
        if template.value.chars().any(char::is_control) {
            let message = format!("{} has a line break or control character", name.value);
            errors.push(template.spot.error(message).hint("remove it"));
        }
        match parse(&template.value) {
            Ok(pieces) => {
                for placeholder in pieces.iter().filter_map(placeholder) {
                    if let Err((message, hint)) = check_placeholder(app, placeholder) {
                        errors.push(template.spot.error(message).hint(hint));
                    }
                }
            }
            Err(error) => {
                let hint = match &error {
                    TemplateError::Unclosed | TemplateError::Unopened => "write {{ and }} for braces".to_owned(),
                    TemplateError::NoName(_) => {
                        "write {{ and }} for braces, and {pg.user} and the like for values".to_owned()
                    }
                };
                errors.push(template.spot.error(format!("{} is no template: {error}", name.value)).hint(hint));
            }
        }
    }
}

fn placeholder(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Placeholder(name) => Some(name),
        Piece::Text(_) => None,
    }
}

fn check_placeholder(app: &App, name: &str) -> Result<(), (String, String)> {
    if !PLACEHOLDERS.contains(&name) {
        return Err((format!("unknown placeholder {{{name}}}"), suggest::hint(name, &PLACEHOLDERS)));
    }
    let (service, field) = name.split_once('.').unwrap_or((name, ""));
    let (title, credential) = match service {
        "pg" => ("postgres", app.postgres.as_ref().map(|postgres| postgres.credential)),
        "kv" => ("kv", app.kv.as_ref().map(|kv| kv.credential)),
        "kafka" => ("events", app.events.as_ref().map(|events| events.credential)),
        _ => return Ok(()),
    };
    if let Some(kv) = app.kv.as_ref().filter(|_| service == "kv") {
        if kv.namespace.is_none() && field == "namespace" {
            return Err((
                format!("{{{name}}} is not known: namespace = false"),
                "leave it out: the app's keys have no prefix".to_owned(),
            ));
        }
        if kv.shared && field == "user" {
            return Err((
                format!("{{{name}}} is not known: shared = true"),
                "leave it out: such apps sign in with a password alone".to_owned(),
            ));
        }
    }
    match credential {
        None => Err((
            format!("{{{name}}} speaks of a service that {} does not have", app.name),
            format!("declare {title}, or leave {{{name}}} out"),
        )),
        Some(Credential::Keep) if field == "password" => Err((
            format!("{{{name}}} is not known: credential = \"keep\""),
            "nornplan knows only passwords that it generates: leave it out".to_owned(),
        )),
        Some(Credential::Keep | Credential::Generate | Credential::None) => Ok(()),
    }
}

fn is_variable(name: &str) -> bool {
    let head = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    head && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
