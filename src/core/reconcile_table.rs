//! The table of cases: what is wanted, what there is, what was last applied, and what follows from the three.

use super::*;
use crate::core::address::Kind;
use crate::core::change::Field;

/// A resource with one declared field, and one that follows from it. `None` is unknown.
#[derive(Clone, Debug, PartialEq)]
struct Thing {
    declared: Option<char>,
    expanded: Option<char>,
}

impl Resource for Thing {
    fn fields(&self) -> Vec<Field> {
        vec![Field::maybe("declared", self.declared), Field::maybe("expanded", self.expanded).expanded()]
    }
}

/// `-` is nothing at all, and a letter the value of the declared field.
fn thing(letter: char) -> Option<Thing> {
    (letter != '-').then_some(Thing { declared: Some(letter), expanded: None })
}

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

/// What is decided: the action, the reasons, and the cause of each field that changes.
type Decided = Option<(Action, Vec<Reason>, Vec<Cause>)>;

fn decide(wanted: Option<Thing>, there: Option<Thing>, last: Option<Thing>, owner: &str) -> Decided {
    let address = Address::new(Kind::new("test.thing"), "a");
    let at = |thing: Option<Thing>| thing.map(|thing| (address.clone(), thing)).into_iter();
    let wanted = at(wanted).map(|(address, model)| (address, Wanted { app: app("a"), model })).collect();
    let last = at(last).map(|(address, model)| (address, Applied { app: app(owner), model })).collect();
    let mut decisions = reconcile(&wanted, &at(there).collect(), &last).into_iter();
    let decided = decisions.next().map(|decision| {
        let causes = decision.changes.iter().map(|change| change.cause).collect();
        (decision.action, decision.reasons.into_iter().collect(), causes)
    });
    assert!(decisions.next().is_none(), "one resource, one decision");
    decided
}

