//! `nornplan init`

use super::{Global, Outcome, output};
use crate::error::{Diagnostic, Exit, Kind, Result};
use std::io::Write;
use std::path::Path;

/// Write a workspace file and a first infraspec, and git-ignore what must not be committed
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mkdir platform && cd platform && nornplan init\n\nFiles that exist are left as they are; lines that .gitignore lacks are added.\nExit: 0 done, 1 something cannot be written"
)]
pub struct Args {}

const WORKSPACE: &str = include_str!("init/nornplan.toml");
const INFRASPEC: &str = include_str!("init/example.toml");
const IGNORED: [&str; 3] = ["state/", "secrets/", "snapshots/"];

pub fn run(_global: &Global, _args: &Args) -> Outcome {
    create(Path::new("nornplan.toml"), WORKSPACE)?;
    std::fs::create_dir_all("specs").map_err(|error| failed(Path::new("specs"), error))?;
    let no_infraspec = std::fs::read_dir("specs").is_ok_and(|mut entries| entries.next().is_none());
    if no_infraspec {
        create(Path::new("specs/example.toml"), INFRASPEC)?;
    } else {
        output::result("left specs/ as it is");
    }
    ignore(Path::new(".gitignore"))?;
    output::result(
        "\nNext: say where your services are in nornplan.toml, then\n  nornplan validate\n  nornplan doctor\n  nornplan plan",
    );
    Ok(Exit::Done)
}

fn failed(file: &Path, error: std::io::Error) -> Diagnostic {
    let wrong = Diagnostic::new(Kind::Config, "cannot be written").in_file(file).because(error);
    wrong.hint("run it in a directory that you may write in")
}

fn create(file: &Path, text: &str) -> Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut opened) => {
            opened.write_all(text.as_bytes()).map_err(|error| failed(file, error))?;
            output::result(&format!("wrote {}", file.display()));
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            output::result(&format!("left {} as it is", file.display()));
            Ok(())
        }
        Err(error) => Err(failed(file, error)),
    }
}

/// Adds the lines that are missing.
fn ignore(file: &Path) -> Result<()> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(file, error)),
    };
    let has = |wanted: &str| text.lines().any(|line| line.trim().trim_matches('/') == wanted.trim_matches('/'));
    let missing: Vec<&str> = IGNORED.into_iter().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    std::fs::write(file, format!("{text}{gap}{}\n", missing.join("\n"))).map_err(|error| failed(file, error))?;
    output::result(&format!("{} now ignores {}", file.display(), missing.join(", ")));
    Ok(())
}
