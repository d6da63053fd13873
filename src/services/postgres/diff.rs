//! The steps that bring PostgreSQL where the specs want it: pure.

use super::edges::connect;
use super::model::{Access, Credential, Database, Grant, Op as Do, Role};
use super::shape::settle;
use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted, reconcile};
use crate::core::step::{Reason, Risk};
use crate::services::{Decision, DiffInput, Model, Op, Step, rotation, rotation_reason};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let view = View::of(input);
    let decisions = reconcile(&view.wanted, &view.observed, &view.applied);
    let mut steps: Vec<Step> = decisions.into_iter().filter_map(|decision| view.step(decision, input)).collect();
    steps.extend(view.rotations(input));
    connect(&mut steps);
    steps
}

/// The three sides, made comparable.
struct View {
    wanted: BTreeMap<Address, Wanted<Model>>,
    observed: BTreeMap<Address, Model>,
    applied: BTreeMap<Address, Applied<Model>>,
    /// Whose tables each database's readers shall be able to read.
    creators: BTreeMap<String, String>,
}

impl View {
    fn of(input: DiffInput<'_>) -> Self {
        let (mut wanted, mut applied) = (input.wanted.clone(), input.applied.clone());
        let mut observed = input.observation.models();
        for (address, wanted) in &mut wanted {
            let last = applied.get_mut(address).map(|last| &mut last.model);
            settle(Some(&mut wanted.model), observed.get_mut(address), last);
        }
        let last = applied.iter().map(|(address, last)| (address, &last.model));
        let next = wanted.iter().map(|(address, wanted)| (address, &wanted.model));
        let creators = super::scope::Scope::of(last.chain(next)).creators;
        Self { wanted, observed, applied, creators }
    }

    fn creator(&self, database: &str) -> String {
        self.creators.get(database).cloned().unwrap_or_default()
    }

    fn step(&self, decision: Decision, input: DiffInput<'_>) -> Option<Step> {
        let mut step = decision.step(Op::State);
        if step.action.only_state() {
            return Some(step);
        }
        match (step.before.clone(), step.after.clone()) {
            (before, Some(Model::PostgresRole(role))) => self.role(&mut step, before.as_ref(), &role),
            (Some(Model::PostgresRole(role)), None) => {
                step.op = Op::Postgres(Do::DropRole);
                step.risks.extend(role.login.then_some(Risk::RemovesLogin));
            }
            (before, Some(Model::PostgresDatabase(database))) => {
                self.database(&mut step, before.as_ref(), &database, input);
            }
            (Some(Model::PostgresDatabase(_)), None) => {
                step.op = Op::Postgres(Do::DropDatabase);
                step.risks.insert(Risk::LosesData);
                step.notes = losses(&step.address, input);
            }
            (before, Some(Model::PostgresGrant(grant))) => self.grant(&mut step, before.as_ref(), &grant),
            (Some(Model::PostgresGrant(grant)), None) => {
                let last = self.applied.get(&step.address).map(|last| &last.model);
                let was_app = matches!(last, Some(Model::PostgresGrant(last)) if last.access == Some(Access::App));
                let user = if was_app { grant.role } else { self.creator(&grant.database) };
                step.op = Op::Postgres(Do::RevokeGrant { user });
                step.risks.insert(Risk::Interrupts);
            }
            _ => return None,
        }
        Some(step)
    }

    fn role(&self, step: &mut Step, before: Option<&Model>, role: &Role) {
        let Some(Model::PostgresRole(before)) = before else {
            step.op = Op::Postgres(Do::CreateRole);
            step.sets_credential = role.credential == Some(Credential::Generate);
            if role.credential == Some(Credential::Keep) {
                step.notes
                    .push("it is created without a password: set one yourself (credential = \"keep\")".to_owned());
            }
            return;
        };
        step.op = Op::Postgres(Do::AlterRole);
        let loses_attributes = !before.attributes.is_subset(&role.attributes);
        if loses_attributes || (before.login && !role.login) {
            step.risks.insert(Risk::Interrupts);
        }
    }

