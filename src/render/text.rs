//! A plan for the terminal: what matters first, then app by app, and the verdict as the last line.

use super::items::{Item, items};
use super::layout::{columns, wrap_lines, wrap_words};
use super::typed::shell_word;
use super::{Ink, Style, clean, clean_lines, count, fields, head, rules, same_reason, symbol, words};
use crate::core::change::Cause;
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::core::step::{Action, Hold, Reason};
use crate::services::{Plan, ServiceId};
use std::collections::{BTreeMap, BTreeSet};

/// Addresses longer than this do not push the rest of their block to the right.
const WIDEST_ADDRESS: usize = 46;
/// Addresses of one `--allow-...` flag that are spelled out in one line; of more, the word all is offered.
const FLAGS_SHOWN: usize = 3;

/// The whole plan. Its last line is exactly [`Plan::verdict`](crate::core::plan::Plan::verdict).
pub fn plan(plan: &Plan, style: &Style) -> String {
    blocks(plan, *style, true)
}

/// The plan without its apps: head, alarms, counts, what is held, verdict.
pub fn brief(plan: &Plan, style: &Style) -> String {
    blocks(plan, *style, false)
}

fn blocks(plan: &Plan, style: Style, with_apps: bool) -> String {
    /// The head, and that something could not be read.
    const AT_THE_TOP: usize = 2;
    let items = items(plan);
    let mut blocks: Vec<Vec<String>> = vec![head::lines(&plan.environment, &plan.services, &plan.narrowed_to, style)];
    blocks.push(incomplete(plan, style));
    blocks.push(notices(&plan.notices, &[Level::Alarm, Level::Warning], style));
    blocks.push(summary(plan, &items, style));
    for (app, of_app) in by_app(&items).into_iter().filter(|_| with_apps) {
        blocks.push(app_block(app, &of_app, style));
    }
    blocks.push(notices(&plan.notices, &[Level::Note], style));
    // Whoever reads the end first must see it too.
    if blocks.iter().skip(AT_THE_TOP).any(|block| !block.is_empty()) {
        blocks.push(incomplete(plan, style).into_iter().take(1).collect());
    }
    let mut end = same_reason::lines(&items, style);
    end.extend(held(&items, style));
    end.push(style.paint(Ink::Bold, &plan.verdict()));
    blocks.push(end);
    blocks.retain(|block| !block.is_empty());
    let blocks: Vec<String> = blocks.iter().map(|block| block.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// The items of each app as people read them: database, key-value user, topics, secret; within a service in plan order.
pub(super) fn by_app<'p, 'i>(items: &'i [Item<'p>]) -> BTreeMap<&'p AppName, Vec<&'i Item<'p>>> {
    let mut apps: BTreeMap<&AppName, Vec<&Item<'_>>> = BTreeMap::new();
    for item in items {
        apps.entry(item.app).or_default().push(item);
    }
    for items in apps.values_mut() {
        items.sort_by_key(|item| ServiceId::of(item.address));
    }
    apps
}

fn incomplete(plan: &Plan, style: Style) -> Vec<String> {
    if plan.incomplete.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} Not everything could be read. This plan can be neither saved nor applied.",
        style.paint(Ink::Alarm, "INCOMPLETE")
    )];
    for error in &plan.incomplete {
        let wrapped = wrap_lines(error, style.width.saturating_sub(4));
        lines.extend(wrapped.iter().enumerate().map(|(index, line)| {
            let lead = if index == 0 { format!("  {} ", style.paint(Ink::Danger, "✗")) } else { "    ".to_owned() };
            format!("{lead}{line}")
        }));
    }
    lines
}

/// What is said about services and apps, each beginning a line.
pub(super) fn notices(notices: &[Notice], levels: &[Level], style: Style) -> Vec<String> {
    let mut wanted: Vec<&Notice> = notices.iter().filter(|notice| levels.contains(&notice.level)).collect();
    wanted.sort();
    wanted.iter().flat_map(|notice| notice_lines(notice, style)).collect()
}

