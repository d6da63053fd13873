//! How librdkafka is told where to connect and as whom.

use super::native::Cluster;
use super::reasons::{NOT_TRUSTED, other_host};
use super::trouble::{Cause, Trouble};
use crate::config::KafkaConfig;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
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
    pub async fn admin(&self) -> Result<Arc<Admin>, Diagnostic> {
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
        readable(&self.config)?;
        let settings =
            settings(&self.config, &self.config.brokers, &self.config.user, &self.config.mechanism, password.as_ref());
        let admin = Arc::new(Admin::new(&settings).map_err(|trouble| refused(&trouble.message))?);
        *client = Some(admin.clone());
        Ok(admin)
    }
}

/// Whether the files for TLS can be read; librdkafka names none of them.
fn readable(config: &KafkaConfig) -> Result<(), Diagnostic> {
    for (key, file) in
        [("ca_file", &config.tls.ca_file), ("cert_file", &config.tls.cert_file), ("key_file", &config.tls.key_file)]
    {
        let Some(file) = file else { continue };
        if let Err(error) = std::fs::read(file) {
            let told = Diagnostic::new(Kind::Config, format!("kafka.{key}: cannot read {}: {error}", file.display()));
            return Err(told.hint("name a file in PEM form that this user may read"));
        }
    }
    Ok(())
}

fn refused(message: &str) -> Diagnostic {
    let (what, hint) = if message.contains("key values mismatch") {
        (
            "kafka.key_file is not the key of kafka.cert_file".to_owned(),
            "name a certificate and the key that it was made for",
        )
    } else if message.contains("ssl.ca.location") {
        (format!("kafka.ca_file holds no certificate: {message}"), "name the authority's certificate in PEM form")
    } else if message.contains("ssl.certificate.location") {
        (format!("kafka.cert_file holds no certificate: {message}"), "name a certificate in PEM form")
    } else if message.contains("ssl.key.location") {
        (
            format!("kafka.key_file holds no key that can be used: {message}"),
            "name a private key in PEM form, without a passphrase",
        )
    } else {
        (
            format!("librdkafka refuses the configuration: {message}"),
            "check kafka.brokers, kafka.mechanism and the files for TLS",
        )
    };
    Diagnostic::new(Kind::Config, what).on("kafka", "", "").hint(hint)
}

/// Who the cluster is: the first thing that is asked, so that what keeps us out is told in the best words.
///
/// # Errors
/// It cannot be reached, or lets us not in.
pub async fn first_look(config: &KafkaConfig, admin: &Admin) -> Result<Cluster, Diagnostic> {
    match admin.describe_cluster().await {
        Ok(cluster) => Ok(cluster),
        Err(trouble) => {
            let trouble = look_closer(config, trouble).await.of(admin.principal());
            Err(trouble.tell(&config.endpoint(), "", "DescribeCluster", "Describe on Cluster"))
        }
    }
}

/// librdkafka says of every certificate that does not fit the same: tells one for another host name apart, by asking again
/// without comparing names. Nothing but the cluster's description is asked for.
async fn look_closer(config: &KafkaConfig, trouble: Trouble) -> Trouble {
    if !trouble.message.contains(NOT_TRUSTED) {
        return trouble;
    }
    // Nobody signs in: no password goes to a server whose name is not checked.
    let mut settings = settings(config, &config.brokers, &config.user, "PLAIN", None);
    settings.set("security.protocol", "SSL").set("ssl.endpoint.identification.algorithm", "none");
    let Ok(client) = Admin::new(&settings) else { return trouble };
    let answer = tokio::time::timeout(SIGN_IN, client.describe_cluster()).await;
    close(client);
    match answer {
        Ok(Err(again)) if again.message.contains(NOT_TRUSTED) => trouble,
        Ok(Ok(_) | Err(_)) => other_host(&trouble),
        Err(_) => trouble,
    }
}

/// Signs in with a password: what its user then sees of the cluster; `None` if it is refused.
///
/// # Errors
/// It could not be found out.
pub async fn sign_in(
    config: &KafkaConfig,
    user: &str,
    mechanism: &str,
    password: &Secret,
) -> Result<Option<Cluster>, Trouble> {
    let client = client_as(config, user, mechanism, password)?;
    let answer = tokio::time::timeout(SIGN_IN, client.describe_cluster()).await;
    close(client);
    match answer {
        Ok(Ok(cluster)) => Ok(Some(cluster)),
        Ok(Err(trouble)) if trouble.cause == Cause::Authentication => Ok(None),
        Ok(Err(trouble)) => Err(trouble),
        Err(_) => Err(Trouble::new(Cause::TimedOut, format!("the sign-in as {user} took too long"))),
    }
}

/// Closing a client waits for its threads, which nobody here does.
pub fn close(client: Admin) {
    drop(tokio::task::spawn_blocking(move || drop(client)));
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
        // Calls that wait for a controller that has died would else not hear for 5 minutes that there is another.
        // librdkafka asks every 10 seconds at most.
        .set("topic.metadata.refresh.interval.ms", "1000")
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
