use super::*;
use crate::config::{Config, Source, load};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::secrets::model::{Published, secret_address};
use crate::services::Model;
use crate::services::postgres::model::{Database, database_address};
use crate::state::{LockedStore, Origin, Store};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

struct Workspace {
    _directory: tempfile::TempDir,
    config: Config,
    files: Files,
}

fn workspace() -> Workspace {
    let directory = tempfile::tempdir().unwrap();
    let source = Source { working_directory: directory.path().to_owned(), ..Source::default() };
    let config = load(&source).unwrap();
    Workspace { files: Files::of(&config), config, _directory: directory }
}

/// Runs a future to its end on this thread.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

impl Workspace {
    fn try_lock(&self, timeout: Duration) -> Result<LockedStore> {
        now(Store::lock(&self.config, timeout, "nornplan apply"))
    }

    fn lock(&self) -> LockedStore {
        self.try_lock(Duration::ZERO).unwrap()
    }

    fn document(&self) -> Document {
        now(Store::open(&self.config)).unwrap().document().clone()
    }

    fn apps(&self) -> Vec<String> {
        self.document().resources.keys().map(|address| address.name.clone()).collect()
    }

    /// A run that is killed after it noted some apps.
    fn killed_after(&self, apps: &[&str]) {
        let mut store = self.lock();
        for app in apps {
            now(store.append(&[applied(app)])).unwrap();
        }
    }

