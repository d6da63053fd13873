//! The password that apps of Valkey without users of their own share. People look after it: it comes from the
//! configuration, is published as it is there, and is published anew when it changes.

use super::password::{SHARED, fill_shared};
use crate::config::{PasswordSource, ValkeyConfig};
use crate::core::plan::{Level, Notice};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::Model;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// The common password, read when it is first needed.
pub struct Common {
    source: PasswordSource,
    admin: PasswordSource,
    known: OnceCell<Option<Known>>,
}

struct Known {
    password: Secret,
    /// Whether it is also what nornplan signs in with.
    is_admins: bool,
}

impl Common {
    pub fn of(config: &ValkeyConfig) -> Self {
        Self { source: config.shared_password.clone(), admin: config.password.clone(), known: OnceCell::new() }
    }

    /// Whether one is configured; it is not read.
    pub fn is_configured(&self) -> bool {
        !matches!(self.source, PasswordSource::None)
    }

    /// Reads it, if it has not been read.
    ///
    /// # Errors
    /// Its file cannot be read, or its command fails.
    pub async fn learn(&self) -> Result<()> {
        self.known.get_or_try_init(|| self.read()).await.map(drop)
    }

    async fn read(&self) -> Result<Option<Known>> {
        let Some(password) = self.source.resolve().await? else { return Ok(None) };
        let admin = self.admin.resolve().await?;
        let is_admins = admin.is_some_and(|admin| admin.expose() == password.expose());
        Ok(Some(Known { password, is_admins }))
    }

    /// What must be said of it loudest.
    pub fn notice(&self) -> Option<Notice> {
        let is_admins = self.known.get()?.as_ref()?.is_admins;
        is_admins.then(|| Notice {
            level: Level::Alarm,
            about: "valkey".to_owned(),
            text: "the password that apps share is the administrator's own: each of them may do everything on the server. \
                   Give them one of another user, or namespaces"
                .to_owned(),
        })
    }

    /// Puts it into a template that asks for it.
    ///
    /// # Errors
    /// The template asks for it, and none is configured.
    pub fn fill<'a>(&self, template: &'a str) -> Result<Filled<'a>> {
        if !template.contains(SHARED) {
            return Ok(Filled::As(template));
        }
        match self.known.get().and_then(Option::as_ref) {
            Some(known) => Ok(Filled::With(fill_shared(template, &known.password))),
            None => Err(missing()),
        }
    }
}

/// Whether any of these models has it in its values.
pub fn is_asked_for<'a>(models: impl IntoIterator<Item = &'a Model>) -> bool {
    let mut values = models.into_iter().filter_map(Model::as_secret).flat_map(|published| published.values.values());
    values.any(|value| value.contains(SHARED))
}

/// That there is no common password where one is needed.
pub fn missing() -> Diagnostic {
    Diagnostic::new(Kind::Config, "shared = true, and no password is set that such apps share").hint(
        "set NORNPLAN_VALKEY_SHARED_PASSWORD, or shared_password_file or shared_password_command under [valkey], to the \
         password that they sign in with; nornplan never gives them its own",
    )
}

/// A template with the common password in it, if it asks for that.
pub enum Filled<'a> {
    As(&'a str),
    With(Zeroizing<String>),
}

impl std::ops::Deref for Filled<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::As(text) => text,
            Self::With(text) => text,
        }
    }
}
