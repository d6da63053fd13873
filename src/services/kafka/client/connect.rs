//! How librdkafka is told where to connect and as whom.

use super::trouble::{Cause, Trouble};
use crate::config::KafkaConfig;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::kafka::admin::Admin;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a sign-in may take, from nothing to an answer.
const SIGN_IN: Duration = Duration::from_secs(6);
/// `RD_KAFKA_EVENT_ERROR`: "all brokers are down" comes as an event and not as a log line.
const ERROR_EVENTS: &str = "8";

/// The admin's client, made when it is first needed and again after a connection broke.
pub struct Connection {
    pub config: KafkaConfig,
    client: Mutex<Option<Arc<Admin>>>,
}

impl Connection {
    pub fn new(config: KafkaConfig) -> Self {
        Self { config, client: Mutex::new(None) }
    }

    /// # Errors
    /// The password cannot be read, or librdkafka refuses the configuration. Nothing is contacted yet.
    pub async fn admin(&self) -> Result<Arc<Admin>> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref().filter(|client| !client.is_broken()) {
            return Ok(client.clone());
        }
        let password = self.config.password.resolve().await?;
        if password.is_none() && self.config.authenticates() {
            let told = Diagnostic::new(Kind::Config, format!("no password is set for {}", self.config.user));
            return Err(told.on("kafka", "", "").hint(
                "set NORNPLAN_KAFKA_PASSWORD (else KAFKA_PASSWORD), or password_file or password_command under [kafka]; \
                 mechanism = \"none\" is for brokers without sign-in",
            ));
        }
        let settings =
            settings(&self.config, &self.config.brokers, &self.config.user, &self.config.mechanism, password.as_ref());
        let admin = Admin::new(&settings).map_err(|trouble| {
            Diagnostic::new(Kind::Config, format!("librdkafka refuses the configuration: {}", trouble.message))
                .on("kafka", "", "")
                .hint("check kafka.brokers, kafka.mechanism and the files of kafka.tls")
        })?;
        let admin = Arc::new(admin);
        *client = Some(admin.clone());
        Ok(admin)
    }
}

/// A client of another user than the workspace's.
///
/// # Errors
/// librdkafka refuses the configuration. Nothing is contacted yet.
pub fn client_as(config: &KafkaConfig, user: &str, mechanism: &str, password: &Secret) -> Result<Admin, Trouble> {
    // Where nornplan itself does not sign in, apps have a listener of their own that does.
    let brokers = if config.authenticates() { &config.brokers } else { &config.public_brokers };
    Admin::new(&settings(config, brokers, user, mechanism, Some(password)))
}

/// Whether a password signs in.
///
/// # Errors
/// It could not be found out.
pub async fn signs_in(config: &KafkaConfig, user: &str, mechanism: &str, password: &Secret) -> Result<bool, Trouble> {
    let client = client_as(config, user, mechanism, password)?;
    let answer = tokio::time::timeout(SIGN_IN, client.describe_cluster()).await;
    // Closing a client waits for its threads.
    drop(tokio::task::spawn_blocking(move || drop(client)));
    match answer {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(trouble)) if trouble.cause == Cause::Authentication => Ok(false),
        Ok(Err(trouble)) => Err(trouble),
        Err(_) => Err(Trouble::new(Cause::TimedOut, format!("the sign-in as {user} took too long"))),
    }
}

/// The mechanism `none` is no sign-in.
pub fn settings(
    config: &KafkaConfig,
    brokers: &[String],
    user: &str,
    mechanism: &str,
    password: Option<&Secret>,
) -> ClientConfig {
    let signs_in = mechanism != "none";
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", brokers.join(","))
        .set("client.id", "nornplan")
        .set("enabled_events", ERROR_EVENTS)
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("reconnect.backoff.max.ms", "1000")
        .set_log_level(RDKafkaLogLevel::Info);
    let protocol = match (signs_in, config.use_tls) {
        (true, true) => "SASL_SSL",
        (true, false) => "SASL_PLAINTEXT",
        (false, true) => "SSL",
        (false, false) => "PLAINTEXT",
    };
    settings.set("security.protocol", protocol);
    if signs_in {
        settings.set("sasl.mechanism", mechanism).set("sasl.username", user);
        settings.set("sasl.password", password.map(Secret::expose).unwrap_or_default());
    }
    if config.use_tls {
        let files = [
            ("ssl.ca.location", &config.tls.ca_file),
            ("ssl.certificate.location", &config.tls.cert_file),
            ("ssl.key.location", &config.tls.key_file),
        ];
        for (key, file) in files {
            if let Some(file) = file {
                settings.set(key, file.to_string_lossy());
            }
        }
    }
    settings
}
