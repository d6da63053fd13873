//! `nornplan apply`, and what `destroy` and `rotate` share with it.

use super::args::{ApplyArgs, ScopeArgs};
use super::signals::Interrupts;
use super::state::command_line;
use super::workspace::{self, Request, Workspace};
use super::{Global, apply_saved, nodes, output, preflight};
use crate::boundary;
use crate::config::Config;
use crate::core::consent::{Allowance, Consent};
use crate::core::step::{Hold, StepId};
use crate::error::{Diagnostic, Exit, Kind, in_order};
use crate::exec::carried::SavedPlan;
use crate::exec::{self, Job, Listener};
use crate::render;
use crate::render::again::Again;
use crate::scope::Scope;
use crate::services::postgres::snapshot;
use crate::services::{ApplyContext, Outcome, Plan, Progress, ServiceId, Step};
use crate::spec::model::Specs;
use crate::state::{Event, LockedStore, Store};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Plan, show, ask, and carry it out
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nornplan apply
  nornplan apply --auto-approve --app cafe-backend
  nornplan apply plan.json              exactly what was saved, without asking
  nornplan apply --allow-destroy postgres.database.old_db

Exit: 0 done, 1 something failed or is blocked, 130 or 143 interrupted")]
pub struct Args {
    /// A plan that `nornplan plan --out FILE` saved
    #[arg(value_name = "PLANFILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    apply: ApplyArgs,
}

pub async fn run(global: &Global, args: &Args) -> super::Outcome {
    if let Some(file) = &args.plan {
        if !args.scope.is_empty() {
            return Err(Diagnostic::new(Kind::Usage, "--app and --service do not go with a saved plan")
                .hint("a saved plan is carried out as it is; narrow it when it is made")
                .into());
        }
        if args.apply.look.shallow || args.apply.look.probe_credentials {
            return Err(Diagnostic::new(Kind::Usage, "--shallow and --probe-credentials do not go with a saved plan")
                .hint("they say how to look when the plan is made: give them to `nornplan plan --out FILE`")
                .into());
        }
        return apply_saved::run(global, file, &args.apply).await;
    }
    let workspace = Workspace::open(global)?;
    let scope = args.scope.scope();
    let specs = workspace::specs_in(global, &workspace.config, &scope).await?;
    converge(&workspace, &Run { specs: &specs, scope, flags: &args.apply }).await
}

/// What to bring about, and how.
pub struct Run<'a> {
    pub specs: &'a Specs,
    pub scope: Scope,
    pub flags: &'a ApplyArgs,
}

/// Takes away what a killed run left half written in the sink and among the snapshots, and on the services that the plan
/// looked at. That may be another run's, if it has the lock by now: so the lock is proved first.
///
/// # Errors
/// The lock is no longer ours.
pub async fn tidy(workspace: &Workspace, plan: &Plan, store: &mut LockedStore) -> crate::error::Result<()> {
    store.check().await?;
    workspace.vault.tidy_stage(&store.document().lineage);
    snapshot::tidy(&workspace.config.postgres.snapshots);
    let was_read = |id: &ServiceId| plan.services.get(id.as_str()).is_some_and(|head| head.version.is_some());
    for (_, service) in workspace.services.iter().filter(|(id, _)| was_read(id)) {
        service.tidy().await.iter().for_each(|line| output::message(&render::clean(line)));
    }
    Ok(())
}

/// Takes the lock, plans, shows, asks and carries it out.
pub async fn converge(workspace: &Workspace, run: &Run<'_>) -> super::Outcome {
    let ApplyArgs { consent, look, write } = run.flags;
    write.check()?;
    let interrupts = Interrupts::listen(write.grace())?;
    let Some(mut store) = lock(&workspace.config, write.lock_timeout, &interrupts).await? else {
        return Ok(interrupted(&interrupts));
    };
    // Another checkout may have applied something until we had the lock.
    let again = workspace::specs_again(&workspace.config, &run.scope, store.document())?;
    let request = Request {
        specs: again.as_ref().unwrap_or(run.specs),
        scope: &run.scope,
        consent: &consent.consent(),
        document: store.document(),
        depth: look.depth(),
        wait: look.wait(),
    };
    let Some(planned) = interrupts.unless_heard(workspace.plan(&request)).await else {
        return Ok(interrupted(&interrupts));
    };
    let planned = planned?;
    boundary::pass(|| "after plan".to_owned());
    let Some(tidied) = interrupts.unless_heard(tidy(workspace, &planned.plan, &mut store)).await else {
        return Ok(interrupted(&interrupts));
    };
    tidied?;
    output::report(&render::text::plan(&planned.plan, &workspace.style()));
    if !planned.errors.is_empty() {
        output::message("The plan is incomplete, so nothing was applied.");
        return Err(planned.errors.into());
    }
    tell_idle(&consent.consent(), &planned.plan);
    if planned.plan.runnable().next().is_none() {
        note_all(&planned.plan, &mut store).await?;
        return Ok(nothing_runs(&planned.plan));
    }
    if !write.auto_approve {
        let places = render::head::places(&planned.plan.services);
        let on = if places.is_empty() { String::new() } else { format!(" on {places}") };
        let question = format!("Carry this out in environment {:?}{on}?", planned.plan.environment);
        let answer = tokio::task::spawn_blocking(move || output::ask(&question));
        let Some(answer) = interrupts.unless_heard(answer).await else { return Ok(interrupted(&interrupts)) };
        if !answer.unwrap_or(false) {
            output::message("Nothing was applied.");
            return Ok(Exit::Failed);
        }
    }
    carry_out(workspace, &planned.plan, None, &mut store, run.flags, &interrupts).await
}

