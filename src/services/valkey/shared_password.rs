//! The password that apps without users of their own share: people look after it, and it is tried before it is published.

use super::connect::Nodes;
use crate::config::ValkeyConfig;
use crate::core::plan::{Level, Notice};
use crate::services::{Check, ServiceId};

/// What to do about one that does not sign in.
const NEXT: &str = "set NORNPLAN_VALKEY_SHARED_PASSWORD (else shared_password_file or shared_password_command under \
    [valkey]) to a password of the user `default`, or give that user this one (ACL SETUSER default >...)";

/// What came of trying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedPassword {
    SignsIn,
    /// The server does not accept it.
    IsRefused,
    /// Something else is wrong with the server, and told where that is read.
    CannotTell,
}

impl SharedPassword {
    /// Signs in with it.
    pub async fn tried(config: &ValkeyConfig) -> Self {
        let (user, password) = ("default".to_owned(), config.shared_password.clone());
        match Nodes::new(&ValkeyConfig { user, password, ..config.clone() }).all().await {
            Ok(_) => Self::SignsIn,
            Err(error) if error.to_string().contains("WRONGPASS") => Self::IsRefused,
            Err(_) => Self::CannotTell,
        }
    }

    /// Why nothing is published with it, and what to do about that.
    pub fn why_not(self) -> Option<String> {
        let reason =
            || format!("the password that apps share does not sign in; what is published stays as it is: {NEXT}");
        (self == Self::IsRefused).then(reason)
    }

    /// As a plan tells it, whether there is something to publish or not.
    pub fn notice(self) -> Option<Notice> {
        let text = || {
            format!(
                "the password that apps share does not sign in: nothing is published with it, and what was does not work; {NEXT}"
            )
        };
        let about = || ServiceId::Valkey.as_str().to_owned();
        (self == Self::IsRefused).then(|| Notice { level: Level::Alarm, about: about(), text: text() })
    }

    /// As `nornplan doctor` tells it.
    pub fn check(self) -> Option<Check> {
        match self {
            Self::SignsIn => Some(Check::good("the password that apps share signs in")),
            Self::IsRefused => Some(Check::bad("the password that apps share does not sign in", NEXT)),
            Self::CannotTell => None,
        }
    }
}
