//! `nornplan state`

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
    after_help = "Example:\n  nornplan state list\n  nornplan state show postgres.database.cafe\n  nornplan state forget 'secret.*'\n  nornplan state forget-node valkey 10.0.0.7:6379"
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
    },
    /// Forget a node of a service that is gone for good
    #[command(after_help = "Example:
  nornplan state forget-node valkey 10.0.0.7:6379

Users of Valkey are set on every node. A primary says nothing of a replica that is down, so nornplan remembers its nodes
and asks for those that are away. Forget one when it will never be back with what it had: if it is started again, users
that were destroyed meanwhile can still sign in there. A node that the others know is met again by the next apply.")]
    ForgetNode {
        /// The service
        #[arg(value_name = "SERVICE")]
        service: ServiceId,
        /// The node, as plans name it
        #[arg(value_name = "HOST:PORT")]
        node: String,
    },
}

pub fn run(global: &Global, args: &Args) -> Outcome {
    let config = workspace::config(global)?;
    match &args.command {
        Command::List => {
            let store = Store::open(&config)?;
            output::result(&render::state::list(store.document()));
            if store.document().resources.is_empty() {
                output::message(&format!("Nothing is ours in environment {:?}.", config.environment));
            }
        }
        Command::Show { address } => {
            let store = Store::open(&config)?;
            let entry = store.document().resources.get(address).ok_or_else(|| unknown(address))?;
            output::result(&render::state::entry_text(address, entry, &Style::of_stdout()));
        }
        Command::Forget { what } => {
            let mut store = Store::lock(&config, Duration::ZERO, "nornplan state forget")?;
            let addresses = matching(what, store.document())?;
            let events: Vec<Event> = addresses.iter().map(|address| Event::Gone { address: address.clone() }).collect();
            store.append(&events)?;
            store.finish()?;
            for address in addresses {
                output::result(&format!("Forgot {address}. It exists as before, and is not ours any more."));
            }
        }
        Command::ForgetNode { service, node } => forget_node(&config, *service, node)?,
    }
    Ok(Exit::Done)
}

fn forget_node(config: &Config, service: ServiceId, node: &str) -> Result<(), Errors> {
    let mut store = Store::lock(config, Duration::ZERO, "nornplan state forget-node")?;
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
    store.append(&[Event::Nodes { service: service.clone(), nodes }, Event::Away { service, nodes: away }])?;
    store.finish()?;
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
