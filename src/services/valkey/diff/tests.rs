use super::*;
use crate::core::name::AppName;
use crate::core::reconcile::Applied;
use crate::core::step::{Part, Reason};
use crate::services::Observed;
use crate::services::valkey::acl::{Catalogue, parse_line};
use crate::services::valkey::model::{Access, Holdings, KEYS, Keys, keys_address, user_address};
use crate::services::valkey::presets::expand;
use crate::services::{CredentialStatus, Observation};

struct Case {
    wanted: BTreeMap<Address, Wanted<Model>>,
    applied: BTreeMap<Address, Applied<Model>>,
    observation: Observation,
    rotate: BTreeSet<AppName>,
}

fn app() -> AppName {
    AppName::new("mail").unwrap()
}

fn declared(generated: bool) -> User {
    let blank = parse_line("user mail on", false).unwrap().user;
    User {
        access: Some(Access::Readwrite),
        namespace: Some("mail".to_owned()),
        reads: Some(BTreeMap::new()),
        db: Some(0),
        generated: Some(generated),
        extra_passwords: generated.then_some(0),
        keys: None,
        channels: None,
        databases: None,
        commands: None,
        selectors: None,
        ..blank
    }
}

fn server() -> Server {
    let commands = ["get", "set", "info", "time", "acl|setuser", "acl|deluser", "acl|whoami"];
    Server {
        database_rules: true,
        catalogue: Catalogue::of(commands),
        admin: "default".to_owned(),
        ..Server::default()
    }
}

impl Case {
    fn new(generated: bool) -> Self {
        let wanted = Wanted { app: app(), model: Model::ValkeyUser(declared(generated)) };
        Self {
            wanted: BTreeMap::from([(user_address("mail"), wanted)]),
            applied: BTreeMap::new(),
            observation: Observation { server: serde_json::to_value(server()).unwrap(), ..Observation::default() },
            rotate: BTreeSet::new(),
        }
    }

    /// The server has the user as it is wanted, but for a change.
    fn there(mut self, credential: CredentialStatus, change: impl FnOnce(&mut User)) -> Self {
        let mut user = expand(&declared(true), &server());
        (user.access, user.namespace, user.reads, user.db, user.generated) = (None, None, None, None, None);
        change(&mut user);
        let observed = Observed { credential: Some(credential), ..Observed::plain(Model::ValkeyUser(user)) };
        self.observation.resources.insert(user_address("mail"), observed);
        self
    }

    fn ours(mut self) -> Self {
        let model = Model::ValkeyUser(expand(&declared(true), &server()));
        self.applied.insert(user_address("mail"), Applied { app: app(), model });
        self
    }

    fn diff(&self) -> Vec<Step> {
        diff(DiffInput {
            wanted: &self.wanted,
            applied: &self.applied,
            observation: &self.observation,
            rotate: &self.rotate,
            credentials: &BTreeMap::new(),
        })
    }
}

#[test]
fn a_new_user_waits_for_its_password() {
    let steps = Case::new(true).diff();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].action, Action::Create);
    assert!(steps[0].sets_credential && steps[0].hold.is_none());
}

#[test]
fn people_who_keep_the_password_are_told_that_none_is_set() {
    let steps = Case::new(false).diff();
    assert!(!steps[0].sets_credential);
    assert!(steps[0].notes[0].contains("sets no password"));
}

#[test]
fn what_matches_is_adopted_once_and_then_left_alone() {
    let case = Case::new(true).there(CredentialStatus::Verified, |_| {});
    assert_eq!(case.diff().iter().map(|step| step.action).collect::<Vec<_>>(), [Action::Adopt]);
    assert!(case.ours().diff().is_empty());
}

#[test]
fn a_widened_pattern_is_drift_that_takes_away() {
    let case = Case::new(true).ours().there(CredentialStatus::Verified, |user| {
        user.keys = Some(BTreeSet::from(["~*".to_owned()]));
    });
    let steps = case.diff();
    assert_eq!(steps[0].action, Action::Update);
    assert_eq!(steps[0].reasons, BTreeSet::from([Reason::Drifted]));
    assert_eq!(steps[0].risks, BTreeSet::from([Risk::Interrupts]));
    let fields: Vec<&str> = steps[0].changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["rules_in_words", "keys"]);
    assert_eq!(steps[0].changes[0].before, serde_json::json!(["read and write all keys"]));
}

#[test]
fn what_a_node_has_beyond_the_others_is_taken_away_there() {
    let risks = |uneven: &str| {
        let case = Case::new(true).there(CredentialStatus::Verified, |user| {
            user.uneven_nodes = BTreeSet::from([uneven.to_owned()]);
        });
        case.diff().remove(0).risks
    };
    assert_eq!(risks("10.0.0.7:6379 (missing)"), BTreeSet::new());
    assert_eq!(risks("10.0.0.7:6379 (commands, password)"), BTreeSet::from([Risk::Interrupts]));
}

