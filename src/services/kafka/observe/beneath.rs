//! What is under prefixes already that apps are given. Read only when such an ACL comes new.

use super::acls::EveryAcl;
use crate::services::Ask;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::model::{acl_address, topic_address};
use crate::services::kafka::server::Beneath;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Topics of which nobody says anything, by new prefix; or why they could not be read.
pub async fn look(admin: &Arc<Admin>, ask: &Ask, acls: &EveryAcl) -> (BTreeMap<String, Beneath>, Option<String>) {
    let prefixes = new_prefixes(ask, acls);
    if prefixes.is_empty() {
        return (BTreeMap::new(), None);
    }
    match admin.all_topics().await {
        Ok(topics) => (nobodys(ask, &prefixes, &topics.into_keys().collect()), None),
        Err(trouble) => (BTreeMap::new(), Some(trouble.message)),
    }
}

/// Prefixes of topics that are wanted, and neither there nor given before.
fn new_prefixes<'a>(ask: &'a Ask, acls: &EveryAcl) -> BTreeSet<&'a str> {
    let wanted = ask.wanted.values().filter_map(|wanted| wanted.model.as_kafka_acl());
    let new = wanted.flat_map(|acl| {
        let there = acls.managed.by_principal.get(&acl.principal);
        let last = ask.applied.get(&acl_address(&acl.principal)).and_then(|last| last.model.as_kafka_acl());
        let of_topics = acl.bindings.iter().filter(|one| one.allow && one.prefixed && one.resource == "topic");
        of_topics.filter(move |one| ![there, last].into_iter().flatten().any(|known| known.bindings.contains(one)))
    });
    new.map(|one| one.name.as_str()).collect()
}

/// The topics under each prefix that no infraspec declares and no app has left.
fn nobodys(ask: &Ask, prefixes: &BTreeSet<&str>, topics: &BTreeSet<String>) -> BTreeMap<String, Beneath> {
    let is_nobodys = |name: &&String| {
        let address = topic_address(name);
        !ask.wanted.contains_key(&address) && !ask.applied.contains_key(&address)
    };
    let under = prefixes.iter().map(|prefix| {
        let from = (Bound::Included(*prefix), Bound::Unbounded);
        let there = topics.range::<str, _>(from).take_while(|name| name.starts_with(prefix));
        ((*prefix).to_owned(), Beneath::of(there.filter(is_nobodys)))
    });
    under.filter(|(_, beneath)| beneath.count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::AppName;
    use crate::core::reconcile::{Applied, Wanted};
    use crate::services::Model;
    use crate::services::kafka::model::{Acl, Binding, Topic};

    #[test]
    fn only_what_nobody_has_under_prefixes_that_are_new_counts() {
        let app = AppName::new("corp").unwrap();
        let prefix = |name: &str| Binding::allow("topic", name, true, "read");
        let acl = |names: &[&str]| {
            let bindings = names.iter().map(|name| prefix(name)).collect();
            Acl { principal: "corp".to_owned(), bindings }
        };
        let topic = |name: &str| Model::KafkaTopic(Topic { name: name.to_owned(), ..Topic::default() });
        let mut ask = Ask::default();
        let wanted = |model| Wanted { app: app.clone(), model };
        ask.wanted.insert(acl_address("corp"), wanted(Model::KafkaAcl(acl(&["corp.", "there.", "given."]))));
        ask.wanted.insert(topic_address("corp.own"), wanted(topic("corp.own")));
        let applied = |model| Applied { app: app.clone(), model };
        ask.applied.insert(acl_address("corp"), applied(Model::KafkaAcl(acl(&["given."]))));
        ask.applied.insert(topic_address("corp.left"), applied(topic("corp.left")));
        let mut acls = EveryAcl::default();
        acls.managed.by_principal.insert("corp".to_owned(), acl(&["there."]));
        let prefixes = new_prefixes(&ask, &acls);
        assert_eq!(prefixes, BTreeSet::from(["corp."]));
        let topics: BTreeSet<String> =
            ["corp.left", "corp.own", "corp.payroll", "corp", "corpse", "there.x"].map(str::to_owned).into();
        let found = nobodys(&ask, &prefixes, &topics);
        assert_eq!(
            found,
            BTreeMap::from([("corp.".to_owned(), Beneath::of(["corp.payroll"].map(str::to_owned).iter()))])
        );
        assert_eq!(nobodys(&ask, &prefixes, &BTreeSet::new()), BTreeMap::new());
    }
}
