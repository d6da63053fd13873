use super::*;
use std::fs;

struct Workspace {
    directory: tempfile::TempDir,
    source: Source,
}

impl Workspace {
    fn new(file: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        if let Some(file) = file {
            fs::write(directory.path().join("nornplan.toml"), file).unwrap();
        }
        let source = Source { working_directory: directory.path().to_owned(), ..Source::default() };
        Self { directory, source }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.source.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn env(mut self, name: &str) -> Self {
        self.source.environment = Some(name.to_owned());
        self
    }

    fn load(&self) -> Config {
        load(&self.source).unwrap_or_else(|errors| panic!("{}", text(&errors, self.directory.path())))
    }

    /// Every error as a user sees it, with the directory left out.
    fn errors(&self) -> String {
        text(&load(&self.source).unwrap_err(), self.directory.path())
    }
}

fn text(errors: &[Diagnostic], directory: &Path) -> String {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    all.join("\n").replace(&format!("{}/", directory.display()), "")
}

fn given(password: &PasswordSource) -> Option<&str> {
    match password {
        PasswordSource::Given(secret) => Some(secret.expose()),
        PasswordSource::None | PasswordSource::File(_) | PasswordSource::Command(_) => None,
    }
}

#[test]
fn without_a_file_the_defaults_serve() {
    let workspace = Workspace::new(None);
    let config = workspace.load();
    let root = workspace.directory.path();
    assert_eq!(config.root, root);
    assert_eq!(config.environment, "default");
    assert_eq!(config.specs, [root.join("specs")]);
    assert_eq!(config.postgres.endpoint(), "127.0.0.1:5432");
    assert_eq!((config.postgres.user.as_str(), config.postgres.database.as_str()), ("postgres", "postgres"));
    assert_eq!(config.postgres.sslmode, "prefer");
    assert_eq!(config.postgres.public_sslmode, "disable");
    assert!(!config.postgres.lock_down);
    assert_eq!(config.valkey.endpoint(), "127.0.0.1:6379");
    assert_eq!(config.valkey.user, "default");
    assert_eq!(config.kafka.brokers, ["127.0.0.1:19092"]);
    assert_eq!(config.kafka.mechanism, "SCRAM-SHA-512");
    assert_eq!(config.state.path, root.join("state"));
    assert_eq!(config.secrets.dir, root.join("secrets"));
    assert!(matches!(config.postgres.password, PasswordSource::None));
}

#[test]
fn variables_win_over_the_environment_over_the_file_over_defaults() {
    let file = "exclude = ['old']\n[postgres]\nhost = 'a'\nport = 1\nuser = 'u'\n[kafka]\nbrokers = ['k1:1', 'k2:2']\n\
                [env.prod.postgres]\nhost = 'b'\nport = 2\n[env.prod]\nspecs = ['x', 'y']\n";
    let base = Workspace::new(Some(file));
    assert_eq!(base.load().postgres.endpoint(), "a:1");
    assert_eq!(base.load().kafka.endpoint(), "k1:1,k2:2");
    let prod = Workspace::new(Some(file)).env("prod").with("NORNPLAN_POSTGRES_PORT", "3");
    let config = prod.load();
    assert_eq!((config.postgres.endpoint().as_str(), config.postgres.user.as_str()), ("b:3", "u"));
    assert_eq!(config.specs, [prod.directory.path().join("x"), prod.directory.path().join("y")]);
    assert_eq!(config.exclude, ["old"]);
    assert_eq!(config.secrets.dir, prod.directory.path().join("secrets/prod"));
    let lists = Workspace::new(Some(file))
        .with("NORNPLAN_KAFKA_BROKERS", "x:1, y:2")
        .with("NORNPLAN_SPECS", "~/one,$DIR/two")
        .with("NORNPLAN_POSTGRES_LOCK_DOWN", "yes")
        .with("NORNPLAN_POSTGRES_USER", "")
        .with("HOME", "/home/me")
        .with("DIR", "/d")
        .load();
    assert_eq!(lists.kafka.brokers, ["x:1", "y:2"]);
    assert_eq!(lists.specs, [PathBuf::from("/home/me/one"), PathBuf::from("/d/two")]);
    assert_eq!(lists.postgres.user, "u");
}

#[test]
fn every_key_has_a_variable() {
    for key in keys::KEYS {
        let value = match key.shape {
            keys::Shape::Count if key.name == "iterations" => "8192",
            keys::Shape::Port | keys::Shape::Count => "77",
            keys::Shape::Flag => "true",
            keys::Shape::Choice(choices) => choices[0],
            keys::Shape::Text if key.name == "sink" => "dotenv",
            keys::Shape::Text if key.name == "url" => continue,
            keys::Shape::List if key.name == "admin_url" => "http://x:1",
            keys::Shape::Text | keys::Shape::List | keys::Shape::Words | keys::Shape::Path | keys::Shape::Paths => "x",
        };
        let mut workspace = Workspace::new(None).with(&key.variable(), value);
        for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
            if let Some(front) = key.name.strip_suffix(one) {
                workspace = workspace.with(&keys::find(key.table, &format!("{front}{other}")).unwrap().variable(), "y");
            }
        }
        if key.name.starts_with("admin_") && key.name != "admin_url" {
            // Without it there is nobody to sign in to.
            workspace = workspace.with("NORNPLAN_KAFKA_ADMIN_URL", "http://x:1");
        }
        let changed = format!("{:?}", workspace.load());
        let plain = format!("{:?}", load(&Source { variables: BTreeMap::new(), ..workspace.source.clone() }).unwrap());
        let same = ["local", "dotenv", "leave", "auto"].contains(&value)
            || ["mechanism", "user_mechanism", "public_sslmode"].contains(&key.name) && plain == changed;
        assert_eq!(plain == changed, same, "{}", key.variable());
    }
}

