//! The command line: one thin file per command, each ending in an [`Exit`].

mod apply;
mod apply_saved;
mod args;
mod completions;
mod destroy;
mod doctor;
mod drift;
mod drift_urls;
mod init;
mod nodes;
mod output;
mod overwrite;
mod plan;
mod preflight;
mod restore;
mod rotate;
mod saved;
mod saved_here;
mod schema;
mod show;
mod signals;
mod snapshot;
mod state;
mod state_moves;
mod unmanaged;
mod validate;
mod workspace;

use crate::error::{Diagnostic, Exit, Kind};
use crate::render::typed;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use signals::Interrupts;
use std::path::PathBuf;

/// Plan and apply for the shared services of a small platform: PostgreSQL, Valkey and Kafka.
///
/// Each app declares what it needs in an infraspec. nornplan compares that with what the services really have, shows
/// the difference as a plan, and carries it out in dependency order, every app isolated from every other.
#[derive(Debug, Parser)]
#[command(
    name = "nornplan",
    version,
    max_term_width = 100,
    after_help = "Example:
  nornplan validate                     check the infraspecs, without any service
  nornplan plan                         show what would change
  nornplan apply                        show it, ask, and do it
  nornplan plan --env prod --app cafe   only one app, in another environment"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The workspace file; without it, the nearest nornplan.toml from here upwards
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The environment, an [env.NAME] table of the workspace file
    #[arg(long, value_name = "NAME", global = true)]
    env: Option<String>,
    /// When to colour
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    color: args::ColorWhen,
    /// Say on standard error what is read from where, and how long it takes; show access rules beside what they mean
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Global {
    /// What of it changes what a command is about, as it was said.
    fn said(&self) -> Vec<(&'static str, String)> {
        let config = self.config.as_ref().map(|file| ("--config", file.display().to_string()));
        config.into_iter().chain(self.env.clone().map(|name| ("--env", name))).collect()
    }

    /// How results are shown.
    fn style(&self) -> crate::render::Style {
        crate::render::Style::of_stdout().detailed(self.verbose > 0)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Validate(validate::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Show(show::Args),
    Drift(drift::Args),
    Doctor(doctor::Args),
    State(state::Args),
    Destroy(destroy::Args),
    Rotate(rotate::Args),
    Snapshot(snapshot::Args),
    Restore(restore::Args),
    Completions(completions::Args),
    Schema(schema::Args),
}

/// Everything that made a command fail.
#[derive(Debug)]
pub struct Errors(pub Vec<Diagnostic>);

impl From<Diagnostic> for Errors {
    fn from(error: Diagnostic) -> Self {
        Self(vec![error])
    }
}

impl From<Vec<Diagnostic>> for Errors {
    fn from(errors: Vec<Diagnostic>) -> Self {
        Self(errors)
    }
}

/// What a command returns.
pub type Outcome = Result<Exit, Errors>;

/// Parses the arguments, runs the command, says what went wrong, and returns the exit code.
pub fn run() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut error) => {
            advise(&mut error, std::env::args_os().filter_map(|argument| argument.into_string().ok()));
            // clap's own code for usage errors is 2, which means "changes" here.
            let failed = error.use_stderr();
            let _ = error.print();
            return u8::from(failed);
        }
    };
    cli.global.color.apply();
    typed::take_along(&cli.global.said());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&Diagnostic::new(Kind::Usage, "the asynchronous runtime does not start").because(error));
            return Exit::Failed.code();
        }
    };
    let outcome = runtime.block_on(async {
        signals::outlive_large_files();
        dispatch(cli).await
    });
    // A connection that does not answer must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    let exit = match outcome {
        Ok(Exit::Done | Exit::Differs) if !output::complete() => Exit::Failed,
        Ok(exit) => exit,
        Err(Errors(errors)) => {
            for error in &errors {
                output::error(error);
            }
            if errors.len() > 1 {
                output::message(&format!("{} errors", errors.len()));
            }
            Exit::Failed
        }
    };
    exit.code()
}

/// Names the flag that is meant by what other tools call it, where the command has it.
fn advise(error: &mut clap::Error, mut arguments: impl Iterator<Item = String>) {
    const MEANT: &str = "--auto-approve";
    let wrong = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(wrong)) => wrong.as_str(),
        _ => return,
    };
    let command = Cli::command();
    let has =
        |command: &clap::Command| command.get_arguments().any(|known| known.get_long() == MEANT.strip_prefix("--"));
    if ["--yes", "-y"].contains(&wrong) && arguments.any(|name| command.find_subcommand(name).is_some_and(has)) {
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::SuggestedArg, ContextValue::String(MEANT.to_owned()));
    }
}

/// What writes to no service is broken off by an interrupt.
async fn looking(command: impl Future<Output = Outcome>) -> Outcome {
    let interrupts = Interrupts::listen_looking()?;
    interrupts.unless_heard(command).await.unwrap_or_else(|| {
        output::message("Interrupted; nothing was changed.");
        Ok(Exit::Interrupted(interrupts.number()))
    })
}

async fn dispatch(cli: Cli) -> Outcome {
    let global = &cli.global;
    match cli.command {
        Command::Init(args) => init::run(global, &args),
        Command::Validate(args) => validate::run(global, &args),
        Command::Plan(args) => looking(plan::run(global, &args)).await,
        Command::Apply(args) => apply::run(global, &args).await,
        Command::Show(args) => show::run(global, &args).await,
        Command::Drift(args) => looking(drift::run(global, &args)).await,
        Command::Doctor(args) => looking(doctor::run(global, &args)).await,
        Command::State(args) => state::run(global, &args).await,
        Command::Destroy(args) => destroy::run(global, &args).await,
        Command::Rotate(args) => rotate::run(global, &args).await,
        Command::Snapshot(args) => snapshot::run(global, &args).await,
        Command::Restore(args) => restore::run(global, &args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Schema(args) => schema::run(&args),
    }
}
