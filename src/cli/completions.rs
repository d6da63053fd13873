//! `nornplan completions`

use super::{Cli, Outcome, output};
use crate::error::Exit;
use clap::CommandFactory;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nornplan completions bash > ~/.local/share/bash-completion/completions/nornplan")]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nornplan", &mut script);
    output::result(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
