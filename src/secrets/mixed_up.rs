//! Files that stand in the place of one another: their passwords are known as another app's. Pure.

use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::services::{Ask, ServiceId};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Says of each app that is asked about whose password is published for it, if that is another's.
pub fn notices(asks: &BTreeMap<ServiceId, Ask>, document: &Document) -> Vec<Notice> {
    let mut owners: BTreeMap<(ServiceId, &str), &AppName> = BTreeMap::new();
    for (address, entry) in &document.resources {
        if let (Some(id), Some(fingerprint)) = (ServiceId::of(address), &entry.fingerprint) {
            owners.insert((id, &fingerprint.password), &entry.app);
        }
    }
    let mut mixed_up: BTreeMap<(&AppName, &AppName), BTreeSet<&str>> = BTreeMap::new();
    for (id, ask) in asks {
        for (address, proof) in &ask.proofs {
            let wanted = ask.wanted.get(address).map(|one| &one.app);
            let app = wanted.or_else(|| ask.applied.get(address).map(|one| &one.app));
            // A login that takes the password of its app has another name there.
            let published = proof.published.as_ref().filter(|_| proof.names_another).map(|one| one.sha256());
            let owner = published.and_then(|published| owners.get(&(*id, published.as_str())).copied());
            if let (Some(app), Some(owner)) = (app, owner)
                && app != owner
            {
                mixed_up.entry((app, owner)).or_default().insert(id.title());
            }
        }
    }
    let notice = |((app, owner), services): ((&AppName, &AppName), BTreeSet<&str>)| Notice {
        level: Level::Warning,
        about: "secrets".to_owned(),
        text: format!(
            "what is published for {app} looks like what belongs to {owner}: it has its password on {}. Put the file of each \
             in its place again, and plan anew; until then the passwords in it are left alone, unless you consent to new ones",
            services.into_iter().collect::<Vec<_>>().join(", ")
        ),
    };
    mixed_up.into_iter().map(notice).collect()
}
