//! Infraspecs, good and bad, against golden outputs. `UPDATE_GOLDEN=1` writes the outputs anew.
//!
//! A case is a directory in `testdata/bad` or `testdata/good`: `specs/` is the input, `options.txt` (if it is there)
//! stands for the workspace file, `expected.txt` is what comes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use nornplan::config::{
    Config, KafkaConfig, PasswordSource, PostgresConfig, SecretsConfig, Source, Tls, ValkeyConfig, load,
};
use nornplan::error::{Diagnostic, Place};
use nornplan::spec;
use nornplan::spec::model::Specs;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Whatever takes longer would take for ever; how long it does take is for the benchmarks.
const HANGS: Duration = Duration::from_secs(20);

fn config(root: &Path) -> Config {
    Config {
        root: root.to_path_buf(),
        environment: "default".to_owned(),
        specs: vec![root.join("specs")],
        exclude: Vec::new(),
        strip: Vec::new(),
        internal: Default::default(),
        moved: Vec::new(),
        postgres: PostgresConfig {
            lock_down: false,
            hosts: vec![("127.0.0.1".to_owned(), 5432)],
            user: "admin_user".to_owned(),
            database: "postgres".to_owned(),
            sslmode: "prefer".to_owned(),
            tls: Tls::default(),
            password: PasswordSource::None,
            public_host: "127.0.0.1".to_owned(),
            public_port: 5432,
            public_sslmode: "disable".to_owned(),
            snapshots: root.join("snapshots"),
            ignore_roles: Default::default(),
            keep: None,
            bin_dir: None,
        },
        valkey: ValkeyConfig {
            host: "127.0.0.1".to_owned(),
            port: 6379,
            user: "default".to_owned(),
            use_tls: false,
            tls: Tls::default(),
            password: PasswordSource::None,
            sentinels: Vec::new(),
            sentinel_service: None,
            sentinel_user: None,
            sentinel_password: PasswordSource::None,
            sentinel_users: false,
            cluster: false,
            default_user: nornplan::config::DefaultUser::Leave,
            public_host: "127.0.0.1".to_owned(),
            public_port: 6379,
            publishes_sentinels: false,
            strict: false,
            shared_password: PasswordSource::None,
        },
        kafka: KafkaConfig {
            brokers: vec!["127.0.0.1:19092".to_owned()],
            user: "admin".to_owned(),
            mechanism: "SCRAM-SHA-512".to_owned(),
            user_mechanism: Some("SCRAM-SHA-512".to_owned()),
            iterations: 4096,
            use_tls: false,
            tls: Tls::default(),
            password: PasswordSource::None,
            public_brokers: vec!["127.0.0.1:19092".to_owned()],
            flavor: nornplan::config::BrokerKind::Auto,
            admin: None,
        },
        state: load(&Source { working_directory: "/".into(), ..Source::default() }).unwrap().state,
        secrets: SecretsConfig { dir: root.join("secrets") },
    }
}

/// The workspace of a case, with its `options.txt`.
fn config_of(case: &Path) -> Config {
    let mut config = config(case);
    for line in fs::read_to_string(case.join("options.txt")).unwrap_or_default().lines() {
        let (key, value) = line.split_once(" = ").expect("options.txt has lines of key = value");
        let list = || value.split(", ").map(str::to_owned);
        match key {
            "env" => config.environment = value.to_owned(),
            "strip" => config.strip = list().collect(),
            "exclude" => config.exclude = list().collect(),
            "internal" => config.internal = list().collect(),
            "cluster" => config.valkey.cluster = value == "true",
            "strict" => config.valkey.strict = value == "true",
            "specs" => config.specs = list().map(|path| case.join(path)).collect(),
            other => panic!("unknown option {other}"),
        }
    }
    config
}

fn told(errors: &[Diagnostic]) -> String {
    errors.iter().map(|error| format!("{error}\n\n")).collect()
}

fn shown(specs: &Specs) -> String {
    let mut text: String = specs.notes.iter().map(|note| format!("note: {note}\n")).collect();
    text.extend(specs.warnings.iter().map(|warning| format!("warning: {}: {}\n", warning.app, warning.text)));
    for app in specs.apps.values() {
        text += &serde_json::to_string_pretty(app).unwrap();
        text += "\n";
    }
    text
}

