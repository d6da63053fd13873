//! `nornplan apply`, and what `destroy` and `rotate` share with it.

use super::args::{ApplyArgs, ScopeArgs, WriteArgs};
use super::signals::Interrupts;
use super::workspace::{self, Request, Workspace};
use super::{Errors, Global, nodes, output, saved};
use crate::core::consent::{self, Allowance, Consent};
use crate::core::plan::{Level, Notice};
use crate::core::step::{Action, Hold, Reason, StepId};
use crate::error::{Diagnostic, Exit, Kind};
use crate::exec::{self, Job, Listener};
use crate::observe;
use crate::render;
use crate::scope::Scope;
use crate::services::{ApplyContext, Ask, Outcome, Plan, Progress, ServiceId, Step};
use crate::spec::model::Specs;
use crate::state::{Document, Event, LockedStore, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
        return carry_out_saved(global, file, args).await;
    }
    let workspace = Workspace::open(global)?;
    let specs = workspace::specs(global, &workspace.config)?;
    converge(&workspace, &Run { specs: &specs, scope: args.scope.scope(), flags: &args.apply }).await
}

/// What to bring about, and how.
pub struct Run<'a> {
    pub specs: &'a Specs,
    pub scope: Scope,
    pub flags: &'a ApplyArgs,
}

