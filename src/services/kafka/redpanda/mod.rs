//! Redpanda's Admin API: where its users are made until 25.2, and where it tells what its Kafka API does not.
//!
//! Written by the handlers' code (src/v/redpanda/admin/{server,security}.cc) and the published API description;
//! testdata/redpanda has the exchanges that it is tested against.

pub mod facts;
mod leader;
pub mod look;
mod redirect;
mod refusal;
mod users;
mod wire;

use crate::config::{AdminApiConfig, KafkaConfig};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use facts::ClusterFacts;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use tokio_rustls::TlsConnector;
use url::Url;
use wire::{Answer, Question, exchange};
use zeroize::Zeroizing;

/// How often something is tried that may work a moment later.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// No longer than this is waited because the server asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A client of the Admin API. Nothing is contacted before it is asked something.
pub struct AdminApi {
    pub config: AdminApiConfig,
    /// Hosts that our password may go to: those of `admin_url` and the brokers that are known.
    hosts: Mutex<BTreeSet<String>>,
    door: OnceCell<Door>,
    /// The node that took the last write, where several are known.
    leader: Mutex<Option<Url>>,
}

/// How it is entered.
struct Door {
    tls: TlsConnector,
    /// The value of the header, if there is a password.
    authorization: Option<Secret>,
}

impl AdminApi {
    /// `None` if no `admin_url` is given.
    pub fn new(config: &KafkaConfig) -> Option<Self> {
        let admin = config.admin.clone()?;
        let ours = admin.urls.iter().filter_map(|url| url.host_str().map(str::to_owned));
        let brokers = config.brokers.iter().map(|broker| host_of(broker).to_owned());
        let hosts = Mutex::new(ours.chain(brokers).collect());
        Some(Self { config: admin, hosts, door: OnceCell::new(), leader: Mutex::new(None) })
    }

    /// Tells of brokers that Kafka's metadata names: redirects to them are followed.
    pub async fn meet(&self, hosts: impl Iterator<Item = &String>) {
        self.hosts.lock().await.extend(hosts.filter(|host| !host.is_empty()).cloned());
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.config.urls.iter().map(refusal::place).collect::<Vec<_>>().join(", ")
    }

