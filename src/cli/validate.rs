//! `nornplan validate`

use super::{Global, Outcome, output, workspace};
use crate::core::listing::some;
use crate::error::{Diagnostic, Exit, Kind};
use crate::services::{self, ServiceId};
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

/// How many apps are listed by name.
const MOST_NAMES: usize = 20;

pub fn run(global: &Global, args: &Args) -> Outcome {
    let mut config = workspace::config(global)?;
    if !args.paths.is_empty() {
        let here = std::env::current_dir().unwrap_or_default();
        let missing = args.paths.iter().filter(|path| !here.join(path).exists()).map(|path| {
            let wrong = Diagnostic::new(Kind::Usage, "there is no such file or directory").in_file(path);
            wrong.hint("name an infraspec, or a directory of them")
        });
        let missing: Vec<Diagnostic> = missing.collect();
        if !missing.is_empty() {
            return Err(missing.into());
        }
        config.specs = args.paths.iter().map(|path| here.join(path)).collect();
    }
    let specs = workspace::specs(global, &config)?;
    // Templates are filled in when secrets are desired: an error in one belongs here too.
    services::desired(ServiceId::Secrets, &specs, &config)?;
    if args.paths.is_empty() {
        workspace::check_moves(&config, &specs)?;
    }
    for warning in &specs.warnings {
        output::message(&format!("warning: {}: {}", warning.app, warning.text));
    }
    let listed = some(specs.apps.keys(), MOST_NAMES);
    output::result(&match specs.apps.len() {
        1 => format!("1 app is valid: {listed}"),
        number => format!("{number} apps are valid: {listed}"),
    });
    Ok(Exit::Done)
}
