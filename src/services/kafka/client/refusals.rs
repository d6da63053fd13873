//! What to do when a broker refuses one thing of a request, by the code that it gives: pure.

/// What to do next, for codes by librdkafka's name or its binding's, where it does not follow from the cause alone.
pub fn next(code: &str, said: &str) -> Option<String> {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let next = match plain.as_str() {
        "invalidreplicationfactor" => {
            "declare no more replicas than there are brokers (`replication`), or leave it out for the broker's default"
        }
        "invalidpartitions" => "declare 1 partition or more, and no fewer than the topic has: partitions only grow",
        "invalidconfig" => {
            "check the topic's config in its infraspec: names and limits are those of this broker's version"
        }
        "topicexception" | "invalidtopic" | "invalidtopicexception" if said.contains("collides") => {
            "`.` and `_` are the same in names of metrics, so no two topics may differ in them alone: choose another name"
        }
        "topicexception" | "invalidtopic" | "invalidtopicexception" => {
            "names of topics have letters, digits, `.`, `_` and `-`, 249 at most; none may differ from another topic's in `.` \
             and `_` alone"
        }
        "topicdeletiondisabled" => DELETION,
        "invalidrequest" if said.contains("topic deletion") => DELETION,
        "throttlingquotaexceeded" => {
            "a quota of the broker holds changes back (controller_mutation_rate): try again later"
        }
        "unacceptablecredential" => "the broker takes 4096 to 16384 iterations, and no empty name",
        "unsupportedversion" | "unsupportedfeature" => {
            "this broker does not know the request: nornplan works with Apache Kafka from 2.7 and with Redpanda"
        }
        _ => return None,
    };
    Some(next.to_owned())
}

/// Where topics are not deleted. librdkafka asks in a version of DeleteTopics that has no words for it.
pub const DELETION: &str =
    "the brokers have delete.topic.enable = false: set it to true, or give the topic up with `nornplan state forget`";

/// The command that gives a right: `Alter and AlterConfigs on Topic *` as `kafka-acls.sh` has it.
pub fn acl_command(principal: &str, needs: &str) -> String {
    let (operations, resource) = needs.split_once(" on ").unwrap_or((needs, "Cluster"));
    let operations = operations.replace(" and ", ",").replace(", ", ",");
    let operations: String =
        operations.split(',').filter(|one| !one.is_empty()).map(|one| format!(" --operation {}", one.trim())).collect();
    let resource = match resource.split_once(' ') {
        Some((kind, name)) => format!("--{} '{name}'", kind.to_ascii_lowercase()),
        None => format!("--{}", resource.to_ascii_lowercase()),
    };
    format!("kafka-acls.sh --add --allow-principal '{principal}'{operations} {resource}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_told_as_the_command_that_gives_it() {
        assert_eq!(
            acl_command("User:plan", "Describe on Cluster"),
            "kafka-acls.sh --add --allow-principal 'User:plan' --operation Describe --cluster"
        );
        assert_eq!(
            acl_command("User:plan", "Alter and AlterConfigs on Topic *"),
            "kafka-acls.sh --add --allow-principal 'User:plan' --operation Alter --operation AlterConfigs --topic '*'"
        );
    }
}
