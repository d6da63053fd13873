//! Golden tests of everything that is shown of a plan. `UPDATE_GOLDEN=1 cargo test --test render` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod render_support;

use nornplan::core::step::Risk;
use nornplan::render::{self, Style, graph, json, markdown, text};
use nornplan::services::Plan;
use render_support::{crowded, plans, schema, valkey};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/plans").join(name)
}

/// Compares with the golden file, or writes it.
fn golden(name: &str, actual: &str) {
    let path = path(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expected, actual, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
}

/// The plan as it comes back from a file, so that the goldens are of what was saved.
fn saved(name: &str, plan: &Plan) -> Plan {
    let text = serde_json::to_string_pretty(plan).unwrap() + "\n";
    golden(&format!("{name}.json"), &text);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn plans_look_as_they_should() {
    for (name, plan) in plans::all() {
        let plan = saved(name, &plan);
        golden(&format!("{name}.txt"), &text::plan(&plan, &Style::PLAIN));
        golden(&format!("{name}.out.json"), &json::plan(&plan).unwrap());
        golden(&format!("{name}.md"), &markdown::plan(&plan, markdown::GITHUB_BYTES));
        golden(&format!("{name}.mmd"), &graph::mermaid(&plan));
    }
    golden("creates.dot", &graph::dot(&plans::creates()));
}

#[test]
fn the_last_line_is_the_verdict() {
    for (name, plan) in plans::all() {
        let shown = text::plan(&plan, &Style::PLAIN);
        assert_eq!(shown.lines().last(), Some(plan.verdict().as_str()), "{name}");
    }
}

#[test]
fn json_keeps_to_its_schema_and_is_the_same_every_time() {
    let schema = serde_json::from_str(json::SCHEMA).unwrap();
    for (name, plan) in plans::all() {
        let first = json::plan(&plan).unwrap();
        assert_eq!(first, json::plan(&plan.clone()).unwrap(), "{name}");
        let broken = schema::check(&schema, &serde_json::from_str(&first).unwrap());
        assert!(broken.is_empty(), "{name}: {broken:#?}");
    }
    let wrong = schema::check(&schema, &serde_json::json!({"format_version": 2, "more": 1}));
    assert!(wrong.len() > 5, "the checker checks: {wrong:?}");
}

#[test]
fn without_colour_there_is_no_escape_and_with_it_the_same_text() {
    for (name, plan) in plans::all() {
        let plain = text::plan(&plan, &Style::PLAIN);
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!plain.contains(odd), "{name}");
        let colored = text::plan(&plan, &Style { color: true, ..Style::PLAIN });
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain, "{name}");
    }
}

#[test]
fn lines_are_as_wide_as_they_may_be() {
    // What is pasted stays whole, and so does what has no spaces.
    let stays_whole = |line: &str| line.contains("held: ") || line.split_whitespace().count() < 2;
    // Values and names of any length are theirs whose tests these are.
    for (name, plan) in plans::all().into_iter().filter(|(name, _)| !["long-values", "hostile"].contains(name)) {
        for line in text::plan(&plan, &Style::PLAIN).lines().filter(|line| !stays_whole(line)) {
            assert!(line.chars().count() <= 100, "{name}: {line}");
        }
    }
    let report = render::outcome::text(&crowded::failed_at_length(), &Style::PLAIN);
    assert!(report.contains("\n        while: ") && report.contains("\n        help: "), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 100), "{report}");
    for width in 60..140 {
        let report = render::outcome::text(&crowded::failed_at_length(), &Style { width, ..Style::PLAIN });
        assert!(report.contains("--allow-interrupt postgres.role.shop_owner;"), "stays whole: {report}");
    }
}

#[test]
fn narrow_terminals_lose_nothing() {
    for (name, plan) in plans::all() {
        let words =
            |text: String| text.split_whitespace().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let narrow = words(text::plan(&plan, &Style { width: 40, ..Style::PLAIN }));
        let wide = words(text::plan(&plan, &Style { width: 4000, ..Style::PLAIN }));
        let lost: Vec<_> = wide.difference(&narrow).filter(|word| word.len() > 3).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}");
    }
}

