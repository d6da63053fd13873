//! Users by the Admin API. Each has one credential, of 4096 iterations (src/v/security/scram_algorithm.h).

use super::AdminApi;
use super::facts::{self, Credential};
use super::wire::Question;
use super::{on, refusal};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Result};
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The path of all users. Those that Redpanda's own parts make for themselves are left out of it.
pub const USERS: &str = "/v1/security/users";
/// Connect RPC, from 26.1; earlier ones do not know it.
const LIST_CREDENTIALS: &str = "/redpanda.core.admin.v2.SecurityService/ListScramCredentials";
/// What may stand in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    password: &'a str,
    algorithm: &'a str,
}

/// A name as a part of a path.
pub fn encoded(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

impl AdminApi {
    /// Names of all users.
    ///
    /// # Errors
    /// It cannot be asked, or does not let us.
    pub async fn users(&self) -> Result<BTreeSet<String>> {
        self.read(USERS, "list of users", facts::names).await
    }

    /// Mechanisms and times of all credentials; `None` if this Redpanda does not tell them.
    ///
    /// # Errors
    /// As [`Self::users`].
    pub async fn credentials(&self) -> Result<Option<BTreeMap<String, Credential>>> {
        let question = Question {
            method: Method::POST,
            path: LIST_CREDENTIALS.to_owned(),
            body: Some(Zeroizing::new(b"{}".to_vec())),
            header: Some(("connect-protocol-version", "1")),
        };
        let (url, answer) = self.ask(&question).await?;
        if matches!(answer.status, 404 | 405 | 501) {
            return Ok(None);
        }
        self.parse(&question, &url, answer, "list of credentials", facts::credentials).map(Some)
    }

    /// Makes a user, or gives it this password and mechanism (SCRAM-SHA-256 or SCRAM-SHA-512) in the place of those
    /// that it has.
    ///
    /// # Errors
    /// As [`Self::users`]; and a name or password that Redpanda does not take.
    pub async fn set_user(&self, name: &str, password: &Secret, mechanism: &str) -> Result<()> {
        let body = |username| body(name, &Body { username, password: password.expose(), algorithm: mechanism });
        let create =
            Question { method: Method::POST, path: USERS.to_owned(), body: Some(body(Some(name))?), header: None };
        let (url, answer) = self.order(&create).await?;
        // One with this very password is no error to it.
        if !refusal::exists_already(answer.status, &refusal::said(&answer.body)) {
            return self.written(&create, &url, answer, password);
        }
        let update = Question { method: Method::PUT, path: path_of(name), body: Some(body(None)?), header: None };
        let (url, answer) = self.order(&update).await?;
        self.written(&update, &url, answer, password)
    }

    /// Removes a user; one that is not there is no error.
    ///
    /// # Errors
    /// As [`Self::users`].
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        let question = Question { method: Method::DELETE, path: path_of(name), body: None, header: None };
        let (url, answer) = self.order(&question).await?;
        self.accepted(&question, &url, answer).map(|_| ())
    }

    /// Whether a write was taken. The password is never told, whatever the server says.
    fn written(
        &self,
        question: &Question,
        url: &url::Url,
        answer: super::wire::Answer,
        password: &Secret,
    ) -> Result<()> {
        match self.accepted(question, url, answer) {
            Ok(_) => Ok(()),
            Err(mut error) => {
                error.message = error.message.replace(password.expose(), "…");
                Err(error)
            }
        }
    }
}

fn path_of(name: &str) -> String {
    format!("{USERS}/{}", encoded(name))
}

fn body(name: &str, body: &Body<'_>) -> Result<Zeroizing<Vec<u8>>> {
    serde_json::to_vec(body).map(Zeroizing::new).map_err(|_| {
        // The cause may have the password in it.
        let wrong = Diagnostic::new(crate::error::Kind::Service, format!("the request for {name} cannot be written"));
        on(wrong, &Question::get(USERS))
    })
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn any_name_fits_into_a_path() {
        assert_eq!(path_of("mail-agent"), "/v1/security/users/mail-agent");
        assert_eq!(path_of("a/b+c#d?e%"), "/v1/security/users/a%2Fb%2Bc%23d%3Fe%25");
        assert_eq!(path_of("ü .."), "/v1/security/users/%C3%BC%20..");
    }
}
