//! `nornplan plan`

use super::apply::told_held;
use super::args::{ConsentArgs, LookArgs, ScopeArgs};
use super::overwrite::{self, Written};
use super::workspace::{self, Request, Workspace};
use super::{Errors, Global, Outcome, destroy, output, rotate, saved};
use crate::core::step::Action;
use crate::error::{Diagnostic, Exit, Kind};
use crate::render::typed::{shell_word, typed};
use crate::render::{self, Style};
use crate::scope::Scope;
use crate::services::Plan;
use crate::spec::model::Specs;
use crate::state::{Document, Store};
use std::path::{Path, PathBuf};

/// Show what would change, and change nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nornplan plan
  nornplan plan --out plan.json && nornplan apply plan.json
  nornplan plan --format markdown > comment.md
  nornplan plan --detailed-exitcode --app cafe-backend
  nornplan plan --destroy --app cafe-backend --out plan.json

Exit: 0 planned, 1 an error or an incomplete plan; with --detailed-exitcode 2 if there are changes
or a node of a service could not be asked")]
pub struct Args {
    /// Save the plan, for `nornplan apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Plan what `nornplan destroy` would do, to the apps that --app names or to all of them
    #[arg(long, conflicts_with_all = ["rotate", "services"])]
    destroy: bool,
    /// Plan what `nornplan rotate` would do, to the apps that --app names
    #[arg(long, requires = "apps")]
    rotate: bool,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    look: LookArgs,
    /// Exit with 2 if there are changes, or a node of a service could not be asked
    #[arg(long)]
    detailed_exitcode: bool,
    /// Only the head, the counts and the last line
    #[arg(long)]
    summary: bool,
    /// Cut the markdown to so many bytes, by risk and never by position
    #[arg(long, value_name = "N", default_value_t = render::markdown::GITHUB_BYTES)]
    max_bytes: usize,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
    Markdown,
    Mermaid,
    Dot,
}

/// Renders a plan; `max_bytes` bounds the markdown.
pub fn render(
    plan: &Plan,
    format: Format,
    summary: bool,
    max_bytes: usize,
    style: Style,
) -> Result<String, Diagnostic> {
    Ok(match format {
        Format::Text if summary => typed(&render::text::brief(plan, &style)),
        Format::Text => typed(&render::text::plan(plan, &style)),
        Format::Json => render::json::plan(plan)
            .map_err(|error| Diagnostic::new(Kind::Plan, "the plan cannot be written as JSON").because(error))?,
        Format::Markdown => render::markdown::plan(plan, max_bytes),
        Format::Mermaid => render::graph::mermaid(plan),
        Format::Dot => render::graph::dot(plan),
    })
}

/// What the plan is about: as apply would do it, or destroy, or rotate.
fn scope(args: &Args, workspace: &Workspace, specs: &Specs, document: &Document) -> Result<Scope, Errors> {
    let ScopeArgs { apps, services } = &args.scope;
    if args.destroy {
        return Ok(destroy::scope(apps, apps.is_empty(), specs, document));
    }
    if args.rotate {
        return rotate::scope(apps, services, workspace, specs, document);
    }
    Ok(args.scope.scope())
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    if let Some(file) = &args.out {
        overwrite::check(file, Written::Plan)?;
    }
    let workspace = Workspace::open(global)?;
    let specs = workspace::specs_in(global, &workspace.config, &args.scope.scope()).await?;
    let store = Store::open(&workspace.config).await?;
    let scope = scope(args, &workspace, &specs, store.document())?;
    let consent = args.consent.consent();
    let planned = workspace
        .plan(&Request {
            specs: &specs,
            scope: &scope,
            consent: &consent,
            document: store.document(),
            depth: args.look.depth(),
            wait: args.look.wait(),
        })
        .await?;
    super::apply::tell_idle(&consent, &planned.plan);
    output::result(&render(&planned.plan, args.format, args.summary, args.max_bytes, global.style())?);
    if !planned.errors.is_empty() {
        if args.out.is_some() {
            output::message("The plan is incomplete, so it was not saved.");
        }
        return Err(planned.errors.into());
    }
    if let Some(file) = &args.out {
        saved::write(file, &planned.plan)?;
        output::message(&saved_to(file, &planned.plan));
    }
    // Nobody knows whether a node that could not be asked is as it should be.
    let differs = args.detailed_exitcode && (!planned.plan.is_empty() || !planned.plan.is_whole());
    Ok(if differs { Exit::Differs } else { Exit::Done })
}

/// How to carry out what was saved.
fn saved_to(file: &Path, plan: &Plan) -> String {
    let apply = format!("nornplan apply {}", shell_word(&file.display().to_string()));
    let file = file.display();
    if plan.is_empty() || plan.runnable().next().is_some() || !plan.prevent_destroy.is_empty() {
        return format!("Saved to {file}. Carry out exactly this with: `{apply}`");
    }
    let held = told_held(plan);
    match render::text::released_by(plan) {
        None => format!("Saved to {file}. Nothing of it can be carried out: {held}."),
        Some(flags) if plan.held().all(|step| step.action == Action::Destroy) => {
            format!("Saved to {file}. As it is it does nothing: {held}. Let go what is held with: `{apply} {flags}`")
        }
        Some(flags) => {
            format!("Saved to {file}. As it is it does nothing: {held}. To let go what is held, make it with {flags}")
        }
    }
}
