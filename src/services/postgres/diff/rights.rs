//! Which right the role that nornplan signs in with lacks for a step, and the statement that gives it. Pure.
//!
//! What an administrator that is no superuser may do differs between 15 and 16: measured on both.

use crate::core::address::Address;
use crate::services::postgres::model::{DATABASE, Database, GRANT, Op as Do, owner_of_public};
use crate::services::postgres::server::{Server, Standing};
use crate::services::{Model, Op, Step};
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;

/// Why a step cannot be carried out with our rights, and what a superuser can do about it; `None` if it can be.
///
/// Roles that the same plan creates are ours to administer.
pub fn missing(step: &Step, server: &Server) -> Option<String> {
    let rights = Rights(server);
    if server.admin.superuser || server.admin.name.is_empty() {
        return None;
    }
    let Op::Postgres(operation) = &step.op else { return None };
    match (operation, &step.before, &step.after) {
        (Do::CreateRole, _, Some(Model::PostgresRole(_))) => rights.create_roles(),
        (Do::AlterRole | Do::SetPassword, _, Some(Model::PostgresRole(role)))
        | (Do::DropRole, Some(Model::PostgresRole(role)), _) => rights.change_role(&role.name),
        (Do::CreateDatabase, _, Some(Model::PostgresDatabase(database))) => {
            rights.create_databases().or_else(|| rights.act_for(&database.owner, &database.name))
        }
        (
            Do::AlterDatabase { user, .. },
            Some(Model::PostgresDatabase(before)),
            Some(Model::PostgresDatabase(after)),
        ) => {
            let moves = before.owner != after.owner;
            let name = &after.name;
            rights
                .act_for(&before.owner, name)
                .or_else(|| if moves { rights.create_databases() } else { None })
                .or_else(|| rights.act_for(&after.owner, name))
                .or_else(|| rights.act_for(owner_of_public(before.strays_inside.as_ref()?)?, name))
                .or_else(|| rights.adopt(before, after, user))
        }
        (Do::RenameDatabase { .. }, Some(Model::PostgresDatabase(database)), _) => {
            rights.create_databases().or_else(|| rights.act_for(&database.owner, &database.name))
        }
        (Do::RenameRole { .. }, Some(Model::PostgresRole(role)), _) => rights.change_role(&role.name),
        (Do::DropDatabase, Some(Model::PostgresDatabase(database)), _) => {
            rights.act_for(&database.owner, &database.name)
        }
        (Do::SetGrant | Do::RevokeGrant, before, after) => {
            let grant = after
                .iter()
                .chain(before)
                .find_map(|model| if let Model::PostgresGrant(grant) = model { Some(grant) } else { None })?;
            rights.act_for(server.owners.get(&grant.database)?, &grant.database)
        }
        _ => None,
    }
}

/// What exists and our rights do not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// Roles that others made, on which ADMIN OPTION is missing.
    pub roles: BTreeSet<String>,
    /// Databases that belong to a superuser.
    pub of_superusers: BTreeSet<String>,
    /// Roles that only a superuser may change.
    pub superusers: BTreeSet<String>,
}

/// The same as `missing` for whatever step may come: of some roles, and of the databases whose owners are known.
pub fn beyond(server: &Server, roles: &BTreeSet<String>) -> Beyond {
    let rights = Rights(server);
    let mut beyond = Beyond::default();
    for (role, standing) in server.roles.iter().filter(|(role, _)| roles.contains(*role)) {
        if rights.needs_superuser(*standing) {
            beyond.superusers.insert(role.clone());
        } else if rights.administer(role, *standing).is_some() {
            beyond.roles.insert(role.clone());
        }
    }
    for (database, owner) in &server.owners {
        let of_superuser = server.roles.get(owner).is_some_and(|standing| standing.superuser);
        if rights.cannot_act_for(owner).is_some() {
            if of_superuser {
                beyond.of_superusers.insert(database.clone());
            } else if server.admin_option_counts() {
                beyond.roles.insert(owner.clone());
            }
        }
    }
    beyond
}

