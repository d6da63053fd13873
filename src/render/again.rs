//! How to go on after a run that did not get to its end.

use crate::core::step::{Action, Reason};
use crate::services::{Plan, Step};

/// What a plan was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Apply,
    Destroy,
    Rotate,
}

/// The run that a plan is of, as it is begun again.
#[derive(Debug)]
pub struct Again {
    aim: Aim,
    /// `--app` and `--service`.
    narrowed_to: Vec<String>,
}

impl Again {
    pub fn of(plan: &Plan) -> Self {
        let asked = |step: &&Step| step.reasons.contains(&Reason::AskedFor);
        let aim = match plan.steps.iter().find(asked) {
            None => Aim::Apply,
            Some(_) if plan.steps.iter().filter(asked).any(|step| step.action == Action::Rotate) => Aim::Rotate,
            Some(_) => Aim::Destroy,
        };
        Self { aim, narrowed_to: plan.narrowed_to.clone() }
    }

    /// After an interrupt.
    pub fn interrupted(&self) -> &'static str {
        match self.aim {
            Aim::Apply => "Run the same command again to go on from here.",
            Aim::Destroy => {
                "Run the same command again to go on from here; `nornplan apply` makes what is declared again."
            }
            Aim::Rotate => {
                "`nornplan apply` finishes the passwords that were begun; those that were not are as before: rotate them \
                 again."
            }
        }
    }

    /// Where something failed or was not begun.
    pub(super) fn recorded(&self) -> &'static str {
        match self.aim {
            Aim::Apply | Aim::Rotate => "Everything done is recorded; the next apply goes on from here.",
            Aim::Destroy => "Everything done is recorded; the next destroy goes on from here.",
        }
    }

    /// Where something was not as planned any more; `has` is "it has" or "they have".
    pub(super) fn refused(&self, has: &str) -> String {
        let flag = match self.aim {
            Aim::Apply => "",
            Aim::Destroy => " --destroy",
            Aim::Rotate => " --rotate",
        };
        let narrowed: String = self.narrowed_to.iter().map(|flag| format!(" {flag}")).collect();
        let then = match self.aim {
            Aim::Apply => "then apply that.".to_owned(),
            Aim::Destroy if narrowed.is_empty() => "then `nornplan destroy --all`.".to_owned(),
            Aim::Destroy => format!("then `nornplan destroy{narrowed}`."),
            Aim::Rotate => format!("then `nornplan rotate{}`.", narrowed.replace(" --app ", " ")),
        };
        format!("Run `nornplan plan{flag}{narrowed}` to see what {has} become, {then}")
    }
}
