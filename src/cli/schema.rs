//! `nornplan schema`

use super::{Outcome, output};
use crate::error::Exit;

/// Print a JSON schema, for editors and for programs that read plans
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nornplan schema plan > plan.schema.json")]
pub struct Args {
    /// What it describes
    #[arg(value_name = "WHAT")]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// The output of `nornplan plan --format json`
    Plan,
}

pub fn run(args: &Args) -> Outcome {
    match args.what {
        What::Plan => output::result(crate::render::json::SCHEMA),
    }
    Ok(Exit::Done)
}
