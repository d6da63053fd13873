//! Who holds a lock, and who waits for it.

use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// So much of a command line is told: it may name a thousand apps.
const COMMAND_TOLD: usize = 300;

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub user: String,
    pub host: String,
    pub pid: u32,
    /// The command line. No flag takes a secret.
    pub command: String,
    /// RFC 3339, in UTC.
    pub since: String,
}

impl Holder {
    /// This process, from now on.
    pub fn this(command: &str) -> Self {
        Self {
            user: variable(&["USER", "LOGNAME"]).unwrap_or_else(user),
            host: host(),
            pid: std::process::id(),
            command: match command.char_indices().nth(COMMAND_TOLD) {
                Some((end, _)) => format!("{} ...", command.get(..end).unwrap_or_default()),
                None => command.to_owned(),
            },
            since: OffsetDateTime::now_utc()
                .replace_nanosecond(0)
                .ok()
                .and_then(|now| now.format(&Rfc3339).ok())
                .unwrap_or_default(),
        }
    }

    /// Whether it runs on this machine, as far as its name tells.
    pub fn is_here(&self) -> bool {
        self.host == host()
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, host, pid, command, since } = self;
        // Whoever may write the lock says what they like in it, but in one line.
        let [user, host, command, since] = [user, host, command, since].map(|text| text.replace(char::is_control, " "));
        write!(f, "{user} on {host} (process {pid}) since {since}: {command}")
    }
}

/// How long to wait for a lock, and what is said meanwhile.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    pub timeout: Duration,
    /// The command line of who waits.
    pub command: &'a str,
    /// Hears once that it waits, and for whom.
    pub tell: fn(&str),
}

impl Patience<'_> {
    /// Says what is waited for.
    pub fn waits_for(&self, who: &str) {
        (self.tell)(&format!("Waiting up to {} s for the lock: it is held by {who}\n", self.timeout.as_secs_f32()));
    }

    /// What to do where it was not to be had.
    pub fn hint(&self) -> &'static str {
        if self.timeout.is_zero() {
            "wait until it ends, or let this run wait for it with --lock-timeout 5m"
        } else {
            "it did not end in time; give --lock-timeout longer, or see what that run waits for"
        }
    }
}

fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

/// The name of whom this process runs as, or the number where the machine's own list of users does not have it.
fn user() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else { return "somebody".to_owned() };
    let number = process.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let (name, rest) = line.split_once(':')?;
        (rest.split(':').nth(1)? == number && !name.is_empty()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {number}"))
}

fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    kernel
        .filter(|name| !name.is_empty())
        .or_else(|| variable(&["HOSTNAME"]))
        .unwrap_or_else(|| "this machine".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Holder;

    #[test]
    fn a_holder_is_told_in_one_line_whatever_is_written_in_the_lock() {
        let forged = Holder { user: "bob\nerror: forged\u{1b}[2J".to_owned(), ..Holder::this("apply") };
        let told = forged.to_string();
        assert!(told.starts_with("bob error: forged [2J on "), "{told}");
        assert!(!told.contains(char::is_control), "{told}");
    }
}
