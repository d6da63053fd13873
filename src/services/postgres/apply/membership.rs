//! Takes away memberships that a role should not have, or give.

use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use crate::services::postgres::catalog::MARK_OF_MAKER;
use crate::services::postgres::connect::run;
use crate::services::postgres::connect::stating;
use crate::services::postgres::model::Role;
use crate::services::postgres::sql::membership::{Membership, leaves_first};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// The mark of an administrator that has made the role is no membership to us, and could not be given back.
const GRANTED: &str = "\
SELECT g.rolname::text, u.rolname::text, pg_get_userbyid(m.grantor)::text, to_jsonb(m) ? 'set_option'
FROM unnest($1::text[], $2::text[]) AS w(role, member)
  JOIN pg_catalog.pg_roles g ON g.rolname = w.role JOIN pg_catalog.pg_roles u ON u.rolname = w.member
  JOIN pg_catalog.pg_auth_members m ON m.roleid = g.oid AND m.member = u.oid
WHERE NOT MARK_OF_MAKER
ORDER BY 1, 2, 3";

/// Takes away what `before` has and `after` has not, whoever granted it, and reads again.
pub async fn revoke(connection: &mut PgConnection, before: &Role, after: &Role) -> Result<(), Failure> {
    let pairs = superfluous(before, after);
    if pairs.is_empty() {
        return Ok(());
    }
    let mut refused = None;
    for membership in leaves_first(granted(connection, &pairs).await?) {
        if let Err(failure) = run(connection, &after.name, &membership.revoke()).await {
            refused.get_or_insert(failure);
        }
    }
    // One that somebody else has taken away meanwhile, or a role that was dropped, is none of our failures.
    let left = granted(connection, &pairs).await?;
    if left.is_empty() { Ok(()) } else { Err(still_there(&after.name, &left, refused)) }
}

/// Roles and their members.
fn superfluous(before: &Role, after: &Role) -> BTreeSet<(String, String)> {
    let taken = |before: &Option<BTreeSet<String>>, after: &Option<BTreeSet<String>>| match (before, after) {
        (Some(before), Some(after)) => before.difference(after).cloned().collect(),
        (None, _) | (_, None) => BTreeSet::new(),
    };
    let own = taken(&before.member_of, &after.member_of).into_iter().map(|role| (role, after.name.clone()));
    let others = taken(&before.members, &after.members).into_iter().map(|member| (after.name.clone(), member));
    own.chain(others).collect()
}

async fn granted(
    connection: &mut PgConnection,
    pairs: &BTreeSet<(String, String)>,
) -> Result<Vec<Membership>, Failure> {
    let (roles, members): (Vec<String>, Vec<String>) = pairs.iter().cloned().unzip();
    let statement = AssertSqlSafe(GRANTED.replace("MARK_OF_MAKER", MARK_OF_MAKER));
    let rows: Result<Vec<(String, String, String, bool)>, _> =
        sqlx::query_as(statement).bind(roles).bind(members).persistent(false).fetch_all(connection).await;
    let rows = rows.map_err(|error| stating(error, "memberships", "SELECT .. FROM pg_auth_members"))?;
    let membership = |(role, member, grantor, by_grantor)| Membership { role, member, grantor, by_grantor };
    Ok(rows.into_iter().map(membership).collect())
}

fn still_there(role: &str, left: &[Membership], refused: Option<Failure>) -> Failure {
    let who: Vec<String> = left
        .iter()
        .map(|one| format!("{} is still a member of {} (granted by {})", one.member, one.role, one.grantor))
        .collect();
    let statements: Vec<String> = left.iter().map(Membership::revoke).collect();
    let statements = statements.join("; ");
    let hint = format!("sign in as who granted it, or as a superuser, and run: {statements}");
    let wrong = Diagnostic::new(Kind::Service, who.join("; ")).on("postgres", role, statements).hint(hint);
    match refused {
        Some(Failure { error, retry }) => Failure { error: wrong.because(error), retry },
        None => wrong.into(),
    }
}
