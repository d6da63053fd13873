//! What a look at a Redpanda through its Admin API shows, and what is told of it in a plan and by `doctor`.

use super::AdminApi;
use super::facts::ClusterFacts;
use crate::core::plan::{Level, Notice};
use crate::error::Result;
use crate::services::Check;
use std::collections::{BTreeMap, BTreeSet};

/// How to close it.
const CLOSE: &str = "rpk cluster config set admin_api_require_auth true, after superusers has a user with a password";

/// What was found out.
pub struct Look {
    place: String,
    shows_passwords: bool,
    /// Whether it lets everybody in; `None` if that could not be found out.
    open: Option<bool>,
    pub facts: Result<ClusterFacts>,
    pub version: Option<String>,
    /// Roles of the users that were asked for.
    roles: Result<BTreeMap<String, BTreeSet<String>>>,
    /// Of the users that were asked for, those above all ACLs.
    superusers: Vec<String>,
}

impl AdminApi {
    /// Looks at what concerns these users.
    pub async fn look(&self, users: &BTreeSet<&str>) -> Look {
        let facts = async { (self.facts().await, self.version().await.ok().flatten(), self.roles_of(users).await) };
        let ((facts, version, roles), open) = tokio::join!(facts, self.is_open());
        let above = facts.as_ref().ok().and_then(|facts| facts.superusers.as_ref());
        let superusers = above.into_iter().flatten().filter(|name| users.contains(name.as_str())).cloned().collect();
        Look { place: self.place(), shows_passwords: self.shows_passwords(), open, facts, version, roles, superusers }
    }
}

impl Look {
    /// Whether ACLs are checked, as far as that is known.
    pub fn authorization(&self) -> Option<bool> {
        self.facts.as_ref().ok().and_then(|facts| facts.authorization)
    }

    /// Everything that is wrong or not known: how loud, what, and what to do.
    fn findings(&self) -> Vec<(Level, String, &'static str)> {
        let Self { place, .. } = self;
        let mut found = Vec::new();
        if self.open == Some(true) {
            let text = format!(
                "the Admin API at {place} is open: whoever reaches it is a superuser there, and may make users, change \
                 any password and read every topic"
            );
            found.push((Level::Alarm, text, CLOSE));
        }
        for user in &self.superusers {
            let text = format!("user {user} is one of Redpanda's superusers: no ACL holds it back");
            found.push((Level::Alarm, text, "take it out of superusers (rpk cluster config set superusers)"));
        }
        match self.facts.as_ref().map(|facts| facts.authorization) {
            Ok(Some(true)) => {}
            Ok(Some(false)) => {
                let text = "Redpanda does not check ACLs: every user may do everything".to_owned();
                found.push((Level::Alarm, text, "rpk cluster config set kafka_enable_authorization true"));
            }
            Ok(None) => found.push((Level::Warning, unknown("it does not tell"), "see kafka_enable_authorization")),
            Err(error) => found.push((
                Level::Warning,
                unknown(&error.message),
                "nornplan needs to be one of Redpanda's superusers at the Admin API: kafka.admin_user",
            )),
        }
        match &self.roles {
            Ok(roles) => found.extend(roles.iter().map(|(user, roles)| {
                let roles = roles.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let text = format!("user {user} has more rights than its ACLs show, by Redpanda's roles: {roles}");
                (Level::Warning, text, "take it out of them (rpk security role unassign)")
            })),
            // That nothing can be read was said already.
            Err(_) if self.facts.is_err() => {}
            Err(error) => {
                let text = format!("Redpanda's roles cannot be read: {}", error.message);
                found.push((Level::Warning, text, "users may have more rights than their ACLs show"));
            }
        }
        if self.shows_passwords {
            let text =
                format!("the Admin API at {place} is reached without TLS: passwords cross the network as they are");
            found.push((Level::Warning, text, "give Redpanda admin_api_tls, and write https:// in kafka.admin_url"));
        }
        found
    }

    /// For a plan.
    pub fn notices(&self) -> Vec<Notice> {
        let notice =
            |(level, text, hint)| Notice { level, about: "kafka".to_owned(), text: format!("{text} ({hint})") };
        self.findings().into_iter().map(notice).collect()
    }

