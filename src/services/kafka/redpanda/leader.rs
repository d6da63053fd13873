//! Writes go to the leader of the controller. With one URL its node is asked and sends us on; with several, the nodes
//! are asked who leads, as Redpanda's own client does (rpadmin/admin.go in redpanda-data/common-go).

use super::wire::{Answer, Question};
use super::{AdminApi, PAUSE, TRIES, pause, refusal};
use crate::boundary;
use crate::error::{Diagnostic, Kind, Result};
use futures_util::future::join_all;
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// How long an election may take before it is looked again.
const ELECTION: Duration = Duration::from_millis(1500);

impl AdminApi {
    /// Asks the leader; again, if it may pass or the leadership has moved.
    pub(super) async fn order(&self, question: &Question) -> Result<(Url, Answer)> {
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                pause(&last).await;
            }
            let leader = self.leader_url(attempt > 0).await?;
            let name = || format!("redpanda {}", question.method);
            match boundary::around(name, self.follow(&leader, question)).await {
                Ok(answer) if refusal::passes(answer.1.status) => last = Some(Ok(answer)),
                Err(error) if error.may_pass && self.config.urls.len() > 1 => last = Some(Err(error)),
                other => return other,
            }
        }
        last.unwrap_or_else(|| Err(no_url()))
    }

    /// The URL of the leader, or of any node that answers.
    async fn leader_url(&self, afresh: bool) -> Result<Url> {
        if let [only] = self.config.urls.as_slice() {
            return Ok(only.clone());
        }
        let mut known = self.leader.lock().await;
        if let Some(url) = known.as_ref().filter(|_| !afresh) {
            return Ok(url.clone());
        }
        let asked = self.config.urls.iter().map(|url| async move {
            let (_, answer) = self.follow(url, &Question::get("/v1/node_config")).await.ok()?;
            Some((number(&answer, "node_id")?, url.clone()))
        });
        let nodes: Vec<(i64, Url)> = join_all(asked).await.into_iter().flatten().collect();
        for attempt in 0..TRIES {
            let question = Question::get("/v1/partitions/redpanda/controller/0");
            let (url, answer) = self.ask(&question).await?;
            let answer = self.accepted(&question, &url, answer)?;
            // Before there is one, it is -1.
            let leader = number(&answer, "leader_id").filter(|id| *id >= 0);
            if let Some(id) = leader {
                // A leader that admin_url does not name: some node sends us on to it.
                let at = nodes.iter().find(|(node, _)| *node == id).or(nodes.first()).map(|(_, url)| url.clone());
                *known = at.clone();
                return at.or_else(|| self.config.urls.first().cloned()).ok_or_else(no_url);
            }
            tokio::time::sleep(if attempt + 1 < TRIES { ELECTION } else { PAUSE }).await;
        }
        self.config.urls.first().cloned().ok_or_else(no_url)
    }
}

fn number(answer: &Answer, name: &str) -> Option<i64> {
    let value: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
    value.get(name)?.as_i64()
}

fn no_url() -> Diagnostic {
    Diagnostic::new(Kind::Config, "kafka.admin_url names no node").hint("name one, or leave it out")
}
