//! `nornplan show`

use super::plan::{Format, render};
use super::saved::{self, Saved};
use super::{Global, Outcome, output, workspace};
use crate::error::{Diagnostic, Exit, Kind};
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
    /// How to show it [default: text]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Cut the markdown to so many bytes
    #[arg(long, value_name = "N", default_value_t = GITHUB_BYTES, requires = "file")]
    max_bytes: usize,
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    match &args.file {
        Some(file) => {
            let saved = saved::read(file)?;
            output::result(&render(
                &saved.plan,
                args.format.unwrap_or(Format::Text),
                false,
                args.max_bytes,
                global.style(),
            )?);
            output::message(&origin(&saved));
        }
        None => {
            if args.format.is_some_and(|format| format != Format::Text) {
                return Err(Diagnostic::new(Kind::Usage, "the state is shown as text alone")
                    .hint("`nornplan state pull` prints it as JSON; to show a saved plan, name its file")
                    .into());
            }
            let store = Store::open(&workspace::config(global)?).await?;
            output::result(&render::state::text(store.document(), &global.style()));
        }
    }
    Ok(Exit::Done)
}

/// What a saved plan was made by, and from. The same for whoever looks at it, whenever.
fn origin(saved: &Saved) -> String {
    let Saved { plan, digest } = saved;
    let from = match &plan.lineage {
        Some(lineage) => format!("from state {} at serial {}", render::clean(lineage), plan.serial),
        None => "before there was a state".to_owned(),
    };
    let digest = digest.get(..12).unwrap_or(digest);
    format!("Saved plan {digest}, made by nornplan {} {from}.", render::clean(&plan.tool_version))
}