#[test]
fn published_values_are_never_shown() {
    let plan = plans::creates();
    assert!(serde_json::to_string(&plan).unwrap().contains("sentry.example"), "the plan has the value");
    for shown in [
        text::plan(&plan, &Style::PLAIN),
        json::plan(&plan).unwrap(),
        markdown::plan(&plan, markdown::GITHUB_BYTES),
        graph::mermaid(&plan),
    ] {
        assert!(!shown.contains("sentry.example"), "{shown}");
    }
}

#[test]
fn markdown_cuts_by_risk_and_keeps_to_its_budget() {
    let plan = plans::thousand();
    let mut last = 0;
    for max in [200, 1_000, 2_000, 5_000, 20_000, 32_768, 65_536, 1 << 20] {
        let shown = markdown::plan(&plan, max);
        assert!(shown.len() <= max.max(600), "{} of {max}", shown.len());
        assert!(shown.len() >= last, "more room shows more");
        last = shown.len();
        assert!(shown.starts_with("<!-- nornplan:prod -->\n"));
        assert!(shown.contains(&plan.verdict()));
        assert_eq!(shown.contains("ut to ") || shown.contains("was cut"), max < 1 << 20, "{max}");
        if max >= 2_000 {
            // The destroy stands in the last app and comes last in the plan, and is seen all the same.
            assert!(shown.contains("- destroy `postgres.database.zz_ledger`"), "{max}");
        }
        assert_eq!(shown.matches("<details>").count(), shown.matches("</details>").count());
    }
}

#[test]
fn no_note_is_so_long_that_it_hides_what_is_done() {
    let mut plan = plans::held();
    let lost = plan.steps.iter().position(|step| step.risks.contains(&Risk::LosesData)).expect("a destroy");
    let address = plan.steps[lost].address.to_string();
    plan.steps[lost].notes = vec![format!("consumer groups: {}", "`<ü>_".repeat(30_000))];
    let shown = markdown::plan(&plan, markdown::GITHUB_BYTES);
    let line = shown.lines().find(|line| line.starts_with(&format!("- destroy `{address}`: **loses data**")));
    let line = line.unwrap_or_else(|| panic!("it is hidden: {}", &shown[..2_000]));
    assert!(line.contains("(consumer groups: ") && line.ends_with("…)"), "{}", &line[line.len() - 200..]);
    assert!(shown.contains("1 line of the risks is shortened") && shown.len() <= markdown::GITHUB_BYTES);
    // The others are as whole as ever.
    plan.steps[lost].notes.clear();
    let whole = markdown::plan(&plan, markdown::GITHUB_BYTES);
    let risks = |text: &str| text.lines().filter(|line| line.starts_with("- ")).map(str::to_owned).collect::<Vec<_>>();
    let without = |lines: Vec<String>| lines.into_iter().filter(|line| !line.contains(&address)).collect::<Vec<_>>();
    assert_eq!(without(risks(&shown)).len(), without(risks(&whole)).len());
    for max in [5_000, 20_000] {
        plan.steps[lost].notes = vec!["x".repeat(100_000)];
        assert!(markdown::plan(&plan, max).contains(&format!("- destroy `{address}`: **loses data**")), "{max}");
    }
}

/// A line without what stands between runs of as many backticks.
fn without_code_spans(line: &str) -> String {
    let mut rest = line.replace("\\`", "");
    let mut prose = String::new();
    while let Some(start) = rest.find('`') {
        prose.push_str(&rest[..start]);
        let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let inner = &rest[start + ticks..];
        let end = inner.find(&"`".repeat(ticks)).expect("every code span ends");
        rest = inner[end + ticks..].to_owned();
    }
    prose + &rest
}