/// Notes all that there is to note of a plan of which no step runs.
///
/// # Errors
/// The state cannot be written.
pub async fn note_all(plan: &Plan, store: &mut LockedStore) -> crate::error::Result<()> {
    note_what_was_learnt(plan, store).await?;
    store.append(&nodes::even(plan, store.document())).await?;
    store.finish().await?;
    if !plan.prevent_destroy.is_empty() {
        output::message("Noted in the state what the infraspecs say of prevent_destroy.");
    }
    Ok(())
}

/// Warns of a consent that is about nothing in the plan: a misspelt address looks like it.
pub fn tell_idle(consent: &Consent, plan: &Plan) {
    for (flag, given) in [("--allow-destroy", &consent.destroy), ("--allow-interrupt", &consent.interrupt)] {
        for one in given {
            let Allowance::Matching(glob) = one else { continue };
            if !plan.steps.iter().any(|step| one.covers(&step.address, false)) {
                let what = render::clean(glob.glob().glob());
                output::message(&format!("warning: {flag} {what} matches nothing in this plan"));
            }
        }
    }
}

/// Says so, if there is anything to do at all. What is held waits for somebody's word; what is blocked was declared and
/// cannot be done.
pub fn nothing_runs(plan: &Plan) -> Exit {
    let told = told_held(plan);
    if !told.is_empty() {
        output::message(&format!("Nothing was applied: {told}."));
    }
    if plan.held().any(is_blocked) { Exit::Failed } else { Exit::Done }
}

fn is_blocked(step: &Step) -> bool {
    matches!(step.hold, Some(Hold::Blocked { .. }))
}

