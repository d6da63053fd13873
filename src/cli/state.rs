//! `nornplan state`

use super::{Global, Outcome, output, workspace};
use crate::core::address::Address;
use crate::error::{Diagnostic, Exit, Kind};
use crate::render::{self, Style};
use crate::state::{Document, Event, Store};
use clap::Subcommand;
use globset::{Glob, GlobMatcher};
use std::collections::BTreeSet;
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
        /// An address, or a glob such as 'secret.*'
        #[arg(value_name = "ADDRESS", value_parser = pattern, required = true)]
        addresses: Vec<Pattern>,
    },
}

fn address(text: &str) -> Result<Address, String> {
    text.parse()
}

/// What was written, and what it covers.
#[derive(Clone, Debug)]
struct Pattern(String, GlobMatcher);

fn pattern(text: &str) -> Result<Pattern, String> {
    match Glob::new(text) {
        Ok(glob) => Ok(Pattern(text.to_owned(), glob.compile_matcher())),
        Err(error) => Err(format!("{text:?} is neither an address nor a glob: {}", error.kind())),
    }
}

/// The addresses that a pattern names: the one that is written so, else those that the glob covers.
fn named(document: &Document, Pattern(text, glob): &Pattern) -> Result<BTreeSet<Address>, Diagnostic> {
    let matching = |matches: &dyn Fn(&str) -> bool| -> BTreeSet<Address> {
        document.resources.keys().filter(|address| matches(&address.to_string())).cloned().collect()
    };
    let found = Some(matching(&|address| address == text)).filter(|exact| !exact.is_empty());
    let found = found.unwrap_or_else(|| matching(&|address| glob.is_match(address)));
    if found.is_empty() { Err(unknown(text)) } else { Ok(found) }
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
            let mut forgotten = BTreeSet::new();
            for pattern in addresses {
                forgotten.extend(named(store.document(), pattern)?);
            }
            let events: Vec<Event> = forgotten.iter().map(|address| Event::Gone { address: address.clone() }).collect();
            store.append(&events)?;
            store.finish()?;
            for address in forgotten {
                output::result(&format!("Forgot {address}. It exists as before, and is not ours any more."));
            }
        }
    }
    Ok(Exit::Done)
}

fn unknown(address: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Kind::State, format!("the state does not have {address}"))
        .hint("`nornplan state list` shows what it has")
}
