//! The merged layers, checked and made into a [`Config`].

use super::layer::{Layer, Origin};
use super::password::{PasswordSource, Search};
use super::url::host_and_port;
use super::{
    AdminApiConfig, BrokerKind, Config, DefaultUser, KafkaConfig, PostgresConfig, SecretsConfig, Source, Tls,
    ValkeyConfig,
};
use crate::error::{Diagnostic, Kind};
use std::path::{Path, PathBuf};

pub const DEFAULT: &str = "default";
/// What brokers take as SCRAM iterations (Kafka's ScramMechanism: minIterations, maxIterations; Redpanda the same).
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=16384;

/// Builds the configuration; what is wrong is added to `wrong`.
pub struct Builder<'a> {
    pub settings: Layer,
    pub source: &'a Source,
    pub wrong: Vec<Diagnostic>,
}

/// Each environment has a directory of its own; the default one has the plain name.
fn per_environment(directory: PathBuf, environment: &str) -> PathBuf {
    if environment == DEFAULT { directory } else { directory.join(environment) }
}

impl Builder<'_> {
    pub fn build(mut self, root: &Path) -> Result<Config, Vec<Diagnostic>> {
        let environment = self.source.environment.clone().unwrap_or_else(|| DEFAULT.to_owned());
        self.only("secrets", "sink", "dotenv", "publishes as dotenv files");
        let specs = self.settings.paths("", "specs").unwrap_or_else(|| vec![root.join("specs")]);
        if specs.is_empty() {
            self.complain("", "specs", "specs names no directory", "name at least one directory of infraspecs");
        }
        let secrets = self.settings.path("secrets", "dir").unwrap_or_else(|| root.join("secrets"));
        let postgres = self.postgres(root, &environment);
        let config = Config {
            root: root.to_owned(),
            specs,
            exclude: self.settings.list("", "exclude").unwrap_or_default(),
            strip: self.settings.list("naming", "strip").unwrap_or_default(),
            internal: self.settings.list("", "internal").unwrap_or_default().into_iter().collect(),
            moved: Vec::new(),
            state: self.state(root, &postgres),
            postgres,
            valkey: self.valkey(),
            kafka: self.kafka(),
            secrets: SecretsConfig { dir: per_environment(secrets, &environment) },
            environment,
        };
        if self.wrong.is_empty() { Ok(config) } else { Err(self.wrong) }
    }

    fn postgres(&mut self, root: &Path, environment: &str) -> PostgresConfig {
        let port = self.settings.port("postgres", "port").unwrap_or(5432);
        let hosts = self.settings.list("postgres", "host").unwrap_or_else(|| vec!["127.0.0.1".to_owned()]);
        let hosts = self.addresses("postgres", "host", &hosts, port);
        let database = self.text("postgres", "database", "postgres");
        let sslmode = self.text("postgres", "sslmode", "prefer");
        let search = Search { settings: &self.settings, variables: &self.source.variables };
        let named = self
            .settings
            .text("postgres", "user")
            .or_else(|| search.variable("POSTGRES_ADMIN_USER").map(str::to_owned))
            .or_else(|| search.variable("POSTGRES_USER").map(str::to_owned));
        let user =
            |admin: bool| named.clone().unwrap_or_else(|| if admin { "admin_user" } else { "postgres" }.to_owned());
        let (user, password) = match search.postgres(&hosts, &database, user) {
            Ok(found) => found,
            Err(error) => {
                self.wrong.push(error);
                (String::new(), PasswordSource::None)
            }
        };
        let (first, port) = hosts.first().cloned().unwrap_or(("127.0.0.1".to_owned(), port));
        // Apps elsewhere cannot use our socket.
        let reachable = if first.starts_with('/') { "localhost".to_owned() } else { first };
        let public_host = self.settings.text("postgres", "public_host").unwrap_or(reachable);
        let public_sslmode =
            self.settings.text("postgres", "public_sslmode").unwrap_or_else(|| public_sslmode(&sslmode, &public_host));
        PostgresConfig {
            hosts,
            user,
            database,
            sslmode,
            tls: self.tls("postgres"),
            password,
            public_host,
            public_port: self.settings.port("postgres", "public_port").unwrap_or(port),
            public_sslmode,
            lock_down: self.settings.flag("postgres", "lock_down").unwrap_or(false),
            snapshots: per_environment(
                self.settings.path("snapshots", "dir").unwrap_or_else(|| root.join("snapshots")),
                environment,
            ),
            ignore_roles: self.settings.list("postgres", "ignore_roles").unwrap_or_default().into_iter().collect(),
            keep: self.settings.port("snapshots", "keep"),
            bin_dir: self.settings.path("postgres", "bin_dir"),
        }
    }

    fn valkey(&mut self) -> ValkeyConfig {
        let host = self.text("valkey", "host", "127.0.0.1");
        let port = self.settings.port("valkey", "port").unwrap_or(6379);
        let (host, port) = self.addresses("valkey", "host", &[host], port).into_iter().next().unwrap_or_default();
        let sentinels = self.settings.list("valkey", "sentinels").unwrap_or_default();
        let sentinels: Vec<String> =
            self.addresses("valkey", "sentinels", &sentinels, 26379).iter().map(endpoint).collect();
        let cluster = self.settings.flag("valkey", "cluster").unwrap_or(false);
        if cluster && !sentinels.is_empty() {
            self.complain("valkey", "cluster", "both sentinels and cluster are given", "keep one of them");
        }
        let sentinel_service =
            self.settings.text("valkey", "sentinel_service").or((!sentinels.is_empty()).then(|| "mymaster".to_owned()));
        let tls = self.tls("valkey");
        let public_host = self.settings.text("valkey", "public_host");
        ValkeyConfig {
            user: self.text("valkey", "user", "default"),
            use_tls: self.settings.flag("valkey", "tls").unwrap_or(tls != Tls::default()),
            tls,
            password: self.password("valkey", &["REDIS_PASSWORD"]),
            publishes_sentinels: !sentinels.is_empty() && public_host.is_none(),
            sentinels,
            sentinel_service,
            sentinel_user: self.settings.text("valkey", "sentinel_user"),
            sentinel_password: self.another_password("valkey", "sentinel_password_file", "sentinel_password_command"),
            sentinel_users: self.settings.flag("valkey", "sentinel_users").unwrap_or(false),
            cluster,
            public_host: public_host.unwrap_or_else(|| host.clone()),
            default_user: match self.settings.text("valkey", "default_user").as_deref() {
                Some("off") => DefaultUser::Off,
                Some("admin-only") => DefaultUser::AdminOnly,
                Some(_) | None => DefaultUser::Leave,
            },
            public_port: self.settings.port("valkey", "public_port").unwrap_or(port),
            strict: self.settings.flag("valkey", "strict").unwrap_or(false),
            shared_password: self.another_password("valkey", "shared_password_file", "shared_password_command"),
            host,
            port,
        }
    }

    fn kafka(&mut self) -> KafkaConfig {
        let brokers = self.settings.list("kafka", "brokers").unwrap_or_else(|| vec!["127.0.0.1:19092".to_owned()]);
        let brokers: Vec<String> = self.addresses("kafka", "brokers", &brokers, 9092).iter().map(endpoint).collect();
        let public = self.settings.list("kafka", "public_brokers").unwrap_or_else(|| brokers.clone());
        let public = self.addresses("kafka", "public_brokers", &public, 9092);
        let tls = self.tls("kafka");
        let user = self.text("kafka", "user", "admin");
        let password = self.password("kafka", &["KAFKA_PASSWORD"]);
        let admin = self.admin_api(&user, &password, &tls);
        let mechanism = self.text("kafka", "mechanism", "SCRAM-SHA-512");
        KafkaConfig {
            flavor: match self.settings.text("kafka", "flavor").as_deref() {
                Some("kafka") => BrokerKind::Kafka,
                Some("redpanda") => BrokerKind::Redpanda,
                Some(_) | None => BrokerKind::Auto,
            },
            admin,
            user,
            user_mechanism: user_mechanism(self.settings.text("kafka", "user_mechanism"), &mechanism),
            iterations: self.iterations(),
            mechanism,
            use_tls: self.settings.flag("kafka", "tls").unwrap_or(tls != Tls::default()),
            tls,
            password,
            public_brokers: public.iter().map(endpoint).collect(),
            brokers,
        }
    }

    /// Redpanda's Admin API. What is not said of it is as for the brokers.
    fn admin_api(&mut self, user: &str, password: &PasswordSource, tls: &Tls) -> Option<AdminApiConfig> {
        let own = self.another_password("kafka", "admin_password_file", "admin_password_command");
        let file = |name| self.settings.path("kafka", name);
        let (ca_file, cert_file, key_file) = (file("admin_ca_file"), file("admin_cert_file"), file("admin_key_file"));
        if cert_file.is_some() != key_file.is_some() {
            let named = if cert_file.is_some() { "admin_cert_file" } else { "admin_key_file" };
            self.complain("kafka", named, &format!("{named} alone"), "name both admin_cert_file and admin_key_file");
        }
        let written = self.settings.list("kafka", "admin_url")?;
        let mut urls = Vec::new();
        for text in &written {
            match super::url::of_admin_api(text) {
                Ok(url) => urls.push(url),
                Err((wrong, hint)) => self.complain("kafka", "admin_url", wrong, hint),
            }
        }
        let (cert_file, key_file) =
            if cert_file.is_some() { (cert_file, key_file) } else { (tls.cert_file.clone(), tls.key_file.clone()) };
        (!urls.is_empty()).then(|| AdminApiConfig {
            urls,
            user: self.text("kafka", "admin_user", user),
            password: if matches!(own, PasswordSource::None) { password.clone() } else { own },
            tls: Tls { ca_file: ca_file.or_else(|| tls.ca_file.clone()), cert_file, key_file },
        })
    }

    /// Of apps' SCRAM users. Fewer are refused by brokers, and more as well; the passwords are random, so the fewest are
    /// enough.
    fn iterations(&mut self) -> u32 {
        let asked = self.settings.port("kafka", "iterations").map_or(*ITERATIONS.start(), u32::from);
        if !ITERATIONS.contains(&asked) {
            let message = format!("iterations = {asked} is nothing that brokers take");
            let hint =
                format!("{} to {}; the fewest are enough for random passwords", ITERATIONS.start(), ITERATIONS.end());
            self.complain("kafka", "iterations", &message, &hint);
        }
        asked
    }

    pub(super) fn text(&self, table: &'static str, name: &'static str, default: &str) -> String {
        self.settings.text(table, name).unwrap_or_else(|| default.to_owned())
    }

    fn password(&mut self, table: &'static str, variables: &[&str]) -> PasswordSource {
        let found = Search { settings: &self.settings, variables: &self.source.variables }.usual(table, variables);
        self.or_complain(found)
    }

    pub(super) fn or_complain(&mut self, found: Result<PasswordSource, Diagnostic>) -> PasswordSource {
        found.unwrap_or_else(|error| {
            self.wrong.push(error);
            PasswordSource::None
        })
    }

    /// One beside a service's usual one, by the keys of its file and of its command.
    fn another_password(
        &mut self,
        table: &'static str,
        file_key: &'static str,
        command_key: &'static str,
    ) -> PasswordSource {
        let search = Search { settings: &self.settings, variables: &self.source.variables };
        let found = search.another(table, file_key, command_key);
        self.or_complain(found)
    }

    pub(super) fn tls(&mut self, table: &'static str) -> Tls {
        let file = |name| self.settings.path(table, name);
        let tls = Tls { ca_file: file("ca_file"), cert_file: file("cert_file"), key_file: file("key_file") };
        match (&tls.cert_file, &tls.key_file) {
            (Some(_), None) => self.complain(table, "cert_file", "cert_file without key_file", "name both, or neither"),
            (None, Some(_)) => self.complain(table, "key_file", "key_file without cert_file", "name both, or neither"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        tls
    }

    pub(super) fn addresses(
        &mut self,
        table: &'static str,
        name: &'static str,
        texts: &[String],
        port: u16,
    ) -> Vec<(String, u16)> {
        let mut addresses = Vec::new();
        for text in texts.iter().flat_map(|text| super::layer::split(text)) {
            match host_and_port(&text) {
                Some((host, own)) => addresses.push((host, own.unwrap_or(port))),
                None => self.complain(
                    table,
                    name,
                    &format!("{name}: {text:?} is no host:port"),
                    "write db.internal:5432, 10.0.0.1:5432 or [::1]:5432, with no protocol in front",
                ),
            }
        }
        if addresses.is_empty() && name != "sentinels" {
            self.complain(table, name, &format!("{name} names no host"), "leave it out for the default");
        }
        addresses
    }

    /// Refuses what is not there yet.
    fn only(&mut self, table: &'static str, name: &'static str, possible: &str, does: &str) {
        if let Some(asked) = self.settings.text(table, name).filter(|asked| asked != possible) {
            let message = format!("{name} = {asked:?} is not there yet");
            self.complain(table, name, &message, &format!("possible is {possible:?}, which {does}"));
        }
    }

    pub(super) fn complain(&mut self, table: &'static str, name: &'static str, message: &str, hint: &str) {
        let origin: Option<&Origin> = self.settings.origin(table, name);
        let wrong = origin.map_or_else(|| Diagnostic::new(Kind::Config, message), |origin| origin.wrong(message));
        self.wrong.push(wrong.hint(hint));
    }
}

/// What apps are told, which is never `prefer`: a client that silently falls back protects nothing. Where we insist, so
/// do they; where we forbid, so do they; where we would take either, they need no TLS on this machine, and else insist.
fn public_sslmode(ours: &str, public_host: &str) -> String {
    let loopback = public_host == "localhost" || public_host == "::1" || public_host.starts_with("127.");
    match ours {
        "prefer" | "allow" if loopback => "disable".to_owned(),
        "prefer" | "allow" => "require".to_owned(),
        other => other.to_owned(),
    }
}

/// The mechanism of apps' users: our own, or where that has no users to make, the stronger one. Where nobody signs in,
/// apps do not either unless that is asked for (they may use another listener).
fn user_mechanism(asked: Option<String>, ours: &str) -> Option<String> {
    let usual = match ours {
        "none" => "none",
        "SCRAM-SHA-256" => "SCRAM-SHA-256",
        _ => "SCRAM-SHA-512",
    };
    asked.or_else(|| Some(usual.to_owned())).filter(|mechanism| mechanism != "none")
}

fn endpoint((host, port): &(String, u16)) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
