//! Where the passwords that nornplan signs in with come from.

use super::layer::{Layer, Origin};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use zeroize::Zeroizing;

/// How long a password command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a password is come by. Never a part of the file, never printed.
#[derive(Clone, Default)]
pub enum PasswordSource {
    /// None at all: peer or trust authentication, or no authentication.
    #[default]
    None,
    Given(Secret),
    File(PathBuf),
    /// A program and its arguments, run without a shell; the first line that it prints.
    Command(Vec<String>),
}

impl fmt::Debug for PasswordSource {
    /// Arguments are left out: people put tokens there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Given(_) => f.write_str("Given(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Command(words) => write!(f, "Command({} …)", words.first().map_or("", String::as_str)),
        }
    }
}

impl PasswordSource {
    /// Reads the file or runs the command. A trailing line end is not part of the password.
    ///
    /// # Errors
    /// The file cannot be read, or the command fails (what it printed is not shown).
    pub async fn resolve(&self) -> Result<Option<Secret>> {
        match self {
            Self::None => Ok(None),
            Self::Given(secret) => Ok(Some(secret.clone())),
            Self::File(path) => from_file(path).await.map(Some),
            Self::Command(words) => from_command(words).await.map(Some),
        }
    }
}

async fn from_file(path: &Path) -> Result<Secret> {
    let wrong = |message: &str| {
        Diagnostic::new(Kind::Config, message).in_file(path).hint("its text must be the password and nothing else")
    };
    let text = tokio::fs::read_to_string(path)
        .await
        .map(Zeroizing::new)
        .map_err(|error| wrong("cannot read the file of a password").because(error))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(wrong("the file of a password is empty"));
    }
    Ok(Secret::new(password.to_owned()))
}

async fn from_command(words: &[String]) -> Result<Secret> {
    let (program, arguments) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let wrong = |message: String| {
        Diagnostic::new(Kind::Config, message)
            .hint("run it by hand: its first line must be the password, and its exit code 0")
    };
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .map_err(|_| wrong(format!("the password command {program} did not end in {} s", PATIENCE.as_secs())))?
        .map_err(|error| wrong(format!("the password command {program} cannot be run")).because(error))?;
    let printed = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(wrong(format!("the password command {program} failed ({})", output.status)));
    }
    let line = printed.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(password) if !password.is_empty() => Ok(Secret::new(password.to_owned())),
        Ok(_) | Err(_) => Err(wrong(format!("the password command {program} printed no password"))),
    }
}

/// Where to look, in the order of precedence.
pub struct Search<'a> {
    pub settings: &'a Layer,
    pub variables: &'a BTreeMap<String, String>,
}

