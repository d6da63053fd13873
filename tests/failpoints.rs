//! Every boundary between two effects, struck in every way: whatever happens there, the next runs put everything right.
//!
//! Nobody lists boundaries: a run of each scenario without a strike records which it passes, and how often.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod boundaries;
use boundaries::case::{Case, Mode, Passed, Range, cases};
use boundaries::lane::{Came, Lane, State};
use boundaries::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

/// Workspaces side by side.
const LANES: usize = 6;

/// Past the test program's capture of output: whoever runs the suite sees it.
fn tell(line: &str) {
    let mut stderr = std::io::stderr();
    stderr.write_all(format!("{line}\n").as_bytes()).expect("standard error");
}

/// A case, and how many further runs it took, or what went wrong.
type Done = (Scenario, Case, Result<usize, String>);

/// Cases that wait, and what came of the others.
struct Work {
    state: State,
    waiting: Mutex<BTreeMap<Scenario, Vec<Case>>>,
    done: Mutex<Vec<Done>>,
}

impl Work {
    fn next(&self, scenario: Scenario) -> Option<Case> {
        self.waiting.lock().unwrap().get_mut(&scenario).and_then(Vec::pop)
    }

    fn wait(&self, scenario: Scenario, case: Case) {
        self.waiting.lock().unwrap().entry(scenario).or_default().push(case);
    }

    fn is_left(&self) -> bool {
        self.waiting.lock().unwrap().values().any(|cases| !cases.is_empty())
    }

    /// One workspace after another, until nothing is left: one in which something went wrong is given up.
    fn go(&self) {
        while self.is_left() {
            let lane = Lane::start(self.state);
            while self.is_left() && self.cycle(&lane) {}
            // What a failed case left may not be possible to clean up.
            drop(catch_unwind(AssertUnwindSafe(|| drop(lane))));
        }
    }

    /// Whether the workspace is good for another time.
    fn cycle(&self, lane: &Lane) -> bool {
        for scenario in Scenario::ALL {
            for _ in 0..scenario.rounds() {
                let Some(case) = self.next(scenario) else {
                    let needed = matches!(scenario.does(), Scenario::Create | Scenario::Destroy);
                    if needed && lane.record(scenario).is_err() {
                        return false;
                    }
                    break;
                };
                let came = catch_unwind(AssertUnwindSafe(|| lane.strike(scenario, &case)));
                let came = match came.unwrap_or_else(|_| Err("a proof panicked: see above".to_owned())) {
                    Ok(Came::Fewer(hit)) => {
                        self.wait(scenario, Case { hit, ..case });
                        continue;
                    }
                    Ok(Came::Well(further)) => Ok(further),
                    Err(wrong) => Err(wrong),
                };
                let good = came.is_ok();
                if let Err(wrong) = &came {
                    tell(&format!("NOT CONVERGED: {scenario:?} {}\n{wrong}\n", case.said()));
                }
                let mut done = self.done.lock().unwrap();
                done.push((scenario, case, came));
                if done.len().is_multiple_of(100) {
                    tell(&format!("failpoints: {} cases so far", done.len()));
                }
                if !good {
                    return false;
                }
            }
        }
        true
    }
}

fn record(state: State) -> Vec<(Scenario, Passed)> {
    let lane = Lane::start(state);
    Scenario::ALL
        .map(|scenario| {
            (scenario, lane.record(scenario).unwrap_or_else(|wrong| panic!("{scenario:?} without a strike: {wrong}")))
        })
        .into()
}

#[test]
fn every_boundary_struck_in_every_way_converges() {
    let since = Instant::now();
    let (on_files, mut in_database) = std::thread::scope(|scope| {
        let in_database = scope.spawn(|| record(State::Database));
        (record(State::Files), in_database.join().unwrap())
    });
    // What is the same wherever the state is need not be struck twice.
    let shared: BTreeSet<&String> = on_files.iter().flat_map(|(_, passed)| passed.keys()).collect();
    in_database.iter_mut().for_each(|(_, passed)| passed.retain(|boundary, _| !shared.contains(boundary)));
    let range = Range::asked();
    let only = std::env::var("NORNPLAN_ONLY").unwrap_or_default();
    let works = [(State::Files, &on_files), (State::Database, &in_database)].map(|(state, recorded)| {
        let mut cases = cases(recorded, range);
        cases.iter_mut().for_each(|(scenario, cases)| {
            cases.retain(|case| format!("{scenario:?} {}", case.said()).contains(&only));
        });
        Work { state, waiting: Mutex::new(cases), done: Mutex::default() }
    });
    let planned = works.each_ref().map(|work| work.waiting.lock().unwrap().values().map(Vec::len).sum::<usize>());
    tell(&format!(
        "failpoints: {} cases, and {} of a state in a database, recorded in {:.0?}",
        planned[0],
        planned[1],
        since.elapsed()
    ));
    let planned: usize = planned.iter().sum();
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| works.iter().for_each(Work::go));
        }
    });
    let done: Vec<Done> = works.into_iter().flat_map(|work| work.done.into_inner().unwrap()).collect();
    let count = |is: &dyn Fn(&Case) -> bool| done.iter().filter(|(_, case, _)| is(case)).count();
    let counts = Mode::ALL.map(|mode| format!("{} {}", mode.name(), count(&|case| case.mode == mode))).join(", ");
    let took = |runs: usize| done.iter().filter(|(_, _, came)| came.as_ref() == Ok(&runs)).count();
    let failed: Vec<String> = done
        .iter()
        .filter(|(_, _, came)| came.is_err())
        .map(|(scenario, case, _)| format!("{scenario:?} {}", case.said()))
        .collect();
    tell(&format!(
        "failpoints: {} cases in {:.0?}: {counts}; {} ended well at once, {} in the next run, {} in the one after",
        done.len(),
        since.elapsed(),
        took(0),
        took(1),
        took(2)
    ));
    assert!(failed.is_empty(), "{} did not converge:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(done.len(), planned);
    // Of a part that somebody asked for, nobody knows how large it is.
    if only.is_empty() {
        let few = |mode: &Mode| count(&|case| case.mode == *mode) < 5;
        assert!(
            in_database.iter().any(|(_, passed)| passed.contains_key("before state write")),
            "none of the database's"
        );
        assert!(done.len() > 150 && !Mode::ALL.iter().any(few), "these are too few: {counts}");
    }
}

#[test]
fn every_step_carried_out_twice_ends_well() {
    let lane = Lane::start(State::Files);
    let mut batches = 0;
    for scenario in Scenario::ALL {
        let passed = lane.twice(scenario).unwrap_or_else(|wrong| panic!("{scenario:?}: {wrong}"));
        for batch in passed.keys().filter_map(|name| name.strip_prefix("before batch ")) {
            assert!(passed.contains_key(&format!("lost answer to batch {batch}")), "{batch} was answered: {passed:?}");
            batches += 1;
        }
    }
    assert!(batches > 20, "only {batches} batches");
}
