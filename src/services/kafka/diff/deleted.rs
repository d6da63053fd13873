//! What deleting a topic would lose, and whom that would meet, in words. Pure.

use crate::core::address::Address;
use crate::core::listing::{shortened, some};
use crate::core::step::Risk;
use crate::services::kafka::model::Holdings;
use crate::services::{DiffInput, Model, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Groups and principals that a sentence names at most.
const NAMED: usize = 5;

/// Fills in the risks and notes of a step that deletes a topic.
pub fn judge_deleted(step: &mut Step, input: &DiffInput<'_>) {
    step.risks.insert(Risk::LosesData);
    let holdings = holdings_of(&step.address, input);
    if holdings.may_be_read() {
        step.risks.insert(Risk::Interrupts);
    }
    step.notes.extend(notes(&step.address, &holdings));
    if holdings.messages == Some(0) {
        plans_on_nothing(step);
    }
    step.notes.push("all its messages are lost; Kafka has no way back".to_owned());
}

/// Notes for whoever carries out the step that it was shown as one that loses no messages.
pub fn plans_on_nothing(step: &mut Step) {
    if let Some(Model::KafkaTopic(before)) = &mut step.before {
        before.empty = true;
    }
}

/// What was found of a topic.
pub fn holdings_of(address: &Address, input: &DiffInput<'_>) -> Holdings {
    input.observation.resources.get(address).map(|there| Holdings::of(&there.facts)).unwrap_or_default()
}

fn notes(address: &Address, holdings: &Holdings) -> Vec<String> {
    let mut notes: Vec<String> = what_is_in(holdings).map(|told| format!("holds {told}")).into_iter().collect();
    notes.extend(who_reads(holdings));
    if holdings.members() > 0 {
        notes.push(format!("stop these consumers first, or have them cut off by --allow-interrupt {address}"));
    } else if let Some(why) = &holdings.consumers_unseen {
        notes.push(format!(
            "who reads it now is not known ({why}): whoever does is cut off by --allow-interrupt {address}"
        ));
    } else if holdings.may_be_read() {
        notes.push(format!("who reads it now is not known: whoever does is cut off by --allow-interrupt {address}"));
    }
    notes.extend(holdings.acls_of_others.as_ref().filter(|acls| !acls.is_empty()).map(|acls| {
        format!(
            "ACLs that no infraspec declares name it and stay: {}; whoever makes a topic of this name finds them there: \
             remove them with kafka-acls.sh --remove --topic {}",
            principals(acls),
            address.name
        )
    }));
    notes.extend(holdings.acls_left_out.as_ref().filter(|acls| !acls.is_empty()).map(|acls| {
        format!(
            "ACLs of apps that this run leaves out name it and stay: {}; a plan of all apps takes away those that no \
             infraspec declares any more",
            principals(acls)
        )
    }));
    notes.extend(holdings.unread.iter().flatten().map(|(what, why)| format!("not known: {what} ({why})")));
    notes
}

/// How much there is: `at most 1,234 messages, about 5.3 MiB; the last one came 2026-12-31 13:05 UTC`.
pub fn what_is_in(holdings: &Holdings) -> Option<String> {
    let messages = holdings.messages?;
    if messages == 0 {
        return Some("no messages".to_owned());
    }
    let size = holdings.size_bytes.map(|bytes| format!(", about {} before compression", size(bytes)));
    let last = holdings.last_message.as_ref().map(|time| format!("; the last one is of {time}"));
    let noun = if messages == 1 { "message" } else { "messages" };
    Some(format!("at most {} {noun}{}{}", grouped(messages), size.unwrap_or_default(), last.unwrap_or_default()))
}

/// That nobody does is only said where everybody was asked.
fn who_reads(holdings: &Holdings) -> Option<String> {
    let groups = holdings.groups.as_ref()?;
    if groups.is_empty() {
        return holdings.knows_all_groups().then(|| "no consumer group has read it".to_owned());
    }
    let each = groups.iter().map(|(name, reading)| {
        let far = match reading.behind {
            _ if reading.unsure => "how far behind is not known".to_owned(),
            Some(0) => "read to the end".to_owned(),
            Some(behind) => format!("at most {} behind", grouped(behind)),
            None => "nothing committed".to_owned(),
        };
        let members = match reading.members {
            0 => "no consumers now".to_owned(),
            1 => "1 consumer now".to_owned(),
            more => format!("{more} consumers now"),
        };
        format!("{} ({far}, {members})", shortened(name))
    });
    Some(format!("consumer groups: {}", some(each, NAMED)))
}

fn principals(acls: &BTreeMap<String, BTreeSet<String>>) -> String {
    let words = |operations: &BTreeSet<String>| operations.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    some(acls.iter().map(|(principal, operations)| format!("{} ({})", shortened(principal), words(operations))), NAMED)
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    fits.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::kafka::model::{GROUPS, Reading};

    #[test]
    fn what_is_lost_is_told_with_what_is_not_known() {
        let topic: Address = "kafka.topic.orders".parse().unwrap();
        let reading = |behind, members| Reading { behind, members, ..Reading::default() };
        let operations = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
        let holdings = Holdings {
            messages: Some(12_345),
            size_bytes: Some(3 << 20),
            last_message: Some("2026-11-22 05:10 UTC".to_owned()),
            consumers_unseen: None,
            groups: Some(BTreeMap::from([
                ("mail".to_owned(), reading(Some(1_000), 2)),
                ("report".to_owned(), reading(Some(0), 0)),
                ("shop".to_owned(), reading(None, 1)),
            ])),
            acls_of_others: Some(BTreeMap::from([("User:legacy".to_owned(), operations(&["describe", "read"]))])),
            acls_left_out: Some(BTreeMap::from([("User:report".to_owned(), operations(&["read"]))])),
            unread: Some(BTreeMap::from([("its size".to_owned(), "no right to read it".to_owned())])),
        };
        let told = notes(&topic, &holdings);
        let expected = [
            "holds at most 12,345 messages, about 3.0 MiB before compression; the last one is of 2026-11-22 05:10 UTC",
            "consumer groups: mail (at most 1,000 behind, 2 consumers now), report (read to the end, no consumers now), \
             shop (nothing committed, 1 consumer now)",
            "stop these consumers first, or have them cut off by --allow-interrupt kafka.topic.orders",
            "ACLs that no infraspec declares name it and stay: User:legacy (describe, read); whoever makes a topic of this \
             name finds them there: remove them with kafka-acls.sh --remove --topic orders",
            "ACLs of apps that this run leaves out name it and stay: User:report (read); a plan of all apps takes away those \
             that no infraspec declares any more",
            "not known: its size (no right to read it)",
        ];
        assert_eq!(told, expected);
        let cut_off = "whoever does is cut off by --allow-interrupt kafka.topic.orders";
        assert_eq!(notes(&topic, &Holdings::default()), [format!("who reads it now is not known: {cut_off}")]);
        let none = Holdings { messages: Some(0), groups: Some(BTreeMap::new()), ..Holdings::default() };
        assert_eq!(notes(&topic, &none), ["holds no messages", "no consumer group has read it"]);
        // Where not everybody was asked, nobody is not said.
        let asked = BTreeMap::from([(GROUPS.to_owned(), "1000 of 1025 were asked".to_owned())]);
        let some_asked = Holdings { unread: Some(asked), ..none.clone() };
        let told = ["holds no messages", "not known: how far all consumer groups are (1000 of 1025 were asked)"];
        assert_eq!(notes(&topic, &some_asked), told);
        let unseen = Holdings { consumers_unseen: Some("no right".to_owned()), ..none };
        let told = notes(&topic, &unseen);
        assert_eq!(
            told,
            ["holds no messages".to_owned(), format!("who reads it now is not known (no right): {cut_off}")]
        );
    }

    #[test]
    fn names_that_others_choose_are_cut() {
        let groups = (0..10).map(|number| (format!("{number}{}", "ü\n".repeat(15_000)), Reading::default()));
        let holdings = Holdings { groups: Some(groups.collect()), ..Holdings::default() };
        let told = notes(&"kafka.topic.orders".parse().unwrap(), &holdings).concat();
        assert!(told.len() < 1_500 && told.contains("… (nothing committed, no consumers now)"), "{told}");
        assert!(told.contains("and 5 more"), "{told}");
    }
}
