//! What lies in a database that nobody looked into is not compared, so it is not applied either: the state keeps what was
//! last applied of it, which may be that it is unknown.

use crate::services::{
    Model,
    postgres::model::{Database, Grant},
};

/// Leaves out of what is wanted what could not be compared.
pub fn leave(wanted: &mut Model, there: Option<&Model>, last: Option<&Model>) {
    match (wanted, there) {
        (Model::PostgresDatabase(wanted), Some(Model::PostgresDatabase(there))) => {
            let last = if let Some(Model::PostgresDatabase(last)) = last { Some(last) } else { None };
            leave_inside(wanted, there, last);
        }
        (Model::PostgresGrant(wanted), Some(Model::PostgresGrant(there))) => {
            let last = if let Some(Model::PostgresGrant(last)) = last { Some(last) } else { None };
            leave_privileges(wanted, there, last);
        }
        _ => {}
    }
}

fn leave_inside(wanted: &mut Database, there: &Database, last: Option<&Database>) {
    let lets_in = there.allow_connections && there.connection_limit != Some(0) && !there.invalid;
    if !lets_in || there.extensions.is_some() {
        return;
    }
    wanted.extensions = last.and_then(|last| last.extensions.clone());
    wanted.strays_inside = last.and_then(|last| last.strays_inside.clone());
    wanted.objects_of_others = last.and_then(|last| last.objects_of_others.clone());
}

/// A grant that is changed on the database is made as declared inside as well, and then looked at.
fn leave_privileges(wanted: &mut Grant, there: &Grant, last: Option<&Grant>) {
    if there.beyond.is_some() || wanted.database_privileges != there.database_privileges {
        return;
    }
    if let Some(last) = last {
        (wanted.access, wanted.makers) = (last.access, last.makers.clone());
    }
    let last = last.cloned().unwrap_or_default();
    wanted.schema_privileges = last.schema_privileges;
    wanted.future_schemas = last.future_schemas;
    wanted.future_tables = last.future_tables;
    wanted.future_sequences = last.future_sequences;
    wanted.present_objects = last.present_objects;
    wanted.beyond = last.beyond;
}
