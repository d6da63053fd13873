//! What the server's log would show of a statement with a verifier in it, and keeping that out.
//!
//! Parameters that a session may set for itself are set: all by a superuser, and from 15 on those for which a lesser
//! administrator was granted SET. `auto_explain` does not look at statements about roles; `pgaudit` leaves passwords out.

use crate::services::Failure;
use crate::services::postgres::connect::{run, stating};
use postgres_protocol::escape::escape_identifier;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// What makes the server write statements down, and the value that stops it. One that the server does not have (of an
/// extension that is not loaded) is passed over.
const QUIET: [(&str, &str); 8] = [
    ("log_statement", "none"),
    ("log_min_error_statement", "panic"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_transaction_sample_rate", "0"),
    ("debug_print_parse", "off"),
    ("debug_print_rewritten", "off"),
    ("pg_stat_statements.track", "none"),
];

/// No password takes so many milliseconds to set on a server that is well.
const SLOW: i64 = 1000;

/// Whether the session may set the parameter `p`.
const MAY_SET: &str = "(p.context = 'user' OR has_parameter_privilege(p.name, 'SET'))";

/// Keeps what comes next out of the log as far as this session may, until [`speak`] is called.
pub async fn hush(connection: &mut PgConnection, object: &str) -> Result<Vec<String>, Failure> {
    let (names, quiet): (Vec<&str>, Vec<&str>) = QUIET.into_iter().unzip();
    let statement = format!(
        "SELECT p.name, set_config(p.name, q.value, false) FROM unnest($1::text[], $2::text[]) AS q(name, value) \
         JOIN pg_catalog.pg_settings p ON p.name = q.name WHERE {}",
        MAY_SET
    );
    let set: Result<Vec<(String, String)>, _> = sqlx::query_as(AssertSqlSafe(statement.clone()))
        .bind(names)
        .bind(quiet)
        .persistent(false)
        .fetch_all(connection)
        .await;
    Ok(set.map_err(|error| stating(error, object, &statement))?.into_iter().map(|(name, _)| name).collect())
}

/// Lets the log have what it had before.
pub async fn speak(connection: &mut PgConnection, object: &str, hushed: &[String]) -> Result<(), Failure> {
    let each: Vec<String> = hushed.iter().map(|name| format!("RESET {name}")).collect();
    run(connection, object, &each.join("; ")).await
}

/// What is logged that we may not keep quiet.
#[derive(Debug, Deserialize)]
pub struct Loud {
    user: String,
    /// Those that we may not set, as they are.
    settings: BTreeMap<String, String>,
    /// Share of the slow statements that [`QUIET`]'s sample looks at which is logged.
    sample_rate: f64,
}

/// Asks what is logged.
pub async fn listen(connection: &mut PgConnection) -> Result<Loud, Failure> {
    let statement = format!(
        "SELECT jsonb_build_object('user', current_user, \
           'sample_rate', coalesce(current_setting('log_statement_sample_rate', true), '1')::float8, \
           'settings', (SELECT coalesce(jsonb_object_agg(p.name, p.setting), '{{}}') FROM pg_catalog.pg_settings p \
             WHERE p.name = ANY($1) AND NOT {}))::text",
        MAY_SET
    );
    let names: Vec<&str> = QUIET.into_iter().map(|(name, _)| name).collect();
    let text: Result<String, _> =
        sqlx::query_scalar(AssertSqlSafe(statement)).bind(names).persistent(false).fetch_one(connection).await;
    crate::services::postgres::catalog::parse(
        &text.map_err(|error| stating(error, "server's log", "SELECT .. FROM pg_settings"))?,
    )
}

impl Loud {
    /// What will be logged, and the statement that stops it, if anything will be.
    pub fn warning(&self) -> Option<(String, String)> {
        let reasons: Vec<String> = self
            .settings
            .iter()
            .filter(|(name, value)| self.logs(name, value))
            .map(|(n, v)| format!("{n} = {v}"))
            .collect();
        if reasons.is_empty() {
            return None;
        }
        let what = format!(
            "the verifiers of new passwords, not the passwords, will stand in the server's log ({})",
            reasons.join(", ")
        );
        let user = escape_identifier(&self.user);
        let names: Vec<&str> = self.settings.keys().map(String::as_str).collect();
        Some((what, format!("as a superuser: GRANT SET ON PARAMETER {} TO {user}", names.join(", "))))
    }

    /// Whether a parameter at this value writes down statements that succeed.
    fn logs(&self, name: &str, value: &str) -> bool {
        let soon = || value.parse().is_ok_and(|milliseconds: i64| (0..SLOW).contains(&milliseconds));
        match name {
            "log_statement" => value != "none",
            "log_min_duration_statement" => soon(),
            "log_min_duration_sample" => soon() && self.sample_rate > 0.0,
            "log_transaction_sample_rate" => value.parse().is_ok_and(|rate: f64| rate > 0.0),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loud(settings: &[(&str, &str)]) -> Option<(String, String)> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Loud { user: "ops".to_owned(), settings, sample_rate: 1.0 }.warning()
    }

    #[test]
    fn only_what_logs_statements_that_succeed_is_warned_of() {
        let usual = [
            ("log_statement", "none"),
            ("log_min_error_statement", "error"),
            ("log_min_duration_statement", "-1"),
            ("log_min_duration_sample", "1000"),
            ("log_transaction_sample_rate", "0"),
        ];
        assert_eq!(loud(&usual), None);
        assert_eq!(loud(&[]), None);
        for (name, value) in [
            ("log_statement", "ddl"),
            ("log_statement", "mod"),
            ("log_statement", "all"),
            ("log_min_duration_statement", "0"),
            ("log_min_duration_sample", "10"),
            ("log_transaction_sample_rate", "0.5"),
        ] {
            let (what, fix) = loud(&[(name, value), ("log_min_error_statement", "error")]).unwrap();
            assert!(what.contains(&format!("({name} = {value})")), "{what}");
            assert!(fix.contains("GRANT SET ON PARAMETER log_min_") && fix.ends_with("TO \"ops\""), "{fix}");
            assert!(fix.contains(name), "{fix}");
        }
    }
}