#[test]
fn the_file_is_found_upwards_and_paths_are_relative_to_it() {
    let workspace = Workspace::new(Some("specs = ['s', '/abs']\n[state]\npath = 'st'\n[secrets]\ndir = '../sec'"));
    let deep = workspace.directory.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    let config = load(&Source { working_directory: deep.clone(), ..Source::default() }).unwrap();
    assert_eq!(config.root, workspace.directory.path());
    assert_eq!(config.specs, [workspace.directory.path().join("s"), PathBuf::from("/abs")]);
    assert_eq!(config.state.path, workspace.directory.path().join("st"));
    let other = workspace.directory.path().join("other.toml");
    fs::write(&other, "[valkey]\nport = 7").unwrap();
    let named = Source { working_directory: deep, config_file: Some("../../other.toml".into()), ..Source::default() };
    assert_eq!(load(&named).unwrap().valkey.port, 7);
}

#[test]
fn all_errors_at_once_each_with_its_place() {
    let file = "spec = 'x'\n[postgres]\nprot = 5432\nport = 'a'\nsslmode = 'requier'\n[kafka]\nbrokers = [1]\n\
                tls = 'no'\n[env.prod.valkey]\nport = 70000\n[postgre]\n";
    let errors = Workspace::new(Some(file)).with("NORNPLAN_VALKEY_PORT", "x").errors();
    for expected in [
        "nornplan.toml:1:1: unknown key \"spec\" in the workspace file",
        "  1 | spec = 'x'",
        "did you mean \"specs\"?",
        "nornplan.toml:3:1: unknown key \"prot\" in [postgres]",
        "did you mean \"port\"?",
        "nornplan.toml:4:8: port: expected a port, 1 to 65535, found a text",
        "nornplan.toml:5:11: sslmode = \"requier\": expected one of disable",
        "did you mean \"require\"?",
        "nornplan.toml:7:11: brokers: expected a text or a list of texts",
        "nornplan.toml:8:7: tls: expected true or false, found a text",
        "nornplan.toml:10:8: port = 70000: expected a port",
        "nornplan.toml:11:2: unknown key \"postgre\" in the workspace file",
        "NORNPLAN_VALKEY_PORT: port = x: expected a port",
    ] {
        assert!(errors.contains(expected), "{expected}\nis not in\n{errors}");
    }
}

