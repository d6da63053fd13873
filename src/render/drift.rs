//! What has moved away from what was last applied.

use super::items::masked;
use super::json::{NoticeView, notice_views};
use super::layout::{columns, pad, wrap_lines};
use super::telling::says_something;
use super::text::notices;
use super::{Ink, Style, count, fields, head, rules, same_reason, unmanaged, words};
use crate::core::address::Address;
use crate::core::change::FieldChange;
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice, ServiceHead};
use crate::services::Facts;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the report's JSON.
pub const FORMAT_VERSION: u32 = 1;

/// One resource that is not as it was last applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftItem {
    pub address: Address,
    pub app: AppName,
    /// `before` is what was last applied, `after` what the service has now.
    pub changes: Vec<FieldChange>,
    /// It does not exist any more.
    pub gone: bool,
}

/// The outcome of comparing the services with the state.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftReport {
    pub environment: String,
    /// What was compared with, and where it is.
    pub services: BTreeMap<String, ServiceHead>,
    /// `--app` and `--service`, if the run was narrowed.
    pub narrowed_to: Vec<String>,
    /// Resources that could be compared.
    pub compared: usize,
    pub drifted: Vec<DriftItem>,
    /// What the services have to say, such as what was not compared.
    pub notices: Vec<Notice>,
    /// What could not be told, one for each service that could not be read. Empty if everything could.
    pub errors: Vec<String>,
    /// Resources of which only a part could be read, by why.
    pub untold: BTreeMap<String, BTreeSet<Address>>,
    /// What exists and is neither declared nor ours, if that was asked for.
    pub unmanaged: Option<BTreeMap<Address, Facts>>,
}

impl DriftReport {
    /// Whether everything could be told.
    pub fn is_whole(&self) -> bool {
        self.errors.is_empty() && self.untold.is_empty()
    }

    /// What to do about it. A password that was changed shows only where it is tried.
    fn next_step(&self) -> &'static str {
        let is_password = |item: &DriftItem| item.changes.iter().any(|change| change.field == "credential");
        if self.drifted.is_empty() {
            ""
        } else if self.drifted.iter().any(is_password) {
            "`nornplan plan --probe-credentials` shows what would put it right.\n"
        } else {
            "`nornplan plan` shows what would put it right.\n"
        }
    }

    /// The last line of the text.
    pub fn verdict(&self) -> String {
        let (drifted, compared) = (self.drifted.len(), self.compared);
        if !self.is_whole() {
            return format!(
                "Incomplete: not everything could be read. Drift so far: {drifted} of {compared} resources."
            );
        }
        if drifted == 0 {
            let (them, they) = if compared == 1 { ("resource is", "it was") } else { ("resources are", "they were") };
            return format!("No drift. {compared} {them} as {they} last applied.");
        }
        format!("Drift: {drifted} of {}.", count(compared, "resource", "resources"))
    }
}

/// For people.
pub fn text(report: &DriftReport, style: &Style) -> String {
    let style = *style;
    let mut blocks = vec![head::lines(&report.environment, &report.services, &report.narrowed_to, style).join("\n")];
    let mut apps: BTreeMap<&AppName, Vec<&DriftItem>> = BTreeMap::new();
    for item in &report.drifted {
        apps.entry(&item.app).or_default().push(item);
    }
    if !apps.is_empty() {
        blocks.push(style.paint(Ink::Faint, "Read each line as: last applied -> on the service now"));
    }
    for (app, items) in apps {
        let widest = items.iter().map(|item| columns(&words::address(&item.address))).max().unwrap_or_default();
        let mut lines = vec![style.paint(Ink::Bold, app.as_str())];
        lines.extend(items.iter().flat_map(|item| item_lines(item, widest, style)));
        blocks.push(lines.join("\n"));
    }
    blocks.extend(report.unmanaged.as_ref().map(|found| unmanaged::lines(found, style).join("\n")));
    let told = notices(&report.notices, &[Level::Alarm, Level::Warning, Level::Note], style);
    blocks.extend((!told.is_empty()).then(|| told.join("\n")));
    if !report.is_whole() {
        let mut lines = vec![style.paint(Ink::Alarm, "INCOMPLETE")];
        let width = style.width.saturating_sub(2);
        let told = report.errors.iter().cloned().chain(same_reason::untold(&report.untold));
        lines.extend(told.flat_map(|error| wrap_lines(&error, width)).map(|line| format!("  {line}")));
        blocks.push(lines.join("\n"));
    }
    let verdict = style.paint(Ink::Bold, &report.verdict());
    let next = report.next_step();
    blocks.push(format!("{next}{verdict}"));
    blocks.join("\n\n") + "\n"
}

