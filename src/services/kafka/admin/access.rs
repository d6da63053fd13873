//! Calls on ACLs and SCRAM users.

use super::{
    Admin, Natives, Reply, any_acl_of, get, given_names, new_alteration, new_binding, nth, part,
    rd_kafka_ScramCredentialInfo_mechanism, string, told,
};
use crate::boundary;
use crate::services::kafka::client::again::again;
use crate::services::kafka::client::native::{Alteration, OwnedBinding, ScramUser};
use crate::services::kafka::client::trouble::Cause;
use crate::services::kafka::client::words::{binding, mechanism};
use rdkafka_sys as sys;
use std::collections::HashMap;

impl Admin {
    /// All ACLs, or those of one principal (`User:mail-agent`), wildcards of the principal not included. librdkafka
    /// 2.12 drops the error of this call: an empty list may be a refusal, or a broker with no authorizer.
    pub async fn describe_acls(&self, principal: Option<&str>) -> Reply<Vec<OwnedBinding>> {
        let parts = (sys::rd_kafka_event_DescribeAcls_result as _, sys::rd_kafka_DescribeAcls_result_acls as _);
        again(self.link(), || async {
            let call = any_acl_of(principal)?.only_given_to(sys::rd_kafka_DescribeAcls);
            self.ask_list(call, parts, read_binding).await
        })
        .await
    }

    /// Creates ACLs; one result for each, in order. One that exists already succeeds.
    pub async fn create_acls(&self, acls: &[OwnedBinding]) -> Reply<Vec<Reply<()>>> {
        let written = async {
            let natives = Natives::new(acls, sys::rd_kafka_AclBinding_destroy, new_binding)?;
            let parts = (sys::rd_kafka_event_CreateAcls_result as _, sys::rd_kafka_CreateAcls_result_acls as _);
            let read = |one: &_| told(part(one, sys::rd_kafka_acl_result_error));
            self.ask_each(acls.len(), natives.given_to(sys::rd_kafka_CreateAcls), parts, read).await
        };
        boundary::around(|| "kafka CreateAcls".to_owned(), written).await
    }

    /// Deletes exactly these ACLs; one result for each, in order. One that does not exist succeeds.
    pub async fn delete_acls(&self, acls: &[OwnedBinding]) -> Reply<Vec<Reply<()>>> {
        let written = async {
            // A binding is a filter that matches only itself.
            let natives = Natives::new(acls, sys::rd_kafka_AclBinding_destroy, new_binding)?;
            let parts = (sys::rd_kafka_event_DeleteAcls_result as _, sys::rd_kafka_DeleteAcls_result_responses as _);
            let read = |one: &_| told(part(one, sys::rd_kafka_DeleteAcls_result_response_error));
            self.ask_each(acls.len(), natives.given_to(sys::rd_kafka_DeleteAcls), parts, read).await
        };
        boundary::around(|| "kafka DeleteAcls".to_owned(), written).await
    }

    /// The SCRAM credentials of named users. Users that do not exist are left out.
    pub async fn describe_users(&self, names: &[&str]) -> Reply<Vec<ScramUser>> {
        // To the broker no name stands for everybody.
        if names.is_empty() { Ok(Vec::new()) } else { self.users(names).await }
    }

    /// The SCRAM credentials of all users.
    pub async fn all_users(&self) -> Reply<Vec<ScramUser>> {
        self.users(&[]).await
    }

    async fn users(&self, names: &[&str]) -> Reply<Vec<ScramUser>> {
        let parts = (
            sys::rd_kafka_event_DescribeUserScramCredentials_result as _,
            sys::rd_kafka_DescribeUserScramCredentials_result_descriptions as _,
        );
        again(self.link(), || async {
            let call = given_names(names, sys::rd_kafka_DescribeUserScramCredentials)?;
            self.ask_list(call, parts, read_user).await?.into_iter().filter_map(Result::transpose).collect()
        })
        .await
    }

    /// Sets and removes SCRAM credentials; the result of each user.
    pub async fn alter_users(&self, alterations: &[Alteration<'_>]) -> Reply<HashMap<String, Reply<()>>> {
        let written = async {
            let natives =
                Natives::new(alterations, sys::rd_kafka_UserScramCredentialAlteration_destroy, new_alteration)?;
            let parts = (
                sys::rd_kafka_event_AlterUserScramCredentials_result as _,
                sys::rd_kafka_AlterUserScramCredentials_result_responses as _,
            );
            let read = |one: &_| {
                let user = string(one, sys::rd_kafka_AlterUserScramCredentials_result_response_user);
                (user, told(part(one, sys::rd_kafka_AlterUserScramCredentials_result_response_error)))
            };
            let call = natives.given_to(sys::rd_kafka_AlterUserScramCredentials);
            Ok(self.ask_list(call, parts, read).await?.into_iter().collect())
        };
        boundary::around(|| "kafka AlterUserScramCredentials".to_owned(), written).await
    }
}

fn read_binding(acl: &sys::rd_kafka_AclBinding_t) -> OwnedBinding {
    let kinds = (
        get(acl, sys::rd_kafka_AclBinding_restype),
        get(acl, sys::rd_kafka_AclBinding_resource_pattern_type),
        get(acl, sys::rd_kafka_AclBinding_operation),
        get(acl, sys::rd_kafka_AclBinding_permission_type),
    );
    let (name, host) = (string(acl, sys::rd_kafka_AclBinding_name), string(acl, sys::rd_kafka_AclBinding_host));
    OwnedBinding { principal: string(acl, sys::rd_kafka_AclBinding_principal), binding: binding(kinds, name, host) }
}

fn read_user(user: &sys::rd_kafka_UserScramCredentialsDescription_t) -> Reply<Option<ScramUser>> {
    match told(part(user, sys::rd_kafka_UserScramCredentialsDescription_error)) {
        Ok(()) => {}
        Err(trouble) if trouble.cause == Cause::Absent => return Ok(None),
        Err(trouble) => return Err(trouble),
    }
    let count = get(user, sys::rd_kafka_UserScramCredentialsDescription_scramcredentialinfo_count);
    let credentials = (0..count).filter_map(|at| {
        let one = nth(user, at, sys::rd_kafka_UserScramCredentialsDescription_scramcredentialinfo)?;
        let mechanism = mechanism(get(one, rd_kafka_ScramCredentialInfo_mechanism));
        Some((mechanism, u32::try_from(get(one, sys::rd_kafka_ScramCredentialInfo_iterations)).ok()?))
    });
    let credentials = credentials.collect();
    Ok(Some(ScramUser { name: string(user, sys::rd_kafka_UserScramCredentialsDescription_user), credentials }))
}
