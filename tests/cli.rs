//! The binary as a stranger meets it: first steps, slips of the finger, hostile input. No service is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const CLOSED: [(&str, &str); 3] =
    [("NORNPLAN_POSTGRES_PORT", "1"), ("NORNPLAN_VALKEY_PORT", "1"), ("NORNPLAN_KAFKA_BROKERS", "127.0.0.1:1")];

/// nornplan in a directory, with nothing of the caller's environment.
fn nornplan(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nornplan"));
    command.current_dir(directory).env_clear().stdin(Stdio::null());
    command
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what is printed is UTF-8");
    let ran = Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
    assert!(!ran.err.contains("panicked") && !ran.err.contains("RUST_BACKTRACE"), "{}", ran.err);
    ran
}

fn run(directory: &Path, arguments: &[&str]) -> Ran {
    ran(&nornplan(directory).args(arguments).output().unwrap())
}

/// A workspace with one app that uses everything.
fn workspace() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(directory.path(), &["init"]).code, Some(0));
    directory
}

fn write(directory: &Path, file: &str, text: impl AsRef<[u8]>) {
    let file = directory.join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

#[test]
fn the_first_steps_lead_on() {
    let directory = tempfile::tempdir().unwrap();
    let lost = run(directory.path(), &["plan"]);
    assert_eq!(lost.code, Some(1));
    assert!(lost.err.contains("nornplan init"), "{}", lost.err);

    let begun = run(directory.path(), &["init"]);
    assert_eq!(begun.code, Some(0), "{}", begun.err);
    assert!(begun.out.contains("wrote nornplan.toml") && begun.out.contains("nornplan validate"), "{}", begun.out);
    let ignored = std::fs::read_to_string(directory.path().join(".gitignore")).unwrap();
    assert_eq!(ignored, "state/\nsecrets/\nsnapshots/\n");

    let valid = run(directory.path(), &["validate"]);
    assert_eq!((valid.code, valid.out.as_str()), (Some(0), "1 app is valid: example\n"), "{}", valid.err);
}

#[test]
fn init_writes_only_the_services_that_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert_eq!(run(here, &["init", "--service", "valkey"]).code, Some(0));
    let written = ["nornplan.toml", "specs/example.toml"].map(|file| std::fs::read_to_string(here.join(file)).unwrap());
    for text in &written {
        assert!(
            ["postgres", "POSTGRES", "kafka", "KAFKA", "events"].iter().all(|other| !text.contains(other)),
            "{text}"
        );
    }
    assert!(written[0].contains("[valkey]\n") && written[0].contains(": NORNPLAN_VALKEY_PASSWORD,"), "{}", written[0]);
    assert!(written[1].contains("[services.kv]\n"), "{}", written[1]);
    assert_eq!(run(here, &["validate"]).code, Some(0));
    assert_eq!(run(here, &["init", "--service", "redis"]).code, Some(1));
}

#[test]
fn init_leaves_what_is_there() {
    let directory = workspace();
    let files = [("nornplan.toml", "# mine\n"), ("specs/mine.toml", "app = \"mine\"\n"), (".gitignore", "/secrets")];
    std::fs::remove_file(directory.path().join("specs/example.toml")).unwrap();
    for (file, text) in files {
        write(directory.path(), file, text);
    }
    let again = run(directory.path(), &["init"]);
    assert_eq!(again.code, Some(0));
    assert!(again.out.contains("left nornplan.toml as it is") && again.out.contains("left specs/"), "{}", again.out);
    for (file, text) in &files[..2] {
        assert_eq!(std::fs::read_to_string(directory.path().join(file)).unwrap(), *text);
    }
    assert!(!directory.path().join("specs/example.toml").exists());
    let ignored = std::fs::read_to_string(directory.path().join(".gitignore")).unwrap();
    assert_eq!(ignored, "/secrets\nstate/\nsnapshots/\n");
}

#[test]
fn every_help_shows_an_example() {
    let here = Path::new("/");
    let whole = run(here, &["--help"]).out;
    let (_, commands) = whole.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    let state = ["list", "show", "forget", "forget-node", "pull", "push", "migrate", "unlock"]
        .map(|name| vec!["state", name, "--help"]);
    for arguments in names.iter().map(|name| vec![*name, "--help"]).chain(state) {
        let help = run(here, &arguments);
        assert_eq!(help.code, Some(0));
        assert!(help.out.contains("Example:\n  "), "{arguments:?} has no example:\n{}", help.out);
        assert!(help.out.lines().all(|line| line.chars().count() <= 100), "{arguments:?} is wide:\n{}", help.out);
    }
}

