//! A plan for programs: a versioned view, apart from the form in which plans are saved. `plan.schema.json` describes it.

use super::items::{Item, items};
use super::telling::telling;
use super::words;
use crate::core::change::FieldChange;
use crate::core::plan::{Level, Notice, ServiceHead};
use crate::core::step::{Hold, Reason, Risk, StepId};
use crate::services::Plan;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the view. It grows when a reader of the old form could misread the new one.
pub const FORMAT_VERSION: u32 = 1;

/// The JSON Schema (2020-12) of the view.
pub const SCHEMA: &str = include_str!("plan.schema.json");

#[derive(Serialize)]
struct View<'a> {
    format_version: u32,
    tool_version: &'a str,
    environment: &'a str,
    complete: bool,
    errors: &'a [String],
    services: &'a BTreeMap<String, ServiceHead>,
    narrowed_to: &'a [String],
    summary: Summary,
    notices: Vec<NoticeView<'a>>,
    resources: Vec<ResourceView<'a>>,
    held: Vec<HeldView>,
    steps: Vec<StepView<'a>>,
}

#[derive(Serialize)]
struct Summary {
    verdict: String,
    /// Resources that the infraspecs declare.
    declared: usize,
    /// Resources by action, of what would run.
    counts: BTreeMap<&'static str, usize>,
    held: usize,
    drifted: usize,
    /// Resources by risk, held ones included.
    risks: BTreeMap<Risk, usize>,
}

#[derive(Serialize)]
pub(super) struct NoticeView<'a> {
    level: Level,
    about: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct ResourceView<'a> {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    renamed_from: Option<String>,
    service: &'a str,
    kind: &'a str,
    name: &'a str,
    app: &'a str,
    action: &'static str,
    reasons: &'a BTreeSet<Reason>,
    risks: &'a BTreeSet<Risk>,
    drifted: bool,
    held: bool,
    changes: Vec<FieldChange>,
    notes: &'a [&'a str],
    /// Position of its last step in `steps`.
    order: usize,
}

#[derive(Serialize)]
struct HeldView {
    address: String,
    action: &'static str,
    why: &'static str,
    /// The flag that releases it, ready to use; `null` if none does.
    needs: Option<String>,
    /// What it waits for, or why it is impossible.
    because: Option<String>,
}

#[derive(Serialize)]
struct StepView<'a> {
    id: String,
    address: String,
    part: crate::core::step::Part,
    action: &'static str,
    runs: bool,
    /// Steps of this plan that come before it.
    needs: Vec<String>,
    exclusive: Option<&'a str>,
}

/// Pretty JSON, byte for byte the same for the same plan, with a newline at its end. Of published variables it has the
/// names only.
///
/// # Errors
/// Never for a plan that was made or read by nornplan.
pub fn plan(plan: &Plan) -> serde_json::Result<String> {
    let items = items(plan);
    let view = View {
        format_version: FORMAT_VERSION,
        tool_version: &plan.tool_version,
        environment: &plan.environment,
        complete: plan.is_whole(),
        errors: &plan.incomplete,
        services: &plan.services,
        narrowed_to: &plan.narrowed_to,
        summary: summary(plan, &items),
        notices: notice_views(&plan.notices),
        resources: items.iter().map(resource).collect(),
        held: items.iter().filter_map(held).collect(),
        steps: steps(plan),
    };
    let mut text = serde_json::to_string_pretty(&view)?;
    text.push('\n');
    Ok(text)
}

/// In a fixed order.
pub(super) fn notice_views(notices: &[Notice]) -> Vec<NoticeView<'_>> {
    let mut notices: Vec<&Notice> = notices.iter().collect();
    notices.sort();
    notices.into_iter().map(|Notice { level, about, text }| NoticeView { level: *level, about, text }).collect()
}

fn summary(plan: &Plan, items: &[Item<'_>]) -> Summary {
    let counts = plan.counts();
    let mut risks = BTreeMap::new();
    for risk in items.iter().flat_map(|item| &item.risks) {
        *risks.entry(*risk).or_default() += 1;
    }
    Summary {
        verdict: plan.verdict(),
        declared: plan.declared,
        counts: crate::core::step::Action::ALL
            .into_iter()
            .map(|action| (action.as_str(), counts.get(&action).copied().unwrap_or_default()))
            .collect(),
        held: items.iter().filter(|item| item.hold.is_some()).count(),
        drifted: items.iter().filter(|item| item.drifted()).count(),
        risks,
    }
}

fn resource<'a>(item: &'a Item<'_>) -> ResourceView<'a> {
    ResourceView {
        address: item.address.to_string(),
        renamed_from: item.renamed_from.map(ToString::to_string),
        service: item.address.service(),
        kind: item.address.kind.as_str(),
        name: &item.address.name,
        app: item.app.as_str(),
        action: item.action.as_str(),
        reasons: &item.reasons,
        risks: &item.risks,
        drifted: item.drifted(),
        held: item.hold.is_some(),
        changes: telling(item),
        notes: &item.notes,
        order: item.order,
    }
}

fn held(item: &Item<'_>) -> Option<HeldView> {
    let address = item.address.to_string();
    let (why, because) = match item.hold? {
        Hold::Destroy | Hold::DestroyAll => ("destroy", None),
        Hold::Interrupt => ("interrupt", None),
        Hold::Prevented { remembered } => ("prevented", remembered.then(|| words::last_said(item.app))),
        Hold::Waits { on } => ("waits", Some(on.to_string())),
        Hold::Blocked { reason } => ("blocked", Some(reason.clone())),
    };
    let flags = item.flags();
    let flags = flags.iter().map(|(flag, address)| format!("{flag}={}", globset::escape(address)));
    let needs = Some(flags.collect::<Vec<_>>().join(" ")).filter(|flags| !flags.is_empty());
    Some(HeldView { address, action: item.action.as_str(), why, needs, because })
}

fn steps(plan: &Plan) -> Vec<StepView<'_>> {
    let known: BTreeSet<StepId> = plan.steps.iter().map(crate::core::step::Step::id).collect();
    plan.steps
        .iter()
        .map(|step| StepView {
            id: step.id().to_string(),
            address: step.address.to_string(),
            part: step.part,
            action: step.action.as_str(),
            runs: step.runs(),
            needs: step.needs.iter().filter(|need| known.contains(need)).map(ToString::to_string).collect(),
            exclusive: step.exclusive.as_deref(),
        })
        .collect()
}