    fn append_raw(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.files.journal()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

fn applied(app: &str) -> Event {
    Event::Applied {
        address: secret_address(app),
        app: AppName::new(app).unwrap(),
        origin: Origin::Created,
        model: Box::new(Model::Secret(Published { values: BTreeMap::new() })),
        fingerprint: None,
    }
}

fn database(app: &str) -> Event {
    Event::Applied {
        address: database_address(app),
        app: AppName::new(app).unwrap(),
        origin: Origin::Created,
        model: Box::new(Model::PostgresDatabase(Database::new(app, app))),
        fingerprint: None,
    }
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_missing_state_is_fresh_and_looking_writes_nothing() {
    let workspace = workspace();
    let (one, other) = (workspace.document(), workspace.document());
    assert_ne!(one.lineage, other.lineage);
    assert_eq!((one.serial, one.resources.len()), (0, 0));
    assert!(!workspace.config.state.path.exists());
}

#[test]
fn a_run_is_written_once_at_its_end() {
    let workspace = workspace();
    let mut store = workspace.lock();
    let lineage = store.document().lineage.clone();
    now(store.append(&[applied("a"), applied("b")])).unwrap();
    assert!(!workspace.files.document().exists());
    assert_eq!(workspace.apps(), ["a", "b"], "somebody who looks meanwhile sees what is done");
    now(store.append(&[Event::Gone { address: secret_address("a") }])).unwrap();
    now(store.finish()).unwrap();
    now(store.finish()).unwrap();
    drop(store);
    let document = workspace.document();
    assert_eq!((document.lineage, document.serial), (lineage, 1));
    assert_eq!(workspace.apps(), ["b"]);
    assert_eq!(names(&workspace.config.state.path), ["default.json", "default.lock"]);
}

#[test]
fn nothing_done_is_nothing_written() {
    let workspace = workspace();
    let mut store = workspace.lock();
    now(store.append(&[])).unwrap();
    now(store.finish()).unwrap();
    assert!(!workspace.files.document().exists());
}

#[test]
fn the_serial_grows_and_the_one_before_is_kept() {
    let workspace = workspace();
    for (app, serial) in [("a", 1), ("b", 2), ("c", 3)] {
        let mut store = workspace.lock();
        now(store.append(&[applied(app)])).unwrap();
        now(store.finish()).unwrap();
        assert_eq!(store.document().serial, serial);
    }
    let backup: Document = serde_json::from_slice(&fs::read(workspace.files.backup()).unwrap()).unwrap();
    assert_eq!((backup.serial, backup.resources.len()), (2, 2));
}

#[test]
fn what_prevents_destroy_survives_a_kill_for_as_long_as_anything_is_ours() {
    let workspace = workspace();
    let says = |app: &str| Event::PreventDestroy { app: AppName::new(app).unwrap(), says: true };
    // Noted before the first step; b never got as far as having anything but published values.
    let events = [says("a"), says("b"), database("a"), applied("a"), applied("b")];
    now(workspace.lock().append(&events)).unwrap();
    let next = workspace.lock();
    assert_eq!(next.document().prevent_destroy.iter().map(AppName::as_str).collect::<Vec<_>>(), ["a"]);
    drop(next);
    let gone = Event::Gone { address: database_address("a") };
    let mut store = workspace.lock();
    now(store.append(&[gone.clone(), database("a")])).unwrap();
    now(store.finish()).unwrap();
    assert_eq!(workspace.document().prevent_destroy.len(), 1, "it was gone for a moment only");
    now(store.append(&[gone])).unwrap();
    now(store.finish()).unwrap();
    assert!(!fs::read_to_string(workspace.files.document()).unwrap().contains("prevent_destroy"));
}

#[test]
fn a_killed_run_is_folded_in_by_the_next() {
    let workspace = workspace();
    workspace.killed_after(&["a", "b"]);
    let lineage = workspace.document().lineage;
    workspace.append_raw("{\"event\":\"gone\",\"addr");
    assert_eq!(workspace.apps(), ["a", "b"], "a torn last line is passed by");
    let store = workspace.lock();
    assert_eq!((store.document().serial, store.document().lineage.as_str()), (1, lineage.as_str()));
    assert!(!workspace.files.journal().exists());
    drop(store);
    workspace.killed_after(&["c"]);
    assert_eq!(workspace.apps(), ["a", "b", "c"]);
}

#[test]
fn a_run_killed_between_document_and_journal_is_not_folded_in_twice() {
    let workspace = workspace();
    workspace.killed_after(&["a"]);
    let stale = fs::read(workspace.files.journal()).unwrap();
    drop(workspace.lock());
    let mut store = workspace.lock();
    now(store.append(&[Event::Gone { address: secret_address("a") }])).unwrap();
    now(store.finish()).unwrap();
    drop(store);
    fs::write(workspace.files.journal(), stale).unwrap();
    assert!(workspace.apps().is_empty());
    drop(workspace.lock());
    assert!(!workspace.files.journal().exists());
}

#[test]
fn a_journal_torn_in_its_first_line_holds_nothing() {
    for text in ["", "{\"journal\":1,\"lin", "\0\0\0\0"] {
        let workspace = workspace();
        fs::create_dir_all(&workspace.config.state.path).unwrap();
        fs::write(workspace.files.journal(), text).unwrap();
        drop(workspace.lock());
        assert!(!workspace.files.journal().exists());
    }
}

#[test]
fn a_foreign_or_damaged_journal_is_refused_and_left_alone() {
    let workspace = workspace();
    let mut store = workspace.lock();
    now(store.append(&[applied("a")])).unwrap();
    now(store.finish()).unwrap();
    drop(store);
    let refused = |journal: &str, expected: &str| {
        fs::write(workspace.files.journal(), journal).unwrap();
        let error = workspace.try_lock(Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("Nothing was written"), "{error}");
        assert_eq!(fs::read_to_string(workspace.files.journal()).unwrap(), journal);
    };
    let head = |lineage: &str, environment: &str, serial: u64| {
        format!("{{\"journal\":1,\"lineage\":{lineage:?},\"environment\":{environment:?},\"serial\":{serial}}}\n")
    };
    let lineage = store_lineage(&workspace.files.document());
    refused(&head("other", "default", 1), "belongs to another state");
    refused(&head(&lineage, "prod", 1), "belongs to another state");
    refused(&head(&lineage, "default", 2), "is older than its journal");
    let gone = "{\"event\":\"gone\",\"address\":\"secret.a\"}\n";
    refused(&format!("{}nonsense\n{gone}", head(&lineage, "default", 1)), "line 2 of the journal is damaged");
    refused(&format!("nonsense\n{gone}"), "line 1 of the journal is damaged");
    refused(&head(&lineage, "default", 1).replace("\"journal\":1", "\"journal\":9"), "has format 9");
    fs::remove_file(workspace.files.document()).unwrap();
    refused(&head(&lineage, "default", 1), "belongs to another state");
}

fn store_lineage(document: &PathBuf) -> String {
    serde_json::from_slice::<Document>(&fs::read(document).unwrap()).unwrap().lineage
}

#[test]
fn a_corrupt_newer_or_misplaced_state_is_refused_and_left_alone() {
    let workspace = workspace();
    fs::create_dir_all(&workspace.config.state.path).unwrap();
    for (text, expected) in [
        ("", "the state is corrupt"),
        ("{\n  \"format_version\": 1,\n  oops\n}", "default.json:3:3: the state is corrupt"),
        ("{\"format_version\": 1}", "missing field"),
        ("<<<<<<< HEAD\n", "default.json:1:1"),
        ("{\"format_version\": 7, \"new\": 1}", "the state has format 7"),
        (
            "{\"format_version\":1,\"lineage\":\"l\",\"serial\":1,\"environment\":\"prod\",\"servers\":{},\"resources\":{}}",
            "this is the state of environment prod",
        ),
    ] {
        fs::write(workspace.files.document(), text).unwrap();
        for error in [
            now(Store::open(&workspace.config)).unwrap_err().to_string(),
            workspace.try_lock(Duration::ZERO).unwrap_err().to_string(),
        ] {
            assert!(error.contains(expected) && error.contains("Nothing was written"), "{error}");
        }
        assert_eq!(fs::read_to_string(workspace.files.document()).unwrap(), text);
    }
    fs::write(workspace.files.backup(), "{}").unwrap();
    fs::write(workspace.files.document(), "").unwrap();
    assert!(now(Store::open(&workspace.config)).unwrap_err().to_string().contains("help: cp "));
}

#[test]
fn the_lock_names_its_holder_and_dies_with_it() {
    let workspace = workspace();
    let store = workspace.lock();
    let error = workspace.try_lock(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("the state is locked by ") && error.contains(": nornplan apply"), "{error}");
    assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("--lock-timeout"), "{error}");
    let start = std::time::Instant::now();
    assert!(workspace.try_lock(Duration::from_millis(250)).is_err());
    assert!(start.elapsed() >= Duration::from_millis(250));
    assert_eq!(workspace.document().serial, 0, "looking needs no lock");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| workspace.try_lock(Duration::from_secs(20)).is_ok());
        std::thread::sleep(Duration::from_millis(150));
        drop(store);
        assert!(waits.join().unwrap());
    });
    assert!(workspace.files.lock().exists(), "it is never removed");
}