/// How many resources do not run, in words.
pub fn told_held(plan: &Plan) -> String {
    let count = |blocked: bool| {
        let steps = plan.held().filter(|step| is_blocked(step) == blocked);
        steps.map(|step| &step.address).collect::<BTreeSet<_>>().len()
    };
    let counts = [(count(true), "blocked"), (count(false), "held")].into_iter().filter(|(number, _)| *number > 0);
    counts.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

/// Waits for the lock, unless an interrupt is heard meanwhile: `None`.
pub async fn lock(
    config: &Config,
    timeout: Option<Duration>,
    interrupts: &Interrupts,
) -> Result<Option<LockedStore>, Diagnostic> {
    let command = command_line();
    interrupts.unless_heard(Store::lock(config, timeout.unwrap_or_default(), &command)).await.transpose()
}

pub fn interrupted(interrupts: &Interrupts) -> Exit {
    output::message("Interrupted; nothing was applied.");
    Exit::Interrupted(interrupts.number())
}

impl Listener for render::progress::Progress {
    fn started(&self, steps: &[&Step]) {
        let ids: Vec<StepId> = steps.iter().map(|step| step.id()).collect();
        if let Some(first) = steps.first() {
            Self::started(self, &ids, first.action);
        }
    }

    fn finished(&self, step: &Step, outcome: &Outcome) {
        Self::finished(self, &step.id(), outcome);
    }
}

/// Carries out what runs of a plan, and tells how that went. `saved` is what is known of it, if it was saved.
pub async fn carry_out(
    workspace: &Workspace,
    plan: &Plan,
    saved: Option<&SavedPlan>,
    store: &mut LockedStore,
    flags: &ApplyArgs,
    interrupts: &Interrupts,
) -> super::Outcome {
    // Hours may have passed at the question.
    let Some(ours) = interrupts.unless_heard(store.check()).await else { return Ok(interrupted(interrupts)) };
    ours?;
    preflight::check(workspace, plan, store).await?;
    if plan.runnable().any(|step| ServiceId::of(&step.address) == Some(ServiceId::Secrets)) {
        workspace.vault.claim(&store.document().lineage)?;
    }
    let noted = interrupts.unless_heard(note_what_was_learnt(plan, store)).await;
    let Some(noted) = noted else { return Ok(interrupted(interrupts)) };
    noted?;
    boundary::pass(|| "before steps".to_owned());
    let staged = exec::stage::Before::look(&plan.steps, &workspace.vault)?;
    let (vault, removed) = (workspace.vault.clone(), Progress::default());
    let stop = interrupts.stop.clone();
    let context = ApplyContext { vault, consent: flags.consent.consent(), removed: removed.clone(), stop };
    let job = Job {
        steps: &plan.steps,
        services: &workspace.services,
        context: &context,
        saved,
        parallelism: usize::from(flags.write.parallelism),
        stop: interrupts.stop.clone(),
        abort: interrupts.abort.clone(),
    };
    let began = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    if !terminal {
        output::message("");
    }
    let progress = render::progress::Progress::new(plan.runnable().count(), terminal);
    interrupts.writing_begins();
    let executed = progress.counting(&removed, exec::execute(&job, store, &progress)).await;
    progress.done();
    boundary::pass(|| "after steps".to_owned());
    let unsent = staged.unsent(&plan.steps, &executed.outcomes);
    let is_whole = plan.held().next().is_none();
    let carried = saved.filter(|_| is_whole).and_then(|saved| saved.carried_out(&executed.outcomes));
    let mut report =
        render::outcome::Report::new(plan, executed.outcomes, began.elapsed()).given_up(&executed.given_up);
    let end = async {
        // Without the lock, what is staged may be what another run has sent by now.
        let discarded = match &executed.unrecorded {
            None if !unsent.is_empty() => store.check().await.and_then(|()| unsent.discard(&workspace.vault)),
            Some(_) | None => Ok(()),
        };
        let noted = if report.incomplete() {
            Ok(())
        } else {
            let events: Vec<Event> = nodes::even(plan, store.document()).into_iter().chain(carried).collect();
            store.append(&events).await
        };
        // Whatever happened, what was done is written before anything is said.
        let finished = match noted {
            Ok(()) => store.finish().await,
            Err(error) => Err(error),
        };
        (discarded, finished)
    };
    let (discarded, finished) = interrupts.in_time(end).await.unwrap_or_else(|| (Ok(()), Err(not_in_time())));
    if finished.is_err() {
        report = report.unrecorded();
    }
    output::report(&format!("\n{}", render::outcome::text(&report, &workspace.style())));
    let errors: Vec<Diagnostic> =
        executed.unrecorded.into_iter().chain(finished.err()).chain(discarded.err()).collect();
    if !errors.is_empty() {
        return Err(in_order(errors).into());
    }
    if let Some(signal) = interrupts.heard() {
        let next = match saved {
            _ if !report.incomplete() => "All of it was done already.",
            Some(_) => "Apply the same plan again to go on from here.",
            None => Again::of(plan).interrupted(),
        };
        output::message(&format!("Interrupted. {next}"));
        return Ok(Exit::Interrupted(signal));
    }
    Ok(if report.incomplete() { Exit::Failed } else { Exit::Done })
}

/// A database of states may hang.
fn not_in_time() -> Diagnostic {
    Diagnostic::new(Kind::State, "the state was not written in time after the interrupt").hint(
        "what is in its journal counts; of what is not, the next `nornplan apply` finds out that it is as planned. See why \
         the place of the state does not answer (`nornplan doctor`)",
    )
}

/// Notes which servers the state is about, and what the infraspecs say of `prevent_destroy`: before the first step, so
/// that it holds for whatever is made.
async fn note_what_was_learnt(plan: &Plan, store: &mut LockedStore) -> crate::error::Result<()> {
    let servers = plan.services.iter().filter_map(|(service, head)| {
        let identity = head.identity.clone()?;
        let known = store.document().servers.get(service) == Some(&identity);
        (!known).then(|| Event::Server { service: service.clone(), identity })
    });
    let prevention = plan
        .prevent_destroy
        .iter()
        .filter(|(app, says)| store.document().prevent_destroy.contains(*app) != **says)
        .map(|(app, says)| Event::PreventDestroy { app: app.clone(), says: *says });
    let nodes = nodes::met(plan, store.document());
    let events: Vec<Event> = servers.chain(prevention).chain(nodes).collect();
    store.append(&events).await
}
