//! `nornplan show`

use super::plan::{Format, render};
use super::{Global, Outcome, output, saved, workspace};
use crate::error::Exit;
use crate::render::{self, markdown::GITHUB_BYTES};
use crate::state::Store;
use std::path::PathBuf;

/// Show a saved plan, or the state
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nornplan show plan.json\n  nornplan show plan.json --format markdown\n  nornplan show"
)]
pub struct Args {
    /// A plan that `nornplan plan --out FILE` saved; without it, the state is shown
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text", requires = "file")]
    format: Format,
    /// Cut the markdown to so many bytes
    #[arg(long, value_name = "N", default_value_t = GITHUB_BYTES, requires = "file")]
    max_bytes: usize,
}

pub fn run(global: &Global, args: &Args) -> Outcome {
    match &args.file {
        Some(file) => output::result(&render(&saved::read(file)?, args.format, false, args.max_bytes, global.style())?),
        None => {
            let store = Store::open(&workspace::config(global)?)?;
            output::result(&render::state::text(store.document(), &global.style()));
        }
    }
    Ok(Exit::Done)
}