#[test]
fn what_is_half_written_is_tidied_for_its_own_environment_alone() {
    let workspace = workspace();
    fs::create_dir_all(&workspace.config.state.path).unwrap();
    let ours = ["default.json", "default.json.backup"];
    // Of runs that have the locks of other environments.
    let others = ["prod.json", "prod.json.backup", "default-2.json", "default.json-x.json"];
    let path = |name: &str| workspace.config.state.path.join(format!(".nornplan-{name}-Ab12Cd.tmp"));
    ours.iter().chain(&others).for_each(|name| fs::write(path(name), "{").unwrap());
    drop(workspace.lock());
    assert!(!ours.iter().any(|name| path(name).exists()) && others.iter().all(|name| path(name).exists()));
}

#[test]
fn what_cannot_be_written_is_said_before_anything_else() {
    let workspace = workspace();
    fs::write(&workspace.config.state.path, "a file where the directory should be").unwrap();
    let error = workspace.try_lock(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("it is not a directory") && error.contains("state.path"), "{error}");
    fs::remove_file(&workspace.config.state.path).unwrap();
    fs::create_dir_all(workspace.files.document()).unwrap();
    let error = workspace.try_lock(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("it is a directory"), "{error}");
}

#[test]
fn the_document_is_readable_and_sorted() {
    let workspace = workspace();
    let mut store = workspace.lock();
    now(store.append(&[applied("b"), applied("a")])).unwrap();
    now(store.append(&[Event::Server { service: "postgres".to_owned(), identity: "7".to_owned() }])).unwrap();
    now(store.finish()).unwrap();
    let text = fs::read_to_string(workspace.files.document()).unwrap();
    assert!(text.starts_with("{\n  \"format_version\": 1,\n  \"lineage\": "), "{text}");
    assert!(text.find("secret.a").unwrap() < text.find("secret.b").unwrap());
    assert!(text.ends_with("}\n"));
    let again: Document = serde_json::from_str(&text).unwrap();
    assert_eq!(&again, store.document());
    assert_eq!(again.applied().len(), 2);
    assert!(again.resources.contains_key(&"secret.a".parse::<Address>().unwrap()));
}

#[test]
fn who_only_looks_at_the_lock_turns_nobody_away() {
    let workspace = workspace();
    drop(workspace.lock());
    let looking = std::fs::File::open(workspace.files.lock()).unwrap();
    looking.lock_shared().unwrap();
    let locking = Store::lock(&workspace.config, Duration::ZERO, "nornplan apply");
    // It tries first, and meets the one who looks.
    let (locked, ()) = now(async { tokio::join!(locking, async { drop(looking) }) });
    locked.unwrap();
}
