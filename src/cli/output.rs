//! Results go to standard output, messages and errors to standard error. A closed pipe ends nothing in a panic.

use crate::error::{Diagnostic, Exit};
use crate::render;
use std::io::{IsTerminal, Write};

/// Prints a result.
pub fn result(text: &str) {
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    render::print(&format!("{text}{end}"));
}

/// Prints a line for people that is no result.
pub fn message(text: &str) {
    render::tell(&format!("{text}\n"));
}

/// Prints an error.
pub fn error(error: &Diagnostic) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    message(&format!("{red}error{red:#}: {error}"));
}

/// Whether there is somebody to answer a question.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks; only the word yes is a yes.
pub fn ask(question: &str) -> bool {
    let mut err = anstream::stderr();
    let _ = write!(err, "{question}\n  Only 'yes' is taken for a yes: ");
    let _ = err.flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// Exit code 2 for differences, where the user asked for it.
pub fn exit(differs: bool, asked: bool) -> Exit {
    if differs && asked { Exit::Differs } else { Exit::Done }
}
