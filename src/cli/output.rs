//! Results go to standard output, messages and errors to standard error. A closed pipe ends nothing in a panic.

use crate::error::{Diagnostic, Exit};
use crate::render::Style;
use std::io::{IsTerminal, Write};

/// Prints a result.
pub fn result(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') && !text.is_empty() {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Prints a line for people that is no result.
pub fn message(text: &str) {
    let mut err = anstream::stderr();
    let _ = writeln!(err, "{text}");
}

/// Prints an error.
pub fn error(error: &Diagnostic) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    message(&format!("{red}error{red:#}: {error}"));
}

/// How results look on this standard output.
pub fn style() -> Style {
    let choice = anstream::stdout().current_choice();
    Style { color: choice != anstream::ColorChoice::Never, width: width() }
}

/// Columns of the terminal; 100 where there is none.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(100)
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