#[test]
fn slips_are_met_with_a_suggestion_and_exit_1() {
    let directory = workspace();
    write(directory.path(), "nornplan.toml", "[env.prod.postgres]\nhost = \"x\"\n");
    let cases: [(&[&str], &str); 9] = [
        (&["paln"], "'plan'"),
        (&["plan", "--detailed-exit-code"], "'--detailed-exitcode'"),
        (&["plan", "--service", "kafak"], "'kafka'"),
        (&["plan", "--app", "exmaple"], "did you mean example?"),
        (&["plan", "--env", "pord"], "did you mean \"prod\"?"),
        (&["validate", "spces"], "spces: there is no such file or directory"),
        (&["validate", "nornplan.toml"], "this is the workspace file"),
        (&["plan", "--config", "nope.toml"], "check --config"),
        (&["state", "forget", "secret.*"], "the state does not have secret.*"),
    ];
    for (arguments, hint) in cases {
        let slip = run(directory.path(), arguments);
        assert_eq!((slip.code, slip.out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(slip.err.contains(hint), "{arguments:?}: no {hint:?} in\n{}", slip.err);
    }
}

#[test]
fn hostile_infraspecs_are_refused_at_once_and_steer_no_terminal() {
    let directory = workspace();
    let escape = "app = \"a\"\n[services.postgres]\n\"\\u001b[31m\" = \"\u{202e}\"\n";
    let wide = format!("app = \"a\"\nx = {}\n", "[".repeat(10_000));
    let anchors = "app: a\nservices: &a {kv: {}}\nenv: *a\n";
    let cases: [(&str, &[u8]); 8] = [
        ("empty.toml", b""),
        ("bytes.toml", b"app = \"\xff\"\n"),
        ("nul.toml", b"app = \"a\0\"\n"),
        ("escape.toml", escape.as_bytes()),
        ("wide.toml", wide.as_bytes()),
        ("infraspec.yaml", anchors.as_bytes()),
        ("infraspec.yml", b"app: [[[[\n"),
        ("\x1b[2Jname.toml", b"app = 1\n"),
    ];
    for (file, text) in cases {
        write(directory.path(), &format!("specs/{file}"), text);
        let since = Instant::now();
        let refused = run(directory.path(), &["validate"]);
        assert!(since.elapsed() < Duration::from_secs(20), "{file:?} took {:?}", since.elapsed());
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{file:?}");
        assert!(refused.err.starts_with("error: specs/"), "{file:?}: no place in\n{}", refused.err);
        let harmless = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(refused.err.chars().all(harmless), "{file:?}: {:?}", refused.err);
        std::fs::remove_file(directory.path().join("specs").join(file)).unwrap();
    }
}

#[test]
fn errors_of_the_workspace_come_all_at_once_and_in_order() {
    let directory = workspace();
    write(
        directory.path(),
        "nornplan.toml",
        "spec = \"x\"\n[postgres]\nhots = \"x\"\npassword = \"canary\"\n[kafka]\nbrokers = 5\n",
    );
    let wrong = run(directory.path(), &["validate"]);
    assert_eq!(wrong.code, Some(1));
    let lines: Vec<&str> = wrong.err.lines().filter(|line| line.starts_with("error: ")).collect();
    let places: Vec<&str> = lines.iter().filter_map(|line| line.split("nornplan.toml:").nth(1)?.get(..1)).collect();
    assert_eq!(places, ["1", "3", "4", "6"], "{}", wrong.err);
    assert!(wrong.err.contains("did you mean \"specs\"?") && wrong.err.ends_with("4 errors\n"), "{}", wrong.err);
    assert!(!wrong.err.contains("canary"), "{}", wrong.err);
}

#[test]
fn a_workspace_file_is_found_upwards_and_a_broken_link_is_not_passed_by() {
    let directory = workspace();
    let deep = directory.path().join("some/where/deep");
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(run(&deep, &["validate"]).code, Some(0));
    std::os::unix::fs::symlink("nowhere", deep.join("nornplan.toml")).unwrap();
    let broken = run(&deep, &["validate"]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.err.contains("cannot read the workspace file"), "{}", broken.err);
}

#[test]
fn what_is_no_text_is_refused() {
    let directory = workspace();
    let junk = OsStr::from_bytes(b"\xff\xfe");
    for arguments in [vec![OsStr::new("plan"), OsStr::new("--app"), junk], vec![OsStr::new("validate"), junk]] {
        assert_eq!(ran(&nornplan(directory.path()).args(&arguments).output().unwrap()).code, Some(1));
    }
    let variable = nornplan(directory.path()).arg("validate").env("NORNPLAN_POSTGRES_PASSWORD", junk).output().unwrap();
    let variable = ran(&variable);
    assert_eq!(variable.code, Some(1));
    assert!(variable.err.contains("NORNPLAN_POSTGRES_PASSWORD: is not UTF-8"), "{}", variable.err);
}

#[test]
fn results_that_cannot_be_written_are_an_error_and_a_reader_that_leaves_is_none() {
    let directory = workspace();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let lost = ran(&nornplan(directory.path()).args(["schema", "plan"]).stdout(full).output().unwrap());
    assert_eq!(lost.code, Some(1));
    assert!(lost.err.contains("cannot be written to standard output"), "{}", lost.err);

    let mut child = nornplan(directory.path()).args(["schema", "plan"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_directory_that_is_gone_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = format!("rmdir ../gone && exec '{}' plan", env!("CARGO_BIN_EXE_nornplan"));
    let told = ran(&Command::new("sh").args(["-c", &script]).current_dir(&gone).output().unwrap());
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("the working directory cannot be read"), "{}", told.err);
}

#[test]
fn verbose_names_sources_and_no_secret() {
    let directory = workspace();
    let mut command = nornplan(directory.path());
    command.args(["plan", "-vvv"]).envs(CLOSED);
    for service in ["POSTGRES", "VALKEY", "KAFKA"] {
        command.env(format!("NORNPLAN_{service}_PASSWORD"), "canary-8f2c");
    }
    let told = ran(&command.output().unwrap());
    assert_eq!(told.code, Some(1));
    for what in
        ["workspace file /", "NORNPLAN_KAFKA_PASSWORD", "1 infraspec in /", "example: specs/example.toml", " ms"]
    {
        assert!(told.err.contains(what), "no {what:?} in\n{}", told.err);
    }
    assert!(!told.err.contains("canary") && !told.out.contains("canary"), "{}{}", told.out, told.err);
}

#[test]
fn doctor_names_each_failure_once() {
    let directory = workspace();
    let told = ran(&nornplan(directory.path()).arg("doctor").envs(CLOSED).output().unwrap());
    assert_eq!(told.code, Some(1));
    assert!(told.out.ends_with("3 problems.\n"), "{}", told.out);
    assert!(told.out.contains("1 infraspec is valid"), "{}", told.out);
    assert_eq!(told.out.matches("->").count(), 3, "{}", told.out);
    assert!(!told.out.contains("kind:") && !told.out.contains("help:"), "{}", told.out);
}

#[test]
fn forgetting_takes_globs_and_forgets_nothing_when_one_is_wrong() {
    let directory = workspace();
    let entry = |app: &str| {
        format!(r#"{{"app": "{app}", "origin": "created", "applied": {{"type": "secret", "values": {{}}}}}}"#)
    };
    let state = format!(
        r#"{{"format_version": 1, "lineage": "l", "serial": 1, "environment": "default", "servers": {{}},
            "resources": {{"secret.a": {}, "secret.b": {}}}}}"#,
        entry("a"),
        entry("b")
    );
    write(directory.path(), "state/default.json", state);
    let slip = run(directory.path(), &["state", "forget", "secret.*", "kafka.*"]);
    assert_eq!((slip.code, slip.out.as_str()), (Some(1), ""), "{}", slip.err);
    let asked = run(directory.path(), &["state", "forget", "secret.*"]);
    assert_eq!((asked.code, asked.out.as_str()), (Some(1), ""), "{}", asked.err);
    assert!(asked.err.contains("no terminal to ask"), "{}", asked.err);
    let forgot = run(directory.path(), &["state", "forget", "secret.*", "--auto-approve"]);
    assert_eq!(forgot.code, Some(0), "{}", forgot.err);
    assert!(forgot.out.contains("Forgot secret.a.") && forgot.out.contains("Forgot secret.b."), "{}", forgot.out);
    let none = run(directory.path(), &["state", "list"]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""));
    assert!(none.err.contains("Nothing is ours in environment \"default\"."), "{}", none.err);
    assert!(run(directory.path(), &["show"]).out.contains("0 resources are ours."));
    let json = run(directory.path(), &["show", "--format", "json"]);
    assert_eq!(json.code, Some(1));
    assert!(json.err.contains("`nornplan state pull` prints it as JSON"), "{}", json.err);
}

#[test]
fn color_is_where_it_is_asked_for() {
    let directory = workspace();
    let escapes = |arguments: &[&str], no_color: bool| {
        let mut command = nornplan(directory.path());
        command.args(arguments).args(["plan", "--app", "nope"]);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        ran(&command.output().unwrap()).err.contains('\u{1b}')
    };
    assert!(escapes(&["--color", "always"], false));
    assert!(escapes(&["--color", "always"], true));
    assert!(!escapes(&["--color", "never"], false));
    assert!(!escapes(&[], false));
}

#[test]
fn what_other_tools_call_yes_is_named_as_it_is_called_here() {
    let directory = workspace();
    for arguments in [&["apply", "--yes"][..], &["destroy", "--all", "-y"], &["--color", "never", "restore", "--yes"]] {
        let told = run(directory.path(), arguments);
        assert_eq!(told.code, Some(1));
        assert!(told.err.contains("'--auto-approve'") && !told.err.contains("as a value"), "{}", told.err);
    }
    // What does not ask has nothing of the kind.
    let told = run(directory.path(), &["plan", "--yes"]);
    assert!(told.code == Some(1) && !told.err.contains("auto-approve"), "{}", told.err);
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let made = run(Path::new("/"), &["completions", shell]);
        assert_eq!(made.code, Some(0));
        assert!(made.out.contains("nornplan") && made.out.contains("detailed-exitcode"), "{shell}");
    }
}