type Row = ([char; 3], &'static str, Option<(Action, &'static [Reason], &'static [Cause])>);

#[rustfmt::skip]
fn table() -> [Row; 15] {
    use Action::{Adopt, Create, Destroy, Forget, Record, Update};
    use Cause as C;
    use Reason as R;
    [
    // wanted, there, last
    (['-', '-', '-'], "nothing at all",                    None),
    (['-', 'a', '-'], "somebody else's",                   None),
    (['-', '-', 'a'], "forgotten",                         Some((Forget,  &[R::NoLongerDeclared],            &[]))),
    (['-', 'a', 'a'], "no longer declared",                Some((Destroy, &[R::NoLongerDeclared],            &[C::ChangedInSpec]))),
    (['-', 'a', 'b'], "no longer declared, and drifted",   Some((Destroy, &[R::NoLongerDeclared],            &[C::ChangedInSpec]))),
    (['a', '-', '-'], "pending: to be made",               Some((Create,  &[R::Declared],                    &[C::ChangedInSpec]))),
    (['a', '-', 'a'], "vanished",                          Some((Create,  &[R::Vanished],                    &[C::Drifted]))),
    (['a', '-', 'b'], "vanished, and changed in spec",     Some((Create,  &[R::Vanished],                    &[C::Drifted]))),
    (['a', 'a', '-'], "adopted",                           Some((Adopt,   &[R::NotOursYet],                  &[]))),
    (['a', 'b', '-'], "adopted, and not as declared",      Some((Update,  &[R::NotOursYet],                  &[C::NotOursYet]))),
    (['a', 'a', 'a'], "in step",                           None),
    (['a', 'b', 'b'], "pending: changed in spec",          Some((Update,  &[R::ChangedInSpec],               &[C::ChangedInSpec]))),
    (['a', 'b', 'a'], "drifted",                           Some((Update,  &[R::Drifted],                     &[C::Drifted]))),
    (['a', 'b', 'c'], "both",                              Some((Update,  &[R::ChangedInSpec, R::Drifted],   &[C::ChangedAndDrifted]))),
    (['a', 'a', 'b'], "already so",                        Some((Record,  &[R::ChangedInSpec],               &[]))),
    ]
}

/// The same case with its values named in the order in which they first appear.
fn pattern(case: [char; 3]) -> [char; 3] {
    let mut names: Vec<char> = Vec::new();
    case.map(|value| {
        if value == '-' {
            return '-';
        }
        let at = names.iter().position(|name| *name == value).unwrap_or_else(|| {
            names.push(value);
            names.len() - 1
        });
        ['a', 'b', 'c'][at]
    })
}

#[test]
fn every_case_of_what_is_wanted_what_there_is_and_what_was_last_applied() {
    const VALUES: [char; 4] = ['-', 'a', 'b', 'c'];
    let table = table();
    let mut met = BTreeSet::new();
    for wanted in VALUES {
        for there in VALUES {
            for last in VALUES {
                let case = pattern([wanted, there, last]);
                let rows: Vec<&Row> = table.iter().filter(|(row, _, _)| *row == case).collect();
                let [(_, name, expected)] = rows.as_slice() else { panic!("{case:?} is in the table once") };
                met.insert(*name);
                let expected = expected.map(|(action, reasons, causes)| (action, reasons.to_vec(), causes.to_vec()));
                let decided = decide(thing(wanted), thing(there), thing(last), "a");
                assert_eq!(decided, expected, "{name}: wanted {wanted}, there {there}, last applied {last}");
            }
        }
    }
    assert_eq!(met.len(), table.len(), "every row has its own name, and is met");
}

/// What belonged to another app until now says so, whatever else is done to it, where there is anything to pass on.
#[test]
fn every_case_again_of_what_was_another_apps() {
    for ([wanted, there, last], name, expected) in table() {
        if wanted == '-' || last == '-' {
            continue;
        }
        let (action, mut reasons, causes) = match expected {
            Some((action, reasons, causes)) => (action, reasons.to_vec(), causes.to_vec()),
            None => (Action::Record, Vec::new(), Vec::new()),
        };
        reasons.extend((there != '-').then_some(Reason::FromAnotherApp));
        let decided = decide(thing(wanted), thing(there), thing(last), "former");
        assert_eq!(decided, Some((action, reasons, causes)), "{name}");
    }
}

/// What could not be read is never a difference; what an older state does not have was never ours.
#[test]
fn what_is_unknown_is_neither_drift_nor_change() {
    let unknown = || Some(Thing { declared: None, expanded: None });
    assert_eq!(decide(thing('a'), unknown(), thing('a'), "a"), None);
    let record = Some((Action::Record, vec![Reason::ChangedInSpec], Vec::new()));
    assert_eq!(decide(thing('a'), unknown(), thing('b'), "a"), record);
    assert_eq!(decide(thing('a'), thing('a'), unknown(), "a"), record);
    let update = Some((Action::Update, vec![Reason::NotOursYet], vec![Cause::NotOursYet]));
    assert_eq!(decide(thing('a'), thing('b'), unknown(), "a"), update);
    assert_eq!(decide(unknown(), thing('b'), thing('c'), "a"), None);
}

/// The same declaration that means something else on another version of the server is no edit and no drift.
#[test]
fn what_only_follows_from_the_declaration_is_told_apart() {
    let of = |declared: char, expanded: char| Some(Thing { declared: Some(declared), expanded: Some(expanded) });
    let there = |expanded: char| Some(Thing { declared: None, expanded: Some(expanded) });
    let update = |reason: &[Reason], cause| Some((Action::Update, reason.to_vec(), vec![cause]));
    let record = |reason| Some((Action::Record, vec![reason], Vec::new()));
    let (both, drift) = (&[Reason::ChangedInSpec, Reason::Drifted], &[Reason::Drifted]);
    #[rustfmt::skip]
    let cases = [
        (of('a', 'x'), there('x'), of('a', 'x'), None),
        (of('a', 'y'), there('x'), of('a', 'x'), update(&[Reason::RulesChanged], Cause::RulesChanged)),
        (of('b', 'y'), there('x'), of('a', 'x'), update(&[Reason::ChangedInSpec], Cause::ChangedInSpec)),
        (of('a', 'x'), there('y'), of('a', 'x'), update(drift, Cause::Drifted)),
        (of('a', 'y'), there('z'), of('a', 'x'), update(both, Cause::ChangedAndDrifted)),
        (of('a', 'y'), there('y'), of('a', 'x'), record(Reason::RulesChanged)),
        (of('b', 'y'), there('y'), of('a', 'x'), record(Reason::ChangedInSpec)),
        (of('b', 'x'), there('x'), of('a', 'x'), record(Reason::ChangedInSpec)),
    ];
    for (wanted, there, last, expected) in cases {
        let case = format!("{wanted:?} {there:?} {last:?}");
        assert_eq!(decide(wanted, there, last, "a"), expected, "{case}");
    }
}

/// Drift in one field and an edit of another are told field by field.
#[test]
fn each_field_says_for_itself_why_it_changes() {
    let of = |declared: char, expanded: char| Some(Thing { declared: Some(declared), expanded: Some(expanded) });
    let decided = decide(of('b', 'x'), of('a', 'y'), of('a', 'x'), "a");
    let causes = vec![Cause::ChangedInSpec, Cause::Drifted];
    assert_eq!(decided, Some((Action::Update, vec![Reason::ChangedInSpec, Reason::Drifted], causes)));
}
