//! Users, wherever they are kept: asked for by the Kafka API where the broker has that, else by Redpanda's Admin API.

use super::reader::Reader;
use crate::error::{Diagnostic, Result};
use crate::services::kafka::client::native::ScramUser;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::User;
use crate::services::kafka::redpanda::AdminApi;
use std::collections::{BTreeMap, BTreeSet};

/// Users in one DescribeUserScramCredentials: librdkafka takes no answer with more than 10,000.
const BATCH: usize = 5_000;

/// A user that exists.
#[derive(Clone, Debug)]
pub struct FoundUser {
    pub name: String,
    /// Iterations by mechanism; they may be unknown. None at all: the mechanism is unknown too.
    pub credentials: BTreeMap<String, Option<u32>>,
    /// When its password was last set, where the broker tells that.
    pub set_at: Option<String>,
}

impl FoundUser {
    fn by_kafka(user: ScramUser) -> Self {
        let credentials = user.credentials.into_iter().map(|(mechanism, iterations)| (mechanism, Some(iterations)));
        Self { name: user.name, credentials: credentials.collect(), set_at: None }
    }

    /// One credential of the user: that of the wanted mechanism if there is one, else the first; and what others it has.
    /// Redpanda's Admin API knows no second one.
    pub fn model(&self, wanted: Option<&str>) -> User {
        let by_wish = wanted.and_then(|mechanism| self.credentials.get_key_value(mechanism));
        let credential = by_wish.or_else(|| self.credentials.first_key_value());
        let mechanism = credential.map(|(mechanism, _)| mechanism.clone());
        let others = self.credentials.keys().filter(|other| Some(*other) != mechanism.as_ref());
        User {
            name: self.name.clone(),
            other_mechanisms: Some(others.cloned().collect()),
            mechanism,
            iterations: credential.and_then(|(_, iterations)| *iterations),
            generated: None,
        }
    }
}

impl Reader<'_> {
    /// The SCRAM users of these names that exist.
    pub async fn users(&self, names: &BTreeSet<&str>) -> Result<Vec<FoundUser>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let call = "DescribeUserScramCredentials";
        match (self.users_by_kafka(names).await, self.redpanda) {
            (Ok(mut found), api) => {
                if let Some(api) = api {
                    add_times(&mut found, api).await;
                }
                Ok(found)
            }
            (Err(trouble), Some(api)) if trouble.cause == Cause::Unsupported => by_admin_api(names, api).await,
            (Err(trouble), None) if trouble.cause == Cause::Unsupported => {
                let told: Diagnostic = trouble.tell(self.endpoint, "", call, "");
                Err(told.hint(
                    "Redpanda before 25.2 makes users by its Admin API: set kafka.admin_url; Kafka has it from 2.7 on",
                ))
            }
            (Err(trouble), _) => {
                Err(trouble.of(self.admin.principal()).tell(self.endpoint, "", call, "Describe on Cluster"))
            }
        }
    }

    async fn users_by_kafka(&self, names: &BTreeSet<&str>) -> Result<Vec<FoundUser>, Trouble> {
        let names: Vec<&str> = names.iter().copied().collect();
        let mut found = Vec::new();
        for batch in names.chunks(BATCH) {
            found.extend(self.admin.describe_users(batch).await?.into_iter().map(FoundUser::by_kafka));
        }
        Ok(found)
    }
}

/// Adds when passwords were set. Where that cannot be read, passwords are proved by signing in.
async fn add_times(users: &mut [FoundUser], api: &AdminApi) {
    let Ok(Some(credentials)) = api.credentials().await else { return };
    for user in users {
        user.set_at = credentials.get(&user.name).and_then(|credential| credential.set_at.clone());
    }
}

async fn by_admin_api(names: &BTreeSet<&str>, api: &AdminApi) -> Result<Vec<FoundUser>> {
    if let Some(credentials) = api.credentials().await? {
        let ours = credentials.into_iter().filter(|(name, _)| names.contains(name.as_str()));
        let found = ours.map(|(name, credential)| FoundUser {
            name,
            credentials: credential.mechanism.map(|mechanism| (mechanism, None)).into_iter().collect(),
            set_at: credential.set_at,
        });
        return Ok(found.collect());
    }
    let ours = api.users().await?.into_iter().filter(|name| names.contains(name.as_str()));
    Ok(ours.map(|name| FoundUser { name, credentials: BTreeMap::new(), set_at: None }).collect())
}
