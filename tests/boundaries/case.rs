//! What strikes a run, and where.

use super::scenario::{MOST_ROUNDS, Scenario};
use std::collections::BTreeMap;

/// What happens at a boundary (`src/boundary/failpoints.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The process dies.
    Abort,
    /// The call fails for good.
    Error,
    /// The call fails with an error that may pass.
    Transient,
    /// All connections to the service are cut.
    Cut,
    /// The request gets through, and the connection is cut in the place of the answer.
    Lose,
    /// The process is killed while the server does what it was asked for.
    Kill,
}

impl Mode {
    pub const ALL: [Self; 6] = [Self::Abort, Self::Error, Self::Transient, Self::Cut, Self::Lose, Self::Kill];

    pub fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Error => "error",
            Self::Transient => "transient",
            Self::Cut => "cut",
            Self::Lose => "lose",
            Self::Kill => "kill",
        }
    }

    /// Whether it makes a difference at a boundary.
    fn fits(self, boundary: &str) -> bool {
        let words: Vec<&str> = boundary.split(' ').collect();
        let of_service = matches!(words[1], "postgres" | "valkey" | "kafka" | "state");
        let of_file =
            ["write", "fsync", "rename", "remove", "append", "between"].iter().any(|word| words.contains(word));
        match self {
            Self::Abort => true,
            // Nothing is tried again that is done to a file.
            Self::Error => of_service || of_file && boundary != "after append journal",
            Self::Transient | Self::Cut => of_service,
            Self::Lose | Self::Kill => of_service && words[0] == "before",
        }
    }
}

/// One strike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    pub mode: Mode,
    pub boundary: String,
    /// Which time that the boundary is reached, from 1.
    pub hit: usize,
}

impl Case {
    /// As the variable says it.
    pub fn said(&self) -> String {
        format!("{}:{}:{}", self.mode.name(), self.hit, self.boundary)
    }
}

/// How often each boundary was passed in a run.
pub type Passed = BTreeMap<String, usize>;

/// What is to be done, by scenario.
pub type Cases = BTreeMap<Scenario, Vec<Case>>;

/// How much of all that could be done is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Each boundary once, in runs that plan for themselves.
    Once,
    /// Each boundary by each mode.
    Modes,
    /// Each boundary by each mode in each scenario, each time that it is reached: hours.
    Hits,
}

impl Range {
    /// What `NORNPLAN_EVERY` asks for.
    pub fn asked() -> Self {
        match std::env::var("NORNPLAN_EVERY").as_deref() {
            Err(_) => Self::Once,
            Ok("mode") => Self::Modes,
            Ok("hit") => Self::Hits,
            Ok(other) => panic!("NORNPLAN_EVERY is mode or hit, not {other}"),
        }
    }
}

/// What is to be done of what some scenarios pass.
pub fn cases(recorded: &[(Scenario, Passed)], range: Range) -> Cases {
    let (saved, others): (Vec<_>, Vec<_>) = recorded.iter().cloned().partition(|(scenario, _)| scenario.is_saved());
    let choose = match range {
        Range::Once => each_once,
        Range::Modes => each_mode,
        Range::Hits => every_hit,
    };
    let mut cases = choose(&others);
    // Whether a plan was saved makes no difference to what a service answers, but all to who goes on.
    let makes_a_difference = |case: &Case| matches!(case.mode, Mode::Abort | Mode::Kill | Mode::Error);
    for (scenario, mut of_saved) in if range == Range::Once { Cases::new() } else { choose(&saved) } {
        of_saved.retain(makes_a_difference);
        cases.insert(scenario, of_saved);
    }
    cases
}

/// Every hit of every boundary in every scenario, by every mode that makes a difference there.
fn every_hit(recorded: &[(Scenario, Passed)]) -> Cases {
    let mut cases = Cases::new();
    for (scenario, passed) in recorded {
        for (boundary, hits) in passed {
            for mode in Mode::ALL.into_iter().filter(|mode| mode.fits(boundary)) {
                let all = (1..=*hits).map(|hit| Case { mode, boundary: boundary.clone(), hit });
                cases.entry(*scenario).or_default().extend(all);
            }
        }
    }
    cases
}

/// The scenarios that pass each boundary, and how often.
fn places(recorded: &[(Scenario, Passed)]) -> BTreeMap<&String, Vec<(Scenario, usize)>> {
    let mut places: BTreeMap<&String, Vec<(Scenario, usize)>> = BTreeMap::new();
    for (scenario, passed) in recorded {
        for (boundary, hits) in passed {
            places.entry(boundary).or_default().push((*scenario, *hits));
        }
    }
    places
}

/// Spreads cases over scenarios, so that none has many left when the others are done.
#[derive(Default)]
struct Spread {
    /// What each has to do, in parts of a cycle.
    load: BTreeMap<Scenario, usize>,
    cases: Cases,
}

impl Spread {
    /// Strikes a boundary in the scenario with the least to do of those that pass it, and by turns at the first and at the
    /// last time that it is reached there.
    fn strike(&mut self, mode: Mode, boundary: &str, places: &[(Scenario, usize)], turn: usize) {
        let load = |(scenario, _): &&(Scenario, usize)| self.load.get(scenario).copied().unwrap_or_default();
        let Some((scenario, hits)) = places.iter().min_by_key(load).copied() else { return };
        *self.load.entry(scenario).or_default() += MOST_ROUNDS / scenario.rounds();
        let hit = if turn.is_multiple_of(2) { 1 } else { hits };
        self.cases.entry(scenario).or_default().push(Case { mode, boundary: boundary.to_owned(), hit });
    }
}

/// Those first that few scenarios pass.
fn rarest_first(recorded: &[(Scenario, Passed)]) -> Vec<(&String, Vec<(Scenario, usize)>)> {
    let mut all: Vec<_> = places(recorded).into_iter().collect();
    all.sort_by_key(|(_, places)| places.len());
    all
}

/// Every boundary by every mode that makes a difference there.
fn each_mode(recorded: &[(Scenario, Passed)]) -> Cases {
    let mut spread = Spread::default();
    for (number, (boundary, places)) in rarest_first(recorded).into_iter().enumerate() {
        for (at, mode) in Mode::ALL.into_iter().filter(|mode| mode.fits(boundary)).enumerate() {
            spread.strike(mode, boundary, &places, number + at);
        }
    }
    spread.cases
}

/// Every boundary once. A run dies after each effect, which is also before the next one; before each effect, it meets what
/// else makes a difference there, in turn.
fn each_once(recorded: &[(Scenario, Passed)]) -> Cases {
    let mut spread = Spread::default();
    // Turns of those boundaries alone at which the same modes make a difference, so that each mode gets its turn.
    let mut turns: BTreeMap<Vec<Mode>, usize> = BTreeMap::new();
    for (number, (boundary, places)) in rarest_first(recorded).into_iter().enumerate() {
        let is_other = |mode: &Mode| *mode != Mode::Abort && mode.fits(boundary);
        let others: Vec<Mode> =
            if boundary.starts_with("before ") { Mode::ALL.into_iter().filter(is_other).collect() } else { Vec::new() };
        let turn = turns.entry(others.clone()).or_default();
        let mode = others.get(*turn % others.len().max(1)).copied().unwrap_or(Mode::Abort);
        *turn += 1;
        spread.strike(mode, boundary, &places, number);
    }
    spread.cases
}
