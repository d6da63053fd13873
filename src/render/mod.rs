//! What people and programs read: plans, drift, state, the doctor's findings, progress and the end of an apply.
//!
//! Everything here is pure but for [`progress`], [`typed`], [`Style::of_stdout`], [`print()`] and [`tell`]. Whatever comes from
//! outside (names, values, errors) goes through `clean` before a person sees it, so that no value can move the cursor or
//! turn text around.

mod absent;
mod acls;
pub mod again;
pub mod doctor;
pub mod drift;
mod fields;
pub mod graph;
pub mod head;
mod items;
pub mod json;
mod layout;
pub mod markdown;
pub mod outcome;
pub mod progress;
pub mod reading;
mod refused;
mod rules;
mod same_reason;
pub mod state;
mod telling;
pub mod text;
pub mod typed;
mod unmanaged;
mod unpublished;
mod words;
pub mod working;

use crate::core::step::{Action, Risk};
use anstyle::{AnsiColor, Effects};
use std::fmt::Write as _;
use std::io::Write as _;

/// How text is laid out for one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Without it there is no escape sequence at all.
    pub color: bool,
    /// Columns to aim for; what cannot be broken may be longer.
    pub width: usize,
    /// Whether rules are shown that are told in words anyway: `-v`.
    pub detailed: bool,
}

impl Style {
    /// For files, pipes and pull requests.
    pub const PLAIN: Self = Self { color: false, width: 100, detailed: false };

    /// As stdout is: its terminal's width, and colour if there is a terminal and `NO_COLOR` does not say otherwise.
    /// `--color` decides by `anstream::ColorChoice::write_global`, which [`print()`] and [`tell`] heed too.
    pub fn of_stdout() -> Self {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        let width = terminal_size::terminal_size().map_or(Self::PLAIN.width, |(width, _)| usize::from(width.0));
        Self { color: choice != anstream::ColorChoice::Never, width: width.max(40), detailed: false }
    }

    /// With what `-v` asks for.
    #[must_use]
    pub fn detailed(self, detailed: bool) -> Self {
        Self { detailed, ..self }
    }

    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = ink.style();
        format!("{style}{text}{style:#}")
    }
}

/// What a piece of text is, as far as its colour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Bold,
    Faint,
    Good,
    Change,
    Danger,
    Drift,
    Alarm,
}

impl Ink {
    fn style(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        match self {
            Self::Plain => plain,
            Self::Bold => plain.bold(),
            Self::Faint => plain.effects(Effects::DIMMED),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Change => AnsiColor::Yellow.on_default(),
            Self::Danger => AnsiColor::Red.on_default().bold(),
            Self::Drift => AnsiColor::Magenta.on_default(),
            Self::Alarm => AnsiColor::BrightWhite.on(AnsiColor::Red).bold(),
        }
    }

    pub(crate) fn of(action: Action) -> Self {
        match action {
            Action::Create => Self::Good,
            Action::Update | Action::Rotate | Action::Rename => Self::Change,
            Action::Replace | Action::Destroy => Self::Danger,
            Action::Adopt | Action::Forget | Action::Record => Self::Faint,
        }
    }

    pub(crate) fn of_risk(risk: Risk) -> Self {
        match risk {
            Risk::Interrupts | Risk::WidensAccess => Self::Change,
            Risk::RemovesLogin | Risk::LosesData => Self::Danger,
        }
    }
}

/// The mark in front of a resource.
pub(crate) fn symbol(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "±",
        Action::Destroy => "-",
        Action::Adopt | Action::Record => "=",
        Action::Forget => "x",
        Action::Rotate => "↻",
        Action::Rename => "→",
    }
}

/// Spells out characters that a terminal would act on or that hide what is written: controls, and the marks that turn
/// the direction of text or take no room.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => cleaned.push_str("\\n"),
            '\r' => cleaned.push_str("\\r"),
            '\t' => cleaned.push_str("\\t"),
            hidden if hidden.is_control() || is_invisible(hidden) => {
                // Writing to a String cannot fail.
                let _ = write!(cleaned, "\\u{{{:x}}}", u32::from(hidden));
            }
            shown => cleaned.push(shown),
        }
    }
    cleaned
}

fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// The lines of a text that may have several, each [`clean`].
pub(crate) fn clean_lines(text: &str) -> Vec<String> {
    text.lines().map(clean).collect()
}

/// `one resource`, `two resources`: the number and the word that fits it.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A size in the unit that fits it: `812 B`, `1.2 MB`.
pub(crate) fn bytes(size: u64) -> String {
    let (unit, name) = match size {
        0..1_000 => return format!("{size} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        1_000_000_000.. => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", size / unit, size % unit * 10 / unit)
}

/// The line that every report begins with.
pub(crate) fn environment(name: &str, style: Style) -> String {
    format!("{} {}", style.paint(Ink::Faint, "Environment"), style.paint(Ink::Bold, &clean(name)))
}

/// Writes a result to stdout. A reader that went away is no error.
///
/// # Errors
/// It cannot be written: the disk is full.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a message to stderr. A reader that went away is no error.
pub fn tell(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(typed::typed(text).as_bytes()).and_then(|()| out.flush());
}
