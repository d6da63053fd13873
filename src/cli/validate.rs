//! `nornplan validate`

use super::{Global, Outcome, output, workspace};
use crate::error::Exit;
use std::path::PathBuf;

/// Check the infraspecs, without any service
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nornplan validate\n  nornplan validate ~/projects/cafe-backend\n\nExit: 0 all good, 1 errors (all of them are shown, each with its place)"
)]
pub struct Args {
    /// Directories or files in place of the workspace's `specs`
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub fn run(global: &Global, args: &Args) -> Outcome {
    let mut config = workspace::config(global)?;
    if !args.paths.is_empty() {
        let here = std::env::current_dir().unwrap_or_default();
        config.specs = args.paths.iter().map(|path| here.join(path)).collect();
    }
    let specs = workspace::specs(&config)?;
    // Templates are filled in when secrets are desired: an error in one belongs here too.
    crate::services::desired(crate::services::ServiceId::Secrets, &specs, &config)?;
    let names: Vec<&str> = specs.apps.keys().map(crate::core::name::AppName::as_str).collect();
    output::result(&match names.as_slice() {
        [one] => format!("1 app is valid: {one}"),
        names => format!("{} apps are valid: {}", names.len(), names.join(", ")),
    });
    Ok(Exit::Done)
}
