//! One table of what design.md says of consent: every action, risk, reason, circumstance and consent, against a few rules
//! that are written down here once more, in other words.

use super::*;
use crate::core::step::Part;
use crate::core::testing::step;
use std::sync::LazyLock;

const ADDRESS: &str = "postgres.database.old";
const ACTIONS: [Action; 9] = Action::ALL;
const RISKS: [Risk; 4] = [Risk::Interrupts, Risk::WidensAccess, Risk::RemovesLogin, Risk::LosesData];
const REASONS: [Reason; 20] = [
    Reason::Declared,
    Reason::ChangedInSpec,
    Reason::Drifted,
    Reason::Vanished,
    Reason::RulesChanged,
    Reason::NotOursYet,
    Reason::NoLongerDeclared,
    Reason::CredentialUnknown,
    Reason::CredentialWrong,
    Reason::UnfinishedRun,
    Reason::AskedFor,
    Reason::Publishes,
    Reason::HandsOver,
    Reason::StartsEmpty,
    Reason::FromAnotherApp,
    Reason::NotSaved,
    Reason::SetAgain,
    Reason::TakesOver,
    Reason::WasAway,
    Reason::Moved,
];

/// What an infraspec says of the app, or said.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spec {
    Declared,
    Prevents,
    Gone,
    GoneAndPrevented,
}

/// What is said of the address on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Nothing,
    Another,
    Address,
    Glob,
    All,
}

const SPECS: [Spec; 4] = [Spec::Declared, Spec::Prevents, Spec::Gone, Spec::GoneAndPrevented];
const WORDS: [Word; 5] = [Word::Nothing, Word::Another, Word::Address, Word::Glob, Word::All];
/// Those that the large table has of each flag: of the others, `every_word` says that they are the same.
const TO_DESTROY: [Word; 3] = [Word::Another, Word::Address, Word::All];
const TO_INTERRUPT: [Word; 2] = [Word::Another, Word::Address];

impl Word {
    fn allowances(self) -> Vec<Allowance> {
        let text = match self {
            Self::Nothing => return Vec::new(),
            Self::Another => "postgres.database.older",
            Self::Address => ADDRESS,
            Self::Glob => "postgres.*",
            Self::All => "all",
        };
        vec![Allowance::parse(text).unwrap()]
    }

    /// The same, made once.
    fn known(self) -> Vec<Allowance> {
        static KNOWN: LazyLock<Vec<(Word, Vec<Allowance>)>> =
            LazyLock::new(|| WORDS.into_iter().map(|word| (word, word.allowances())).collect());
        KNOWN.iter().find(|(word, _)| *word == self).map(|(_, made)| made.clone()).unwrap_or_default()
    }

    fn covers(self) -> bool {
        matches!(self, Self::Address | Self::Glob | Self::All)
    }
}

#[derive(Clone, Debug)]
struct Case {
    action: Action,
    risks: Vec<Risk>,
    reason: Reason,
    spec: Spec,
    /// Whether more than a third of what is owned goes.
    many: bool,
    /// Whether the differ asks by itself.
    asks: bool,
    destroy: Word,
    interrupt: Word,
}

/// The rules, as people read them in the design.
fn expected(case: &Case) -> Option<Hold> {
    let risk = |risk| case.risks.contains(&risk);
    let declared = matches!(case.spec, Spec::Declared | Spec::Prevents);
    let destroys = case.action == Action::Destroy;
    let grave = risk(Risk::LosesData) || risk(Risk::RemovesLogin);
    // Rights of a declared app are revoked without asking; of one that vanished, everything is held together.
    let to_destroy = if destroys { grave || !declared } else { risk(Risk::LosesData) };
    if to_destroy && matches!(case.spec, Spec::Prevents | Spec::GoneAndPrevented) {
        return Some(Hold::Prevented { remembered: case.spec == Spec::GoneAndPrevented });
    }
    let thirds = destroys && case.many;
    if to_destroy && !(if thirds { case.destroy == Word::All } else { case.destroy.covers() }) {
        return Some(if thirds { Hold::DestroyAll } else { Hold::Destroy });
    }
    // What goes under somebody's feet takes the other word as well.
    let under_feet = risk(Risk::Interrupts) && (risk(Risk::LosesData) || destroys && risk(Risk::RemovesLogin));
    let asks = !destroys
        && (case.asks
            || case.action == Action::Rotate && !matches!(case.reason, Reason::AskedFor | Reason::UnfinishedRun)
            || matches!(case.reason, Reason::FromAnotherApp | Reason::TakesOver)
            || risk(Risk::Interrupts)
                && matches!(case.reason, Reason::NotOursYet | Reason::HandsOver | Reason::StartsEmpty));
    ((under_feet || asks) && !case.interrupt.covers()).then_some(Hold::Interrupt)
}

impl Case {
    fn steps(&self) -> Vec<Step<(), ()>> {
        let mut first = step(ADDRESS, "a", self.action, &[]);
        first.risks.extend(&self.risks);
        first.reasons.insert(self.reason);
        first.hold = self.asks.then_some(Hold::Interrupt);
        // Two destroys at least make a third worth counting.
        let second = step("valkey.user.else", "b", Action::Destroy, &[]);
        vec![first, second]
    }