#[test]
fn a_login_that_a_node_may_still_have_goes_and_is_not_forgotten() {
    let mut case = Case::new(true).ours().there(CredentialStatus::Verified, |_| {});
    case.wanted.clear();
    case.observation.unread.insert(user_address("mail"), "10.0.0.7:6379 cannot be reached".to_owned());
    let goes = case.diff().remove(0);
    assert_eq!((goes.action, goes.hold), (Action::Destroy, None));
    let note = goes.notes.last().unwrap();
    assert!(note.starts_with("10.0.0.7:6379 cannot be reached: there the user stays"), "{note}");
    case.observation.resources.clear();
    let stays = case.diff().remove(0);
    assert_eq!(stays.action, Action::Forget);
    let Some(Hold::Blocked { reason }) = stays.hold else { panic!("it is forgotten") };
    assert!(reason.contains("the user may still be there"), "{reason}");
}

#[test]
fn what_a_node_missed_while_it_was_away_has_not_drifted() {
    let reasons = |back: &str, change: fn(&mut User)| {
        let mut case = Case::new(true).ours().there(CredentialStatus::Verified, |user| {
            user.uneven_nodes = BTreeSet::from(["10.0.0.7:6379 (keys: also ~a:*)".to_owned()]);
            change(user);
        });
        case.observation.nodes.back = BTreeSet::from([back.to_owned()]);
        case.diff().remove(0).reasons
    };
    assert_eq!(reasons("10.0.0.7:6379", |_| {}), BTreeSet::from([Reason::WasAway]));
    assert_eq!(reasons("10.0.0.8:6379", |_| {}), BTreeSet::from([Reason::Drifted]));
    let both = reasons("10.0.0.7:6379", |user| user.enabled = false);
    assert_eq!(both, BTreeSet::from([Reason::Drifted, Reason::WasAway]));
}

#[test]
fn taking_nopass_away_from_a_user_whose_password_people_keep_asks_first() {
    let open = |user: &mut User| user.nopass = true;
    let kept = Case::new(false).ours().there(CredentialStatus::Verified, open).diff();
    assert_eq!((kept[0].action, &kept[0].hold), (Action::Update, &Some(Hold::Interrupt)));
    assert!(kept[0].risks.contains(&Risk::Interrupts));
    let said = kept[0].notes.iter().any(|note| note.contains("ACL SETUSER mail >..."));
    assert!(said, "{:?}", kept[0].notes);
    // Where the password is ours, it is set with the rules.
    let ours = Case::new(true).ours().there(CredentialStatus::Verified, open).diff();
    assert!(ours[0].hold.is_none() && ours[0].sets_credential);
}

#[test]
fn a_user_that_is_only_where_its_going_was_missed_says_that_a_node_was_away() {
    let reasons = |uneven: &[&str]| {
        let mut case = Case::new(true).ours().there(CredentialStatus::Verified, |user| {
            user.uneven_nodes = uneven.iter().map(|node| (*node).to_owned()).collect();
        });
        case.observation.nodes.here = ["a:1", "b:1", "c:1"].map(str::to_owned).into();
        case.observation.nodes.back = BTreeSet::from(["c:1".to_owned()]);
        case.diff().remove(0).reasons
    };
    assert_eq!(reasons(&["a:1 (missing)", "b:1 (missing)"]), BTreeSet::from([Reason::Drifted, Reason::WasAway]));
    assert_eq!(reasons(&["a:1 (missing)"]), BTreeSet::from([Reason::Drifted]));
}

#[test]
fn a_wrong_password_is_rotated_apart_from_the_rules() {
    let steps = Case::new(true).ours().there(CredentialStatus::Wrong, |_| {}).diff();
    let parts: Vec<_> = steps.iter().map(|step| (step.part, step.action)).collect();
    assert_eq!(parts, [(Part::Credential, Action::Rotate), (Part::Close, Action::Rotate)]);
    assert_eq!(steps[0].op, Op::Valkey(UserOp::AddPassword));
    assert_eq!(steps[1].op, Op::Valkey(UserOp::RemoveFormerPasswords));
    assert!(steps[1].needs.contains(&steps[0].id()) && !steps[1].sets_credential);
    for step in &steps {
        assert_eq!(step.reasons, BTreeSet::from([Reason::CredentialWrong]));
    }
    let both = Case::new(true).ours().there(CredentialStatus::Wrong, |user| user.enabled = false).diff();
    assert_eq!(both.len(), 3);
}

#[test]
fn an_app_that_has_the_user_no_longer_cannot_sign_in_for_another_moment() {
    let mut case = Case::new(true).ours().there(CredentialStatus::Verified, |_| {});
    for applied in case.applied.values_mut() {
        applied.app = AppName::new("former").unwrap();
    }
    let steps = case.diff();
    let ops: Vec<_> = steps.iter().map(|step| &step.op).collect();
    assert_eq!(ops, [&Op::State, &Op::Valkey(UserOp::SetPassword)]);
}

