//! The end of an apply: what was done, and above all what was not.

use super::items::masked;
use super::layout::{columns, pad, table, wrap_lines};
use super::{Ink, Style, clean, clean_lines, symbol, words};
use crate::core::address::Address;
use crate::core::change::{Cause, Field, FieldChange, Resource};
use crate::core::name::AppName;
use crate::core::step::{Action, Hold, StepId};
use crate::services::postgres::model::Op::AlterDatabase;
use crate::services::{Model, Op, Outcome, Plan, Step};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What became of every resource of a plan.
#[derive(Debug)]
pub struct Report {
    entries: Vec<Entry>,
    elapsed: Duration,
    /// Whether the state has all that was done.
    recorded: bool,
}

#[derive(Debug)]
struct Entry {
    address: Address,
    app: AppName,
    action: Action,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    /// And where that is which was destroyed; and what else is told.
    Done(Option<PathBuf>, Option<String>),
    AlreadySo,
    /// Another step of the same plan has done it.
    DoneWith(Address),
    Held(Hold),
    /// It cannot be done as things are: why.
    Blocked(String),
    /// The run was stopped before its turn.
    NotStarted,
    Skipped(StepId),
    /// What is not as planned, in words; and fields: name, planned, now, wanted.
    Stale(&'static str, Vec<[String; 4]>),
    Failed(String),
}

/// How bad a fate is. Of several steps of one resource, the worst fate is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    AlreadySo,
    Done,
    Held,
    Blocked,
    NotStarted,
    Skipped,
    Refused,
    Failed,
}

impl Fate {
    fn rank(&self) -> Rank {
        match self {
            Self::AlreadySo => Rank::AlreadySo,
            Self::Done(..) | Self::DoneWith(_) => Rank::Done,
            Self::Held(_) => Rank::Held,
            Self::Blocked(_) => Rank::Blocked,
            Self::NotStarted => Rank::NotStarted,
            Self::Skipped(_) => Rank::Skipped,
            Self::Stale(..) => Rank::Refused,
            Self::Failed(_) => Rank::Failed,
        }
    }
}

impl Report {
    /// Puts outcomes beside the plan that they are of. A step without an outcome was not started.
    pub fn new(plan: &Plan, outcomes: impl IntoIterator<Item = (StepId, Outcome)>, elapsed: Duration) -> Self {
        let mut outcomes: BTreeMap<StepId, Outcome> = outcomes.into_iter().collect();
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: BTreeMap<(&Address, Action), usize> = BTreeMap::new();
        let is_done = |step: &&Step| matches!(outcomes.get(&step.id()), Some(Outcome::Done { .. }));
        let givers: Vec<&Step> = plan.steps.iter().filter(|step| may_give(step)).filter(is_done).collect();
        for step in &plan.steps {
            let mut fate = fate(step, outcomes.remove(&step.id()));
            if let (Fate::AlreadySo, Some(with)) = (&fate, givers.iter().find(|other| gives_along(other, step))) {
                fate = Fate::DoneWith(with.address.clone());
            }
            let place = *places.entry((&step.address, step.action)).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) if entry.fate.rank() > fate.rank() => {}
                Some(entry) if entry.fate.rank() == fate.rank() && !matches!(fate, Fate::Done(Some(_), _)) => {}
                Some(entry) => entry.fate = fate,
                None => entries.push(Entry {
                    address: step.address.clone(),
                    app: step.app.clone(),
                    action: step.action,
                    fate,
                }),
            }
        }
        Self { entries, elapsed, recorded: true }
    }

    /// The state could not be written.
    #[must_use]
    pub fn unrecorded(self) -> Self {
        Self { recorded: false, ..self }
    }

    /// Whether anything that should have been done was not; what is held should not.
    pub fn incomplete(&self) -> bool {
        self.entries.iter().any(|entry| entry.fate.rank() >= Rank::Blocked)
    }

    /// The last line of the text.
    pub fn verdict(&self) -> String {
        // What went along with something else that this run destroyed is destroyed as well.
        let already_so = |entry: &&Entry| entry.fate.rank() == Rank::AlreadySo && entry.action != Action::Destroy;
        let is_done = |entry: &&Entry| entry.fate.rank() <= Rank::Done && !already_so(entry);
        let done = |action| self.entries.iter().filter(|entry| entry.action == action && is_done(entry)).count();
        let counted: Vec<String> = Action::ALL
            .into_iter()
            .filter(|action| matches!(action, Action::Create | Action::Update | Action::Destroy) || done(*action) > 0)
            .map(|action| format!("{} {}", done(action), words::past(action)))
            .collect();
        let undone: Vec<String> = [
            (Rank::Failed, "failed"),
            (Rank::Refused, "refused"),
            (Rank::Skipped, "skipped"),
            (Rank::NotStarted, "not started"),
            (Rank::Blocked, "blocked"),
            (Rank::Held, "held"),
        ]
        .into_iter()
        .map(|(rank, word)| (self.entries.iter().filter(|entry| entry.fate.rank() == rank).count(), word))
        .chain([(self.entries.iter().filter(already_so).count(), "already so")])
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
        let rest = if undone.is_empty() { String::new() } else { format!("; {}", undone.join(", ")) };
        let how = if self.incomplete() { "incomplete" } else { "complete" };
        format!("Apply {how}: {}{rest}.", counted.join(", "))
    }
}

