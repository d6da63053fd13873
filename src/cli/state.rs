//! `nornplan state`

use super::args::duration;
use super::state_moves as moves;
use super::{Errors, Global, Outcome, output, workspace};
use crate::config::Config;
use crate::core::address::Address;
use crate::core::consent::Allowance;
use crate::error::{Diagnostic, Exit, Kind};
use crate::render::{self, Style};
use crate::services::ServiceId;
use crate::state::{Document, Event, Store};
use clap::Subcommand;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Look after the state: what is ours, and what was last applied
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nornplan state list\n  nornplan state show postgres.database.cafe\n  nornplan state forget 'secret.*'\n  nornplan state forget-node valkey 10.0.0.7:6379\n  nornplan state migrate --from local"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every resource that is ours
    #[command(after_help = "Example:\n  nornplan state list\n  nornplan state list --env prod")]
    List,
    /// Show one resource as it was last applied
    #[command(after_help = "Example:\n  nornplan state show postgres.database.cafe")]
    Show {
        /// The resource, as `nornplan state list` names it
        #[arg(value_name = "ADDRESS")]
        address: Address,
    },
    /// Remove resources from the state; nothing on any service is touched
    #[command(after_help = "Example:
  nornplan state forget postgres.database.cafe
  nornplan state forget 'secret.*'

What is still declared is adopted by the next apply, if it is as declared.")]
    Forget {
        /// What to forget: addresses, globs, or all
        #[arg(value_name = "WHAT", required = true)]
        what: Vec<String>,
        /// Forget everything without asking
        #[arg(long)]
        auto_approve: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Print the state as JSON, or write it to a file
    #[command(after_help = "Example:
  nornplan state pull --out state.json
  nornplan state pull --backup

It takes no lock and changes nothing.")]
    Pull(moves::PullArgs),
    /// Put a document in the place of the state
    #[command(after_help = "Example:
  nornplan state pull --out state.json
  nornplan state push state.json

Another state's document, and one whose serial is not higher than that of what is there, are
refused: raise the serial of one that you have edited. --force puts there what is refused.
What is there is kept as the backup.")]
    Push(moves::PushArgs),
    /// Move the state to the backend that [state] names, from the one where it was
    #[command(after_help = "Example:
  nornplan state migrate --from local       after backend = \"postgres\" was set under [state]
  nornplan state migrate --from postgres    back into files

Both are locked. The old state stays where it is, marked as moved, so that nobody goes on from it
unawares. Killed half-way, run it again.")]
    Migrate(moves::MigrateArgs),
    /// End the session that holds the lock of the state
    #[command(after_help = "Example:
  nornplan state unlock

A lock ends with its process by itself. This is for a run that hangs, or whose machine is gone and
the server has not noticed yet. A run whose lock was taken writes nothing more. A lock on files
cannot be taken: the process to end is named.")]
    Unlock(moves::UnlockArgs),
    /// Forget a node of a service that is gone for good
    #[command(after_help = "Example:
  nornplan state forget-node valkey 10.0.0.7:6379

Users of Valkey are set on every node. A primary says nothing of a replica that is down, so nornplan
remembers its nodes and asks for those that are away. Forget one when it will never be back with
what it had: if it is started again, users that were destroyed meanwhile can still sign in there.
A node that the others know is met again by the next apply.")]
    ForgetNode {
        /// The service
        #[arg(value_name = "SERVICE")]
        service: ServiceId,
        /// The node, as plans name it
        #[arg(value_name = "HOST:PORT")]
        node: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
}

/// How long to wait.
#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    /// How long to wait for another run that holds the lock (60s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lock_timeout: Option<Duration>,
}

impl WaitArgs {
    pub fn timeout(&self) -> Duration {
        self.lock_timeout.unwrap_or_default()
    }
}