#[test]
fn an_extra_password_is_drift_and_takes_consent_where_it_was_there_first() {
    let extra = |user: &mut User| user.extra_passwords = Some(1);
    let drifted = Case::new(true).ours().there(CredentialStatus::Verified, extra).diff();
    assert_eq!((drifted.len(), drifted[0].action), (1, Action::Update));
    assert_eq!(drifted[0].reasons, BTreeSet::from([Reason::Drifted]));
    assert!(drifted[0].notes[0].contains("an extra password is accepted for this user"), "{:?}", drifted[0].notes);
    let adopted = Case::new(true).there(CredentialStatus::Verified, extra).diff();
    assert_eq!(adopted[0].reasons, BTreeSet::from([Reason::NotOursYet]));
    assert!(adopted[0].risks.contains(&Risk::Interrupts));
    let kept = Case::new(false).ours().there(CredentialStatus::Verified, extra).diff();
    assert!(kept.iter().all(|step| !step.changes.iter().any(|change| change.field == "extra_passwords")));
}

#[test]
fn just_any_password_becomes_the_right_one_in_one_step() {
    let steps = Case::new(true).ours().there(CredentialStatus::Wrong, |user| user.nopass = true).diff();
    assert_eq!(steps.len(), 1);
    assert!(steps[0].sets_credential);
}

#[test]
fn a_removed_user_is_a_removed_login() {
    let mut case = Case::new(true).ours().there(CredentialStatus::Verified, |_| {});
    case.wanted.clear();
    let steps = case.diff();
    assert_eq!((steps[0].action, &steps[0].op), (Action::Destroy, &Op::Valkey(UserOp::DelUser)));
    assert!(steps[0].risks.contains(&Risk::RemovesLogin));
}

#[test]
fn a_server_that_forbids_acl_setuser_blocks() {
    let mut case = Case::new(true);
    let mut managed = server();
    managed.catalogue.commands.remove("acl|setuser");
    case.observation.server = serde_json::to_value(managed).unwrap();
    assert!(matches!(case.diff()[0].hold, Some(Hold::Blocked { .. })));
}

/// The infraspec is gone that said `purge-keys`, and the server says what there is.
fn purged(facts: Holdings) -> Case {
    let mut case = Case::new(true).ours().there(CredentialStatus::Verified, |_| {});
    case.wanted.clear();
    let keys = Keys { namespace: "mail".to_owned(), db: 0 };
    let address = keys_address(&keys);
    let keys = Model::ValkeyKeys(keys);
    case.applied.insert(address.clone(), Applied { app: app(), model: keys.clone() });
    let observed = Observed { facts: facts.facts(), ..Observed::plain(keys) };
    case.observation.resources.insert(address, observed);
    case
}

fn some_keys() -> Holdings {
    Holdings { keys: Some(3), sampled: Some(false), ..Holdings::default() }
}

#[test]
fn keys_go_after_the_user_and_lose_data() {
    let steps = purged(some_keys()).diff();
    let keys = steps.iter().find(|step| step.address.kind == KEYS).unwrap();
    assert_eq!((keys.action, &keys.op), (Action::Destroy, &Op::Valkey(UserOp::PurgeKeys)));
    assert!(keys.risks.contains(&Risk::LosesData) && keys.hold.is_none());
    assert!(keys.needs.iter().any(|need| need.address == user_address("mail")));
    let user = steps.iter().find(|step| step.address == user_address("mail")).unwrap();
    assert!(user.notes.contains(&"its keys go after it: valkey.keys.mail".to_owned()), "{:?}", user.notes);
    // Where nothing is known, nothing is taken for empty.
    let unknown = purged(Holdings::default()).diff();
    assert!(unknown.iter().any(|step| step.address.kind == KEYS && step.risks.contains(&Risk::LosesData)));
    let none = purged(Holdings { keys: Some(0), ..some_keys() }).diff();
    assert!(none.iter().all(|step| !step.risks.contains(&Risk::LosesData)));
}

#[test]
fn keys_that_an_infraspec_uses_are_only_forgotten() {
    let uses: [fn(&mut User); 2] = [
        |user| user.namespace = Some("mail".to_owned()),
        |user| user.reads = Some(BTreeMap::from([("mail".to_owned(), 0)])),
    ];
    for change in uses {
        let mut case = purged(some_keys());
        let mut other = User { name: "other".to_owned(), namespace: Some("other".to_owned()), ..declared(true) };
        change(&mut other);
        let wanted = Wanted { app: AppName::new("other").unwrap(), model: Model::ValkeyUser(other) };
        case.wanted.insert(user_address("other"), wanted);
        let steps = case.diff();
        let keys = steps.iter().find(|step| step.address.kind == KEYS).unwrap();
        assert_eq!((keys.action, &keys.op, &keys.before), (Action::Forget, &Op::State, &None));
        assert!(keys.risks.is_empty());
    }
}

#[test]
fn keys_that_a_stranger_may_use_stay_whoever_consents() {
    let reached = Holdings { reached_by: Some(BTreeSet::from(["ada".to_owned()])), ..some_keys() };
    let steps = purged(reached).diff();
    let keys = steps.iter().find(|step| step.address.kind == KEYS).unwrap();
    let Some(Hold::Blocked { reason }) = &keys.hold else { panic!("{keys:#?}") };
    assert!(reason.starts_with("ada may use keys of mail:* by rules of their own"), "{reason}");
}
