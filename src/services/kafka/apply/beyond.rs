//! Whether users whose passwords were proved just now may do more than ACLs give: found out before they get ACLs, and
//! before their passwords are published.

use super::work::{PAUSE, Work};
use crate::core::secret::Secret;
use crate::core::step::Reason;
use crate::error::{Diagnostic, Kind};
use crate::services::kafka::acl::standing::{marker, not_theirs};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::connect::{client_as, close};
use crate::services::kafka::client::native::{Cluster, OwnedBinding};
use crate::services::kafka::model::User;
use crate::services::kafka::observe::credentials::SIGN_INS;
use crate::services::kafka::observe::openness::{NO_SUPER, OPEN, Rules, SUPER, Told, UNCLEAR, may_alter};
use crate::services::kafka::observe::settings::Settings;
use crate::services::kafka::server::Flavor;
use crate::services::{Outcome, Step};
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long an ACL that was taken may go unnoticed by the broker that is asked.
const MARKED: Duration = Duration::from_secs(3);

/// A user whose password was set, and what it saw of the cluster if the password signs in.
pub(super) struct Proved<'a> {
    pub index: usize,
    pub step: &'a Step,
    pub user: &'a User,
    pub password: Secret,
    pub outcome: Outcome,
    pub seen: Option<Cluster>,
}

impl Proved<'_> {
    fn client(&self, work: &Work<'_>) -> Option<Admin> {
        let mechanism = self.user.mechanism.as_deref().unwrap_or_else(|| work.config.mechanism_of_users());
        client_as(work.config, &self.user.name, mechanism, &self.password).ok()
    }

    fn allowed(&self) -> Option<&BTreeSet<&'static str>> {
        self.seen.as_ref()?.allowed.as_ref()
    }

    fn note(&mut self, said: &str) {
        if let Outcome::Done { note, .. } = &mut self.outcome {
            *note = Some(said.to_owned());
        }
    }
}

impl Work<'_> {
    /// Fails the steps of super users, whom nothing keeps from what other apps have, and says if that is everybody's which
    /// has no ACL. Without an authorizer there is nothing to find out: a plan says so.
    pub(super) async fn judge(&self, proved: &mut [Proved<'_>]) {
        let Some(cluster) = proved.iter().find_map(|one| one.seen.as_ref()) else { return };
        if Flavor::told(self.config.flavor, cluster.id.as_deref()) == Flavor::Redpanda {
            return;
        }
        let settings = Settings::read(self.admin, cluster).await;
        let Ok(Some(acls)) = self.reader().every_acl(&BTreeSet::new()).await else { return };
        let rules = Rules::new(&acls, &settings);
        let mut told = self.ask(&rules, proved).await;
        if told.values().any(|one| *one == Told::Unclear) && not_theirs(&rules.acls, "").is_none() {
            self.ask_by_marker(proved, &mut told).await;
        }
        for (at, told) in &told {
            let Some(one) = proved.get_mut(*at) else { continue };
            match told {
                Told::Super if one.step.reasons.contains(&Reason::AskedFor) => one.note(SUPER),
                Told::Super => one.outcome = is_super(one.step, &one.user.name),
                Told::Unclear => one.note(UNCLEAR),
                Told::Open(_) => {}
            }
        }
        let is_open = told.values().any(|one| *one == Told::Open(Some(true)));
        let good = |one: &&mut Proved<'_>| matches!(one.outcome, Outcome::Done { .. });
        if let Some(first) = proved.iter_mut().find(good).filter(|_| is_open) {
            first.note(OPEN);
        }
    }

    /// What users find out: all of those that may do anything to the cluster, and one of the others.
    async fn ask(&self, rules: &Rules<'_>, proved: &[Proved<'_>]) -> BTreeMap<usize, Told> {
        let (mut asked, mut is_first) = (Vec::new(), true);
        for (at, one) in proved.iter().enumerate() {
            let Some(allowed) = one.allowed() else { continue };
            if !allowed.is_empty() || std::mem::take(&mut is_first) {
                asked
                    .push(async move { (at, rules.judge(&one.user.name, allowed, || one.client(self)).await) }.boxed());
            }
        }
        stream::iter(asked).buffer_unordered(SIGN_INS).collect().await
    }

    /// Where no topic has ACLs, super users are told from others by an ACL of nobody's, which is there meanwhile.
    async fn ask_by_marker(&self, proved: &[Proved<'_>], told: &mut BTreeMap<usize, Told>) {
        let (principal, binding) = marker();
        let marker = [OwnedBinding { principal, binding }];
        let name = marker.iter().map(|one| one.binding.name.as_str()).collect::<String>();
        let made = self.admin.create_acls(&marker).await;
        if made.is_ok_and(|each| each.iter().all(Result::is_ok)) {
            let mut asked = Vec::new();
            for (at, one) in proved.iter().enumerate().filter(|(at, _)| told.get(at) == Some(&Told::Unclear)) {
                let (client, name) = (one.client(self), name.as_str());
                asked.push(async move { (at, by_marker(client, name).await) }.boxed());
            }
            let answers: Vec<(usize, Told)> = stream::iter(asked).buffer_unordered(SIGN_INS).collect().await;
            told.extend(answers);
        }
        // One that stays gives nothing to anybody.
        let _ = self.admin.delete_acls(&marker).await;
    }
}

async fn by_marker(client: Option<Admin>, topic: &str) -> Told {
    let Some(client) = client else { return Told::Unclear };
    let start = Instant::now();
    let told = loop {
        match may_alter(&client, topic).await {
            Some(false) => break Told::Open(Some(true)),
            Some(true) if start.elapsed() > MARKED => break Told::Super,
            None if start.elapsed() > MARKED => break Told::Unclear,
            Some(true) | None => tokio::time::sleep(PAUSE * 4).await,
        }
    };
    close(client);
    told
}

fn is_super(step: &Step, user: &str) -> Outcome {
    let said = format!("{user} {SUPER}: its password is not published");
    let told = Diagnostic::new(Kind::Service, said).on("kafka", &step.address, "DescribeCluster");
    Outcome::failed(told.hint(format!("{NO_SUPER}; then apply again")))
}
