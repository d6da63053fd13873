//! The order of a plan's steps as a picture: Mermaid and DOT.

use super::{clean, symbol};
use crate::core::graph;
use crate::core::step::{Action, StepId};
use crate::services::{Plan, Step};
use std::collections::BTreeMap;

/// A flowchart that GitHub and GitLab draw by themselves.
pub fn mermaid(plan: &Plan) -> String {
    let picture = Picture::of(plan);
    let mut lines = vec!["flowchart LR".to_owned()];
    for (index, (app, steps)) in picture.apps.iter().enumerate() {
        lines.push(format!("  subgraph app{index}[\"{}\"]", entities(app)));
        for (node, step) in steps {
            lines.push(format!("    n{node}[\"{}\"]:::{}", entities(&label(step)), class(step)));
        }
        lines.push("  end".to_owned());
    }
    lines.extend(picture.edges.iter().map(|(from, to)| format!("  n{from} --> n{to}")));
    for (class, color) in CLASSES {
        let dash = if class == "held" { ",stroke-dasharray:4" } else { "" };
        lines.push(format!("  classDef {class} stroke:{color},stroke-width:2px{dash}"));
    }
    lines.join("\n") + "\n"
}

/// For Graphviz.
pub fn dot(plan: &Plan) -> String {
    let picture = Picture::of(plan);
    let mut lines = vec![
        "digraph plan {".to_owned(),
        "  rankdir=LR; node [shape=box, style=rounded, fontname=\"monospace\"];".to_owned(),
    ];
    for (index, (app, steps)) in picture.apps.iter().enumerate() {
        lines.push(format!("  subgraph cluster_{index} {{ label={};", quoted(app)));
        for (node, step) in steps {
            let color =
                CLASSES.into_iter().find(|(name, _)| *name == class(step)).map_or("#888888", |(_, color)| color);
            let dash = if step.runs() { "" } else { ", style=\"rounded,dashed\"" };
            lines.push(format!("    n{node} [label={}, color=\"{color}\"{dash}];", quoted(&label(step))));
        }
        lines.push("  }".to_owned());
    }
    lines.extend(picture.edges.iter().map(|(from, to)| format!("  n{from} -> n{to};")));
    lines.push("}".to_owned());
    lines.join("\n") + "\n"
}

const CLASSES: [(&str, &str); 5] =
    [("create", "#2da44e"), ("change", "#bf8700"), ("destroy", "#cf222e"), ("state", "#888888"), ("held", "#8250df")];

fn class(step: &Step) -> &'static str {
    if !step.runs() {
        return "held";
    }
    match step.action {
        Action::Create => "create",
        Action::Update | Action::Rotate | Action::Rename => "change",
        Action::Destroy | Action::Replace => "destroy",
        Action::Adopt | Action::Forget | Action::Record => "state",
    }
}

fn label(step: &Step) -> String {
    let held = if step.runs() { "" } else { " (held)" };
    format!("{} {}{held}", symbol(step.action), clean(&step.id().to_string()))
}

/// Numbered steps by app, and which comes before which.
struct Picture<'a> {
    apps: BTreeMap<&'a str, Vec<(usize, &'a Step)>>,
    edges: Vec<(usize, usize)>,
}

impl<'a> Picture<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut apps: BTreeMap<&str, Vec<(usize, &Step)>> = BTreeMap::new();
        let mut numbers: BTreeMap<StepId, usize> = BTreeMap::new();
        for (number, step) in plan.steps.iter().enumerate() {
            apps.entry(step.app.as_str()).or_default().push((number, step));
            numbers.insert(step.id(), number);
        }
        let graph = graph::build(&plan.steps);
        let number = |node| graph.node_weight(node).and_then(|id| numbers.get(id)).copied();
        let mut edges: Vec<(usize, usize)> = graph
            .edge_indices()
            .filter_map(|edge| graph.edge_endpoints(edge))
            .filter_map(|(from, to)| Some((number(from)?, number(to)?)))
            .collect();
        edges.sort_unstable();
        Self { apps, edges }
    }
}

/// Mermaid reads markup and quotes in labels; entities by number are just text.
fn entities(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric() || " .-_/+~±=↻(){}:".contains(character) {
            escaped.push(character);
        } else {
            escaped.push_str(&format!("#{};", u32::from(character)));
        }
    }
    escaped
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