/// Takes the lock, plans, shows, asks and carries it out.
pub async fn converge(workspace: &Workspace, run: &Run<'_>) -> super::Outcome {
    let ApplyArgs { consent, look, write } = run.flags;
    write.check()?;
    let interrupts = Interrupts::listen()?;
    let Some(mut store) = lock(workspace, write, &interrupts).await? else { return Ok(interrupted(&interrupts)) };
    let request = Request {
        specs: run.specs,
        scope: &run.scope,
        consent: &consent.consent(),
        document: store.document(),
        depth: look.depth(),
        wait: look.wait(),
    };
    let planned = tokio::select! {
        planned = workspace.plan(&request) => planned?,
        () = interrupts.stop.cancelled() => return Ok(interrupted(&interrupts)),
    };
    workspace.vault.tidy_stage(&store.document().lineage);
    output::result(&render::text::plan(&planned.plan, &workspace.style()));
    if !planned.errors.is_empty() {
        output::message("The plan is incomplete, so nothing was applied.");
        return Err(planned.errors.into());
    }
    tell_idle(&consent.consent(), &planned.plan);
    if planned.plan.runnable().next().is_none() {
        note_what_was_learnt(&planned.plan, &mut store)?;
        store.append(&nodes::even(&planned.plan, store.document()))?;
        store.finish()?;
        if !planned.plan.prevent_destroy.is_empty() {
            output::message("Noted in the state what the infraspecs say of prevent_destroy.");
        }
        return Ok(nothing_runs(&planned.plan));
    }
    if !write.auto_approve {
        let places = render::head::places(&planned.plan.services);
        let on = if places.is_empty() { String::new() } else { format!(" on {places}") };
        let question = format!("Carry this out in environment {:?}{on}?", planned.plan.environment);
        let answer = tokio::task::spawn_blocking(move || output::ask(&question));
        let yes = tokio::select! {
            answer = answer => answer.unwrap_or(false),
            () = interrupts.stop.cancelled() => return Ok(interrupted(&interrupts)),
        };
        if !yes {
            output::message("Nothing was applied.");
            return Ok(Exit::Failed);
        }
    }
    carry_out(workspace, &planned.plan, &mut store, run.flags, &interrupts).await
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
fn nothing_runs(plan: &Plan) -> Exit {
    let is_blocked = |step: &&Step| matches!(step.hold, Some(Hold::Blocked { .. }));
    let count = |steps: &mut dyn Iterator<Item = &Step>| steps.map(|step| &step.address).collect::<BTreeSet<_>>().len();
    let blocked = count(&mut plan.held().filter(is_blocked));
    let held = count(&mut plan.held().filter(|step| !is_blocked(step)));
    let told: Vec<String> = [(blocked, "blocked"), (held, "held")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if !told.is_empty() {
        output::message(&format!("Nothing was applied: {}.", told.join(", ")));
    }
    if blocked > 0 { Exit::Failed } else { Exit::Done }
}

/// Waits for the lock on a thread of its own, so that an interrupt is heard meanwhile: `None`.
async fn lock(
    workspace: &Workspace,
    write: &WriteArgs,
    interrupts: &Interrupts,
) -> Result<Option<LockedStore>, Diagnostic> {
    let command: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let (config, timeout) = (workspace.config.clone(), write.lock_timeout.unwrap_or_default());
    let waiting = tokio::task::spawn_blocking(move || Store::lock(&config, timeout, &command.join(" ")));
    tokio::select! {
        locked = waiting => match locked {
            Ok(locked) => locked.map(Some),
            Err(error) => Err(Diagnostic::new(Kind::State, "the lock could not be waited for").because(error)),
        },
        () = interrupts.stop.cancelled() => Ok(None),
    }
}

fn interrupted(interrupts: &Interrupts) -> Exit {
    output::message("Interrupted; nothing was applied.");
    Exit::Interrupted(interrupts.heard().unwrap_or(libc::SIGINT))
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

async fn carry_out(
    workspace: &Workspace,
    plan: &Plan,
    store: &mut LockedStore,
    flags: &ApplyArgs,
    interrupts: &Interrupts,
) -> super::Outcome {
    if plan.runnable().any(|step| ServiceId::of(&step.address) == Some(ServiceId::Secrets)) {
        workspace.vault.claim(&store.document().lineage)?;
    }
    note_what_was_learnt(plan, store)?;
    let staged = exec::stage::Before::look(&plan.steps, &workspace.vault)?;
    let (vault, removed) = (workspace.vault.clone(), Progress::default());
    let context = ApplyContext { vault, consent: flags.consent.consent(), removed: removed.clone() };
    let job = Job {
        steps: &plan.steps,
        services: &workspace.services,
        context: &context,
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
    let executed = progress.counting(&removed, exec::execute(&job, store, &progress)).await;
    progress.done();
    let discarded = staged.discard_unsent(&plan.steps, &executed.outcomes, &workspace.vault);
    let mut report = render::outcome::Report::new(plan, executed.outcomes, began.elapsed());
    let noted = if report.incomplete() { Ok(()) } else { store.append(&nodes::even(plan, store.document())) };
    // Whatever happened, what was done is written before anything is said.
    let finished = noted.and_then(|()| store.finish());
    if finished.is_err() {
        report = report.unrecorded();
    }
    output::result(&format!("\n{}", render::outcome::text(&report, &workspace.style())));
    let errors: Vec<Diagnostic> =
        executed.unrecorded.into_iter().chain(finished.err()).chain(discarded.err()).collect();
    if !errors.is_empty() {
        return Err(errors.into());
    }
    if let Some(signal) = interrupts.heard() {
        output::message("Interrupted. Run `nornplan apply` again to go on from here.");
        return Ok(Exit::Interrupted(signal));
    }
    Ok(if report.incomplete() { Exit::Failed } else { Exit::Done })
}

/// Notes which servers the state is about, and what the infraspecs say of `prevent_destroy`: before the first step, so
/// that it holds for whatever is made.
fn note_what_was_learnt(plan: &Plan, store: &mut LockedStore) -> crate::error::Result<()> {
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
    store.append(&events)
}

async fn carry_out_saved(global: &Global, file: &Path, args: &Args) -> super::Outcome {
    let mut plan = saved::read(file)?;
    let workspace = Workspace::open(global)?;
    let interrupts = Interrupts::listen()?;
    let write = &args.apply.write;
    let Some(mut store) = lock(&workspace, write, &interrupts).await? else { return Ok(interrupted(&interrupts)) };
    let refuse = |message: String| {
        Errors::from(
            Diagnostic::new(Kind::Plan, message).in_file(file).hint("make a new one with `nornplan plan --out FILE`"),
        )
    };
    if plan.environment != workspace.config.environment {
        return Err(refuse(format!(
            "the plan is for environment {:?}, this is {:?}",
            plan.environment, workspace.config.environment
        )));
    }
    let document = store.document();
    let fresh = plan.serial == 0 && document.serial == 0;
    if plan.lineage != document.lineage && !fresh {
        return Err(refuse("the plan was made from another state".to_owned()));
    }
    workspace.vault.check_lineage(&document.lineage, document.has_published())?;
    if let Some(step) = published_meanwhile(&workspace, &plan)? {
        return Err(refuse(format!(
            "the password that an earlier run had staged for {} is published by now",
            step.address
        )));
    }
    if let Some(other) = another_server(&workspace, &mut plan, document).await? {
        return Err(refuse(other));
    }
    consent::release(&mut plan.steps, &args.apply.consent.consent());
    if let Some(step) = prevented_meanwhile(store.document(), &plan) {
        return Err(refuse(format!(
            "it destroys {}, and since it was made the infraspec of {} was applied with prevent_destroy",
            step.address, step.app
        )));
    }
    output::result(&render::text::plan(&plan, &workspace.style()));
    tell_idle(&args.apply.consent.consent(), &plan);
    carry_out(&workspace, &plan, &mut store, &args.apply, &interrupts).await
}

/// A step that was to finish what an earlier run began, which something else has finished meanwhile: carried out now, it
/// would set a new password that nobody asked for.
fn published_meanwhile<'a>(workspace: &Workspace, plan: &'a Plan) -> Result<Option<&'a Step>, Diagnostic> {
    let finishes = |step: &&Step| step.sets_credential && step.reasons.contains(&Reason::UnfinishedRun);
    for step in plan.runnable().filter(finishes) {
        let Some(service) = ServiceId::of(&step.address) else { continue };
        if workspace.vault.staged(&step.app, service)?.is_none() {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

/// A destroy of what the state protects by now, unless the plan itself was made to let that go.
fn prevented_meanwhile<'a>(document: &Document, plan: &'a Plan) -> Option<&'a Step> {
    let is_kept = |app| document.prevent_destroy.contains(app) && plan.prevent_destroy.get(app) != Some(&false);
    plan.runnable().filter(|step| step.action == Action::Destroy && is_kept(&step.app)).find(|step| {
        // What a declared app has no more use for goes without consent, and without being prevented.
        step.is_serious() || !plan.apps.contains_key(&step.app)
    })
}

/// Whether a server is another one than was planned for, in words. What is to be known of the servers by now, and stands
/// in no plan, is said; which nodes are there is no longer as it was planned.
async fn another_server(
    workspace: &Workspace,
    plan: &mut Plan,
    document: &Document,
) -> Result<Option<String>, Diagnostic> {
    let asks: BTreeMap<ServiceId, Ask> = ServiceId::ALL
        .into_iter()
        .filter(|id| *id != ServiceId::Secrets && plan.services.contains_key(id.as_str()))
        .map(|id| {
            let mut ask = Ask { shallow: true, ..Ask::default() };
            observe::remind(&mut ask, id, document);
            (id, ask)
        })
        .collect();
    for (id, read) in workspace.observe(&asks, std::time::Duration::ZERO).await {
        let planned = plan.services.get(id.as_str()).and_then(|head| head.identity.clone());
        let read = read?;
        let is_new = |notice: &&Notice| notice.level != Level::Note && !plan.notices.contains(notice);
        for notice in read.notices.iter().filter(is_new) {
            output::message(&format!("warning: {}: {}", id.title(), render::clean(&notice.text)));
        }
        if let Some(head) = plan.services.get_mut(id.as_str()) {
            head.nodes = read.nodes;
        }
        let now = read.identity;
        if planned.is_some() && planned != now {
            let name = |identity: Option<String>| identity.unwrap_or_else(|| "unknown".to_owned());
            let (planned, now) = (name(planned), name(now));
            return Ok(Some(format!("{} is another server now: planned for {planned}, met {now}", id.title())));
        }
    }
    Ok(None)
}
