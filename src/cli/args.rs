//! Flags that several commands share.

use super::Errors;
use crate::core::consent::{Allowance, Consent};
use crate::core::name::AppName;
use crate::error::{Diagnostic, Kind};
use crate::observe::Depth;
use crate::scope::Scope;
use crate::services::ServiceId;
use std::time::Duration;

/// `--color`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

impl ColorWhen {
    /// Sets it for the whole program; `auto` honours `NO_COLOR` and terminals.
    pub fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// What a run is about.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScopeArgs {
    /// Only this app (may be given several times)
    #[arg(long = "app", value_name = "APP")]
    pub apps: Vec<AppName>,
    /// Only this service (may be given several times)
    #[arg(long = "service", value_name = "SERVICE")]
    pub services: Vec<ServiceId>,
}

impl ScopeArgs {
    pub fn scope(&self) -> Scope {
        Scope {
            apps: self.apps.iter().cloned().collect(),
            services: self.services.iter().copied().collect(),
            ..Scope::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.services.is_empty()
    }
}

/// What the user has consented to.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConsentArgs {
    /// Let steps run that lose data or remove a login: an address, a glob, or all
    #[arg(long, value_name = "WHAT", value_parser = Allowance::parse)]
    pub allow_destroy: Vec<Allowance>,
    /// Let steps run that may interrupt a running app, and let drops end sessions: an address, a glob, or all
    #[arg(long, value_name = "WHAT", value_parser = Allowance::parse)]
    pub allow_interrupt: Vec<Allowance>,
}

impl ConsentArgs {
    pub fn consent(&self) -> Consent {
        Consent { destroy: self.allow_destroy.clone(), interrupt: self.allow_interrupt.clone() }
    }
}

/// How to look at the services.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LookArgs {
    /// How long to wait for services that are still starting (60s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Leave out what costs one connection per database: its schemas, extensions, default privileges
    #[arg(long)]
    pub shallow: bool,
    /// Sign in with every published credential, also where nothing says that it was changed: a hand's new password shows so
    #[arg(long)]
    pub probe_credentials: bool,
}

impl LookArgs {
    pub fn depth(&self) -> Depth {
        Depth { shallow: self.shallow, probe_credentials: self.probe_credentials }
    }

    pub fn wait(&self) -> Duration {
        self.wait.unwrap_or_default()
    }
}

/// How to write.
#[derive(Clone, Debug, clap::Args)]
pub struct WriteArgs {
    /// Carry it out without asking
    #[arg(long)]
    pub auto_approve: bool,
    /// How many calls may be under way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// How long to wait for another run that holds the lock (60s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub lock_timeout: Option<Duration>,
    /// How long what is in flight may take to finish after an interrupt [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub grace: Option<Duration>,
}

impl WriteArgs {
    pub fn grace(&self) -> Duration {
        self.grace.unwrap_or(super::signals::GRACE)
    }

    /// No terminal and no flag is an error at once, not after planning.
    pub fn check(&self) -> Result<(), Errors> {
        if self.auto_approve || super::output::can_ask() {
            return Ok(());
        }
        Err(Diagnostic::new(Kind::Usage, "there is no terminal to ask for approval on")
            .hint("at a terminal this shows the plan and asks; with --auto-approve it shows it and goes on")
            .into())
    }
}

/// What every command takes that carries out a plan.
#[derive(Clone, Debug, clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub consent: ConsentArgs,
    #[command(flatten)]
    pub look: LookArgs,
    #[command(flatten)]
    pub write: WriteArgs,
}

/// `30s`, `2m`, `1h`, `500ms`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let wrong = || format!("{text:?} is no duration; write 30s, 2m or 1h");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}