fn notice_lines(notice: &Notice, style: Style) -> Vec<String> {
    let (ink, word) = match notice.level {
        Level::Alarm => (Ink::Alarm, "ALARM"),
        Level::Warning => (Ink::Change, "Warning"),
        Level::Note => (Ink::Faint, "Note"),
    };
    let text = format!("{}: {}", words::service_title(&notice.about), clean_lines(&notice.text).join(" "));
    let indent = columns(word) + 1;
    let wrapped = wrap_words(&text, style.width.saturating_sub(indent).max(30));
    let lead = |index| if index == 0 { format!("{} ", style.paint(ink, word)) } else { " ".repeat(indent) };
    wrapped.iter().enumerate().map(|(index, line)| format!("{}{line}", lead(index))).collect()
}

/// Counts, where the changes come from, and what they risk, before any detail.
fn summary(plan: &Plan, items: &[Item<'_>], style: Style) -> Vec<String> {
    if items.is_empty() {
        return Vec::new();
    }
    let counts = plan.counts();
    let runs: Vec<String> = Action::ALL
        .into_iter()
        .filter_map(|action| Some((action, *counts.get(&action)?)))
        .map(|(action, number)| style.paint(Ink::of(action), &format!("{} {number} to {action}", symbol(action))))
        .collect();
    let mut rows = Vec::new();
    if !runs.is_empty() {
        rows.push(("Changes", runs.join("   ")));
    }
    rows.extend(causes(items, style).map(|line| ("Drift", line)));
    let both = items.iter().filter(|item| item.drifted() && item.reasons.contains(&Reason::ChangedInSpec)).count();
    if both > 0 {
        rows.push(("Both", style.paint(Ink::Drift, &format!("{both} of them changed in spec as well"))));
    }
    let risks: BTreeMap<_, (usize, usize)> =
        items.iter().fold(BTreeMap::new(), |mut risks: BTreeMap<_, (usize, usize)>, item| {
            for risk in &item.risks {
                let (all, held) = risks.entry(*risk).or_default();
                *all += 1;
                *held += usize::from(item.hold.is_some());
            }
            risks
        });
    let risks: Vec<String> = risks
        .iter()
        .rev()
        .map(|(risk, (all, held))| {
            let text = style.paint(Ink::of_risk(*risk), &words::risks(*all, *risk));
            match held {
                0 => text,
                held if held == all => format!("{text} (held)"),
                held => format!("{text} ({held} held)"),
            }
        })
        .collect();
    if !risks.is_empty() {
        rows.push(("Risks", risks.join("   ")));
    }
    let held: Vec<String> = Action::ALL
        .into_iter()
        .map(|action| (action, items.iter().filter(|item| item.hold.is_some() && item.action == action).count()))
        .filter(|(_, number)| *number > 0)
        .map(|(action, number)| format!("{} {number} to {action}", symbol(action)))
        .collect();
    if !held.is_empty() {
        rows.push(("Held", format!("{}   (shown, not carried out)", held.join("   "))));
    }
    rows.into_iter()
        .map(|(name, text)| format!("{}{}{text}", style.paint(Ink::Bold, name), " ".repeat(9 - name.len())))
        .collect()
}

/// Drift apart from edits, so that nobody undoes a hand's work unseen.
fn causes(items: &[Item<'_>], style: Style) -> Option<String> {
    let drifted: Vec<&Item<'_>> = items.iter().filter(|item| item.drifted()).collect();
    (!drifted.is_empty()).then(|| {
        let what = count(drifted.len(), "resource is", "resources are");
        let is_blocked = drifted.iter().any(|item| matches!(item.hold, Some(Hold::Blocked { .. })));
        let how = match (is_blocked, drifted.iter().any(|item| item.hold.is_some())) {
            (true, _) => "the plan puts right what is not blocked",
            (false, true) => "the plan puts that right once what is held is allowed",
            (false, false) => "the plan puts that right",
        };
        style.paint(Ink::Drift, &format!("{what} not as last applied; {how}"))
    })
}

fn app_block(app: &AppName, items: &[&Item<'_>], style: Style) -> Vec<String> {
    let widths = items.iter().map(|item| columns(&words::address(item.address)));
    let widest = widths.filter(|width| *width <= WIDEST_ADDRESS).max().unwrap_or_default();
    let mut lines = vec![style.paint(Ink::Bold, app.as_str())];
    for item in items {
        let Shown { heading, details } = show(item, widest, style);
        lines.extend(heading.into_iter().chain(details));
    }
    lines
}

/// One resource.
pub(super) struct Shown {
    /// What is done to it and why; more than one line where it is long.
    pub heading: Vec<String>,
    /// Its fields, notes and what holds it.
    pub details: Vec<String>,
}

pub(super) fn show(item: &Item<'_>, widest: usize, style: Style) -> Shown {
    const INDENT: usize = 6;
    let margin = " ".repeat(INDENT);
    let ink = Ink::of(item.action);
    let address = words::address(item.address);
    let gap = " ".repeat(widest.saturating_sub(columns(&address)));
    let front = format!("  {} {}{gap}", style.paint(ink, symbol(item.action)), style.paint(Ink::Bold, &address));
    let front_columns = 4 + columns(&address).max(widest) + 2;
    let tags = tags(item);
    let plain = tags.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" · ");
    let described = match item.action {
        Action::Create => item.after.map(words::describe).unwrap_or_default(),
        Action::Destroy => item.before.map(words::describe).unwrap_or_default(),
        Action::Update
        | Action::Replace
        | Action::Adopt
        | Action::Forget
        | Action::Rotate
        | Action::Record
        | Action::Rename => Vec::new(),
    };
    let beside = described.join(" · ");
    let each_its_line = item.address.kind == crate::services::kafka::model::ACL;
    let fits = front_columns + columns(&beside) + columns(&plain) + 3 <= style.width;
    let heading = |parts: &[(Ink, String)]| heading(front.clone(), front_columns, parts, INDENT, style);
    let mut lines = Vec::new();
    let in_heading = if item.action == Action::Create && fits && !each_its_line && !described.is_empty() {
        heading(&[vec![(Ink::Plain, beside)], tags].concat())
    } else {
        let wrapped = if each_its_line { described } else { wrap_words(&beside, style.width.saturating_sub(INDENT)) };
        let ink = if item.action == Action::Destroy { Ink::Faint } else { Ink::Plain };
        lines.extend(wrapped.iter().map(|line| format!("{margin}{}", style.paint(ink, line))));
        heading(&tags)
    };
    match item.action {
        Action::Update | Action::Replace | Action::Rotate => {
            let changes = rules::shown(&item.changes, !item.notes.is_empty(), style);
            let causes: BTreeSet<_> = changes.iter().map(|change| change.cause).collect();
            // Where both are at work, each field says which of them it is.
            let says_why = causes.len() > 1 || causes.contains(&Cause::ChangedAndDrifted);
            lines.extend(fields::lines(&changes, INDENT, says_why, style));
        }
        Action::Create | Action::Destroy | Action::Adopt | Action::Forget | Action::Record | Action::Rename => {}
    }
    for note in &item.notes {
        let told = clean_lines(note);
        let (first, pasted) = told.split_first().map(|(first, rest)| (first.as_str(), rest)).unwrap_or_default();
        lines.extend(
            wrap_words(first, style.width.saturating_sub(INDENT + 2))
                .iter()
                .chain(pasted)
                .enumerate()
                .map(|(index, line)| format!("{margin}{} {line}", if index == 0 { "*" } else { " " })),
        );
    }
    let held = item.hold.map(|hold| hold_lines(hold, item, INDENT, style)).unwrap_or_default();
    lines.extend(held.iter().map(|line| format!("{margin}{line}")));
    Shown { heading: in_heading, details: lines }
}

/// What stands in front, and parts behind it; those that do not fit are further down.
fn heading(
    front: String,
    columns_of_front: usize,
    parts: &[(Ink, String)],
    indent: usize,
    style: Style,
) -> Vec<String> {
    const BETWEEN: &str = " · ";
    let mut lines = vec![front + "  "];
    let (mut at, mut is_first) = (columns_of_front, true);
    for (index, (ink, text)) in parts.iter().enumerate() {
        let Some(line) = lines.last_mut() else { break };
        let between = if is_first { 0 } else { columns(BETWEEN) };
        let mark = if index + 1 < parts.len() { columns(BETWEEN.trim_end()) } else { 0 };
        if at + between + columns(text) + mark > style.width && at > indent {
            line.push_str(if is_first { "" } else { BETWEEN });
            lines.push(format!("{}{}", " ".repeat(indent), style.paint(*ink, text)));
            at = indent + columns(text);
        } else {
            line.push_str(if is_first { "" } else { BETWEEN });
            line.push_str(&style.paint(*ink, text));
            at += between + columns(text);
        }
        is_first = false;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// The action, why, and what it risks.
fn tags(item: &Item<'_>) -> Vec<(Ink, String)> {
    let mut tags: Vec<(Ink, String)> = Vec::new();
    match item.action {
        Action::Create => {}
        Action::Adopt => tags.push((Ink::Faint, "adopt · already as declared".to_owned())),
        Action::Record => tags.push((Ink::Faint, "record · already as declared".to_owned())),
        // It may be elsewhere.
        Action::Forget if item.hold.is_some() => tags.push((Ink::Faint, "forget".to_owned())),
        // What is there and is forgotten says why.
        Action::Forget if item.notes.is_empty() => tags.push((Ink::Faint, "forget · already gone".to_owned())),
        Action::Forget => tags.push((Ink::Faint, "forget · stays as it is".to_owned())),
        Action::Rename => {
            let from = item.renamed_from.map(|from| format!("rename from {}", clean(&from.name)));
            tags.push((Ink::of(item.action), from.unwrap_or_else(|| item.action.to_string())));
        }
        Action::Update | Action::Replace | Action::Destroy | Action::Rotate => {
            tags.push((Ink::of(item.action), item.action.to_string()));
        }
    }
    let obvious: &[Reason] = match item.action {
        Action::Create => &[Reason::Declared, Reason::Publishes],
        Action::Adopt | Action::Record => &[Reason::NotOursYet, Reason::ChangedInSpec],
        // Its values stand below.
        Action::Update if !item.changes.is_empty() => &[Reason::Publishes],
        Action::Rename => &[Reason::Moved, Reason::Declared],
        Action::Update | Action::Replace | Action::Destroy | Action::Forget | Action::Rotate => &[],
    };
    for reason in item.reasons.iter().filter(|reason| !obvious.contains(reason)) {
        let ink = if matches!(reason, Reason::Drifted | Reason::Vanished) { Ink::Drift } else { Ink::Plain };
        tags.push((ink, reason.to_string()));
    }
    tags.extend(item.risks.iter().map(|risk| (Ink::of_risk(*risk), risk.to_string())));
    match item.hold {
        Some(Hold::Blocked { .. }) => tags.push((
            Ink::Alarm,
            match item.blocked_with {
                0 => "BLOCKED".to_owned(),
                others => format!("BLOCKED with {}", count(others, "other", "others")),
            },
        )),
        Some(Hold::Destroy | Hold::DestroyAll | Hold::Interrupt | Hold::Prevented { .. } | Hold::Waits { .. }) => {
            tags.push((Ink::Alarm, "HELD".to_owned()));
        }
        None => {}
    }
    tags
}

fn hold_lines(hold: &Hold, item: &Item<'_>, indent: usize, style: Style) -> Vec<String> {
    let line = match hold {
        Hold::Destroy | Hold::DestroyAll | Hold::Interrupt => {
            let lead = |index| if index == 0 { "held: needs" } else { "        and" };
            let flags = item.flags().into_iter().enumerate();
            return flags.map(|(at, (flag, address))| format!("{} {flag} {}", lead(at), what(&address))).collect();
        }
        Hold::Prevented { remembered: false } => format!("held: the infraspec of {} says prevent_destroy", item.app),
        Hold::Prevented { remembered: true } => {
            return wrapped("held: ", &words::last_said(item.app), indent, style);
        }
        Hold::Waits { on } => format!("held: waits for {}", clean(&on.to_string())),
        // Why is said once for all of them.
        Hold::Blocked { .. } if item.blocked_with > 0 => return Vec::new(),
        Hold::Blocked { reason } => return blocked_lines(reason, indent, style),
    };
    vec![line]
}

/// Each reason begins a line of its own.
fn blocked_lines(reason: &str, indent: usize, style: Style) -> Vec<String> {
    let lines = clean_lines(reason);
    let lines = lines.iter().flat_map(|each| wrapped("blocked: ", each, indent, style));
    lines.map(|line| style.paint(Ink::Danger, &line)).collect()
}

/// A sentence behind a word, as wide as there is room.
fn wrapped(lead: &str, sentence: &str, indent: usize, style: Style) -> Vec<String> {
    let room = style.width.saturating_sub(indent + lead.len()).max(30);
    let front = |index| if index == 0 { lead.to_owned() } else { " ".repeat(lead.len()) };
    wrap_words(sentence, room).iter().enumerate().map(|(index, line)| front(index) + line).collect()
}

/// An address as it can be pasted behind a flag: a glob that means itself, quoted where a shell would read it.
pub(super) fn what(address: &str) -> String {
    shell_word(&globset::escape(address))
}

/// What comes behind the word all where it stands for many.
pub(super) const OR_EACH: &str = ", or the address of each";

/// The flags, and what each of them takes.
fn releasing(flags: &BTreeMap<&str, BTreeSet<String>>) -> String {
    let many = |addresses: &BTreeSet<String>| addresses.len() > FLAGS_SHOWN;
    let shown = flags.iter().flat_map(|(flag, addresses)| match many(addresses) {
        true => vec![format!("{flag} all")],
        false => addresses.iter().map(|address| format!("{flag} {}", what(address))).collect(),
    });
    let shown = shown.collect::<Vec<_>>().join(" ");
    let or = if flags.values().any(many) { OR_EACH } else { "" };
    format!("{shown}{or}")
}

/// The flags that let go what is held, to be typed behind a command; none where no flag does.
pub fn released_by(plan: &Plan) -> Option<String> {
    let mut flags: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (flag, address) in items(plan).iter().flat_map(Item::flags) {
        flags.entry(flag).or_default().insert(address);
    }
    let shown = releasing(&flags);
    (!flags.is_empty()).then(|| shown.strip_suffix(OR_EACH).unwrap_or(&shown).to_owned())
}

/// How to release what is held, in one line to paste; then what no flag releases.
pub(super) fn held(items: &[Item<'_>], style: Style) -> Vec<String> {
    let held: Vec<(&Item<'_>, &Hold)> = items.iter().filter_map(|item| Some((item, item.hold?))).collect();
    if held.is_empty() {
        return Vec::new();
    }
    let mut flags: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut prevented, mut remembered, mut waiting, mut blocked, mut blocked_alone) = (0, 0, 0, 0, 0);
    for (item, hold) in &held {
        for (flag, address) in item.flags() {
            flags.entry(flag).or_default().insert(address);
        }
        match hold {
            Hold::Destroy | Hold::DestroyAll | Hold::Interrupt => {}
            Hold::Prevented { remembered: false } => prevented += 1,
            Hold::Prevented { remembered: true } => remembered += 1,
            Hold::Waits { .. } => waiting += 1,
            Hold::Blocked { .. } => {
                blocked += 1;
                blocked_alone += usize::from(item.blocked_with == 0);
            }
        }
    }
    let mut lines = Vec::new();
    let consent = held.len() - prevented - remembered - waiting - blocked;
    if consent > 0 {
        lines.push(style.paint(Ink::Change, &format!("{consent} held: {}", releasing(&flags))));
    }
    if held.iter().any(|(item, hold)| **hold == Hold::DestroyAll || item.takes_all && item.under_feet) {
        lines.push(
            "More than a third of what is ours would go: nothing less than the word all lets that happen.".to_owned(),
        );
    }
    let mut told = |number: usize, sentence: &str| {
        if number > 0 {
            lines.push(style.paint(Ink::Change, &format!("{number} {sentence}")));
        }
    };
    told(waiting, "held: waiting for what is held or blocked");
    told(prevented, "held: prevent_destroy in an infraspec; no flag releases that");
    told(remembered, "held: prevent_destroy in the last infraspec of what has none now; no flag releases that");
    told(blocked_alone, "blocked: cannot be done as things are, for the reasons above");
    lines
}
