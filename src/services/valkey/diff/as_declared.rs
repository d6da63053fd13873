//! Whether the users of a saved plan get what is told of them: rules are told by what the infraspecs say, and what that
//! means depends on the server. Pure.

use super::words::Teller;
use crate::core::address::Address;
use crate::core::step::Hold;
use crate::services::valkey::model::Op as UserOp;
use crate::services::valkey::presets::{Expansion, Server};
use crate::services::{Model, Op, Step};
use serde_json::Value;

/// A user that would get other rules than what is declared means on this server, or more than is told; and which of them.
pub fn not_as_declared<'a>(steps: &'a [Step], server: &Value) -> Option<(&'a Address, &'static str)> {
    let server: Server = serde_json::from_value(server.clone()).ok()?;
    let (expansion, teller) = (Expansion::on(&server), Teller::new(Some(&server.catalogue)));
    let is_set =
        |step: &&Step| step.op == Op::Valkey(UserOp::SetUser) && !matches!(step.hold, Some(Hold::Blocked { .. }));
    steps.iter().filter(is_set).find_map(|step| {
        let after = step.after.as_ref().and_then(Model::as_valkey_user)?;
        let is_declared = after.namespace.is_some() || after.whole_database == Some(true) || server.sentinel;
        if after.access.is_none() || !is_declared || expansion.of(after) != *after {
            return Some((&step.address, "would get other rules than what is declared means there"));
        }
        let there = step.before.as_ref().and_then(Model::as_valkey_user)?;
        let is_told = teller.tell(there, after, None).risks.is_subset(&step.risks);
        (!is_told).then_some((&step.address, "would get, or lose, more than is told"))
    })
}