fn item_lines(item: &DriftItem, widest: usize, style: Style) -> Vec<String> {
    let address = style.paint(Ink::Bold, &pad(&words::address(&item.address), widest));
    if item.gone {
        return vec![format!("  {} {address}  {}", style.paint(Ink::Danger, "-"), style.paint(Ink::Drift, "gone"))];
    }
    let mut lines =
        vec![format!("  {} {address}  {}", style.paint(Ink::Drift, "~"), style.paint(Ink::Drift, "drifted"))];
    let changes = rules::shown(&masked(&item.address, item.changes.clone()), false, style);
    lines.extend(fields::lines(&changes, 6, false, style));
    lines
}

/// For programs; the same report gives the same bytes.
///
/// # Errors
/// Never for a report made by nornplan.
pub fn json(report: &DriftReport) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct View<'a> {
        format_version: u32,
        environment: &'a str,
        complete: bool,
        errors: Vec<String>,
        services: &'a BTreeMap<String, ServiceHead>,
        narrowed_to: &'a [String],
        compared: usize,
        drifted: Vec<DriftItem>,
        #[serde(skip_serializing_if = "Option::is_none")]
        unmanaged: Option<Vec<Unmanaged<'a>>>,
        notices: Vec<NoticeView<'a>>,
        verdict: String,
    }
    #[derive(Serialize)]
    struct Unmanaged<'a> {
        address: &'a Address,
        facts: &'a Facts,
    }
    let each = report.untold.iter().flat_map(|(why, addresses)| {
        addresses.iter().map(move |address| format!("{address} could not be looked into: {why}"))
    });
    let view = View {
        format_version: FORMAT_VERSION,
        environment: &report.environment,
        complete: report.is_whole(),
        errors: report.errors.iter().cloned().chain(each).collect(),
        services: &report.services,
        narrowed_to: &report.narrowed_to,
        compared: report.compared,
        drifted: report
            .drifted
            .iter()
            .map(|item| {
                let mut changes = masked(&item.address, item.changes.clone());
                changes.retain(|change| !item.gone || says_something(change));
                DriftItem { changes, ..item.clone() }
            })
            .collect(),
        unmanaged: report
            .unmanaged
            .as_ref()
            .map(|found| found.iter().map(|(address, facts)| Unmanaged { address, facts }).collect()),
        notices: notice_views(&report.notices),
        verdict: report.verdict(),
    };
    Ok(serde_json::to_string_pretty(&view)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::change::Cause;
    use serde_json::json;

    fn report(errors: &[&str]) -> DriftReport {
        let change =
            |field: &str, before, after| FieldChange { field: field.into(), before, after, cause: Cause::Drifted };
        let item = |address: &str, changes, gone| DriftItem {
            address: address.parse().unwrap(),
            app: AppName::new("cafe").unwrap(),
            changes,
            gone,
        };
        DriftReport {
            environment: "prod".into(),
            services: BTreeMap::from([(
                "postgres".to_owned(),
                ServiceHead {
                    endpoint: "db.internal:5432".into(),
                    identity: None,
                    version: None,
                    nodes: Default::default(),
                },
            )]),
            narrowed_to: vec!["--app cafe".into()],
            compared: 14,
            drifted: vec![
                item("postgres.role.cafe_user", vec![change("connection_limit", json!(20), json!(null))], false),
                item("kafka.topic.cafe.orders", vec![], true),
                item("secret.cafe", vec![change("values", json!({"A": "s3cret"}), json!({"A": "other"}))], false),
            ],
            notices: vec![Notice { level: Level::Note, about: "postgres".into(), text: "read with --shallow".into() }],
            errors: errors.iter().map(ToString::to_string).collect(),
            untold: BTreeMap::new(),
            unmanaged: None,
        }
    }

    #[test]
    fn what_is_not_managed_is_told_where_that_was_asked_for() {
        let without = report(&[]);
        assert!(
            !text(&without, &Style::PLAIN).contains("Not managed") && !json(&without).unwrap().contains("unmanaged")
        );
        let address: Address = "kafka.topic.legacy.a".parse().unwrap();
        let facts = Facts::from([("partitions".to_owned(), json!(3))]);
        let with = DriftReport { unmanaged: Some(BTreeMap::from([(address, facts)])), drifted: Vec::new(), ..without };
        let text = text(&with, &Style::PLAIN);
        assert!(text.contains("\n\nNot managed"), "{text}");
        assert!(text.ends_with("No drift. 14 resources are as they were last applied.\n"), "{text}");
        let told: serde_json::Value = serde_json::from_str(&json(&with).unwrap()).unwrap();
        assert_eq!(told["unmanaged"], json!([{"address": "kafka.topic.legacy.a", "facts": {"partitions": 3}}]));
    }

    #[test]
    fn drift_is_told_from_applied_to_now() {
        let text = text(&report(&[]), &Style::PLAIN);
        let head =
            "Environment prod\n  PostgreSQL  db.internal:5432\n  narrowed to --app cafe; nothing else was looked at\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("connection limit:  20 -> unlimited"), "{text}");
        assert!(text.ends_with("\nDrift: 3 of 14 resources.\n"), "{text}");
        assert!(text.contains("\nNote PostgreSQL: read with --shallow\n"), "{text}");
        assert!(!text.contains("s3cret") && !json(&report(&[])).unwrap().contains("s3cret"));
    }

    #[test]
    fn what_could_not_be_looked_into_is_told_once_for_each_reason() {
        let users = (1..=12).map(|number| format!("valkey.user.u{number:02}").parse().unwrap()).collect();
        let untold = BTreeMap::from([("10.0.0.7:6379 cannot be reached".to_owned(), users)]);
        let partly = DriftReport { drifted: Vec::new(), untold, ..report(&[]) };
        let told = text(&partly, &Style::PLAIN).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("INCOMPLETE valkey.user.u01, valkey.user.u02,"), "{told}");
        assert_eq!(
            told.matches("valkey.user.u10 and 2 more could not be looked into: 10.0.0.7:6379 cannot").count(),
            1
        );
        assert!(told.ends_with("Incomplete: not everything could be read. Drift so far: 0 of 14 resources."), "{told}");
        let json: serde_json::Value = serde_json::from_str(&json(&partly).unwrap()).unwrap();
        assert_eq!((json["errors"].as_array().unwrap().len(), &json["complete"]), (12, &serde_json::json!(false)));
    }

    #[test]
    fn what_could_not_be_read_is_never_clean() {
        let nothing = DriftReport { drifted: Vec::new(), ..report(&["kafka: connection refused"]) };
        assert!(text(&nothing, &Style::PLAIN).contains("Incomplete: not everything could be read."));
        let clean = DriftReport { errors: Vec::new(), ..nothing };
        assert!(text(&clean, &Style::PLAIN).ends_with("\nNo drift. 14 resources are as they were last applied.\n"));
    }
}