    /// Whether a password goes over a network without TLS.
    pub fn shows_passwords(&self) -> bool {
        let here = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            host == "localhost" || host == "[::1]" || host.starts_with("127.")
        };
        self.config.urls.iter().any(|url| url.scheme() == "http" && !here(url))
    }

    /// Cluster properties that rules depend on.
    ///
    /// # Errors
    /// It cannot be asked, or does not let us.
    pub async fn facts(&self) -> Result<ClusterFacts> {
        self.read("/v1/cluster_config?include_defaults=true", "cluster configuration", ClusterFacts::of).await
    }

    /// The oldest version among the brokers; `None` if they do not say.
    ///
    /// # Errors
    /// As [`Self::facts`].
    pub async fn version(&self) -> Result<Option<String>> {
        self.read("/v1/brokers", "list of brokers", |answer| answer.is_array().then(|| facts::version(answer))).await
    }

    /// The roles of these users, whose ACLs they have beside their own. A Redpanda without roles has none.
    ///
    /// # Errors
    /// As [`Self::facts`].
    pub async fn roles_of(&self, users: &BTreeSet<&str>) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let question = Question::get("/v1/security/roles");
        let (url, answer) = self.ask(&question).await?;
        if answer.status == 404 {
            return Ok(BTreeMap::new());
        }
        let names = self.parse(&question, &url, answer, "list of roles", facts::roles)?;
        let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for role in names {
            let path = format!("/v1/security/roles/{}/members", users::encoded(&role));
            let members = self.read(&path, "list of members", facts::members).await?;
            for user in members.into_iter().filter(|member| users.contains(member.as_str())) {
                roles.entry(user).or_default().insert(role.clone());
            }
        }
        Ok(roles)
    }

    /// Whether everybody who reaches it is a superuser to it: it lists users to somebody who does not sign in. `None`
    /// if that could not be found out.
    pub async fn is_open(&self) -> Option<bool> {
        let question = Question::get(users::USERS);
        let mut verdict = None;
        for url in &self.config.urls {
            let door = self.door().await.ok()?;
            match exchange(&door.tls, url, &question, None).await.map(|answer| answer.status) {
                Ok(200) => return Some(true),
                Ok(401 | 403) => verdict = Some(false),
                Ok(_) | Err(_) => {}
            }
        }
        verdict
    }

    /// Reads JSON from any node.
    async fn read<T>(&self, path: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let question = Question::get(path);
        let (url, answer) = self.ask(&question).await?;
        self.parse(&question, &url, answer, what, read)
    }

    fn parse<T>(
        &self,
        question: &Question,
        url: &Url,
        answer: Answer,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let answer = self.accepted(question, url, answer)?;
        let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
        value.as_ref().and_then(read).ok_or_else(|| on(refusal::strange(url, what), question))
    }

    /// An answer that is a success.
    fn accepted(&self, question: &Question, url: &Url, answer: Answer) -> Result<Answer> {
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let signed_in = self.door.get().is_some_and(|door| door.authorization.is_some());
        let user = signed_in.then_some(self.config.user.as_str());
        Err(on(refusal::refused(url, user, answer.status, &refusal::said(&answer.body)), question))
    }

    /// Asks any node: the next one if one cannot be reached; once more if it may pass.
    async fn ask(&self, question: &Question) -> Result<(Url, Answer)> {
        let mut last = None;
        for attempt in 0..TRIES {
            for url in &self.config.urls {
                match self.follow(url, question).await {
                    Ok(answer) if refusal::passes(answer.1.status) => last = Some(Ok(answer)),
                    Ok(answer) => return Ok(answer),
                    Err(error) => last = last.or(Some(Err(error))),
                }
            }
            // Who cannot be reached at all is tried again by whoever asked.
            if !matches!(last, Some(Ok(_))) || attempt + 1 == TRIES {
                break;
            }
            pause(&last).await;
        }
        last.unwrap_or_else(|| Err(Diagnostic::new(crate::error::Kind::Config, "kafka.admin_url names no node")))
    }

    /// Asks one node, and follows it to the leader.
    async fn follow(&self, url: &Url, question: &Question) -> Result<(Url, Answer)> {
        let door = self.door().await?;
        let mut question = Question { header: question.header, ..copy(question) };
        let path = question.path.clone();
        let mut url = url.clone();
        for _ in 0..=redirect::MOST {
            let answer = exchange(&door.tls, &url, &question, door.authorization.as_ref()).await;
            let answer = answer.map_err(|failure| on(refusal::failed(&url, &failure), &question))?;
            let (307 | 308, Some(location)) = (answer.status, &answer.location) else { return Ok((url, answer)) };
            let to = redirect::target(&url, location, &path, &*self.hosts.lock().await)
                .map_err(|why| on(refusal::astray(&url, location, &why), &question))?;
            wait(answer.retry_after).await;
            let query = to.query().map(|query| format!("?{query}")).unwrap_or_default();
            question.path = format!("{}{query}", to.path());
            url = to;
        }
        Err(on(refusal::astray(&url, url.as_str(), "that is one redirect too many"), &question))
    }

    async fn door(&self) -> Result<&Door> {
        self.door
            .get_or_try_init(|| async {
                let tls = crate::services::tls::client(&self.config.tls, "kafka")?;
                let password = self.config.password.resolve().await?;
                let authorization = password.map(|password| {
                    let plain = Zeroizing::new(format!("{}:{}", self.config.user, password.expose()));
                    Secret::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(plain.as_bytes()))))
                });
                Ok(Door { tls: TlsConnector::from(Arc::new(tls)), authorization })
            })
            .await
    }
}

fn copy(question: &Question) -> Question {
    let Question { method, path, body, header } = question;
    Question { method: method.clone(), path: path.clone(), body: body.clone(), header: *header }
}

/// The call as the place of an error, without its query.
fn on(error: Diagnostic, question: &Question) -> Diagnostic {
    let call = question.named();
    error.on("kafka", "", call.split('?').next().unwrap_or_default())
}

async fn wait(seconds: Option<u64>) {
    if let Some(seconds) = seconds {
        tokio::time::sleep(Duration::from_secs(seconds).min(LONGEST_PAUSE)).await;
    }
}

async fn pause(last: &Option<Result<(Url, Answer)>>) {
    match last {
        Some(Ok((_, Answer { retry_after: Some(seconds), .. }))) => wait(Some(*seconds)).await,
        Some(_) | None => tokio::time::sleep(PAUSE).await,
    }
}

/// The host of `host:port`.
fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