#[test]
fn hostile_names_stay_inside_their_markup() {
    let plan = plans::hostile();
    let shown = markdown::plan(&plan, markdown::GITHUB_BYTES);
    let (mut fence, mut details) = (None, 0_i32);
    for line in shown.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            Some(open) if ticks >= open && line.trim_matches('`').is_empty() => fence = None,
            None => {
                let prose = without_code_spans(line);
                assert!(!prose.contains("<script") && !prose.contains("@e") && !prose.contains("#1"), "{line}");
                details += i32::from(line.starts_with("<details>")) - i32::from(line == "</details>");
            }
            Some(_) => {}
        }
        assert!((0..=1).contains(&details), "{line}");
    }
    assert_eq!((fence, details), (None, 0));
    for picture in [graph::mermaid(&plan), graph::dot(&plan)] {
        assert!(!picture.contains('\u{1b}') && !picture.contains('\u{202e}'), "{picture}");
    }
}

#[test]
fn an_apply_ends_with_what_was_not_done() {
    let plan = plans::creates();
    golden("apply.txt", &render::outcome::text(&plans::mixed_outcomes(&plan), &Style::PLAIN));
    let held = plans::held();
    let done = render::outcome::Report::new(
        &held,
        held.runnable().map(|step| (step.id(), nornplan::services::Outcome::done())).collect::<Vec<_>>(),
        std::time::Duration::from_millis(1_234),
    );
    assert!(!done.incomplete());
    golden("apply-held.txt", &render::outcome::text(&done, &Style::PLAIN));
    // What is not in the state is not complete.
    let unrecorded = done.unrecorded();
    assert!(unrecorded.incomplete() && unrecorded.verdict().starts_with("Apply incomplete: "));
}

#[test]
fn rules_are_shown_in_words_and_themselves_only_where_they_are_asked_for() {
    let plan = valkey::changed_users();
    let detailed = text::plan(&plan, &Style::PLAIN.detailed(true));
    golden("valkey-users-detailed.txt", &detailed);
    let words = text::plan(&plan, &Style::PLAIN);
    assert!(!words.contains("+@string") && !words.contains("~mail-agent"), "{words}");
    for shown in [words, markdown::plan(&plan, markdown::GITHUB_BYTES)] {
        for once in ["run flushall (delete", "RESTORE goes unchecked", "an extra password is accepted"] {
            let details = shown.split("<details>").skip(1).collect::<String>();
            let details = if details.is_empty() { &shown } else { &details };
            assert_eq!(details.matches(once).count(), 1, "{once} in {details}");
        }
    }
    let report = render::outcome::text(&valkey::refused(), &Style::PLAIN);
    golden("apply-refused.txt", &report);
}

#[test]
fn one_reason_is_said_once_with_all_that_it_stops() {
    let plan = valkey::one_reason();
    let reason = "may not run ACL SETUSER";
    let shown = [text::plan(&plan, &Style::PLAIN), markdown::plan(&plan, markdown::GITHUB_BYTES)];
    let report = render::outcome::text(&valkey::failed_alike(), &Style::PLAIN);
    golden("apply-alike.txt", &report);
    for shown in shown.into_iter().chain([report]) {
        assert_eq!(shown.matches(reason).count(), 1, "{shown}");
        assert!(shown.contains("valkey.user.app-01") && shown.contains("and 3 more"), "{shown}");
    }
    // Programs read each for itself.
    let json: serde_json::Value = serde_json::from_str(&json::plan(&plan).unwrap()).unwrap();
    let held = json["held"].as_array().unwrap();
    assert_eq!(held.iter().filter(|held| held["because"].as_str().unwrap().contains(reason)).count(), 13);
}

#[test]
fn where_a_dump_is_stands_even_in_a_report_of_very_many() {
    let plan = plans::thousand();
    let outcomes = plan.steps.iter().map(|step| {
        let dump = (step.address.name == "zz_ledger").then(|| PathBuf::from("snapshots/zz_\u{1b}[2Jledger.dump"));
        (step.id(), nornplan::services::Outcome::Done { fingerprint: None, dump, note: None })
    });
    let report = render::outcome::Report::new(&plan, outcomes, std::time::Duration::from_secs(1));
    let told = render::outcome::text(&report, &Style::PLAIN);
    assert!(told.contains("  - postgres.database.zz_ledger  destroyed; its dump: snapshots/zz_"), "{told}");
    assert!(told.contains("10 resources") && !told.contains("kafka.topic.") && !told.contains('\u{1b}'), "{told}");
    assert_eq!(told.matches("To get one back: ").count(), 1, "{told}");
}