fn fate(step: &Step, outcome: Option<Outcome>) -> Fate {
    match outcome {
        Some(Outcome::Done { dump, note, .. }) => Fate::Done(dump, note),
        Some(Outcome::AlreadySo) => Fate::AlreadySo,
        Some(Outcome::Skipped { because_of }) => Fate::Skipped(because_of),
        Some(Outcome::Failed { error, .. }) => Fate::Failed(error.to_string()),
        Some(Outcome::Stale { now }) => stale(step, now.as_deref()),
        None => match step.hold.clone() {
            Some(Hold::Blocked { reason }) => Fate::Blocked(reason),
            Some(hold) => Fate::Held(hold),
            None => Fate::NotStarted,
        },
    }
}

/// Whether a step gives as well what another one was to give: a new owner leaves the former one and the app's user theirs.
fn may_give(step: &Step) -> bool {
    matches!(step.op, Op::Postgres(AlterDatabase { .. }))
}

fn gives_along(giver: &Step, step: &Step) -> bool {
    let (Op::Postgres(AlterDatabase { user, keeps }), Some(Model::PostgresGrant(grant))) = (&giver.op, &step.after)
    else {
        return false;
    };
    step.needs.contains(&giver.id()) && (grant.role == *user || keeps.contains(grant))
}

/// How the object is not as it was planned.
fn stale(step: &Step, now: Option<&Model>) -> Fate {
    let rows = differences(step, now);
    let why = match (&step.before, now) {
        (None, Some(_)) if rows.is_empty() && step.sets_credential => "it exists already, with another password",
        (None, Some(_)) => "it exists already",
        (Some(_), None) => "it is gone",
        (Some(_), Some(_)) | (None, None) if rows.is_empty() => "its values are not as planned",
        (Some(_), Some(_)) | (None, None) => "",
    };
    Fate::Stale(why, rows)
}