#[test]
fn broken_files_are_said_to_be_broken() {
    for (file, expected) in [
        ("[postgres\nport = 1", "nornplan.toml:1:"),
        ("a = 1\na = 2", "nornplan.toml:2:1: "),
        ("env = 3", "env: expected tables"),
        ("env.prod = 3", "expected a table"),
        ("postgres = 3", "postgres: expected a table, as in [postgres]"),
        ("[env.'../x'.postgres]\nport = 1", "is no name of an environment"),
        ("[state]\nbackend = 's3'", "nornplan.toml:2:11: backend = \"s3\": expected one of local, postgres"),
        ("[state]\ndatabase = 'norn_db'", "nornplan.toml:2:12: database = \"norn_db\" is none for states alone"),
        ("[state]\nurl = 'postgres://u:p@h/x'", "a password must not stand in the workspace file"),
        ("[secrets]\nsink = 'sops'", "possible is \"dotenv\""),
        ("[kafka]\nbrokers = []", "brokers names no host"),
        ("specs = []", "specs names no directory"),
        ("specs = '$NOWHERE/x'", "$NOWHERE is not set"),
        ("[valkey]\ncluster = true\nsentinels = ['a']", "both sentinels and cluster"),
        ("[valkey]\nhost = 'a:b'", "\"a:b\" is no host:port"),
        ("[kafka]\npassword_file = 'a'\npassword_command = ['b']", "both password_file and password_command"),
        ("[kafka]\ncert_file = 'a'", "cert_file without key_file"),
        ("[valkey]\nsentinel_password = 'a'", "NORNPLAN_VALKEY_SENTINEL_PASSWORD, or name sentinel_password_file"),
        (
            "[valkey]\nsentinel_password_file = 'a'\nsentinel_password_command = ['b']",
            "both sentinel_password_file and sentinel_password_command",
        ),
    ] {
        let errors = Workspace::new(Some(file)).errors();
        assert!(errors.contains(expected), "{file}: {errors}");
    }
    let latin = Workspace::new(None);
    fs::write(latin.directory.path().join("nornplan.toml"), b"# ok\n# \xe9").unwrap();
    assert!(latin.errors().contains("line 2 is not text in UTF-8"));
    let directory = Workspace::new(None);
    fs::create_dir(directory.directory.path().join("nornplan.toml")).unwrap();
    assert!(directory.errors().contains("cannot read the workspace file"));
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_are_read() {
    let config = Workspace::new(Some("\u{feff}[postgres]\r\nport = 9\r\n")).load();
    assert_eq!(config.postgres.endpoint(), "127.0.0.1:9");
}

#[test]
fn a_password_in_the_file_is_refused_and_not_shown() {
    for file in [
        "[postgres]\npassword = 'canary'",
        "[postgres]\nurl = 'postgres://u:canary@h/db'",
        "[postgres]\nurl = 'postgres://u@h/db?password=canary'",
        "[valkey]\nurl = 'redis://:canary@h'",
        "kafka = { password = 'canary' }",
        "[valkey]\nshared_password = 'canary'",
        "[kafka]\npassword = \"canary",
    ] {
        let errors = Workspace::new(Some(file)).errors();
        assert!(!errors.contains("canary"), "{errors}");
        assert!(file.ends_with("\"canary") || errors.contains("_PASSWORD, or name "), "{errors}");
    }
}

#[test]
fn unknown_environments_are_errors_with_a_suggestion() {
    let file = "[env.prod.postgres]\nport = 1\n[env.staging]\n";
    assert!(Workspace::new(Some(file)).env("prd").errors().contains("did you mean \"prod\"?"));
    assert!(Workspace::new(Some(file)).env("x").errors().contains("it has prod, staging"));
    assert!(Workspace::new(None).env("prod").errors().contains("there is no nornplan.toml either"));
    assert_eq!(Workspace::new(Some(file)).env("default").load().environment, "default");
}

#[test]
fn misspelt_variables_are_errors_and_foreign_ones_are_not() {
    let errors = Workspace::new(None).with("NORNPLAN_POSTGRES_PROT", "1").errors();
    assert!(errors.contains("did you mean NORNPLAN_POSTGRES_PORT?"), "{errors}");
    let errors = Workspace::new(None).with("NORNPLAN_KAFKA_PASWORD", "canary").errors();
    assert!(errors.contains("NORNPLAN_KAFKA_PASSWORD?") && !errors.contains("canary"), "{errors}");
    Workspace::new(None).with("NORNPLAN_DEEP", "1").with("NORNPLAN_KAFKA_CONTROLLER_LISTENER", "1").load();
}

#[test]
fn urls_hosts_and_sockets() {
    let postgres = |text: &str| Workspace::new(Some(&format!("[postgres]\n{text}"))).load().postgres;
    let one = postgres("url = 'postgres://me@db.internal:6432/admin?sslmode=verify-full'");
    assert_eq!(one.endpoint(), "db.internal:6432");
    assert_eq!((one.user.as_str(), one.database.as_str()), ("me", "admin"));
    assert_eq!((one.sslmode.as_str(), one.public_sslmode.as_str()), ("verify-full", "verify-full"));
    assert_eq!((one.public_host.as_str(), one.public_port), ("db.internal", 6432));
    let two = postgres("url = 'postgresql://a:5432,b:5433/x'");
    assert_eq!(two.hosts, [("a".to_owned(), 5432), ("b".to_owned(), 5433)]);
    assert_eq!(two.public_sslmode, "require");
    assert_eq!(postgres("host = 'a:1,b'\nport = 2").endpoint(), "a:1,b:2");
    assert_eq!(postgres("host = ['[::1]:1', '::2']").hosts, [("::1".to_owned(), 1), ("::2".to_owned(), 5432)]);
    let socket = postgres("host = '/run/postgresql'");
    assert_eq!(socket.hosts, [("/run/postgresql".to_owned(), 5432)]);
    assert_eq!((socket.public_host.as_str(), socket.public_sslmode.as_str()), ("localhost", "disable"));
    let three = postgres("url = 'postgres://me@a:1,b:2/db?target_session_attrs=read-write'");
    assert_eq!((three.endpoint().as_str(), three.user.as_str()), ("a:1,b:2", "me"));
    postgres("url = 'postgres://me@a:1,b:2/db?target_session_attrs=primary'");
    postgres("url = 'postgres://me@a/db?target_session_attrs=any'");
    for (hosts, attrs) in [("a,b", "any"), ("a,b", "standby"), ("a", "prefer-standby"), ("a", "nonsense")] {
        let url = format!("[postgres]\nurl = 'postgres://{hosts}/db?target_session_attrs={attrs}'");
        let wrong = Workspace::new(Some(&url)).errors();
        assert!(wrong.contains("needs the primary") && wrong.contains("read-write"), "{wrong}");
    }
    assert_eq!(postgres("url = 'postgres://%2Frun%2Fpg/x'").hosts[0].0, "/run/pg");
    assert_eq!(postgres("url = 'postgres://%2Frun%2Fpg:7/x'").endpoint(), "/run/pg:7");
    assert_eq!(postgres("url = 'postgres:///x?host=/run/pg&port=7'").endpoint(), "/run/pg:7");
    let over = Workspace::new(Some("[postgres]\nhost = 'a:1'")).with("NORNPLAN_POSTGRES_PORT", "2").load();
    assert_eq!(over.postgres.endpoint(), "a:2");
    let wrong = Workspace::new(Some("[postgres]\nurl = 'postgres://h/d'\nhost = 'x'")).errors();
    assert!(wrong.contains("both url and host"), "{wrong}");
    assert!(Workspace::new(Some("[valkey]\nurl = 'http://h'")).errors().contains("no url that is understood"));
    let sentinels = Workspace::new(Some("[valkey]\nurl = 'redis+sentinel://a:1,b:2/main'")).errors();
    assert!(sentinels.contains("sentinel_service = \"...\" under [valkey]"), "{sentinels}");
    let renamed = Workspace::new(Some("[valkey]\nsentinel_name = 'main'")).errors();
    assert!(renamed.contains("did you mean \"sentinel_service\"?"), "{renamed}");
    let valkey =
        Workspace::new(Some("[valkey]\nurl = 'rediss://admin@kv:7'\nsentinels = ['s1', 's2:5']")).load().valkey;
    // Whichever node is the primary, and in whatever order they are written.
    assert_eq!(valkey.endpoint(), "mymaster of s1:26379,s2:5");
    assert_eq!((valkey.user.as_str(), valkey.use_tls, valkey.publishes_sentinels), ("admin", true, true));
    assert_eq!(valkey.sentinels, ["s1:26379", "s2:5"]);
    assert_eq!(valkey.sentinel_service.as_deref(), Some("mymaster"));
}

#[test]
fn the_administrator_of_postgres_by_precedence() {
    let load = |pairs: &[(&str, &str)], file: &str| {
        let mut workspace = Workspace::new(Some(file));
        for (name, value) in pairs {
            workspace = workspace.with(name, value);
        }
        let postgres = workspace.load().postgres;
        (postgres.user.clone(), given(&postgres.password).map(str::to_owned))
    };
    let is = |found: (String, Option<String>), user: &str, password: Option<&str>| {
        assert_eq!((found.0.as_str(), found.1.as_deref()), (user, password));
    };
    let all = [
        ("NORNPLAN_POSTGRES_PASSWORD", "1"),
        ("POSTGRES_ADMIN_PASSWORD", "2"),
        ("POSTGRES_PASSWORD", "3"),
        ("NORNPLAN_POSTGRES_URL", "postgres://:0@h"),
    ];
    is(load(&all, ""), "postgres", Some("1"));
    is(load(&all[1..], ""), "postgres", Some("0"));
    is(load(&all[1..3], ""), "admin_user", Some("2"));
    is(load(&all[1..3], "[postgres]\nuser = 'me'"), "me", Some("2"));
    is(load(&all[2..3], ""), "postgres", Some("3"));
    is(load(&[all[1], ("POSTGRES_ADMIN_USER", "boss"), ("POSTGRES_USER", "app")], ""), "boss", Some("2"));
    is(load(&[all[2], ("POSTGRES_USER", "app")], ""), "app", Some("3"));
    is(load(&[("POSTGRES_USER", "app")], "[postgres]\nuser = 'me'"), "me", None);
}

#[test]
fn pgpassfile_is_looked_up() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = Workspace::new(Some("[postgres]\nhost = 'a,b'\npassword_file = 'p'"));
    let file = workspace.directory.path().join("pass");
    fs::write(&file, "# c\nx:5432:*:*:no\nb:*:postgres:postgres:s\\:e\\\\c:r\n*:*:*:other:no\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let workspace = workspace.with("PGPASSFILE", file.to_str().unwrap());
    assert_eq!(given(&workspace.load().postgres.password), Some("s:e\\c:r"));
    let workspace = workspace.with("NORNPLAN_POSTGRES_USER", "nobody");
    assert!(matches!(workspace.load().postgres.password, PasswordSource::File(_)));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let errors = workspace.with("NORNPLAN_POSTGRES_USER", "postgres").errors();
    assert!(errors.contains("PGPASSFILE: others may read"), "{errors}");
}

#[test]
fn the_other_passwords_and_the_environments_own_source() {
    let file = "[kafka]\npassword_file = 'base'\n[env.prod.kafka]\npassword_command = ['pass', 'show']\n";
    let base = Workspace::new(Some(file));
    assert!(matches!(&base.load().kafka.password, PasswordSource::File(path) if path.ends_with("base")));
    let prod = Workspace::new(Some(file)).env("prod");
    assert!(matches!(&prod.load().kafka.password, PasswordSource::Command(words) if words == &["pass", "show"]));
    let set = Workspace::new(Some(file)).with("KAFKA_PASSWORD", "1").with("REDIS_PASSWORD", "2").load();
    assert_eq!((given(&set.kafka.password), given(&set.valkey.password)), (Some("1"), Some("2")));
    let own = Workspace::new(None)
        .with("KAFKA_PASSWORD", "1")
        .with("NORNPLAN_KAFKA_PASSWORD", "3")
        .with("NORNPLAN_VALKEY_URL", "redis://:p%40@h")
        .load();
    assert_eq!((given(&own.kafka.password), given(&own.valkey.password)), (Some("3"), Some("p@")));
}

#[tokio::test]
async fn passwords_from_files_and_commands() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p");
    fs::write(&file, "s3cret \r\n").unwrap();
    let resolve = async |source: PasswordSource| source.resolve().await.map(|found| found.unwrap().expose().to_owned());
    assert_eq!(resolve(PasswordSource::File(file)).await.unwrap(), "s3cret ");
    assert!(resolve(PasswordSource::File(directory.path().join("none"))).await.is_err());
    let words = |words: &[&str]| PasswordSource::Command(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(resolve(words(&["printf", "a b\\nnote"])).await.unwrap(), "a b");
    let failed = resolve(words(&["sh", "-c", "echo canary; echo canary >&2; exit 3"])).await.unwrap_err().to_string();
    assert!(failed.contains("exit status: 3") && !failed.contains("canary"), "{failed}");
    assert!(resolve(words(&["true"])).await.unwrap_err().to_string().contains("printed no password"));
    assert!(resolve(words(&["no-such-program-here"])).await.is_err());
    assert!(PasswordSource::None.resolve().await.unwrap().is_none());
}

#[test]
fn debug_shows_no_password() {
    let config = Workspace::new(Some("[kafka]\npassword_command = ['vault', 'read', 'token-canary']"))
        .with("NORNPLAN_POSTGRES_PASSWORD", "canary")
        .with("NORNPLAN_VALKEY_URL", "redis://:canary@h")
        .load();
    let shown = format!("{config:?}");
    assert!(shown.contains("vault") && !shown.contains("canary"), "{shown}");
}

#[test]
fn ignored_roles_are_names_or_beginnings_of_names() {
    let none = Workspace::new(None).load();
    assert!(!none.postgres.ignores("metabase") && !none.postgres.ignores(""));
    let file = "[postgres]\nignore_roles = ['metabase', 'dba_*', 'odd*name']\n";
    let config = Workspace::new(Some(file)).load();
    for role in ["metabase", "dba_", "dba_anna", "odd*name"] {
        assert!(config.postgres.ignores(role), "{role}");
    }
    for role in ["metabase2", "Metabase", "dba", "my_dba_anna", "oddxname"] {
        assert!(!config.postgres.ignores(role), "{role}");
    }
    let variable = Workspace::new(Some(file)).with("NORNPLAN_POSTGRES_IGNORE_ROLES", "one, two_*").load();
    assert!(variable.postgres.ignores("one") && variable.postgres.ignores("two_three"));
    assert!(!variable.postgres.ignores("metabase"));
}

#[test]
fn lock_down_is_a_flag_of_every_layer() {
    let file = "[postgres]\nlock_down = true\n[env.dev.postgres]\nlock_down = false\n";
    assert!(Workspace::new(Some(file)).load().postgres.lock_down);
    assert!(!Workspace::new(Some(file)).env("dev").load().postgres.lock_down);
    let variable = |value| Workspace::new(Some(file)).with("NORNPLAN_POSTGRES_LOCK_DOWN", value);
    assert!(!variable("false").load().postgres.lock_down);
    assert!(variable("perhaps").errors().contains("true or false"));
    let wrong = Workspace::new(Some("[postgres]\nlock_down = 'yes'\n")).errors();
    assert!(wrong.contains("nornplan.toml:2") && wrong.contains("true or false"), "{wrong}");
}

#[test]
fn the_user_default_of_valkey_is_left_unless_something_is_said() {
    let load = |value: &str| Workspace::new(Some(&format!("[valkey]\ndefault_user = \"{value}\"\n")));
    assert_eq!(Workspace::new(None).load().valkey.default_user, DefaultUser::Leave);
    assert_eq!(load("leave").load().valkey.default_user, DefaultUser::Leave);
    assert_eq!(load("off").load().valkey.default_user, DefaultUser::Off);
    assert_eq!(load("admin-only").load().valkey.default_user, DefaultUser::AdminOnly);
    assert!(load("on").errors().contains("one of leave, off, admin-only"));
}

#[test]
fn the_password_that_apps_share_is_one_of_its_own() {
    let shared = |workspace: Workspace| workspace.load().valkey.shared_password;
    assert!(matches!(shared(Workspace::new(None).with("NORNPLAN_VALKEY_PASSWORD", "admin")), PasswordSource::None));
    let file =
        "[valkey]\nshared_password_file = 'common'\n[env.dev.valkey]\nshared_password_command = ['pass', 'kv']\n";
    assert!(matches!(shared(Workspace::new(Some(file))), PasswordSource::File(path) if path.ends_with("common")));
    assert!(
        matches!(shared(Workspace::new(Some(file)).env("dev")), PasswordSource::Command(words) if words.len() == 2)
    );
    let variable = Workspace::new(Some(file)).with("NORNPLAN_VALKEY_SHARED_PASSWORD", "common");
    assert_eq!(given(&shared(variable)), Some("common"));
    let both = "[valkey]\nshared_password_file = 'a'\nshared_password_command = ['b']\n";
    assert!(Workspace::new(Some(both)).errors().contains("both shared_password_file and shared_password_command"));
    let misspelt = Workspace::new(None).with("NORNPLAN_VALKEY_SHARED_PASWORD", "canary").errors();
    assert!(misspelt.contains("NORNPLAN_VALKEY_SHARED_PASSWORD?") && !misspelt.contains("canary"), "{misspelt}");
    assert!(!Workspace::new(None).load().valkey.strict);
    assert!(Workspace::new(Some("[valkey]\nstrict = true\n")).load().valkey.strict);
}

#[test]
fn what_is_not_said_of_the_admin_api_is_as_for_the_brokers() {
    let file = "[kafka]\nuser = 'norn'\nca_file = 'ca.pem'\nadmin_url = ['http://rp-0:9644', 'https://rp-1:9644/']\n";
    let workspace = Workspace::new(Some(file)).with("NORNPLAN_KAFKA_PASSWORD", "secret");
    let kafka = workspace.load().kafka;
    let admin = kafka.admin.unwrap();
    assert_eq!(
        admin.urls.iter().map(::url::Url::as_str).collect::<Vec<_>>(),
        ["http://rp-0:9644/", "https://rp-1:9644/"]
    );
    assert_eq!((admin.user.as_str(), admin.tls), ("norn", kafka.tls));
    assert!(matches!(admin.password, PasswordSource::Given(secret) if secret.expose() == "secret"));
    assert_eq!(kafka.flavor, super::BrokerKind::Auto);

    let own = Workspace::new(Some("[kafka]\nflavor = 'redpanda'\nadmin_user = 'root'\nadmin_ca_file = 'rp.pem'\n"))
        .with("NORNPLAN_KAFKA_ADMIN_URL", "https://a:1, https://b:2")
        .with("NORNPLAN_KAFKA_PASSWORD", "secret")
        .with("NORNPLAN_KAFKA_ADMIN_PASSWORD", "other");
    let kafka = own.load().kafka;
    let admin = kafka.admin.unwrap();
    assert_eq!((admin.urls.len(), admin.user.as_str(), kafka.flavor), (2, "root", super::BrokerKind::Redpanda));
    assert_eq!(admin.tls.ca_file, Some(own.directory.path().join("rp.pem")));
    assert!(matches!(admin.password, PasswordSource::Given(secret) if secret.expose() == "other"));
    assert!(Workspace::new(Some("[kafka]\nadmin_user = 'root'\n")).load().kafka.admin.is_none());
}

#[test]
fn an_admin_url_is_host_and_port_and_no_more() {
    for (url, text) in [
        ("http://norn:hunter2@rp:9644", "a user or a password must not stand in it"),
        ("rp:9644", "no URL of a web server"),
        ("http://rp:9644/v1", "something stands after host and port"),
        ("http://", "this is no URL"),
    ] {
        let workspace = Workspace::new(Some(&format!("[kafka]\nadmin_url = '{url}'\n")));
        let told = workspace.errors();
        assert!(told.contains(text) && told.contains("nornplan.toml:2") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn users_of_kafka_have_the_mechanism_that_is_asked_for_or_ours() {
    let of = |kafka: &str| Workspace::new(Some(&format!("[kafka]\n{kafka}"))).load().kafka;
    for (kafka, expected) in [
        ("", Some("SCRAM-SHA-512")),
        ("mechanism = 'SCRAM-SHA-256'", Some("SCRAM-SHA-256")),
        ("mechanism = 'SCRAM-SHA-256'\nuser_mechanism = 'SCRAM-SHA-512'", Some("SCRAM-SHA-512")),
        ("mechanism = 'PLAIN'", Some("SCRAM-SHA-512")),
        ("mechanism = 'PLAIN'\nuser_mechanism = 'none'", None),
        ("mechanism = 'none'", None),
        ("mechanism = 'none'\nuser_mechanism = 'SCRAM-SHA-256'", Some("SCRAM-SHA-256")),
    ] {
        assert_eq!(of(kafka).user_mechanism.as_deref(), expected, "{kafka}");
    }
    assert_eq!((of("").iterations, of("iterations = 16384").iterations), (4096, 16384));
    for (wrong, said) in [("iterations = 4095", "iterations"), ("user_mechanism = 'PLAIN'", "user_mechanism")] {
        let errors = load(&Workspace::new(Some(&format!("[kafka]\n{wrong}"))).source).unwrap_err();
        assert!(errors.len() == 1 && errors[0].to_string().contains(said), "{errors:?}");
    }
}