/// How this run names itself in the lock.
pub fn command_line() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let config = workspace::config(global)?;
    match &args.command {
        Command::List => {
            let store = Store::open(&config).await?;
            output::result(&render::state::list(store.document()));
            if store.document().resources.is_empty() {
                output::message(&format!("Nothing is ours in environment {:?}.", config.environment));
            }
        }
        Command::Show { address } => {
            let store = Store::open(&config).await?;
            let entry = store.document().resources.get(address).ok_or_else(|| unknown(address))?;
            output::result(&render::state::entry_text(address, entry, &Style::of_stdout()));
        }
        Command::Forget { what, auto_approve, wait } => return forget(&config, what, *auto_approve, wait).await,
        Command::ForgetNode { service, node, wait } => forget_node(&config, *service, node, wait).await?,
        Command::Pull(args) => moves::pull(&config, args).await?,
        Command::Push(args) => return moves::push(&config, args).await,
        Command::Migrate(args) => moves::migrate(&config, args).await?,
        Command::Unlock(args) => return moves::unlock(&config, args).await,
    }
    Ok(Exit::Done)
}

async fn forget(config: &Config, what: &[String], auto_approve: bool, wait: &WaitArgs) -> Outcome {
    /// More are counted.
    const NAMED: usize = 10;
    let mut store = Store::lock(config, wait.timeout(), &command_line()).await?;
    let addresses = matching(what, store.document())?;
    let number = addresses.len();
    if number > 1 && number == store.document().resources.len() {
        let question = format!(
            "These {number} resources are all that is ours in environment {:?}. They stay as they are, and nothing of them is \
             ours any more.\nForget all of them?",
            config.environment
        );
        if !moves::approved(auto_approve, &question)? {
            output::message("Nothing was forgotten.");
            return Ok(Exit::Failed);
        }
    }
    let events: Vec<Event> = addresses.iter().map(|address| Event::Gone { address: address.clone() }).collect();
    store.append(&events).await?;
    store.finish().await?;
    if number > NAMED {
        output::result(&format!("Forgot {number} resources. They exist as before, and are not ours any more."));
        return Ok(Exit::Done);
    }
    for address in addresses {
        output::result(&format!("Forgot {address}. It exists as before, and is not ours any more."));
    }
    Ok(Exit::Done)
}

async fn forget_node(config: &Config, service: ServiceId, node: &str, wait: &WaitArgs) -> Result<(), Errors> {
    let mut store = Store::lock(config, wait.timeout(), &command_line()).await?;
    let of = |sets: &BTreeMap<String, BTreeSet<String>>| sets.get(service.as_str()).cloned().unwrap_or_default();
    let (mut nodes, mut away) = (of(&store.document().nodes), of(&store.document().away));
    if !nodes.remove(node) {
        let error = Diagnostic::new(Kind::State, format!("no node {node} of {} is remembered", service.title()));
        let known: Vec<String> = nodes.into_iter().collect();
        return Err(error
            .hint(match known.as_slice() {
                [] => "the state remembers none: those that the others tell of are met by every run".to_owned(),
                known => format!("remembered are {}", known.join(", ")),
            })
            .into());
    }
    away.remove(node);
    let service = service.as_str().to_owned();
    store.append(&[Event::Nodes { service: service.clone(), nodes }, Event::Away { service, nodes: away }]).await?;
    store.finish().await?;
    output::result(&format!(
        "Forgot {node}. If it is started again with what it had, users that were destroyed meanwhile can sign in there. If it \
         is still there, or the others tell of it, the next apply meets it again: take it out first (REPLICAOF NO ONE, \
         CLUSTER FORGET; where sentinels know it, SENTINEL RESET on each)."
    ));
    Ok(())
}

/// The resources that an address or a glob stands for. One that stands for none is a mistake, and nothing is forgotten.
fn matching(what: &[String], document: &Document) -> Result<BTreeSet<Address>, Errors> {
    let mut addresses = BTreeSet::new();
    for text in what {
        let wanted = Allowance::parse(text).map_err(|message| Diagnostic::new(Kind::Usage, message))?;
        let mut covered = document.resources.keys().filter(|address| wanted.covers(address, false)).cloned().peekable();
        if covered.peek().is_none() {
            return Err(unknown(text).into());
        }
        addresses.extend(covered);
    }
    Ok(addresses)
}

fn unknown(address: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Kind::State, format!("the state does not have {address}"))
        .hint("`nornplan state list` shows what it has")
}
