//! `nornplan init`

use super::{Global, Outcome, output};
use crate::error::{Diagnostic, Exit, Kind, Result};
use std::io::Write;
use std::path::Path;

/// Write a workspace file and a first infraspec, and git-ignore what must not be committed
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mkdir platform && cd platform && nornplan init\n  nornplan init --service valkey\n\nFiles that exist are left as they are; lines that .gitignore lacks are added.\nExit: 0 done, 1 something cannot be written"
)]
pub struct Args {
    /// Only this service (may be given several times); without it, all three
    #[arg(long = "service", value_name = "SERVICE", value_parser = SERVICES)]
    services: Vec<String>,
}

const SERVICES: [&str; 3] = ["postgres", "valkey", "kafka"];

const WORKSPACE: &str = include_str!("init/nornplan.toml");
const INFRASPEC: &str = include_str!("init/example.toml");
/// As the workspace file has them.
const ALL_PASSWORDS: &str = "NORNPLAN_POSTGRES_PASSWORD, NORNPLAN_VALKEY_PASSWORD and NORNPLAN_KAFKA_PASSWORD";
const IGNORED: [&str; 3] = ["state/", "secrets/", "snapshots/"];

pub fn run(_global: &Global, args: &Args) -> Outcome {
    let without: Vec<&str> = SERVICES
        .into_iter()
        .filter(|name| !args.services.is_empty() && !args.services.iter().any(|one| one == name))
        .collect();
    create(Path::new("nornplan.toml"), &cut(WORKSPACE, &without))?;
    std::fs::create_dir_all("specs").map_err(|error| failed(Path::new("specs"), error))?;
    let no_infraspec = std::fs::read_dir("specs").is_ok_and(|mut entries| entries.next().is_none());
    if no_infraspec {
        create(Path::new("specs/example.toml"), &cut(INFRASPEC, &without))?;
    } else {
        output::result("left specs/ as it is");
    }
    ignore(Path::new(".gitignore"))?;
    output::result(
        "\nNext: say where your services are in nornplan.toml, then\n  nornplan validate\n  nornplan doctor\n  nornplan plan",
    );
    Ok(Exit::Done)
}

/// A file without what it says of some services: their tables, which empty lines part, and their passwords.
fn cut(text: &str, without: &[&str]) -> String {
    let of = |service: &&&str| match **service {
        "valkey" => ["[valkey]", "[services.kv]", "# [env.prod.valkey]"],
        "kafka" => ["[kafka]", "[services.events]", "# [env.prod.kafka]"],
        _ => ["[postgres]", "[services.postgres]", "# [env.prod.postgres]"],
    };
    let is_kept =
        |table: &&str| !without.iter().any(|service| of(&service).iter().any(|start| table.starts_with(start)));
    let kept: Vec<&str> = text.trim_end().split("\n\n").filter(is_kept).collect();
    let mut text = kept.join("\n\n") + "\n";
    if !without.is_empty() {
        let passwords = SERVICES.into_iter().filter(|name| !without.contains(name));
        let passwords: Vec<String> =
            passwords.map(|name| format!("NORNPLAN_{}_PASSWORD", name.to_uppercase())).collect();
        text = text.replace(ALL_PASSWORDS, &passwords.join(" and "));
    }
    text
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