    fn circumstances(&self) -> Circumstances {
        let app = |name: &str| AppName::new(name).unwrap();
        let mut circumstances = Circumstances { owned: if self.many { 5 } else { 6 }, ..Circumstances::default() };
        circumstances.declared.insert(app("b"));
        match self.spec {
            Spec::Declared => _ = circumstances.declared.insert(app("a")),
            Spec::Prevents => {
                circumstances.declared.insert(app("a"));
                circumstances.prevented.insert(app("a"));
            }
            Spec::Gone => {}
            Spec::GoneAndPrevented => _ = circumstances.remembered.insert(app("a")),
        }
        circumstances
    }

    fn consent(&self) -> Consent {
        Consent { destroy: self.destroy.known(), interrupt: self.interrupt.known() }
    }
}

/// Every combination there is.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for action in ACTIONS {
        for risks in 0..1_u8 << RISKS.len() {
            let risks: Vec<Risk> = RISKS
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| risks & (1 << bit) != 0)
                .map(|(_, risk)| risk)
                .collect();
            for reason in REASONS {
                for (spec, many) in SPECS.into_iter().flat_map(|spec| [(spec, false), (spec, true)]) {
                    for asks in [false, true] {
                        // A differ asks of what it changes.
                        if asks && action == Action::Destroy {
                            continue;
                        }
                        for (destroy, interrupt) in
                            TO_DESTROY.into_iter().flat_map(|one| TO_INTERRUPT.map(|other| (one, other)))
                        {
                            let risks = risks.clone();
                            cases.push(Case { action, risks, reason, spec, many, asks, destroy, interrupt });
                        }
                    }
                }
            }
        }
    }
    cases
}

#[test]
fn every_word() {
    for (destroy, interrupt) in WORDS.into_iter().flat_map(|one| WORDS.map(|other| (one, other))) {
        for many in [false, true] {
            let case = Case {
                action: Action::Destroy,
                risks: vec![Risk::Interrupts, Risk::LosesData],
                reason: Reason::NoLongerDeclared,
                spec: Spec::Gone,
                many,
                asks: false,
                destroy,
                interrupt,
            };
            let mut steps = case.steps();
            hold(&mut steps, &case.consent(), &case.circumstances());
            assert_eq!(steps[0].hold, expected(&case), "{case:#?}");
        }
    }
}

#[test]
fn every_combination_is_held_as_the_rules_say() {
    let mut holds = BTreeMap::new();
    for case in cases() {
        let mut steps = case.steps();
        hold(&mut steps, &case.consent(), &case.circumstances());
        let expected = expected(&case);
        assert_eq!(steps[0].hold, expected, "{case:#?}");
        *holds.entry(format!("{expected:?}")).or_insert(0_usize) += 1;
        // Consent and its lack are of one step, and of what waits for it: the other goes in any case.
        assert_eq!(steps[1].hold, None, "{case:#?}");
    }
    // None, and each way to hold that does not depend on other steps.
    assert_eq!(holds.len(), 6, "{holds:#?}");
}

#[test]
fn what_is_held_in_a_saved_plan_is_released_by_the_same_consent_or_never() {
    // Of what loses data no differ asks by itself: in a saved plan that is not told beside the loss.
    for case in cases().into_iter().filter(|case| !(case.asks && case.risks.contains(&Risk::LosesData))) {
        let mut saved = case.steps();
        hold(&mut saved, &Consent::default(), &case.circumstances());
        let was = saved[0].hold.clone();
        release(&mut saved, &case.consent());
        let publishes = matches!(case.action, Action::Rotate | Action::Rename)
            || matches!(case.reason, Reason::HandsOver | Reason::StartsEmpty | Reason::FromAnotherApp);
        let now = &saved[0].hold;
        match (&was, expected(&case)) {
            (None, _) => assert_eq!(*now, None, "{case:#?}"),
            // It sets a password or a name that a plan made without consent does not publish.
            (Some(Hold::Interrupt | Hold::Destroy), None) if publishes && case.action != Action::Destroy => {
                assert!(matches!(now, Some(Hold::Blocked { .. })), "{now:?}\n{case:#?}");
            }
            // One consent is given and the other is not, or one more is asked for than was at first: never more than asked.
            (Some(_), Some(_)) => assert!(now.is_some(), "{case:#?}"),
            (Some(Hold::Prevented { .. }), None) => panic!("prevented, and then not: {case:#?}"),
            (Some(_), None) => assert_eq!(*now, None, "{case:#?}"),
        }
    }
}

#[test]
fn no_consent_releases_what_is_blocked_or_prevented_or_waits_for_it() {
    for kept in [Hold::Blocked { reason: "impossible".to_owned() }, Hold::Prevented { remembered: false }] {
        for action in ACTIONS {
            let mut first = step(ADDRESS, "a", action, &[]);
            first.hold = Some(kept.clone());
            let waits = step("postgres.role.a", "a", action, &[ADDRESS]);
            let further = step("secret.a", "a", action, &["postgres.role.a"]);
            let mut steps = vec![first, waits, further];
            let declared = BTreeSet::from([AppName::new("a").unwrap()]);
            let circumstances = Circumstances { declared, owned: 100, ..Circumstances::default() };
            let all = || Consent { destroy: Word::All.allowances(), interrupt: Word::All.allowances() };
            hold(&mut steps, &all(), &circumstances);
            release(&mut steps, &all());
            assert_eq!(steps[0].hold, Some(kept.clone()), "{action}");
            for (index, on) in [(1, ADDRESS), (2, "postgres.role.a")] {
                let on = StepId { address: on.parse().unwrap(), part: Part::Main };
                assert_eq!(steps[index].hold, Some(Hold::Waits { on }), "{action}");
            }
        }
    }
}
