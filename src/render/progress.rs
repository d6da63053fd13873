//! What an apply is doing right now: bars on a terminal, a line for each finished step elsewhere; always on stderr.

use super::{clean, clean_lines, tell, words};
use crate::core::step::{Action, Part, StepId};
use crate::services::kafka::model::USER;
use crate::services::{Outcome, Progress as Counted};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often running lines move on.
const TICK: Duration = Duration::from_millis(120);

/// How often it is said elsewhere what goes on.
const NOW_AND_THEN: Duration = Duration::from_secs(15);

/// The display of one apply. Shared by reference; every method may be called from any task.
pub struct Progress {
    bars: Option<Bars>,
    running: Mutex<Running>,
}

struct Bars {
    all: MultiProgress,
    overall: ProgressBar,
}

/// Calls in flight. A call may carry many steps and has one line for them all.
#[derive(Default)]
struct Running {
    next: usize,
    calls: BTreeMap<usize, Call>,
    steps: BTreeMap<StepId, usize>,
}

struct Call {
    action: Action,
    since: Instant,
    left: usize,
    line: Option<ProgressBar>,
}

impl Progress {
    /// `total` is the number of steps that will run.
    pub fn new(total: usize, terminal: bool) -> Self {
        let bars = terminal.then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let overall = all.add(ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)));
            overall.set_style(template("{bar:30.green} {pos}/{len} steps  {elapsed}  {msg}").progress_chars("━━─"));
            overall.enable_steady_tick(TICK);
            Bars { all, overall }
        });
        Self { bars, running: Mutex::default() }
    }

    /// One call begins, with all of its steps.
    pub fn started(&self, steps: &[StepId], action: Action) {
        let Some(first) = steps.first() else { return };
        let line = self.bars.as_ref().map(|bars| {
            let line = bars.all.insert_before(&bars.overall, ProgressBar::new_spinner());
            line.set_style(template("  {spinner:.green} {msg}  {elapsed}"));
            let more = if steps.len() > 1 { format!(" and {} more", steps.len() - 1) } else { String::new() };
            line.set_message(format!("{}{more}: {}", clean(&first.to_string()), words::present(action)));
            line.enable_steady_tick(TICK);
            line
        });
        let mut running = self.running();
        let call = running.next;
        running.next += 1;
        running.calls.insert(call, Call { action, since: Instant::now(), left: steps.len(), line });
        running.steps.extend(steps.iter().map(|step| (step.clone(), call)));
    }

    /// One step has its outcome, whether it was started or not.
    pub fn finished(&self, step: &StepId, outcome: &Outcome) {
        let (action, took) = self.take(step);
        if let Some(bars) = &self.bars {
            bars.overall.inc(1);
            if let Outcome::Failed { .. } | Outcome::Stale { .. } | Outcome::Refused { .. } = outcome {
                self.say(&finished_line(step, action, took, outcome));
            }
        } else {
            self.say(&finished_line(step, action, took, outcome));
        }
    }

    /// Does the work, and shows meanwhile what is removed one by one.
    pub async fn counting<T>(&self, removed: &Counted, work: impl Future<Output = T>) -> T {
        let mut clock = tokio::time::interval(if self.bars.is_some() { TICK } else { NOW_AND_THEN });
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = clock.tick() => {
                    let text = match removed.so_far() {
                        (_, 0) => String::new(),
                        (done, all) => format!("{done} of about {} keys removed", all.max(done)),
                    };
                    match &self.bars {
                        Some(bars) => bars.overall.set_message(text),
                        None if text.is_empty() => {}
                        None => tell(&format!("{text}\n")),
                    }
                }
            }
        }
    }

    /// Everything is over: the bars go, so that the report stands alone.
    pub fn done(&self) {
        let calls = std::mem::take(&mut *self.running());
        for line in calls.calls.into_values().filter_map(|call| call.line) {
            line.finish_and_clear();
        }
        if let Some(bars) = &self.bars {
            bars.overall.finish_and_clear();
        }
    }

    /// Takes a step off the display: its action if it was started, and how long it took.
    fn take(&self, step: &StepId) -> (Option<Action>, Duration) {
        let mut running = self.running();
        let Some(id) = running.steps.remove(step) else { return (None, Duration::ZERO) };
        let Some(call) = running.calls.get_mut(&id) else { return (None, Duration::ZERO) };
        call.left = call.left.saturating_sub(1);
        let known = (Some(call.action), call.since.elapsed());
        if call.left == 0
            && let Some(line) = running.calls.remove(&id).and_then(|call| call.line)
        {
            line.finish_and_clear();
        }
        known
    }

    fn say(&self, line: &str) {
        match &self.bars {
            // It fails only if the terminal is gone, and then nobody reads it.
            Some(bars) => _ = bars.all.println(line),
            None => tell(&format!("{line}\n")),
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without colour where stderr has none. A template that indicatif cannot read leaves its default: the display is no
/// reason to fail.
pub fn template(text: &str) -> ProgressStyle {
    let plain = anstream::AutoStream::choice(&std::io::stderr()) == anstream::ColorChoice::Never;
    let text = if plain { text.replace(":.green", "").replace(".green", "") } else { text.to_owned() };
    ProgressStyle::with_template(&text).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `postgres.database.cafe: created (0.2s)`
fn finished_line(step: &StepId, action: Option<Action>, took: Duration, outcome: &Outcome) -> String {
    let done = match step.part {
        Part::Stage => "passwords staged",
        Part::Credential => "password set",
        Part::Close if action == Some(Action::Rotate) => "former password removed",
        Part::Close if action == Some(Action::Rename) => "removed under its former name",
        Part::Close if step.address.kind == USER => "former mechanism removed",
        Part::Close => "closed",
        Part::Save => "saved",
        Part::Publish if action != Some(Action::Destroy) => "published",
        Part::Main | Part::Publish | Part::Rename => action.map_or("done", words::past),
    };
    let address = words::address(&step.address);
    let step = clean(&step.to_string());
    match outcome {
        Outcome::Done { dump, note, .. } => {
            let dump = dump.as_deref().map(words::its_dump).unwrap_or_default();
            let note = note.as_deref().map(words::and_that).unwrap_or_default();
            format!("{address}: {done}{dump}{note} ({})", words::elapsed(took))
        }
        Outcome::Remains { note } => {
            format!("{address}: {done}{} ({})", words::and_that(note), words::elapsed(took))
        }
        Outcome::AlreadySo => format!("{step}: already so"),
        Outcome::Stale { .. } | Outcome::Refused { .. } => {
            format!("{step}: refused, it is not as planned any more")
        }
        Outcome::Failed { error, .. } => {
            format!("{step}: failed: {}", clean_lines(&error.message).join(" "))
        }
        Outcome::Skipped { because_of } => format!("{step}: skipped because of {}", clean(&because_of.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_step_is_one_line() {
        let step = StepId::main("postgres.database.cafe".parse().unwrap());
        let line = finished_line(&step, Some(Action::Create), Duration::from_millis(214), &Outcome::done());
        assert_eq!(line, "postgres.database.cafe: created (0.2s)");
    }

    #[test]
    fn a_call_leaves_the_display_with_its_last_step() {
        let progress = Progress::new(2, false);
        let steps: Vec<StepId> =
            ["kafka.topic.a", "kafka.topic.b"].map(|step| StepId::main(step.parse().unwrap())).into();
        progress.started(&steps, Action::Create);
        assert_eq!(progress.take(&steps[0]).0, Some(Action::Create));
        assert_eq!(progress.running().calls.len(), 1);
        assert_eq!(progress.take(&steps[1]).0, Some(Action::Create));
        assert!(progress.running().calls.is_empty());
        assert_eq!(progress.take(&steps[1]).0, None);
    }
}