impl Search<'_> {
    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn given(&self, name: &str) -> Option<PasswordSource> {
        self.variable(name).map(|value| PasswordSource::Given(Secret::new(value.to_owned())))
    }

    /// `NORNPLAN_<TABLE>_PASSWORD`, else the password in `NORNPLAN_<TABLE>_URL`.
    pub fn own(&self, table: &'static str) -> Option<PasswordSource> {
        let url = || self.settings.passwords.get(table).map(|secret| PasswordSource::Given(secret.clone()));
        self.given(&format!("NORNPLAN_{}_PASSWORD", table.to_ascii_uppercase())).or_else(url)
    }

    /// `password_file` or `password_command`, whichever was said last.
    ///
    /// # Errors
    /// Both were said in one place.
    pub fn indirect(&self, table: &'static str) -> Result<Option<PasswordSource>> {
        self.file_or_command(table, "password_file", "password_command")
    }

    /// A password beside the usual one, by the key of its file and of its command: `NORNPLAN_<TABLE>_<NAME>`, else indirect.
    ///
    /// # Errors
    /// As [`Self::indirect`].
    pub fn another(
        &self,
        table: &'static str,
        file_key: &'static str,
        command_key: &'static str,
    ) -> Result<PasswordSource> {
        let name = file_key.trim_end_matches("_file");
        if let Some(given) = self.given(&format!("NORNPLAN_{table}_{name}").to_ascii_uppercase()) {
            return Ok(given);
        }
        Ok(self.file_or_command(table, file_key, command_key)?.unwrap_or_default())
    }

    fn file_or_command(
        &self,
        table: &'static str,
        file_key: &'static str,
        command_key: &'static str,
    ) -> Result<Option<PasswordSource>> {
        let file = self.settings.path(table, file_key);
        let command = self.settings.list(table, command_key);
        match (file, command) {
            (Some(_), Some(_)) => Err(self
                .settings
                .origin(table, command_key)
                .map_or_else(
                    || Diagnostic::new(Kind::Config, "two sources of one password"),
                    |origin| origin.wrong(format!("both {file_key} and {command_key} are given")),
                )
                .hint("keep one of them")),
            (Some(file), None) => Ok(Some(PasswordSource::File(file))),
            (None, Some(command)) => Ok(Some(PasswordSource::Command(command))),
            (None, None) => Ok(None),
        }
    }

    /// Own, else one of some variables, else indirect.
    ///
    /// # Errors
    /// As [`Self::indirect`].
    pub fn usual(&self, table: &'static str, variables: &[&str]) -> Result<PasswordSource> {
        let found = self.own(table).or_else(|| variables.iter().find_map(|name| self.given(name)));
        match found {
            Some(found) => Ok(found),
            None => Ok(self.indirect(table)?.unwrap_or_default()),
        }
    }

    /// PostgreSQL's: own, else the administrator's of the environment, else the password file of PostgreSQL's programs,
    /// else indirect. `user` is who signs in, given whether the password is that of `POSTGRES_ADMIN_PASSWORD`.
    ///
    /// # Errors
    /// As [`Self::indirect`]; and a password file that others may read.
    pub fn postgres(
        &self,
        hosts: &[(String, u16)],
        database: &str,
        user: impl Fn(bool) -> String,
    ) -> Result<(String, PasswordSource)> {
        if let Some(own) = self.own("postgres") {
            return Ok((user(false), own));
        }
        if let Some(admin) = self.given("POSTGRES_ADMIN_PASSWORD") {
            return Ok((user(true), admin));
        }
        if let Some(usual) = self.given("POSTGRES_PASSWORD") {
            return Ok((user(false), usual));
        }
        let user = user(false);
        let file = self.variable("PGPASSFILE").map(Path::new);
        match file.map(|file| look_up(file, hosts, database, &user)).transpose()?.flatten() {
            Some(secret) => Ok((user, PasswordSource::Given(secret))),
            None => Ok((user, self.indirect("postgres")?.unwrap_or_default())),
        }
    }

    /// That of the database of states: own, else indirect, else as the password file of PostgreSQL's programs has it.
    ///
    /// # Errors
    /// As [`Self::postgres`].
    pub fn state(&self, hosts: &[(String, u16)], database: &str, user: &str) -> Result<Option<PasswordSource>> {
        if let Some(own) = self.own("state") {
            return Ok(Some(own));
        }
        if let Some(indirect) = self.indirect("state")? {
            return Ok(Some(indirect));
        }
        let file = self.variable("PGPASSFILE").map(Path::new);
        let found = file.map(|file| look_up(file, hosts, database, user)).transpose()?.flatten();
        Ok(found.map(PasswordSource::Given))
    }
}

/// The first line of a PGPASSFILE that fits one of the hosts. A file that is not there has no line that fits.
fn look_up(path: &Path, hosts: &[(String, u16)], database: &str, user: &str) -> Result<Option<Secret>> {
    let Ok(text) = std::fs::read_to_string(path).map(Zeroizing::new) else { return Ok(None) };
    let fits = |(host, port): &(String, u16)| {
        let host = if host.starts_with('/') { "localhost" } else { host };
        let wanted = [host, &port.to_string(), database, user].map(str::to_owned);
        text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = Zeroizing::new(fields(line));
            let (password, rest) = fields.split_last()?;
            let same = rest.len() == 4 && rest.iter().zip(&wanted).all(|(field, want)| field == "*" || field == want);
            (same && !password.is_empty()).then(|| Secret::new(password.clone()))
        })
    };
    let Some(found) = hosts.iter().find_map(fits) else { return Ok(None) };
    let open = std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if open {
        return Err(Origin::Variable("PGPASSFILE".to_owned())
            .wrong(format!("others may read {}, so PostgreSQL's own programs do not use it", path.display()))
            .hint(format!("chmod 600 {}", path.display())));
    }
    Ok(Some(found))
}

/// The fields of a line, parted by colons; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(last) = fields.last_mut() {
            last.push(character);
        }
    }
    fields
}
