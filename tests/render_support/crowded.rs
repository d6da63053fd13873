//! Plans that have more to say than fits into one line.

use super::pieces::{create, database, grant, plan, role, step};
use nornplan::core::step::{Action, Hold, Reason, Risk, StepId};
use nornplan::error::{Diagnostic, Kind};
use nornplan::render::outcome::Report;
use nornplan::services::postgres::model::{Access, database_address, grant_address, role_address};
use nornplan::services::{Outcome, Plan, Step};
use std::collections::BTreeSet;
use std::time::Duration;

/// A role that goes with what it may do, and more databases than one line names.
pub fn many_held() -> Plan {
    let (login, held) = (role_address("quarterly_report_user"), |step: &mut Step, hold| {
        step.hold = Some(hold);
        step.risks.insert(Risk::Interrupts);
    });
    let mut revoke = step(
        "report",
        Action::Destroy,
        grant_address("warehouse_of_all_orders", &login.name),
        Some(grant("warehouse_of_all_orders", &login.name, Access::Readonly)),
        None,
    );
    revoke.reasons = BTreeSet::from([Reason::NoLongerDeclared]);
    revoke.risks.insert(Risk::RemovesLogin);
    revoke.part_of = Some(login.clone());
    held(&mut revoke, Hold::Destroy);
    let mut drop = step("report", Action::Destroy, login, Some(role("quarterly_report_user", true, None)), None);
    drop.reasons = BTreeSet::from([Reason::NoLongerDeclared]);
    drop.risks.insert(Risk::RemovesLogin);
    drop.needs.insert(revoke.id());
    drop.hold = Some(Hold::Destroy);
    let mut steps = vec![revoke, drop];
    for name in ["orders", "parcels", "returns", "suppliers"] {
        let (before, after) = (database(name, "postgres", &[]), database(name, "shop_owner", &[]));
        let mut adopted = step("shop", Action::Update, database_address(name), Some(before), Some(after));
        adopted.reasons = BTreeSet::from([Reason::NotOursYet]);
        held(&mut adopted, Hold::Interrupt);
        steps.push(adopted);
    }
    plan(steps)
}

/// Nothing could be read, and there is nothing else to tell.
pub fn nothing_read() -> Plan {
    let mut plan = plan(vec![]);
    plan.incomplete = vec![
        "postgres: db.internal:5432 as nornplan in the database postgres: password authentication failed for user \
         \"nornplan\"\n  help: set NORNPLAN_POSTGRES_PASSWORD to the administrator's password, or let him in by a line \
         in pg_hba.conf, and reload it"
            .into(),
    ];
    plan.declared = 0;
    plan
}

/// An apply that failed with a long statement, a long answer and a long hint.
pub fn failed_at_length() -> Report {
    let plan = plan(vec![create("shop", role_address("shop_owner"), role("shop_owner", false, None))]);
    let statement = "GRANT \"shop_owner_of_all_that_is_sold\" TO \"administrator_of_the_shared_server\" WITH ADMIN \
        OPTION, INHERIT TRUE, SET TRUE";
    let error = Diagnostic::new(
        Kind::Service,
        "permission denied to grant role \"shop_owner_of_all_that_is_sold\": only roles with the ADMIN option on it may",
    )
    .on("postgres", "postgres.role.shop_owner", statement)
    .hint("as a superuser run the statement above once, then apply again with --allow-interrupt postgres.role.shop_owner; what was done until now is recorded and stays");
    let failed = Outcome::failed(error);
    Report::new(&plan, [(StepId::main(role_address("shop_owner")), failed)], Duration::from_secs(1))
}