    fn database(&self, step: &mut Step, before: Option<&Model>, database: &Database, input: DiffInput<'_>) {
        let Some(Model::PostgresDatabase(before)) = before else {
            step.op = Op::Postgres(Do::CreateDatabase);
            return;
        };
        step.op = Op::Postgres(Do::AlterDatabase { user: self.creator(&database.name) });
        // Nobody can use what our own unfinished run left behind, so nobody is interrupted.
        let unfinished = fact(&step.address, "connection_limit", input) == Some(0);
        let takes_from_public = !before.public.is_subset(&database.public) && !unfinished;
        if before.owner != database.owner || (takes_from_public && step.reasons.contains(&Reason::NotOursYet)) {
            step.risks.insert(Risk::Interrupts);
        }
    }

    fn grant(&self, step: &mut Step, before: Option<&Model>, grant: &Grant) {
        step.op = Op::Postgres(Do::SetGrant { user: self.creator(&grant.database) });
        let none = BTreeSet::new();
        let before = if let Some(Model::PostgresGrant(before)) = before { Some(before) } else { None };
        let pairs = [
            (before.map(|before| &before.database_privileges), Some(&grant.database_privileges)),
            (before.and_then(|before| before.schema_privileges.as_ref()), grant.schema_privileges.as_ref()),
            (before.and_then(|before| before.future_tables.as_ref()), grant.future_tables.as_ref()),
            (before.and_then(|before| before.future_sequences.as_ref()), grant.future_sequences.as_ref()),
        ];
        for (had, gets) in pairs {
            let (had, gets) = (had.unwrap_or(&none), gets.unwrap_or(&none));
            if !had.is_subset(gets) {
                step.risks.insert(Risk::Interrupts);
            }
            if !gets.is_subset(had) && grant.access != Some(Access::App) {
                step.risks.insert(Risk::WidensAccess);
            }
        }
    }

    /// New passwords for logins that exist.
    fn rotations(&self, input: DiffInput<'_>) -> Vec<Step> {
        let rotation = |(address, wanted): (&Address, &Wanted<Model>)| {
            let Model::PostgresRole(role) = &wanted.model else { return None };
            if role.credential != Some(Credential::Generate) {
                return None;
            }
            let there = self.observed.get(address)?;
            let status = input.observation.resources.get(address)?.credential;
            let reason = rotation_reason(status, input.rotate.contains(&wanted.app))?;
            Some(rotation(address, wanted, there, reason, Op::Postgres(Do::SetPassword)))
        };
        self.wanted.iter().filter_map(rotation).collect()
    }
}

fn fact(address: &Address, name: &str, input: DiffInput<'_>) -> Option<i64> {
    input.observation.resources.get(address)?.facts.get(name).and_then(Value::as_i64)
}

/// What a drop would lose.
fn losses(address: &Address, input: DiffInput<'_>) -> Vec<String> {
    let sessions = fact(address, "sessions", input).map(|count| match count {
        1 => "1 session".to_owned(),
        _ => format!("{count} sessions"),
    });
    let parts: Vec<String> = fact(address, "size_bytes", input).map(megabytes).into_iter().chain(sessions).collect();
    let mut notes = Vec::new();
    if !parts.is_empty() {
        notes.push(format!("holds {}", parts.join(", ")));
    }
    notes.push("it is dumped into snapshots first".to_owned());
    notes
}

