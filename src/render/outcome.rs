//! The end of an apply: what was done, and above all what was not.

use super::absent::not_everywhere;
use super::again::Again;
use super::layout::{columns, pad, table, wrap_lines, wrap_words};
use super::refused::Refused;
use super::{Ink, Style, clean, clean_lines, items, same_reason, symbol, unpublished, words};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Action, Hold, StepId};
use crate::services::postgres::model::Op::AlterDatabase;
use crate::services::valkey::model::USER;
use crate::services::{Model, Op, Outcome, Plan, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What became of every resource of a plan.
#[derive(Debug)]
pub struct Report {
    entries: Vec<Entry>,
    elapsed: Duration,
    /// Whether the state has all that was done.
    recorded: bool,
    /// Nodes that could not be asked.
    absent: BTreeSet<String>,
    again: Again,
    /// What does not sign in until it is published.
    unpublished: Vec<String>,
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
    /// It went with something else that this run destroyed.
    GoneAlong,
    /// And whether it takes both consents.
    Held(Hold, bool),
    /// It cannot be done as things are: why.
    Blocked(String),
    /// The run was stopped before its turn.
    NotStarted,
    /// It was in flight when the run was ended at once.
    GivenUp,
    Skipped(StepId),
    Stale(Refused),
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
    GivenUp,
    Skipped,
    Refused,
    Failed,
}

impl Fate {
    fn rank(&self) -> Rank {
        match self {
            Self::AlreadySo => Rank::AlreadySo,
            Self::Done(..) | Self::DoneWith(_) | Self::GoneAlong => Rank::Done,
            Self::Held(..) => Rank::Held,
            Self::Blocked(_) => Rank::Blocked,
            Self::NotStarted => Rank::NotStarted,
            Self::GivenUp => Rank::GivenUp,
            Self::Skipped(_) => Rank::Skipped,
            Self::Stale(..) => Rank::Refused,
            Self::Failed(_) => Rank::Failed,
        }
    }
}

impl Entry {
    /// Why it was not done, but for its name; what is not told of it at length is told of it alone.
    fn unnamed(&self) -> String {
        match &self.fate {
            Fate::Blocked(reason) | Fate::Failed(reason) => same_reason::without_its_name(reason, &self.address),
            Fate::Done(..)
            | Fate::AlreadySo
            | Fate::DoneWith(_)
            | Fate::GoneAlong
            | Fate::Held(..)
            | Fate::NotStarted
            | Fate::GivenUp
            | Fate::Skipped(_)
            | Fate::Stale(_) => format!("{} {}", self.address, self.action),
        }
    }
}

impl Report {
    /// Puts outcomes beside the plan that they are of. A step without an outcome was not started.
    pub fn new(plan: &Plan, outcomes: impl IntoIterator<Item = (StepId, Outcome)>, elapsed: Duration) -> Self {
        let mut outcomes: BTreeMap<StepId, Outcome> = outcomes.into_iter().collect();
        let unpublished = unpublished::lines(plan, &outcomes);
        let mut entries: Vec<Entry> = Vec::new();
        let later = items::later(plan);
        let mut places: BTreeMap<(&Address, Action, bool), usize> = BTreeMap::new();
        let is_done = |step: &&Step| matches!(outcomes.get(&step.id()), Some(Outcome::Done { .. }));
        let givers: Vec<&Step> = plan.steps.iter().filter(|step| may_give(step)).filter(is_done).collect();
        let mut gone: BTreeSet<StepId> = BTreeSet::new();
        for step in &plan.steps {
            let mut fate = fate(step, outcomes.remove(&step.id()), plan.takes_all);
            if step.action == Action::Destroy {
                if matches!(fate, Fate::AlreadySo) && !gone.is_disjoint(&step.needs) {
                    fate = Fate::GoneAlong;
                }
                gone.extend((fate.rank() == Rank::Done).then(|| step.id()));
            }
            if let (Fate::AlreadySo, Some(with)) = (&fate, givers.iter().find(|other| gives_along(other, step))) {
                fate = Fate::DoneWith(with.address.clone());
            }
            let place =
                *places.entry((&step.address, step.action, later.contains(&step.id()))).or_insert(entries.len());
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
        let absent = plan.services.values().flat_map(|service| &service.nodes.absent).cloned().collect();
        Self { entries, elapsed, recorded: true, absent, again: Again::of(plan), unpublished }
    }

    /// These steps were in flight when the run was ended at once.
    #[must_use]
    pub fn given_up(mut self, steps: &BTreeSet<StepId>) -> Self {
        let addresses: BTreeSet<&Address> = steps.iter().map(|step| &step.address).collect();
        let known = |entry: &&mut Entry| addresses.contains(&entry.address) && entry.fate.rank() < Rank::GivenUp;
        self.entries.iter_mut().filter(known).for_each(|entry| entry.fate = Fate::GivenUp);
        self
    }

    /// The state could not be written.
    #[must_use]
    pub fn unrecorded(self) -> Self {
        Self { recorded: false, ..self }
    }

    /// Whether anything that should have been done or noted was not; what is held should not.
    pub fn incomplete(&self) -> bool {
        !self.recorded || self.entries.iter().any(|entry| entry.fate.rank() >= Rank::Blocked)
    }

    /// How many users were set or removed on the nodes that were there.
    fn users(&self) -> usize {
        let is_user = |entry: &&Entry| entry.address.kind == USER && !entry.action.only_state();
        let done = self.entries.iter().filter(is_user).filter(|entry| entry.fate.rank() == Rank::Done);
        done.map(|entry| &entry.address).collect::<BTreeSet<_>>().len()
    }

    /// The last line of the text.
    pub fn verdict(&self) -> String {
        let count = |rank| self.entries.iter().filter(|entry| entry.fate.rank() == rank).count();
        let is_done = |entry: &&Entry| entry.fate.rank() == Rank::Done;
        let done = |action| self.entries.iter().filter(is_done).filter(|entry| entry.action == action).count();
        let counted: Vec<String> = Action::ALL
            .into_iter()
            .filter(|action| matches!(action, Action::Create | Action::Update | Action::Destroy) || done(*action) > 0)
            .map(|action| format!("{} {}", done(action), words::past(action)))
            .collect();
        let undone: Vec<String> = [
            (Rank::Failed, "failed"),
            (Rank::Refused, "refused"),
            (Rank::Skipped, "skipped"),
            (Rank::GivenUp, "given up"),
            (Rank::NotStarted, "not started"),
            (Rank::Blocked, "blocked"),
            (Rank::Held, "held"),
            (Rank::AlreadySo, "already so"),
        ]
        .into_iter()
        .map(|(rank, word)| (count(rank), word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
        let rest = if undone.is_empty() { String::new() } else { format!("; {}", undone.join(", ")) };
        let how = if self.incomplete() { "incomplete" } else { "complete" };
        format!("Apply {how}: {}{rest}.", counted.join(", "))
    }
}

fn fate(step: &Step, outcome: Option<Outcome>, takes_all: bool) -> Fate {
    match outcome {
        Some(Outcome::Done { dump, note, .. }) => Fate::Done(dump, note),
        Some(Outcome::Remains { note }) => Fate::Done(None, Some(note)),
        Some(Outcome::AlreadySo) => Fate::AlreadySo,
        Some(Outcome::Skipped { because_of }) => Fate::Skipped(because_of),
        Some(Outcome::Failed { error, .. }) => Fate::Failed(error.to_string()),
        Some(Outcome::Refused { why }) => Fate::Stale(Refused::because(why)),
        Some(Outcome::Stale { now, differs }) => Fate::Stale(Refused::new(step, now.is_some(), differs)),
        None => match step.hold.clone() {
            Some(Hold::Blocked { reason }) => Fate::Blocked(reason),
            // Consent to destroy it was given by that word.
            Some(Hold::Interrupt) if takes_all && step.action == Action::Destroy && step.goes_under_feet() => {
                Fate::Held(Hold::DestroyAll, true)
            }
            Some(hold) => Fate::Held(hold, step.goes_under_feet()),
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
        (Rank::GivenUp, "Given up: in flight when the run was ended; the next apply finds out what became of them"),
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
        for group in same_reason::alike(&entries, Entry::unnamed) {
            lines.extend(group_lines(&group, widest, style));
        }
        blocks.push(lines);
    }
    if report.entries.iter().any(|entry| matches!(entry.fate, Fate::Done(Some(_), _))) {
        blocks.push(vec![
            "To get one back: `nornplan apply` with its infraspec, then `nornplan restore APP FILE`.".to_owned(),
        ]);
    }
    let has = |rank: Rank| report.entries.iter().any(|entry| entry.fate.rank() == rank);
    let mut end = vec![format!("Took {}.", words::elapsed(report.elapsed))];
    end.extend(not_everywhere(&report.absent, report.users()));
    for line in &report.unpublished {
        let lines = wrap_words(&clean(line), style.width.max(40)).into_iter();
        end.extend(lines.map(|line| style.paint(Ink::Danger, &line)));
    }
    if has(Rank::Refused) {
        end.extend(wrap_words(&refused(report), style.width.max(40)));
    } else if !report.entries.is_empty() && !report.entries.iter().any(|entry| entry.fate.rank() > Rank::AlreadySo) {
        end.push("Everything was so already: nothing was written.".to_owned());
    }
    if !report.recorded {
        end.push(
            "The state could not be written: the next apply takes what was done from the journal, or finds it."
                .to_owned(),
        );
    } else if has(Rank::Failed) || has(Rank::NotStarted) || has(Rank::GivenUp) {
        end.push(report.again.recorded().to_owned());
    }
    end.push(style.paint(Ink::Bold, &report.verdict()));
    blocks.push(end);
    blocks.retain(|block| !block.is_empty());
    let blocks: Vec<String> = blocks.iter().map(|block| block.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// How many were refused, whether all else is done, and what to do.
fn refused(report: &Report) -> String {
    let count_of = |is: fn(Rank) -> bool| report.entries.iter().filter(|entry| is(entry.fate.rank())).count();
    let number = count_of(|rank| rank == Rank::Refused);
    let (what, has) = if number == 1 { ("resource was", "it has") } else { ("resources were", "they have") };
    let is_rest_done = count_of(|rank| rank > Rank::Held && rank != Rank::Refused) == 0;
    let rest =
        if is_rest_done && count_of(|rank| rank <= Rank::Done) > 0 { ", and everything else was done" } else { "" };
    format!("{number} {what} refused{rest}. {}", report.again.refused(has))
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
        Fate::GoneAlong => vec![line("already gone")],
        Fate::AlreadySo if entry.action == Action::Destroy => vec![line("already gone")],
        Fate::AlreadySo => vec![line("already so")],
        Fate::NotStarted | Fate::GivenUp => vec![line(entry.action.as_str())],
        Fate::Held(hold, under_feet) => vec![line(&held_because(hold, *under_feet))],
        // Why is told once for all that have the same reason.
        Fate::Blocked(_) | Fate::Failed(_) => vec![line(entry.action.as_str())],
        Fate::Skipped(because) => vec![line(&format!("because of {}", clean(&because.to_string())))],
        Fate::Stale(refused) => {
            let mut lines = vec![line(&format!("{}: {}", entry.action, refused.why()))];
            lines.extend(refused.lines(style));
            lines
        }
    }
}

/// Resources, and then once what is the same of all of them.
fn group_lines(group: &[&Entry], widest: usize, style: Style) -> Vec<String> {
    let Some((first, others)) = group.split_first() else { return Vec::new() };
    let mut lines: Vec<String> =
        group.iter().take(same_reason::NAMED).flat_map(|entry| entry_lines(entry, widest, style)).collect();
    let more = group.len().saturating_sub(same_reason::NAMED);
    lines.extend((more > 0).then(|| format!("    and {more} more")));
    if let Fate::Blocked(reason) | Fate::Failed(reason) = &first.fate {
        lines.extend(reason_lines(&same_reason::of_all(reason, &first.address, others.len()), style));
    }
    lines
}

fn held_because(hold: &Hold, under_feet: bool) -> String {
    match hold {
        Hold::Destroy | Hold::Interrupt if under_feet => "needs --allow-destroy and --allow-interrupt".to_owned(),
        Hold::DestroyAll if under_feet => "needs --allow-destroy all and --allow-interrupt".to_owned(),
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
