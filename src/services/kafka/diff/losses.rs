//! Which messages a change of configs takes away for good.

use crate::services::kafka::configs::{
    CLEANUP_POLICY, DELETE_RETENTION, MAX_COMPACTION_LAG, MIN_COMPACTION_LAG, REMOTE_DELETE, REMOTE_STORAGE,
    RETENTION_BYTES, RETENTION_MS, compacts, deletes, told,
};

/// The value that counts of each config, before a change or after it; `None` is unknown.
pub trait Values {
    fn of(&self, config: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Values for F {
    fn of(&self, config: &str) -> Option<String> {
        self(config)
    }
}

/// A sentence for each way in which messages are lost. What is not known counts as the worse.
pub fn losses(before: &dyn Values, after: &dyn Values) -> Vec<String> {
    let policy = |values: &dyn Values, has: fn(&str) -> bool, unknown: bool| {
        values.of(CLEANUP_POLICY).map_or(unknown, |policy| has(&policy))
    };
    let mut lost = Vec::new();
    let deletes_from_now_on = policy(after, deletes, true) && !policy(before, deletes, true);
    if deletes_from_now_on && !(endless(after, RETENTION_MS) && endless(after, RETENTION_BYTES)) {
        let limits: Vec<String> =
            [RETENTION_MS, RETENTION_BYTES].into_iter().filter_map(|name| limit(name, after)).collect();
        let limits = if limits.is_empty() { "older than the broker keeps".to_owned() } else { limits.join(" and ") };
        lost.push(format!("messages are deleted from now on, the last one of a key too: what is {limits} is lost"));
    } else if policy(after, deletes, true) {
        lost.extend([RETENTION_MS, RETENTION_BYTES].into_iter().filter_map(|name| lowered(name, before, after)));
    }
    let compacts_on = policy(after, compacts, false) && policy(before, compacts, false);
    lost.extend(compacts_on.then(|| history_lost(before, after)).flatten());
    if policy(after, compacts, false) && !compacts_on {
        lost.push(
            "the topic is compacted from now on: of each key all messages but the last are lost, and all without a key"
                .to_owned(),
        );
    }
    let on = |values: &dyn Values, name: &str| values.of(name).is_some_and(|value| value == "true");
    if on(before, REMOTE_STORAGE) && !on(after, REMOTE_STORAGE) && on(after, REMOTE_DELETE) {
        lost.push("what is stored remotely is deleted".to_owned());
    }
    lost
}

/// What a change makes of compacted topics that loses nothing which was promised to be kept: compaction was free to do it
/// all along, only later.
pub fn sooner(before: &dyn Values, after: &dyn Values) -> Vec<String> {
    if !after.of(CLEANUP_POLICY).is_some_and(|policy| compacts(&policy)) {
        return Vec::new();
    }
    let lowered = |name: &str| {
        let (had, has) = (number(before.of(name).as_ref())?, number(after.of(name).as_ref())?);
        (has < had).then(|| told(name, &has.to_string()))
    };
    let overwritten = lowered(MAX_COMPACTION_LAG)
        .map(|most| format!("of each key older messages than the last are gone after {most} at the latest"));
    let deleted = lowered(DELETE_RETENTION)
        .map(|kept| format!("that a key was deleted is told for {kept} only: readers further behind keep it"));
    overwritten.into_iter().chain(deleted).collect()
}

/// What was said to be kept of each key beside its last message. A broker that shows no such config promises nothing.
fn history_lost(before: &dyn Values, after: &dyn Values) -> Option<String> {
    let had = number(before.of(MIN_COMPACTION_LAG).as_ref()).filter(|had| *had > 0)?;
    let has = number(after.of(MIN_COMPACTION_LAG).as_ref());
    let until_now = told(MIN_COMPACTION_LAG, &had.to_string());
    match has {
        Some(has) if has >= had => None,
        Some(0) => Some(format!(
            "of each key older messages than the last are lost at any time (kept for {until_now} at least until now)"
        )),
        Some(has) => Some(format!(
            "of each key messages older than {} are lost but for the last one (kept for {until_now} at least until now)",
            told(MIN_COMPACTION_LAG, &has.to_string())
        )),
        None => Some(format!(
            "{MIN_COMPACTION_LAG} becomes the broker's default, which is not known here: of each key older messages than \
             the last are lost if that is less"
        )),
    }
}

/// The number that a value is; what is below zero stands for no limit.
fn number(value: Option<&String>) -> Option<i64> {
    let number = value?.parse::<i64>().ok()?;
    Some(if number < 0 { i64::MAX } else { number })
}

fn endless(values: &dyn Values, name: &str) -> bool {
    values.of(name).and_then(|value| value.parse::<i64>().ok()).is_some_and(|value| value < 0)
}

/// What is beyond a limit: `older than 7d`, `beyond 1GiB of a partition`.
fn limit(name: &str, values: &dyn Values) -> Option<String> {
    let value = values.of(name).filter(|_| !endless(values, name))?;
    Some(match name {
        RETENTION_MS => format!("older than {}", told(name, &value)),
        _ => format!("beyond {} of a partition", told(name, &value)),
    })
}

fn lowered(name: &str, before: &dyn Values, after: &dyn Values) -> Option<String> {
    let (had, has) = (before.of(name), after.of(name));
    // What is unknown on both sides is left alone by the change.
    if had == has {
        return None;
    }
    match (number(had.as_ref()), number(has.as_ref())) {
        (Some(had), Some(has)) if has >= had => None,
        (_, Some(i64::MAX)) => None,
        (had, Some(_)) => {
            let from = match had {
                Some(i64::MAX) => "kept for good until now".to_owned(),
                Some(had) => format!("kept up to {} until now", told(name, &had.to_string())),
                None => "until now it is not known how many are kept".to_owned(),
            };
            Some(format!("messages {} are lost ({from})", limit(name, after)?))
        }
        (_, None) => Some(format!(
            "{name} becomes the broker's default, which is not known here: messages are lost if that is less"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
        let values = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            move |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        losses(&values(before), &values(after))
    }

    const WEEK: &str = "604800000";

    #[test]
    fn less_is_lost_and_more_is_not() {
        let kept = |policy, ms, bytes| [(CLEANUP_POLICY, policy), (RETENTION_MS, ms), (RETENTION_BYTES, bytes)];
        let delete = kept("delete", WEEK, "-1");
        for (after, said) in [
            (delete, None),
            (kept("delete", "-1", "-1"), None),
            (kept("delete", "86400000", "-1"), Some("messages older than 1d are lost (kept up to 7d until now)")),
            (kept("delete", WEEK, "1073741824"), Some("beyond 1GiB of a partition are lost (kept for good until now)")),
            (kept("compact", WEEK, "-1"), Some("all messages but the last")),
            (kept("compact,delete", WEEK, "-1"), Some("all messages but the last")),
            // Retention does not count for what is only compacted.
            (kept("compact", "1", "-1"), Some("all messages but the last")),
        ] {
            let lost = case(&delete, &after);
            assert_eq!(lost.len(), usize::from(said.is_some()), "{after:?} {lost:?}");
            assert!(said.is_none_or(|said| lost[0].contains(said)), "{after:?} {lost:?}");
        }
        let compact = kept("compact", WEEK, "-1");
        assert!(case(&compact, &delete)[0].contains("what is older than 7d is lost"));
        assert_eq!(case(&compact, &kept("compact,delete", "-1", "-1")), Vec::<String>::new());
        assert_eq!(case(&compact, &kept("compact", "1", "1")), Vec::<String>::new());
        assert!(
            case(&kept("delete", "-1", "-1"), &delete)[0].contains("older than 7d are lost (kept for good until now)")
        );
    }

    #[test]
    fn what_is_not_known_counts_as_the_worse() {
        assert!(case(&[(RETENTION_MS, WEEK)], &[])[0].contains("default, which is not known here"));
        assert!(case(&[], &[(RETENTION_MS, WEEK)])[0].contains("not known how many"));
        assert_eq!(
            case(&[(RETENTION_MS, "1"), (RETENTION_BYTES, "-1")], &[(RETENTION_MS, "-1"), (RETENTION_BYTES, "-1")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_history_of_compacted_keys_is_kept_as_long_as_was_said() {
        let kept = |policy, lag| [(CLEANUP_POLICY, policy), (MIN_COMPACTION_LAG, lag), (RETENTION_MS, "-1")];
        let (month, day) = ("2592000000", "86400000");
        let lost = case(&kept("compact", month), &kept("compact", "0"));
        assert_eq!(
            lost,
            ["of each key older messages than the last are lost at any time (kept for 30d at least until now)"]
        );
        let lost = case(&kept("compact,delete", month), &kept("compact", day));
        assert!(
            lost.len() == 1 && lost[0].contains("messages older than 1d are lost but for the last one"),
            "{lost:?}"
        );
        for (before, after) in [
            (kept("compact", day), kept("compact", month)),
            (kept("compact", "0"), kept("compact", day)),
            (kept("compact", month), kept("compact", month)),
            // Nothing is compacted there.
            (kept("delete", month), kept("delete", "0")),
        ] {
            assert_eq!(case(&before, &after), Vec::<String>::new(), "{before:?} {after:?}");
        }
        assert!(
            case(&kept("compact", month), &[(CLEANUP_POLICY, "compact")])[0].contains("default, which is not known")
        );
        assert_eq!(case(&[(CLEANUP_POLICY, "compact")], &kept("compact", "0")), Vec::<String>::new(), "no such config");
    }

    #[test]
    fn what_compaction_may_do_sooner_is_told_and_is_no_loss() {
        let values = |lag: &str, deleted: &str| {
            let pairs = [(CLEANUP_POLICY, "compact"), (MAX_COMPACTION_LAG, lag), (DELETE_RETENTION, deleted)];
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            move |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let (never, day) = ("9223372036854775807", "86400000");
        let told = sooner(&values(never, day), &values("3600000", "1000"));
        assert_eq!(
            told,
            [
                "of each key older messages than the last are gone after 1h at the latest",
                "that a key was deleted is told for 1s only: readers further behind keep it"
            ]
        );
        assert_eq!(losses(&values(never, day), &values("3600000", "1000")), Vec::<String>::new());
        assert_eq!(sooner(&values("1000", "1000"), &values(never, day)), Vec::<String>::new());
        assert_eq!(sooner(&values(never, day), &|_: &str| None), Vec::<String>::new());
    }

    #[test]
    fn what_lies_remotely_goes_where_it_says_so() {
        let on = [(REMOTE_STORAGE, "true"), (RETENTION_MS, "-1"), (RETENTION_BYTES, "-1")];
        let off = |delete| {
            [(REMOTE_STORAGE, "false"), (REMOTE_DELETE, delete), (RETENTION_MS, "-1"), (RETENTION_BYTES, "-1")]
        };
        assert_eq!(case(&on, &off("true")), ["what is stored remotely is deleted"]);
        assert_eq!(case(&on, &off("false")), Vec::<String>::new());
    }
}