/// The fields in which the object is not as it was planned, in three columns; of one that was not to be there, those in
/// which it is not as wanted.
fn differences(step: &Step, now: Option<&Model>) -> Vec<[String; 4]> {
    let [planned, now, wanted] = [step.before.as_ref(), now, step.after.as_ref()]
        .map(|model| model.map(|model| visible(&step.address, model.fields())));
    let names: Vec<String> =
        [&planned, &now, &wanted].into_iter().flatten().flatten().map(|(name, _)| name.clone()).fold(
            Vec::new(),
            |mut names, name| {
                if !names.contains(&name) {
                    names.push(name);
                }
                names
            },
        );
    let expected = if planned.is_some() { &planned } else { &wanted };
    let value = |of: &Option<Vec<(String, Value)>>, name: &str| {
        of.as_ref().and_then(|fields| fields.iter().find(|(field, _)| field == name)).map(|(_, value)| value.clone())
    };
    names
        .into_iter()
        // A field that is not known on one side says nothing.
        .filter(|name| match (value(expected, name), value(&now, name)) {
            (Some(expected), Some(now)) => expected != now,
            (Some(_), None) | (None, Some(_) | None) => false,
        })
        .map(|name| {
            let shown = |of| value(of, &name).map_or_else(|| "-".to_owned(), |value| words::value(&name, &value));
            [words::field(&name), shown(&planned), shown(&now), shown(&wanted)]
        })
        .collect()
}

/// Fields with a value; of published variables the names only.
fn visible(address: &Address, fields: Vec<Field>) -> Vec<(String, Value)> {
    fields
        .into_iter()
        .filter_map(|field| {
            let value = field.value?;
            if address.kind == crate::secrets::model::SECRET {
                let change = FieldChange {
                    field: field.name.to_owned(),
                    before: Value::Null,
                    after: value,
                    cause: Cause::ChangedInSpec,
                };
                let names = masked(address, vec![change]).into_iter().map(|change| Value::from(change.field));
                return Some((field.name.to_owned(), names.collect()));
            }
            Some((field.name.to_owned(), value))
        })
        .collect()
}

/// More done resources than this are counted by app instead of named.
const NAMED: usize = 40;