fn cases(of: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(of);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Compares with `expected.txt`, or writes it.
fn golden(case: &Path, text: &str, wrong: &mut Vec<String>) {
    let file = case.join("expected.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected != text {
        let diff = similar::TextDiff::from_lines(&expected, text);
        wrong.push(format!("{}:\n{}", case.display(), diff.unified_diff()));
    }
}

#[test]
fn bad_infraspecs_are_told_with_their_places() {
    let (mut wrong, cases) = (Vec::new(), cases("bad"));
    assert!(cases.len() >= 40);
    for case in cases {
        let start = Instant::now();
        match spec::load(&config_of(&case)) {
            Ok(specs) => wrong.push(format!("{} loads:\n{}", case.display(), shown(&specs))),
            Err(errors) => golden(&case, &told(&errors), &mut wrong),
        }
        assert!(start.elapsed() < HANGS, "{} took {:?}", case.display(), start.elapsed());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_infraspecs_resolve() {
    let mut wrong = Vec::new();
    for case in cases("good") {
        match spec::load(&config_of(&case)) {
            Ok(specs) => golden(&case, &shown(&specs), &mut wrong),
            Err(errors) => wrong.push(format!("{}:\n{}", case.display(), told(&errors))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_demo_loads() {
    let specs = spec::load(&config(Path::new(env!("CARGO_MANIFEST_DIR")))).map_err(|errors| told(&errors)).unwrap();
    let names: Vec<&str> = specs.apps.keys().map(|name| name.as_str()).collect();
    let wanted =
        ["appdb", "cafe-backend", "erp", "mail-agent", "n8n", "norn", "notifications", "shop", "temporal", "treasury"];
    assert_eq!(names, wanted);
}

/// A workspace that exists for one test.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        fs::create_dir(scratch.specs()).unwrap();
        scratch
    }

    fn specs(&self) -> PathBuf {
        self.0.path().join("specs")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.specs().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    fn config(&self) -> Config {
        config(self.0.path())
    }

    fn load(&self) -> Result<Specs, String> {
        spec::load(&self.config()).map_err(|errors| told(&errors))
    }

    fn error(&self) -> String {
        self.load().map(|specs| shown(&specs)).expect_err("this must not load")
    }
}

#[test]
fn invalid_utf8_and_nul_have_their_places() {
    let scratch = Scratch::new();
    scratch.write("a.toml", b"app = \"a\"\n# caf\xe9\n");
    scratch.write("b.toml", "app = \"b\"\nx\0y\n");
    scratch.write("c/infraspec.yaml", b"\xff\xfea\0p\0p\0");
    let error = scratch.error();
    assert!(error.contains("specs/a.toml:2:6: is not UTF-8"), "{error}");
    assert!(error.contains("specs/b.toml:2:2: there is a NUL byte here"), "{error}");
    assert!(error.contains("specs/c/infraspec.yaml:1:1: is not UTF-8"), "{error}");
    assert!(!error.contains('\0'));
}

#[test]
fn a_huge_file_is_refused_unread() {
    let scratch = Scratch::new();
    scratch.write("a.toml", "");
    fs::File::options().write(true).open(scratch.specs().join("a.toml")).unwrap().set_len(100 << 20).unwrap();
    let start = Instant::now();
    let error = scratch.error();
    assert!(error.starts_with("specs/a.toml: is larger than the 1 MiB"), "{error}");
    assert!(start.elapsed() < HANGS);
}

#[cfg(unix)]
#[test]
fn loops_of_links_are_told() {
    use std::os::unix::fs::symlink;
    let scratch = Scratch::new();
    scratch.write("a.toml", "app = \"a\"\n");
    symlink("b.toml", scratch.specs().join("b.toml")).unwrap();
    symlink("nowhere", scratch.specs().join("c.toml")).unwrap();
    symlink("nowhere", scratch.specs().join("harmless")).unwrap();
    symlink("loop", scratch.specs().join("loop")).unwrap();
    fs::create_dir(scratch.specs().join("d")).unwrap();
    symlink("..", scratch.specs().join("d/up")).unwrap();
    let error = scratch.error();
    for wanted in [
        "specs/b.toml: is a loop of symbolic links",
        "specs/c.toml: cannot be read",
        "specs/d/up: is a loop of symbolic links",
        "specs/loop: is a loop of symbolic links",
    ] {
        assert!(error.contains(wanted), "{wanted} is not in:\n{error}");
    }
    assert!(!error.contains("harmless"), "{error}");
}

#[cfg(unix)]
#[test]
fn the_same_file_by_two_paths_is_one_infraspec() {
    let scratch = Scratch::new();
    scratch.write("a/infraspec.yaml", "app: a\n");
    std::os::unix::fs::symlink("a", scratch.specs().join("b")).unwrap();
    assert_eq!(scratch.load().unwrap().apps.len(), 1);
}

#[test]
fn specs_paths_that_are_missing_empty_or_files() {
    let scratch = Scratch::new();
    assert!(scratch.error().starts_with("specs: there is no infraspec in this directory"));
    let mut config = scratch.config();
    config.specs = vec![scratch.0.path().join("nowhere")];
    let error = told(&spec::load(&config).unwrap_err());
    assert!(error.starts_with("nowhere: no infraspecs can be read here"), "{error}");

    scratch.write("a.toml", "app = \"a\"\n[services.postgres]\n");
    scratch.write("a.prod.toml", "[services.postgres]\nconnection_limit = 9\n");
    scratch.write("b.toml", "wrong");
    config.specs = vec![scratch.specs().join("a.toml")];
    config.environment = "prod".to_owned();
    let specs = spec::load(&config).map_err(|errors| told(&errors)).unwrap();
    assert_eq!(specs.apps.len(), 1);
    assert_eq!(specs.apps.values().next().unwrap().postgres.as_ref().unwrap().connection_limit, Some(9));
    config.specs = vec![scratch.specs().join("a.txt")];
    scratch.write("a.txt", "app = \"a\"\n");
    assert!(told(&spec::load(&config).unwrap_err()).starts_with("specs/a.txt: is no infraspec"));
}

#[test]
fn what_is_passed_by() {
    let scratch = Scratch::new();
    scratch.write(".gitignore", "ignored/\n");
    for folder in ["ignored", ".hidden", "node_modules/x", "target", "vendor/y", "old", "deep/old", "deep/er/at/last"] {
        let app = folder.replace(['/', '.'], "-").trim_matches('-').to_owned();
        scratch.write(&format!("{folder}/infraspec.toml"), format!("app = \"{app}\"\n"));
    }
    scratch.write("nornplan.toml", "specs = \".\"\n");
    scratch.write("deep/other.toml", "not = \"one\"\n");
    scratch.write("top.toml", "app = \"top\"\n");
    let mut config = scratch.config();
    config.exclude = vec!["old".to_owned()];
    let specs = spec::load(&config).map_err(|errors| told(&errors)).unwrap();
    let names: Vec<&str> = specs.apps.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["deep-er-at-last", "top"]);
}

#[test]
fn the_digest_is_of_the_meaning_alone() {
    let scratch = Scratch::new();
    let digest = |scratch: &Scratch| scratch.load().unwrap().apps.values().next().unwrap().digest();
    scratch.write("a.toml", "app = \"a\"\n[services.postgres]\n");
    let implicit = digest(&scratch);
    scratch.write("a.toml", "# more\napp = \"a\"\n[services.postgres]\nowner = \"a_owner\"\ndatabase = \"a\"\n");
    assert_eq!(digest(&scratch), implicit);
    scratch.write("a.toml", "app = \"a\"\n[services.postgres]\nconnection_limit = 3\n");
    let limited = digest(&scratch);
    assert_ne!(limited, implicit);
    assert_eq!(implicit.len(), 64);
    for same in [
        "database = {}",
        "database = { name = \"a\" }",
        "databases = [\"a\"]",
        "databases = [{ name = \"a\", allow_connections = true, settings = {}, extensions = [\"plpgsql\"] }]",
    ] {
        scratch.write("a.toml", format!("app = \"a\"\n[services.postgres]\nconnection_limit = 3\n{same}\n"));
        assert_eq!(digest(&scratch), limited, "{same}");
    }
    let mut different = std::collections::BTreeSet::from([limited]);
    for other in [
        "database = { connection_limit = 3 }",
        "database = { allow_connections = false }",
        "database = { encoding = \"utf-8\" }",
        "database = { locale = \"C\" }",
        "database = { locale = \"C\", locale_provider = \"icu\" }",
        "database = { tablespace = \"fast\" }",
        "database = { settings = { jit = false } }",
        "extensions = [\"vector\"]",
        "extensions = [{ name = \"vector\", version = \"1\" }]",
        "database = { extensions = [{ name = \"vector\", schema = \"e\" }] }",
        "grants = [{ role = \"r\", access = \"readonly\" }]",
        "grants = [{ role = \"r\", access = \"readwrite\" }]",
        "migrator = \"r\"",
        "adopt_objects = true",
    ] {
        scratch.write("a.toml", format!("app = \"a\"\n[services.postgres]\nconnection_limit = 3\n{other}\n"));
        assert!(different.insert(digest(&scratch)), "{other}");
    }
}

#[test]
fn hostile_files_are_refused_fast() {
    let many = |item: &str| item.repeat(900_000 / item.len());
    let numbered =
        |count: usize, item: &str| -> String { (0..count).map(|i| item.replace('#', &i.to_string())).collect() };
    let anchors: String = (1..20_000).map(|i| format!("a{i}: &a{i} [*a{}]\n", i - 1)).collect();
    for (name, content) in [
        ("a.toml", format!("app = \"a\"\n[services.events]\ntopics = [{}]\n", many("1,"))),
        ("a.toml", format!("app = \"a\"\n[services.events]\ntopics = [{}]\n", many("\"a b\","))),
        ("a.toml", format!("app = \"a\"\n[services.events]\ntopics = [{}]\n", many("\"a\","))),
        ("a.toml", format!("app = \"a\"\n[services.events]\ngroups = [{}]\n", many("\"a\","))),
        ("a.toml", format!("app = \"a\"\n[services.postgres]\ndatabases = [{}]\n", numbered(40_000, "\"d#\","))),
        ("a.toml", format!("app = \"a\"\n[services.postgres]\nextensions = [{}]\n", many("{name=\"a\"},"))),
        (
            "a.toml",
            format!("app = \"a\"\n[services.postgres]\ngrants = [{}]\n", many("{role=\"pg_a\",access=\"readonly\"},")),
        ),
        ("a.toml", format!("app = \"a\"\n[services.postgres.database.settings]\n{}", numbered(30_000, "\"A#\" = 1\n"))),
        ("a.toml", numbered(50_000, "key# = 1\n")),
        ("a.toml", format!("app = \"a\"\nx = {{ {} z = 1 }}\n", numbered(50_000, "key# = 1,"))),
        ("a.toml", format!("app{} = 1\n", many(".a"))),
        ("a.toml", many("[[a]]\n")),
        ("a.toml", many("\"")),
        ("a/infraspec.yaml", many("[")),
        ("a/infraspec.yaml", many("{a: ")),
        ("a/infraspec.yaml", many("- ")),
        ("a/infraspec.yaml", many("? ")),
        ("a/infraspec.yaml", many("!")),
        ("a/infraspec.yaml", format!("app: {}", many("\"\\x00"))),
        ("a/infraspec.yaml", numbered(60_000, "key#: 1\n")),
        ("a/infraspec.yaml", anchors),
        ("a/infraspec.yaml", format!("app: a\nservices: {{events: {{topics: [{}]}}}}\n", many("a,"))),
    ] {
        let scratch = Scratch::new();
        scratch.write(name, &content);
        let start = Instant::now();
        let error = scratch.error();
        let (took, head) = (start.elapsed(), content.get(..60).unwrap_or(&content));
        assert!(!error.is_empty(), "{head}");
        assert!(took < HANGS, "{took:?} for {head}");
        println!("{took:?} for {head:?}");
    }
}

/// Whatever stands at a key of PostgreSQL is taken, or told with its place and what to do.
#[test]
fn odd_values_of_any_key_are_told_with_their_places() {
    let keys = ["database", "databases", "user", "owner", "extensions", "connection_limit", "settings", "readers"];
    let more = ["writers", "grants", "migrator", "adopt_objects", "credential"];
    let of_database = ["name", "encoding", "locale", "locale_provider", "tablespace", "connection_limit"];
    let more_of_database = ["allow_connections", "settings", "extensions"];
    let top = keys.into_iter().chain(more).map(|key| format!("{key}: VALUE"));
    let inner = of_database.into_iter().chain(more_of_database).map(|key| format!("database: {{{key}: VALUE}}"));
    let listed = ["name", "version", "schema"].map(|key| format!("extensions: [{{name: a, {key}: VALUE}}]"));
    let granted = ["role", "access"].map(|key| format!("grants: [{{{key}: VALUE}}, {{role: r, access: VALUE}}]"));
    let items = ["databases", "extensions", "grants"].map(|key| format!("{key}: [VALUE, VALUE, {{VALUE: 1}}]"));
    let lines: Vec<String> = top.chain(inner).chain(listed).chain(granted).chain(items).collect();
    let long = format!("\"{}\"", "é".repeat(2_000));
    let values = [
        "",
        "~",
        "true",
        "-1",
        "0",
        "9223372036854775807",
        "1e400",
        ".nan",
        "2026-06-01",
        "\"\"",
        "\" \"",
        "\"\\0\"",
        "\"\\u202e\"",
        "\"'; DROP\"",
        "\"{}%s\\\\\"",
        "public",
        "[]",
        "[[]]",
        "[~, 1, a, a]",
        "{}",
        "{name: ~}",
        "{a: {b: {}}}",
        &long,
    ];
    let scratch = Scratch::new();
    for line in &lines {
        for value in values {
            let line = line.replace("VALUE", value);
            // A key of an item twice, or none: that is no YAML, which is told too.
            scratch.write("a/infraspec.yaml", format!("app: a\nservices:\n  postgres:\n    {line}\n"));
            for error in spec::load(&scratch.config()).err().into_iter().flatten() {
                let shown: String = line.chars().take(100).collect();
                assert!(matches!(error.place, Some(Place::Text { line: 1..=5, .. })), "{shown}: {error}");
                assert!(error.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{shown}: {error}");
                assert!(error.message.len() < 1_000, "{shown}");
            }
        }
    }
}

/// The limit itself (100 ms) is for a release build; this guards against anything quadratic.
#[test]
fn a_thousand_infraspecs_load_together() {
    let scratch = Scratch::new();
    for i in 0..1000 {
        let text = format!(
            "app = \"app-{i}\"\n[services.postgres]\nreaders = [\"app-{}\"]\n[services.kv]\n[services.events]\n\
             topics = [\"app-{i}.a\", \"app-{i}.b\"]\nprefix = \"app-{i}.\"\ngroups = [\"g-{i}\"]\n",
            (i + 1) % 1000
        );
        scratch.write(&format!("app-{i}.toml"), text);
    }
    assert_eq!(scratch.load().unwrap().apps.len(), 1000);
}

#[test]
fn who_nornplan_signs_in_as_is_no_apps_user_wherever_the_name_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let specs = directory.path().join("specs");
    fs::create_dir(&specs).unwrap();
    fs::write(specs.join("a.toml"), "app = 'a'\n[services.postgres]\ndatabase = 'a_db'\nuser = 'boss'\n").unwrap();
    let file = directory.path().join("nornplan.toml");
    let sources: [(&str, &[(&str, &str)]); 7] = [
        ("[postgres]\nuser = 'boss'\n", &[]),
        ("[postgres]\nurl = 'postgres://boss@db/postgres'\n", &[]),
        ("[postgres]\nuser = 'other'\n", &[("NORNPLAN_POSTGRES_URL", "postgres://boss:x@db/postgres")]),
        ("[postgres]\nuser = 'other'\n", &[("NORNPLAN_POSTGRES_USER", "boss")]),
        ("", &[("POSTGRES_ADMIN_USER", "boss"), ("POSTGRES_USER", "other")]),
        ("", &[("POSTGRES_USER", "boss")]),
        ("[env.prod.postgres]\nuser = 'boss'\n", &[]),
    ];
    for (text, variables) in sources {
        fs::write(&file, text).unwrap();
        let source = Source {
            working_directory: directory.path().to_owned(),
            environment: text.contains("env.prod").then(|| "prod".to_owned()),
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Source::default()
        };
        let config = nornplan::config::load(&source).unwrap_or_else(|errors| panic!("{}", told(&errors)));
        let errors = told(&spec::load(&config).expect_err(text));
        assert!(errors.contains("\"boss\"") && errors.contains("is what nornplan itself signs in with"), "{errors}");
        assert!(errors.contains("a.toml:4:8"), "{errors}");
    }
}
