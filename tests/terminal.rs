//! At a terminal: what is asked, and colours that are or are not wanted. `script` (of util-linux) is the terminal.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use std::io::Write;
use std::process::{Command, Stdio};

const APP: &str = "app = \"@a\"\n[services.postgres]\n";

/// What a run shows at a terminal where this is typed.
fn at_a_terminal(workspace: &Workspace, arguments: &[&str], no_color: bool, typed: &str) -> String {
    let command = workspace.command(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line.join(" "), "/dev/null"]).current_dir(workspace.path("")).env_clear();
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal.envs(no_color.then_some(("NO_COLOR", "1"))).env("TERM", "xterm-256color");
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = terminal.spawn().expect("script, of util-linux");
    let mut keyboard = running.stdin.take().expect("a keyboard");
    keyboard.write_all(typed.as_bytes()).expect("typed");
    let ran = running.wait_with_output().expect("it ends");
    drop(keyboard);
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// Whether something is coloured, bold or dim; moving the cursor is not.
fn is_painted(text: &str) -> bool {
    let is_paint = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m');
    text.split("\u{1b}[").skip(1).any(is_paint)
}

#[test]
fn progress_has_the_colours_that_are_wanted() {
    let workspace = Workspace::new();
    workspace.spec("a", APP);
    const BAR: &str = "\u{1b}[32m━";
    let apply = ["apply", "--auto-approve"];
    let destroy = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all"];
    let again = || workspace.run(&destroy).exits(0);
    let shown = at_a_terminal(&workspace, &apply, false, "");
    assert!(shown.contains(BAR), "{shown:?}");
    again();
    for (flags, no_color) in [(&["--color", "never"][..], false), (&[], true)] {
        let shown = at_a_terminal(&workspace, &[flags, &apply].concat(), no_color, "");
        assert!(shown.contains(" steps ") && shown.contains("Apply complete"), "{shown:?}");
        assert!(!is_painted(&shown), "{shown:?}");
        again();
    }
}

#[test]
fn only_the_word_yes_lets_an_apply_go_on() {
    let workspace = Workspace::new();
    workspace.spec("a", APP);
    for (typed, done) in [("y\n", false), ("\n", false), ("yes\n", true)] {
        let shown = at_a_terminal(&workspace, &["--color", "never", "apply"], false, typed);
        assert!(shown.contains("Type yes to go on: "), "{shown:?}");
        assert_eq!(shown.contains("Apply complete"), done, "{typed:?}: {shown:?}");
    }
}