fn megabytes(bytes: i64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::graph::sort;
    use crate::core::name::AppName;
    use crate::services::postgres::desired::grant;
    use crate::services::postgres::model::{database_address, grant_address, role_address};
    use crate::services::{CredentialStatus, Observation, Observed};

    fn name() -> AppName {
        AppName::new("cafe").unwrap()
    }

    fn role(name: &str, credential: Credential) -> (Address, Model) {
        let role = Role {
            name: name.to_owned(),
            login: credential != Credential::None,
            connection_limit: None,
            attributes: BTreeSet::new(),
            settings: BTreeMap::new(),
            credential: Some(credential),
        };
        (role_address(name), Model::PostgresRole(role))
    }

    fn cafe() -> BTreeMap<Address, Model> {
        let database = Database {
            name: "cafe".to_owned(),
            owner: "cafe_owner".to_owned(),
            public: BTreeSet::new(),
            extensions: Some(BTreeSet::new()),
        };
        BTreeMap::from([
            role("a_cafe_user", Credential::Generate),
            role("cafe_owner", Credential::None),
            (database_address("cafe"), Model::PostgresDatabase(database)),
            (grant_address("cafe", "a_cafe_user"), Model::PostgresGrant(grant("cafe", "a_cafe_user", Access::App))),
        ])
    }

    fn plan(
        wanted: &BTreeMap<Address, Model>,
        there: &BTreeMap<Address, Model>,
        applied: &BTreeMap<Address, Model>,
        credential: Option<CredentialStatus>,
    ) -> Vec<String> {
        let of = |(address, model): (&Address, &Model)| (address.clone(), model.clone());
        let wanted = wanted.iter().map(of).map(|(address, model)| (address, Wanted { app: name(), model })).collect();
        let applied =
            applied.iter().map(of).map(|(address, model)| (address, Applied { app: name(), model })).collect();
        let read = |(address, model)| (address, Observed { credential, ..Observed::plain(model) });
        let resources = there.iter().map(of).map(read).collect();
        let input = DiffInput {
            wanted: &wanted,
            applied: &applied,
            observation: &Observation { resources, ..Observation::default() },
            rotate: &BTreeSet::new(),
            credentials: &BTreeMap::new(),
        };
        sort(diff(input)).unwrap().iter().map(|step| format!("{} {}", step.action, step.id())).collect()
    }

    #[test]
    fn owner_then_database_then_user_then_grant_and_back() {
        let nothing = BTreeMap::new();
        let cafe = cafe();
        assert_eq!(
            plan(&cafe, &nothing, &nothing, None),
            [
                "create postgres.role.cafe_owner",
                "create postgres.database.cafe",
                "create postgres.role.a_cafe_user",
                "create postgres.grant.cafe/a_cafe_user"
            ]
        );
        assert_eq!(
            plan(&nothing, &cafe, &cafe, None),
            [
                "destroy postgres.grant.cafe/a_cafe_user",
                "destroy postgres.database.cafe",
                "destroy postgres.role.a_cafe_user",
                "destroy postgres.role.cafe_owner"
            ]
        );
        assert_eq!(plan(&cafe, &cafe, &cafe, Some(CredentialStatus::Verified)), Vec::<String>::new());
    }

    #[test]
    fn a_password_that_does_not_sign_in_is_rotated_and_a_kept_one_never() {
        let mut cafe = cafe();
        let wrong = Some(CredentialStatus::Wrong);
        assert_eq!(plan(&cafe, &cafe, &cafe, wrong), ["rotate postgres.role.a_cafe_user (credential)"]);
        cafe.extend([role("a_cafe_user", Credential::Keep)]);
        assert_eq!(plan(&cafe, &cafe, &cafe, wrong), Vec::<String>::new());
    }

    #[test]
    fn undeclared_extensions_and_limits_of_kept_roles_are_left_alone() {
        let mut cafe = cafe();
        cafe.extend([role("a_cafe_user", Credential::Keep)]);
        let mut there = cafe.clone();
        for model in there.values_mut() {
            if let Model::PostgresDatabase(database) = model {
                database.extensions = Some(BTreeSet::from(["vector".to_owned()]));
            }
            if let Model::PostgresRole(role) = model {
                role.connection_limit = if role.login { Some(3) } else { None };
                role.attributes.extend(role.login.then(|| "CREATEDB".to_owned()));
                role.settings.extend(role.login.then(|| ("work_mem".to_owned(), "1MB".to_owned())));
            }
        }
        assert_eq!(plan(&cafe, &there, &cafe, None), Vec::<String>::new());
    }
}
