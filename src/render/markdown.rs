//! A plan as the comment of a pull request: what a reviewer must see first, and never longer than a comment may be.

use super::head::in_order;
use super::items::{Item, items, same_reasons};
use super::layout::columns;
use super::text::{OR_EACH, by_app, held, show};
use super::{Style, clean, clean_lines, count, fields, rules, same_reason, symbol, words};
use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::core::step::{Action, Hold};
use crate::services::Plan;
use crate::services::valkey::model::USER;
use std::collections::{BTreeMap, BTreeSet};

/// What GitHub takes as one comment, in bytes.
pub const GITHUB_BYTES: usize = 65_536;

/// Room that is kept for the sentence that says what was cut, and for the verdict.
const RESERVE: usize = 400;

/// The comment, at most `max_bytes` long. What does not fit is cut by risk, never by position: what is least risky goes
/// first, wherever it stands. Below about 600 bytes only marker, verdict and that sentence are left, whatever their length.
pub fn plan(plan: &Plan, max_bytes: usize) -> String {
    let items = items(plan);
    let head = head(plan, &items);
    let mut budget = max_bytes.saturating_sub(RESERVE);
    let Some(rest) = budget.checked_sub(head.len()) else { return least(plan) };
    budget = rest;
    let mut text = head;
    let mut cut = Cut::default();
    text.push_str(&risks(&items, &mut budget, &mut cut));
    text.push_str(&apps(&items, &mut budget, &mut cut));
    text.push_str(&notes(plan, &mut budget, &mut cut));
    text.push_str(&cut.sentence(max_bytes));
    if text.len() > max_bytes { least(plan) } else { text }
}

/// What is said where there is no room for anything.
fn least(plan: &Plan) -> String {
    let incomplete = if plan.incomplete.is_empty() { "" } else { "**INCOMPLETE** " };
    let (marker, environment, verdict) = (marker(plan), environment(plan), plan.verdict());
    let cut = "Everything else was cut: it does not fit. `nornplan plan` shows it.";
    format!("{marker}\n### nornplan `{environment}`\n\n{incomplete}**{verdict}**\n\n{cut}\n")
}

/// What was left out.
#[derive(Default)]
struct Cut {
    risks: usize,
    shortened: usize,
    resources: usize,
    details: usize,
    notes: usize,
}

impl Cut {
    fn sentence(&self, max_bytes: usize) -> String {
        let parts = [
            (self.resources, "resource is not shown", "resources are not shown"),
            (self.details, "resource is shown without its details", "resources are shown without their details"),
            (self.risks, "line is missing from the risks", "lines are missing from the risks"),
            (self.shortened, "line of the risks is shortened", "lines of the risks are shortened"),
            (self.notes, "note is not shown", "notes are not shown"),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(number, _, _)| *number > 0)
            .map(|(number, one, many)| count(number, one, many))
            .collect();
        if parts.is_empty() {
            return String::new();
        }
        let parts = parts.join("; ");
        format!("\n_Cut to {max_bytes} bytes, the least risky first: {parts}. `nornplan plan` shows everything._\n")
    }
}

/// The environment's name where markup must not end: letters, digits, `.`, `-` and `_` stay.
fn environment(plan: &Plan) -> String {
    let harmless = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    plan.environment.chars().map(harmless).collect::<String>().replace("--", "-_")
}

/// By this a bot finds its own comment to update it in place.
fn marker(plan: &Plan) -> String {
    format!("<!-- nornplan:{} -->", environment(plan))
}

