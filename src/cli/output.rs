//! Results go to standard output, messages and errors to standard error. A closed pipe ends nothing in a panic.

use crate::error::{Diagnostic, Kind};
use crate::render;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a result could not be written. Runs go on to their end all the same: an apply must not stop half-way.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a result.
pub fn result(text: &str) {
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    if let Err(failure) = render::print(&format!("{text}{end}"))
        && !LOST.swap(true, Ordering::Relaxed)
    {
        error(&Diagnostic::new(Kind::Usage, "the result cannot be written to standard output").because(failure));
    }
}

/// Prints a result for people: commands in it are as they are to be typed.
pub fn report(text: &str) {
    result(&render::typed::typed(text));
}

/// Whether all results were written.
pub fn complete() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Prints a line for people that is no result.
pub fn message(text: &str) {
    render::tell(&format!("{text}\n"));
}

/// Prints a line about what is going on, for `-v`. Never with a value that could be secret.
pub fn detail(text: &str) {
    let faint = anstyle::Style::new().dimmed();
    message(&format!("{faint}{text}{faint:#}"));
}

/// Prints an error. Names of files and what a server says may be anything, and must not steer a terminal.
pub fn error(error: &Diagnostic) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    message(&format!("{red}error{red:#}: {}", render::clean_lines(&error.to_string()).join("\n")));
}

/// Whether there is somebody to answer a question.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks; only the word yes is a yes.
pub fn ask(question: &str) -> bool {
    let mut err = anstream::stderr();
    let _ = write!(err, "{question}\n  Type yes to go on: ");
    let _ = err.flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}
