//! Whether apps are let in as they were told to: a published URL names a login and a database that may have other names now.

use super::workspace::Workspace;
use crate::core::address::Address;
use crate::core::change::{Cause, FieldChange};
use crate::core::name::AppName;
use crate::core::reconcile::Applied;
use crate::error::Result;
use crate::render::drift::DriftItem;
use crate::services::postgres::model::{database_address, grant_address, role_address};
use crate::services::{Model, ServiceId, SignInAs};
use serde_json::Value;
use std::collections::BTreeMap;

/// Signs in with every URL of PostgreSQL that was published, but where what it names is known to have drifted, or is to
/// let nobody in. Adds what is refused.
///
/// # Errors
/// The sink cannot be read.
pub async fn add_refused(
    workspace: &Workspace,
    applied: &BTreeMap<Address, Applied<Model>>,
    is_told: impl Fn(&Address) -> bool,
    items: &mut BTreeMap<Address, DriftItem>,
) -> Result<()> {
    let Some(postgres) = workspace.services.get(&ServiceId::Postgres) else { return Ok(()) };
    let (mut urls, mut sign_ins): (Vec<(&Address, &AppName, String)>, Vec<SignInAs>) = (Vec::new(), Vec::new());
    for (address, last) in applied {
        let Some(published) = last.model.as_secret() else { continue };
        for (name, one) in workspace.vault.sign_ins(&last.app, published)? {
            let SignInAs { user, database, .. } = &one;
            let named = [role_address(user), database_address(database), grant_address(database, user)];
            let named_database = applied.get(&database_address(database)).map(|one| &one.model);
            let is_closed = matches!(named_database, Some(Model::PostgresDatabase(one)) if !one.allow_connections);
            if !is_closed && !named.iter().any(&is_told) {
                urls.push((address, &last.app, name));
                sign_ins.push(one);
            }
        }
    }
    let refusals = postgres.refusals(&sign_ins).await?;
    let mut refused: BTreeMap<(&Address, &AppName), Vec<String>> = BTreeMap::new();
    for ((address, app, name), why) in urls.into_iter().zip(refusals) {
        if let Some(why) = why {
            refused.entry((address, app)).or_default().push(format!("not by {name}: {why}"));
        }
    }
    for ((address, app), whys) in refused {
        let item = items.entry(address.clone()).or_insert_with(|| DriftItem {
            address: address.clone(),
            app: app.clone(),
            changes: Vec::new(),
            gone: false,
        });
        item.changes.push(FieldChange {
            field: "credential".to_owned(),
            before: Value::from("signs in with what is published"),
            after: Value::from(whys.join("; ")),
            cause: Cause::Drifted,
        });
    }
    Ok(())
}