fn head(plan: &Plan, items: &[Item<'_>]) -> String {
    let mut text = format!("{}\n### nornplan `{}`\n\n", marker(plan), environment(plan));
    if !plan.incomplete.is_empty() {
        text.push_str("> [!CAUTION]\n> **INCOMPLETE** Not everything could be read. This plan can be neither saved nor applied.\n");
        for line in plan.incomplete.iter().flat_map(|error| clean_lines(error)) {
            text.push_str(&format!("> {}<br>\n", prose(&line)));
        }
        text.push('\n');
    }
    text.push_str(&format!("**{}**", plan.verdict()));
    let drifted = items.iter().filter(|item| item.drifted()).count();
    let held = items.iter().filter(|item| item.hold.is_some()).count();
    let mut more = Vec::new();
    if drifted > 0 {
        more.push(format!("{drifted} drifted"));
    }
    if held > 0 {
        more.push(format!("{held} held"));
    }
    if !more.is_empty() {
        text.push_str(&format!(" {}.", more.join(", ")));
    }
    text.push('\n');
    let mut alarms: Vec<&Notice> = plan.notices.iter().filter(|notice| notice.level != Level::Note).collect();
    alarms.sort();
    for notice in alarms {
        let alert = match notice.level {
            Level::Alarm => "CAUTION",
            Level::Warning | Level::Note => "WARNING",
        };
        text.push_str(&format!("\n> [!{alert}]\n> {}\n", notice_text(notice)));
    }
    let services: Vec<String> = in_order(&plan.services)
        .into_iter()
        .map(|(name, head)| {
            let facts: Vec<String> = head.version.iter().cloned().chain(head.nodes.describe()).collect();
            let facts = if facts.is_empty() { String::new() } else { format!(" ({})", prose(&facts.join(", "))) };
            format!("{} {}{facts}", prose(&words::service_title(name)), code(&head.endpoint))
        })
        .collect();
    if !services.is_empty() {
        text.push_str(&format!("\n<sub>{}</sub>\n", services.join(" · ")));
    }
    if !plan.narrowed_to.is_empty() {
        text.push_str(&format!("\nNarrowed to {}: nothing else was looked at.\n", code(&plan.narrowed_to.join(" "))));
    }
    text
}

fn notice_text(notice: &Notice) -> String {
    format!("**{}**: {}", prose(&words::service_title(&notice.about)), prose(&clean_lines(&notice.text).join(" ")))
}

/// Destroys, rotations, what widens access and what is held, the worst first.
fn risks(items: &[Item<'_>], budget: &mut usize, cut: &mut Cut) -> String {
    let (shared, flags) = (shared_reasons(items), flags(items));
    // What only a shared reason is to be said of is named there.
    let told = |item: &&Item<'_>| item.blocked_with > 0 && item.risks.is_empty() && item.action != Action::Destroy;
    let mut risky: Vec<&Item<'_>> = items.iter().filter(|item| item.risky() && !told(item)).collect();
    if risky.is_empty() && shared.is_empty() {
        return String::new();
    }
    risky.sort_by_key(|item| (std::cmp::Reverse(item.weight()), item.order));
    let title = "\n#### Look at these first\n\n";
    let fixed = title.len() + shared.iter().chain(&flags).map(String::len).sum::<usize>();
    if fixed > *budget {
        cut.risks += risky.len();
        return String::new();
    }
    *budget -= fixed;
    let mut text = title.to_owned() + &shared.concat();
    // What is in the blocks below is named with all its details; half of the room is theirs.
    let half = *budget / 2;
    let mut room = half;
    // Each is named before any is told in full: nobody hides another by a long note.
    let mut lines: Vec<(&Item<'_>, String)> = Vec::new();
    for item in risky {
        let line = risk_line(item, 0);
        if line.len() > room {
            cut.risks += 1;
            continue;
        }
        room -= line.len();
        lines.push((item, line));
    }
    for (item, line) in lines {
        let most = line.len() + room;
        let told = risk_line(item, most);
        cut.shortened += usize::from(told.len() < risk_line(item, usize::MAX).len());
        room = most.saturating_sub(told.len());
        text.push_str(&told);
    }
    *budget -= half - room;
    text + &flags.concat()
}

/// How to release what is held.
fn flags(items: &[Item<'_>]) -> Vec<String> {
    held(items, Style::PLAIN)
        .iter()
        .map(|line| match line.split_once(": ") {
            Some((number, flags)) if flags.starts_with("--") => {
                let (flags, or) = flags.strip_suffix(OR_EACH).map_or((flags, ""), |flags| (flags, OR_EACH));
                format!("\n{number}: {}{or}\n", code(flags))
            }
            Some(_) | None => format!("\n{}\n", prose(line)),
        })
        .collect()
}

/// One line for each reason that blocks several resources.
fn shared_reasons(items: &[Item<'_>]) -> Vec<String> {
    let line = |(reason, addresses): (&str, Vec<&Address>)| {
        let named = some(addresses.iter().map(|address| code(&address.to_string())), same_reason::NAMED);
        format!("- {} **blocked**, for one reason: {} ({named})\n", addresses.len(), in_one_line(reason))
    };
    same_reasons(items).into_iter().map(line).collect()
}

/// A reason of several lines; what announces the next one goes on with it.
fn in_one_line(reason: &str) -> String {
    let mut text = String::new();
    for line in clean_lines(reason) {
        let between = match text.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        };
        text.push_str(between);
        text.push_str(line.trim());
    }
    prose(&text)
}

/// A line of so many bytes at most, if that is enough for what is done, to what, and why it is a risk; the rest is cut.
fn risk_line(item: &Item<'_>, most: usize) -> String {
    let (full, short, rest) = risk_texts(item);
    if full.len() <= most {
        return full;
    }
    let (open, close) = (" (", "…)\n");
    let room = most.saturating_sub(short.len() + open.len() + close.len());
    let mut characters = rest.chars().count().min(room);
    loop {
        let told = prose(&rest.chars().take(characters).collect::<String>());
        match characters {
            0 if rest.is_empty() => return format!("{short}\n"),
            0 => return format!("{short} …\n"),
            _ if told.len() <= room => return format!("{short}{open}{told}{close}"),
            // Some characters are written as several.
            more => characters = (more * 3 / 4).min(more - 1),
        }
    }
}

/// The whole line; what is never left out of it; and the rest as it was before it was escaped.
fn risk_texts(item: &Item<'_>) -> (String, String, String) {
    let mut why: Vec<String> = item.risks.iter().rev().map(|risk| format!("**{risk}**")).collect();
    why.extend(item.reasons.iter().map(ToString::to_string));
    let (mut briefly, mut rest) = (why.clone(), Vec::new());
    if let Some(hold) = item.hold {
        let is_blocked = matches!(hold, Hold::Blocked { .. });
        briefly.push(if is_blocked { "**blocked**" } else { "held" }.to_owned());
    }
    match item.hold {
        Some(Hold::Blocked { .. }) if item.blocked_with > 0 => why.push("**blocked** as above".to_owned()),
        Some(Hold::Blocked { reason }) => {
            why.push(format!("**blocked**: {}", in_one_line(reason)));
            rest.extend(clean_lines(reason));
        }
        Some(Hold::Destroy | Hold::DestroyAll | Hold::Interrupt | Hold::Prevented { .. } | Hold::Waits { .. }) => {
            why.push("held".to_owned())
        }
        None => {}
    }
    // What else is updated is no matter of risks.
    let is_updated_user = item.address.kind == USER && item.action == Action::Update;
    let changes = is_updated_user.then(|| rules::shown(&item.changes, !item.notes.is_empty(), Style::PLAIN));
    let said: Vec<String> = fields::phrases(&changes.unwrap_or_default())
        .iter()
        .map(String::as_str)
        .chain(item.notes.iter().copied())
        .map(str::to_owned)
        .collect();
    let lines = |note: &String| note.lines().map(prose).collect::<Vec<_>>().join("<br>");
    let notes: Vec<String> = said.iter().map(lines).collect();
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    rest.extend(said.iter().map(|note| clean_lines(note).join(" ")));
    let line = |why: &[String]| format!("- {} {}: {}", item.action, code(&item.address.to_string()), why.join(", "));
    (format!("{}{notes}\n", line(&why)), line(&briefly), rest.join("; "))
}

/// A folded block for each app: first a line for each resource, then their details, both the riskiest first as long as
/// there is room; shown in plan order.
fn apps(items: &[Item<'_>], budget: &mut usize, cut: &mut Cut) -> String {
    let mut by_weight: Vec<&Item<'_>> = items.iter().collect();
    // Of equal risks one app after another: fewer blocks leave more room for what is in them.
    by_weight.sort_by_key(|item| (std::cmp::Reverse(item.weight()), item.app, item.order));
    let apps = by_app(items);
    let frames: BTreeMap<_, usize> =
        apps.iter().map(|(app, of_app)| (*app, frame_bytes(app.as_str(), of_app))).collect();
    let mut opened = BTreeSet::new();
    let mut shown = BTreeSet::new();
    for item in &by_weight {
        let frame = if opened.contains(item.app) { 0 } else { frames.get(item.app).copied().unwrap_or_default() };
        let cost = frame + block(item, false).len();
        if cost <= *budget {
            *budget -= cost;
            opened.insert(item.app);
            shown.insert(item.order);
        }
    }
    cut.resources = items.len() - shown.len();
    let mut detailed = BTreeSet::new();
    for item in by_weight.iter().filter(|item| shown.contains(&item.order)) {
        let more = block(item, true).len() - block(item, false).len();
        if more <= *budget {
            *budget -= more;
            detailed.insert(item.order);
        }
    }
    cut.details = shown.len() - detailed.len();
    let mut text = String::new();
    for (app, of_app) in apps {
        let lines: String = of_app
            .iter()
            .filter(|item| shown.contains(&item.order))
            .map(|item| block(item, detailed.contains(&item.order)))
            .collect();
        if lines.is_empty() {
            continue;
        }
        let counts = counts(&of_app);
        let fence = fence(&lines);
        text.push_str(&frame(app.as_str(), &counts, &fence, &lines));
    }
    text
}

/// `2 to create, 1 to destroy (held)`
fn counts(items: &[&Item<'_>]) -> String {
    let mut counts = Vec::new();
    for (held, mark) in [(false, ""), (true, " (held)")] {
        for action in Action::ALL {
            let number = items.iter().filter(|item| item.action == action && item.hold.is_some() == held).count();
            if number > 0 {
                counts.push(format!("{number} to {action}{mark}"));
            }
        }
    }
    counts.join(", ")
}

fn frame(app: &str, counts: &str, fence: &str, lines: &str) -> String {
    format!("\n<details><summary><b>{app}</b>: {counts}</summary>\n\n{fence}diff\n{lines}{fence}\n\n</details>\n")
}

/// Bytes of an app's block without its lines, at most.
fn frame_bytes(app: &str, items: &[&Item<'_>]) -> usize {
    let all: String = items.iter().map(|item| block(item, true)).collect();
    frame(app, &counts(items), &fence(&all), "").len()
}

/// A resource as lines of a `diff` block: the sign of its first line stands in the first column, where it gives the
/// colour; no other line can have one there.
fn block(item: &Item<'_>, details: bool) -> String {
    let shown = show(item, columns(&words::address(item.address)), Style::PLAIN);
    let heading: Vec<&str> = shown.heading.iter().map(|line| line.trim_start()).collect();
    let first = sign_first(&heading.join("  ").replace("·  ", "· "), item.action) + "\n";
    let rest = shown.details.iter().filter(|_| details).map(|line| format!(" {line}\n"));
    std::iter::once(first).chain(rest).collect()
}

fn sign_first(line: &str, action: Action) -> String {
    let sign = match action {
        Action::Create => "+",
        Action::Destroy => "-",
        Action::Replace | Action::Update | Action::Rotate | Action::Rename => "!",
        Action::Adopt | Action::Forget | Action::Record => " ",
    };
    let body = line.trim_start();
    // Its own sign stays readable behind the one that colours.
    let body = if symbol(action) == sign { body.strip_prefix(sign).unwrap_or(body).trim_start() } else { body };
    format!("{sign} {body}")
}

fn notes(plan: &Plan, budget: &mut usize, cut: &mut Cut) -> String {
    let mut text = String::new();
    for notice in plan.notices.iter().filter(|notice| notice.level == Level::Note) {
        let line = format!("\n_Note_ {}\n", notice_text(notice));
        if line.len() > *budget {
            cut.notes += 1;
            continue;
        }
        *budget -= line.len();
        text.push_str(&line);
    }
    text
}

/// A fence that nothing inside can close.
fn fence(content: &str) -> String {
    "`".repeat(longest_run(content).max(2) + 1)
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// A code span that nothing inside can close.
fn code(text: &str) -> String {
    let cleaned = clean(text);
    let ticks = "`".repeat(longest_run(&cleaned) + 1);
    let space = if cleaned.starts_with('`') || cleaned.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{cleaned}{space}{ticks}")
}

/// Text that stays text: no markup, no link, and nobody is mentioned.
fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in clean(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A space of no width behind them: nobody is called, no issue is linked.
            '@' | '#' => {
                escaped.push(character);
                escaped.push_str("&#8203;");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            plain => escaped.push(plain),
        }
    }
    escaped.replace("://", ":&#8203;//").replace("www.", "www&#8203;.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(prose("@all <b> `x` #1"), "@&#8203;all &lt;b&gt; \\`x\\` #&#8203;1");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(fence("x ```` y"), "`````");
    }

    #[test]
    fn signs_stand_first() {
        assert_eq!(sign_first("  + postgres.role.x", Action::Create), "+ postgres.role.x");
        assert_eq!(sign_first("  ~ postgres.role.x", Action::Update), "! ~ postgres.role.x");
        assert_eq!(sign_first("  x postgres.role.x", Action::Forget), "  x postgres.role.x");
    }
}