/// Why nothing is done to a database that does not let us in, nor to what roles may do in it: what is there is unknown.
pub fn entry(address: &Address, server: &Server) -> Option<String> {
    let is_in = |database: &str| match &address.kind {
        kind if *kind == DATABASE => address.name == database,
        kind if *kind == GRANT => address.name.strip_prefix(database).is_some_and(|rest| rest.starts_with('/')),
        _ => false,
    };
    server.closed_to_us.iter().find(|(database, _)| is_in(database)).map(|(_, why)| why.clone())
}

struct Rights<'a>(&'a Server);

impl Rights<'_> {
    fn admin(&self) -> &str {
        &self.0.admin.name
    }

    fn to_admin(&self) -> String {
        escape_identifier(self.admin())
    }

    fn create_roles(&self) -> Option<String> {
        (!self.0.admin.createrole).then(|| {
            format!(
                "{} may not make or change roles: a superuser gives it that by ALTER ROLE {} CREATEROLE",
                self.admin(),
                self.to_admin()
            )
        })
    }

    fn create_databases(&self) -> Option<String> {
        (!self.0.admin.createdb).then(|| {
            format!(
                "{} may not make databases or give them to others: a superuser allows it by ALTER ROLE {} CREATEDB",
                self.admin(),
                self.to_admin()
            )
        })
    }

    fn change_role(&self, role: &str) -> Option<String> {
        let standing = self.0.roles.get(role)?;
        if self.needs_superuser(*standing) {
            return Some(format!(
                "only a superuser may change {role}, which is a superuser or has REPLICATION or BYPASSRLS: sign in as \
                 one, or take that from it"
            ));
        }
        self.create_roles().or_else(|| self.administer(role, *standing))
    }

    fn needs_superuser(&self, standing: Standing) -> bool {
        standing.superuser || (standing.privileged && !self.0.admin_option_counts())
    }

    fn administer(&self, role: &str, standing: Standing) -> Option<String> {
        (self.0.admin_option_counts() && !standing.admin_option).then(|| {
            format!(
                "{} was made by another role, and {} may not change it: a superuser allows it by GRANT {} TO {} WITH \
                 ADMIN OPTION",
                role,
                self.admin(),
                escape_identifier(role),
                self.to_admin()
            )
        })
    }

    /// Why a database of a role is not changed by us.
    fn act_for(&self, role: &str, database: &str) -> Option<String> {
        let (admin, to_admin) = (self.admin(), self.to_admin());
        let standing = self.cannot_act_for(role)?;
        Some(if standing.superuser {
            format!(
                "it belongs to {role}, a superuser, for whom {admin} cannot act: let a superuser give it to another role \
                 by ALTER DATABASE {} OWNER TO {to_admin}",
                escape_identifier(database)
            )
        } else {
            format!("it belongs to {role}, for whom {admin} cannot act: {}", self.joining(role))
        })
    }

    /// Why objects of others in a database are not made the app's by us.
    fn adopt(&self, before: &Database, after: &Database, user: &str) -> Option<String> {
        after.objects_of_others.as_ref()?;
        let (admin, database) = (self.admin(), &after.name);
        before.objects_of_others.iter().flatten().find_map(|(owner, _)| {
            let standing = self.cannot_act_for(owner)?;
            Some(if standing.superuser {
                format!(
                    "{owner}, a superuser, for whom {admin} cannot act, owns objects in it: sign in as a superuser for \
                     this apply, or let one run in the database {database}, for each of them: ALTER TABLE .. OWNER TO {} \
                     (or VIEW, SEQUENCE, FUNCTION, as it is)",
                    escape_identifier(user)
                )
            } else {
                format!("{owner}, for whom {admin} cannot act, owns objects in it: {}", self.joining(owner))
            })
        })
    }

    fn joining(&self, role: &str) -> String {
        let also = if self.0.admin_option_counts() { " WITH ADMIN OPTION" } else { "" };
        format!("a superuser allows it by GRANT {} TO {}{also}", escape_identifier(role), self.to_admin())
    }

    /// What belongs to a role is changed as a member of it, and we join roles where we may. How a role stands to us that
    /// we cannot join.
    fn cannot_act_for(&self, role: &str) -> Option<Standing> {
        let standing = self.0.roles.get(role)?;
        let joins = if self.0.admin_option_counts() {
            standing.admin_option
        } else {
            self.0.admin.createrole && !standing.superuser
        };
        (!standing.member && !joins).then_some(*standing)
    }
}
