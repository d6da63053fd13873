//! `nornplan doctor`

use super::workspace::{self, Workspace};
use super::{Global, Outcome, output};
use crate::error::Exit;
use crate::render::{Style, count};
use crate::services::{self, Check, ServiceId, Verdict};
use crate::state::Store;
use std::time::Duration;

/// Look over every service in use: reachable, version, rights, what isolates, persistence
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "health",
    after_help = "Example:\n  nornplan doctor\n\nExit: 0 all can be worked with (warnings included), 1 something is in the way"
)]
pub struct Args {}

const DEADLINE: Duration = Duration::from_secs(20);

pub async fn run(global: &Global, _args: &Args) -> Outcome {
    let workspace = Workspace::open(global)?;
    let mut first = Vec::new();
    let specs = match workspace::specs(global, &workspace.config) {
        Ok(specs) => {
            let number = count(specs.apps.len(), "infraspec is valid", "infraspecs are valid");
            first.push(check(Verdict::Good, number, None));
            Some(specs)
        }
        Err(errors) => {
            let hint = "`nornplan validate` shows them".to_owned();
            let number = count(errors.0.len(), "error in the infraspecs", "errors in the infraspecs");
            first.push(check(Verdict::Bad, number, Some(hint)));
            None
        }
    };
    let state = Store::open(&workspace.config);
    first.push(match &state {
        Ok(store) => {
            let owned = count(store.document().resources.len(), "resource is ours", "resources are ours");
            check(Verdict::Good, format!("the state can be read: {owned}"), None)
        }
        Err(error) => Check::failed(error),
    });
    let mut sections = vec![(
        "Workspace",
        format!("{} (environment {})", workspace.config.root.display(), workspace.config.environment),
        first,
    )];
    for id in ServiceId::ALL {
        let Some(service) = workspace.services.get(&id) else { continue };
        let declared = match &specs {
            Some(specs) => !services::desired(id, specs, &workspace.config)?.is_empty(),
            None => true,
        };
        let owned = state
            .as_ref()
            .is_ok_and(|store| store.document().resources.keys().any(|address| ServiceId::of(address) == Some(id)));
        let checks = if declared || owned {
            tokio::time::timeout(DEADLINE, service.examine()).await.unwrap_or_else(|_| {
                vec![check(Verdict::Bad, format!("no answer within {} s", DEADLINE.as_secs()), None)]
            })
        } else {
            vec![check(Verdict::NotUsed, "not used: no infraspec declares anything on it".to_owned(), None)]
        };
        sections.push((id.title(), service.endpoint(), checks));
    }
    output::result(&crate::render::doctor::text(&sections, &Style::of_stdout()));
    let bad = sections.iter().any(|(_, _, checks)| checks.iter().any(|check| check.verdict == Verdict::Bad));
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

fn check(verdict: Verdict, what: String, hint: Option<String>) -> Check {
    Check { verdict, what, hint }
}
