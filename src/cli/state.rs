//! `nornplan state`

use super::{Global, Outcome, output, workspace};
use crate::core::address::Address;
use crate::error::{Diagnostic, Exit, Kind};
use crate::render::{self, Style};
use crate::state::{Event, Store};
use clap::Subcommand;
use std::time::Duration;

/// Look after the state: what is ours, and what was last applied
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nornplan state list\n  nornplan state show postgres.database.cafe\n  nornplan state forget postgres.database.cafe"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every resource that is ours
    List,
    /// Show one resource as it was last applied
    Show {
        #[arg(value_name = "ADDRESS", value_parser = address)]
        address: Address,
    },
    /// Strike resources from the state; nothing on any service is touched
    Forget {
        #[arg(value_name = "ADDRESS", value_parser = address, required = true)]
        addresses: Vec<Address>,
    },
}

fn address(text: &str) -> Result<Address, String> {
    text.parse()
}

pub fn run(global: &Global, args: &Args) -> Outcome {
    let config = workspace::config(global)?;
    match &args.command {
        Command::List => {
            let store = Store::open(&config)?;
            output::result(&render::state::text(store.document(), &Style::of_stdout()));
        }
        Command::Show { address } => {
            let store = Store::open(&config)?;
            let entry = store.document().resources.get(address).ok_or_else(|| unknown(address))?;
            output::result(&render::state::entry_text(address, entry, &Style::of_stdout()));
        }
        Command::Forget { addresses } => {
            let mut store = Store::lock(&config, Duration::ZERO, "nornplan state forget")?;
            if let Some(address) = addresses.iter().find(|address| !store.document().resources.contains_key(address)) {
                return Err(unknown(address).into());
            }
            let events: Vec<Event> = addresses.iter().map(|address| Event::Gone { address: address.clone() }).collect();
            store.append(&events)?;
            store.finish()?;
            for address in addresses {
                output::result(&format!("Forgot {address}. It exists as before, and is not ours any more."));
            }
        }
    }
    Ok(Exit::Done)
}

fn unknown(address: &Address) -> Diagnostic {
    Diagnostic::new(Kind::State, format!("the state does not have {address}"))
        .hint("`nornplan state list` shows what it has")
}