/// The whole report; its last line is [`Report::verdict`].
pub fn text(report: &Report, style: &Style) -> String {
    let style = *style;
    let mut blocks: Vec<Vec<String>> = vec![done(report, style)];
    for (rank, title) in [
        (Rank::Held, "Held: shown, not carried out"),
        (Rank::Blocked, "Blocked: cannot be done as things are"),
        (Rank::NotStarted, "Not started: the run was stopped before their turn"),
        (Rank::Skipped, "Skipped: what they need was not done"),
        (Rank::Refused, "Refused: not as planned any more; nothing was written to them"),
        (Rank::Failed, "Failed"),
    ] {
        let entries: Vec<&Entry> = report.entries.iter().filter(|entry| entry.fate.rank() == rank).collect();
        if entries.is_empty() {
            continue;
        }
        let ink = if rank >= Rank::Refused || rank == Rank::Blocked { Ink::Danger } else { Ink::Change };
        let mut lines = vec![style.paint(ink, title)];
        let widest = widest(&entries);
        lines.extend(entries.iter().flat_map(|entry| entry_lines(entry, widest, style)));
        blocks.push(lines);
    }
    if report.entries.iter().any(|entry| matches!(entry.fate, Fate::Done(Some(_), _))) {
        blocks.push(vec![
            "To get one back: `nornplan apply` with its infraspec, then `nornplan restore APP FILE`.".to_owned(),
        ]);
    }
    let has = |rank: Rank| report.entries.iter().any(|entry| entry.fate.rank() == rank);
    let mut end = vec![format!("Took {}.", words::elapsed(report.elapsed))];
    if has(Rank::Refused) {
        end.push("Plan again to see what the refused resources have become.".to_owned());
    }
    if !report.recorded {
        end.push(
            "The state could not be written: the next apply takes what was done from the journal, or finds it."
                .to_owned(),
        );
    } else if has(Rank::Failed) || has(Rank::NotStarted) {
        end.push("Everything done is recorded; the next apply goes on from here.".to_owned());
    }
    end.push(style.paint(Ink::Bold, &report.verdict()));
    blocks.push(end);
    blocks.retain(|block| !block.is_empty());
    let blocks: Vec<String> = blocks.iter().map(|block| block.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

fn widest(entries: &[&Entry]) -> usize {
    entries.iter().map(|entry| columns(&words::address(&entry.address))).max().unwrap_or_default()
}

fn done(report: &Report, style: Style) -> Vec<String> {
    let mut done: Vec<&Entry> = report.entries.iter().filter(|entry| entry.fate.rank() <= Rank::Done).collect();
    if done.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![style.paint(Ink::Good, "Done")];
    if done.len() > NAMED {
        let mut apps: BTreeMap<&AppName, usize> = BTreeMap::new();
        for entry in &done {
            *apps.entry(&entry.app).or_default() += 1;
        }
        let rows: Vec<[String; 2]> = apps
            .iter()
            .map(|(app, number)| [app.to_string(), super::count(*number, "resource", "resources")])
            .collect();
        lines.extend(table(&rows, "  "));
        // Where the data are must not be lost in a number.
        done.retain(|entry| matches!(entry.fate, Fate::Done(Some(_), _)));
    }
    let widest = widest(&done);
    lines.extend(done.iter().flat_map(|entry| entry_lines(entry, widest, style)));
    lines
}

fn entry_lines(entry: &Entry, widest: usize, style: Style) -> Vec<String> {
    let address = pad(&words::address(&entry.address), widest);
    let mark = style.paint(Ink::of(entry.action), symbol(entry.action));
    let line = |text: &str| format!("  {mark} {address}  {text}").trim_end().to_owned();
    match &entry.fate {
        Fate::DoneWith(other) => vec![line(&format!("done with {}", words::address(other)))],
        Fate::Done(dump, note) => {
            let dump = dump.as_deref().map(words::its_dump).unwrap_or_default();
            let note = note.as_deref().map(words::and_that).unwrap_or_default();
            vec![line(&format!("{}{dump}{note}", words::past(entry.action)))]
        }
        Fate::AlreadySo if entry.action == Action::Destroy => vec![line("already gone")],
        Fate::AlreadySo => vec![line("already so")],
        Fate::NotStarted => vec![line(entry.action.as_str())],
        Fate::Held(hold) => vec![line(&held_because(hold))],
        Fate::Blocked(reason) => {
            let mut lines = vec![line(entry.action.as_str())];
            lines.extend(reason_lines(reason, style));
            lines
        }
        Fate::Skipped(because) => vec![line(&format!("because of {}", clean(&because.to_string())))],
        Fate::Stale(why, rows) => {
            let what = if why.is_empty() { entry.action.to_string() } else { format!("{}: {why}", entry.action) };
            let mut lines = vec![line(&what)];
            if !rows.is_empty() {
                let mut table_rows = vec![["", "planned", "now", "wanted"].map(str::to_owned)];
                table_rows.extend(rows.iter().cloned());
                lines.extend(table(&table_rows, "      "));
            }
            lines
        }
        Fate::Failed(error) => {
            let mut lines = vec![line(entry.action.as_str())];
            lines.extend(reason_lines(error, style));
            lines
        }
    }
}

fn held_because(hold: &Hold) -> String {
    match hold {
        Hold::Destroy => "needs --allow-destroy".to_owned(),
        Hold::DestroyAll => "needs --allow-destroy all".to_owned(),
        Hold::Interrupt => "needs --allow-interrupt".to_owned(),
        Hold::Prevented { remembered: false } => "prevent_destroy".to_owned(),
        Hold::Prevented { remembered: true } => "prevent_destroy of its last infraspec".to_owned(),
        Hold::Waits { on } => format!("waits for {}", clean(&on.to_string())),
        Hold::Blocked { reason } => clean_lines(reason).join("; "),
    }
}

/// As wide as the plan has it.
fn reason_lines(reason: &str, style: Style) -> Vec<String> {
    const INDENT: usize = 6;
    let room = style.width.saturating_sub(INDENT).max(30);
    let lines = wrap_lines(reason, room).into_iter();
    lines.map(|line| format!("{}{line}", " ".repeat(INDENT))).collect()
}
