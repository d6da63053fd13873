//! The risks of a step by what it does alone, whatever else was found on the cluster. Pure.

use super::acls;
use super::losses::losses;
use crate::core::step::{Action, Part, Reason, Risk};
use crate::services::kafka::configs::WEIGHTY;
use crate::services::kafka::model::{Op as KafkaOp, Topic};
use crate::services::{Model, Op, Step};
use std::collections::BTreeSet;

pub fn risks(step: &Step) -> BTreeSet<Risk> {
    let Op::Kafka(operation) = &step.op else { return BTreeSet::new() };
    let topic = |model: &Option<Model>| model.as_ref().and_then(Model::as_kafka_topic).cloned();
    let risk = match operation {
        KafkaOp::SetAcls => {
            // What is put off gives nothing.
            let mut risks = acls::risks(step);
            risks.retain(|risk| *risk != Risk::WidensAccess || step.part == Part::Main);
            return risks;
        }
        // Under another name it goes on.
        KafkaOp::DeleteUser | KafkaOp::DeleteAcls => {
            (!step.reasons.contains(&Reason::Moved)).then_some(Risk::RemovesLogin)
        }
        KafkaOp::DeleteTopic => Some(Risk::LosesData),
        KafkaOp::AlterTopic => match (topic(&step.before), topic(&step.after)) {
            (Some(before), Some(after)) if !before.empty && loses(&before, &after) => Some(Risk::LosesData),
            (_, _) => None,
        },
        KafkaOp::RemoveCredentials => Some(Risk::Interrupts),
        KafkaOp::SetUser => (step.action == Action::Rotate).then_some(Risk::Interrupts),
        KafkaOp::CreateTopic => None,
    };
    risk.into_iter().collect()
}

/// Whether messages are lost by what is declared, as far as it is known what counts until now. What becomes the broker's
/// default stands in no step, and other configs may count for nothing by it.
fn loses(before: &Topic, after: &Topic) -> bool {
    if WEIGHTY.iter().any(|config| before.config.contains_key(*config) && !after.config.contains_key(*config)) {
        return false;
    }
    let is = |name: &str| before.effective(name).map(str::to_owned);
    let becomes = |name: &str| is(name).map(|value| after.config.get(name).cloned().unwrap_or(value));
    !losses(&is, &becomes).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::kafka::configs::RETENTION_MS;
    use std::collections::BTreeMap;

    #[test]
    fn what_a_config_is_reset_to_stands_in_no_step_and_is_not_judged_by_it() {
        let topic = |retention: Option<&str>| Topic {
            config: retention.map(|value| (RETENTION_MS.to_owned(), value.to_owned())).into_iter().collect(),
            inherited: BTreeMap::from([("cleanup.policy".to_owned(), "delete".to_owned())]),
            ..Topic::default()
        };
        let (week, day) = (Some("604800000"), Some("86400000"));
        assert!(loses(&topic(week), &topic(day)));
        assert!(!loses(&topic(day), &topic(week)));
        assert!(!loses(&topic(week), &topic(None)));
        assert!(!loses(&topic(None), &topic(day)), "what counted until now is not known");
    }
}