    /// For `doctor`.
    pub fn checks(&self, user: &str) -> Vec<Check> {
        let mut checks = Vec::new();
        let place = &self.place;
        match (&self.facts, self.open) {
            (Ok(_), Some(false)) => {
                checks.push(Check::good(format!("the Admin API at {place} lets {user} in as a superuser")));
            }
            // Where everybody is one, that says nothing about our own sign-in.
            (Ok(_), Some(true) | None) => checks.push(Check::good(format!("the Admin API at {place} answers"))),
            (Err(error), _) => checks.push(Check::failed(error)),
        }
        if self.authorization() == Some(true) {
            checks.push(Check::good("authorization is on: ACLs isolate apps"));
        }
        checks.extend(self.findings().into_iter().map(|(level, text, hint)| match level {
            Level::Alarm => Check::bad(text, hint),
            Level::Warning | Level::Note => Check::warning(text, hint),
        }));
        checks
    }
}

fn unknown(why: &str) -> String {
    format!("whether Redpanda checks ACLs is not known, nor which roles users have: {why}")
}

/// What is not known of a Redpanda whose Admin API is not named.
pub fn without_admin_api() -> (String, &'static str) {
    (unknown("only its Admin API tells"), "set kafka.admin_url")
}

#[cfg(test)]
mod tests {
    use super::Look;
    use crate::core::plan::Level;
    use crate::error::{Diagnostic, Kind};
    use crate::services::Verdict;
    use crate::services::kafka::redpanda::facts::ClusterFacts;
    use std::collections::{BTreeMap, BTreeSet};

    fn look() -> Look {
        Look {
            place: "https://rp:9644".to_owned(),
            shows_passwords: false,
            open: Some(false),
            facts: Ok(ClusterFacts { authorization: Some(true), ..ClusterFacts::default() }),
            version: None,
            roles: Ok(BTreeMap::new()),
            superusers: Vec::new(),
        }
    }

    fn told(look: &Look) -> Vec<(Level, String)> {
        look.notices().into_iter().map(|notice| (notice.level, notice.text)).collect()
    }

    #[test]
    fn a_closed_one_with_authorization_is_quiet() {
        assert_eq!(told(&look()), Vec::new());
        assert!(look().checks("norn").iter().all(|check| check.verdict == Verdict::Good));
    }

    #[test]
    fn every_hole_is_told() {
        let facts = |authorization| Ok(ClusterFacts { authorization, ..ClusterFacts::default() });
        let roles = BTreeMap::from([("shop".to_owned(), BTreeSet::from(["ops".to_owned()]))]);
        let no = || Err(Diagnostic::new(Kind::Service, "no superuser"));
        for (look, level, text) in [
            (Look { open: Some(true), ..look() }, Level::Alarm, "is open"),
            (Look { superusers: vec!["shop".to_owned()], ..look() }, Level::Alarm, "user shop is one of"),
            (Look { facts: facts(Some(false)), ..look() }, Level::Alarm, "does not check ACLs"),
            (Look { facts: facts(None), ..look() }, Level::Warning, "is not known"),
            (
                Look { facts: no(), roles: Err(Diagnostic::new(Kind::Service, "x")), ..look() },
                Level::Warning,
                "no superuser",
            ),
            (Look { roles: Ok(roles), ..look() }, Level::Warning, "by Redpanda's roles: ops"),
            (Look { shows_passwords: true, ..look() }, Level::Warning, "without TLS"),
        ] {
            let told = told(&look);
            assert!(matches!(told.as_slice(), [(one, said)] if *one == level && said.contains(text)), "{told:?}");
            let verdict = if level == Level::Alarm { Verdict::Bad } else { Verdict::Warning };
            assert!(look.checks("norn").iter().any(|check| check.verdict == verdict && check.what.contains(text)));
        }
        let unread = Look { facts: no(), ..look() };
        assert!(unread.checks("norn").iter().any(|check| check.verdict == Verdict::Bad));
    }
}
