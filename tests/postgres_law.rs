//! The law of acceptance: from any state to any other. Whatever people did by hand, and whatever infraspecs want, one
//! plan and one apply bring the server there, as statements of this test's own confirm, and the next plan is empty.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "law/mod.rs"]
mod law;
#[path = "support/postgres.rs"]
mod postgres;
mod support;

use law::hand::{ByHand, by_hand, perform};
use law::truth;
use law::wish::{METABASE, MIGRATOR, STRANGER, Wishes, declare, wishes};
use nornplan::core::change::FieldChange;
use nornplan::core::step::Action;
use nornplan::services::{ServiceId, Step};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use support::World;

/// In each of the two worlds, which go side by side; `NORNPLAN_POSTGRES_CASES` asks for more.
const CASES: usize = 20;

fn cases_asked_for() -> usize {
    let asked = std::env::var("NORNPLAN_POSTGRES_CASES").ok();
    asked.map_or(CASES, |number| number.parse().unwrap())
}

async fn law(name: &str, seed: u8) {
    let mut world = World::new(ServiceId::Postgres, name);
    for role in [METABASE, MIGRATOR, STRANGER] {
        world.as_admin("postgres", &format!("CREATE ROLE {}", world.plain(role))).await;
    }
    let mut extensions = Vec::new();
    for name in ["citext", "pgcrypto", "hstore"] {
        extensions.extend(world.extension(name).await);
    }
    let cases = (vec(by_hand(), 0..8), wishes(extensions), prop::bool::weighted(0.05));
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let (mut tried, mut worked, mut last) = (0, 0, Wishes::new());
    for case in 0..cases_asked_for() {
        let (changes, mut wishes, loses_state) = cases.new_tree(&mut runner).unwrap().current();
        for change in &changes {
            tried += 1;
            worked += usize::from(perform(&world, change).await);
        }
        if loses_state {
            world.lose_state();
            // What is forgotten and not declared any more stays, and would stand in the way of later drops.
            wishes.clone_from(&last);
        }
        one_case(&mut world, case, &changes, &wishes).await;
        last = wishes;
    }
    // People's statements that all fail would prove nothing.
    assert!(worked * 3 > tried, "only {worked} of {tried} changes by hand could be made");
    world.drop_all().await;
}

async fn one_case(world: &mut World, case: usize, changes: &[ByHand], wishes: &Wishes) {
    declare(world, wishes);
    let plan = world.plan().await;
    let told = format!("case {case}\nby hand: {changes:#?}\nwanted: {wishes:#?}\nplan:\n{}", briefly(&plan));
    assert!(plan.iter().all(|step| step.hold.is_none()), "blocked\n{told}");
    if let Err(error) = world.try_apply(plan).await {
        panic!("{error}\n{told}");
    }
    truth::check(world, wishes, &told).await;
    let again = world.plan().await;
    assert!(again.is_empty(), "planned again:\n{}\n{told}", briefly(&again));
}

fn briefly(plan: &[Step]) -> String {
    let change = |change: &FieldChange| format!("\n    {}: {} -> {}", change.field, change.before, change.after);
    let step = |step: &Step| {
        let changes = step.changes.iter().filter(|_| step.action != Action::Create).map(change);
        format!("  {} {} {:?}{}\n", step.action, step.id(), step.hold, changes.collect::<String>())
    };
    plan.iter().map(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_wish_comes_true_from_any_state() {
    law("lawa", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_from_any_other() {
    law("lawb", 2).await;
}
