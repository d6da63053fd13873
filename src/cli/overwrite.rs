//! What `--out FILE` may overwrite: what the same command wrote before, and nothing else.

use crate::error::{Diagnostic, Kind, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub enum Written {
    Plan,
    State,
}

impl Written {
    fn name(self) -> &'static str {
        match self {
            Self::Plan => "a saved plan",
            Self::State => "a state",
        }
    }

    /// Whether a file that begins so, blanks left out, is one.
    fn begins(self, text: &[u8]) -> bool {
        match self {
            Self::Plan => text.starts_with(b"{\"nornplan_plan\":"),
            Self::State => text.strip_prefix(b"{\"format_version\":").is_some_and(|rest| {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                rest.get(digits..).is_some_and(|rest| rest.starts_with(b",\"lineage\":"))
            }),
        }
    }
}

/// Refuses a file that is there already, unless it is empty or another of what is to be written.
///
/// # Errors
/// It is something else, or cannot be read.
pub fn check(file: &Path, written: Written) -> Result<()> {
    let wrong = |message: String| {
        let error = Diagnostic::new(Kind::Usage, message).in_file(file);
        error.hint("name another file by --out, or remove this one first")
    };
    // What is no regular file, or not to be seen, is refused with a reason of its own when it is written.
    if !std::fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file()) {
        return Ok(());
    }
    match beginning(file) {
        Ok(text) if text.is_empty() || written.begins(&text) => Ok(()),
        Ok(_) => Err(wrong(format!("the file is there already and is not {}: it is not overwritten", written.name()))),
        Err(error) => Err(wrong("the file is there already and cannot be read".to_owned()).because(error)),
    }
}

/// How a file begins, blanks left out.
fn beginning(file: &Path) -> io::Result<Vec<u8>> {
    const ENOUGH: u64 = 4096;
    let mut bytes = Vec::new();
    File::open(file)?.take(ENOUGH).read_to_end(&mut bytes)?;
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    Ok(bytes)
}
