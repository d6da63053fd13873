//! What can go wrong with Kafka, and how it is told to people.

use super::refusals::{self, acl_command};
use crate::error::{Diagnostic, Kind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Sorts of failure that are answered differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No broker can be reached, or TLS fails.
    Unreachable,
    /// The sign-in is refused.
    Authentication,
    /// The principal lacks an ACL.
    Authorization,
    /// The broker has no authorizer.
    SecurityDisabled,
    TimedOut,
    /// A moment later it may work: an election, a controller that moved.
    Transient,
    /// The object does not exist.
    Absent,
    /// The object exists already.
    Exists,
    Policy,
    /// The broker has no such call.
    Unsupported,
    /// The broker understands the request and refuses what it says.
    Invalid,
    /// The broker left it out of its answer.
    Unanswered,
    Other,
}

/// A failed request, or a failed item of one. The message never has a secret in it.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub cause: Cause,
    pub message: String,
    /// What to do about it, where more is known than follows from the cause; then the message is a whole sentence.
    pub next: Option<String>,
    /// Who was refused (`User:admin`), if that is known.
    pub principal: Option<String>,
}

#[cfg(feature = "failpoints")]
impl From<crate::boundary::Broken> for Trouble {
    fn from(broken: crate::boundary::Broken) -> Self {
        Self::new(if broken.passes { Cause::Transient } else { Cause::Policy }, broken.words())
    }
}

impl Trouble {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), next: None, principal: None }
    }

    /// Of no cause that is answered in a way of its own.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Cause::Other, message)
    }

    /// From librdkafka's name of the error (`TOPIC_ALREADY_EXISTS`, `_TIMED_OUT`) and its text.
    pub fn named(name: &str, text: &str) -> Self {
        // Where a right is missing, some answers of Kafka's print the whole request, and what it carries.
        let text = if text.is_empty() || text.contains("Request(") { name } else { text };
        Self { next: refusals::next(name, text), ..Self::new(cause_of(name), text) }
    }

    /// Of somebody's request: what is missing is then told with their name.
    #[must_use]
    pub fn of(mut self, principal: &str) -> Self {
        self.principal = Some(principal.to_owned());
        self
    }

    pub fn code(code: RDKafkaErrorCode) -> Self {
        Self::named(&format!("{code:?}"), &CodeText(code).to_string())
    }

    /// Whether trying again may help.
    pub fn passes(&self) -> bool {
        match self.cause {
            Cause::Unreachable | Cause::TimedOut | Cause::Transient => true,
            Cause::Authentication
            | Cause::Authorization
            | Cause::SecurityDisabled
            | Cause::Absent
            | Cause::Exists
            | Cause::Policy
            | Cause::Unsupported
            | Cause::Invalid
            | Cause::Unanswered
            | Cause::Other => false,
        }
    }

    /// Whether librdkafka could not take the answer, as one with too many items.
    pub fn is_too_much(&self) -> bool {
        self.message.contains("protocol parse failure") || self.message.contains("Invalid response size")
    }

    /// For people: what failed, on what, while what, and what to do.
    pub fn tell(&self, endpoint: &str, object: &str, call: &str, needs: &str) -> Diagnostic {
        let (message, hint) = match self.cause {
            Cause::TimedOut => (
                format!("{endpoint} did not answer in time: {}", self.message),
                Some(self.next.clone().unwrap_or_else(|| {
                    "is every address in the brokers' advertised.listeners reachable from here?".to_owned()
                })),
            ),
            _ if self.next.is_some() => (self.message.clone(), self.next.clone()),
            Cause::Unreachable => (
                format!("{endpoint} cannot be reached: {}", self.message),
                Some("is it running, and are kafka.brokers and kafka.tls right?".to_owned()),
            ),
            Cause::Authentication => (
                format!("{endpoint} refuses the sign-in: {}", self.message),
                Some("check kafka.user, kafka.mechanism and NORNPLAN_KAFKA_PASSWORD (else KAFKA_PASSWORD)".to_owned()),
            ),
            Cause::Authorization => {
                let who = self.principal.as_deref().unwrap_or("User:<the user that nornplan signs in with>");
                let message = format!("{who} may not do this: {}", self.message);
                (message, Some(format!("allow it {needs}: {}; or make it one of super.users", acl_command(who, needs))))
            }
            Cause::SecurityDisabled => (
                "the broker has no authorizer, so it keeps no ACLs".to_owned(),
                Some(
                    "set authorizer.class.name on every broker and controller (Redpanda: kafka_enable_authorization)"
                        .to_owned(),
                ),
            ),
            Cause::Exists => (self.message.clone(), Some("somebody else made it meanwhile: plan again".to_owned())),
            Cause::Absent => (self.message.clone(), Some("somebody else removed it meanwhile: plan again".to_owned())),
            Cause::Policy => (
                format!("the broker's policy refuses it: {}", self.message),
                Some("see create.topic.policy.class.name and alter.config.policy.class.name on the broker".to_owned()),
            ),
            Cause::Unanswered => (
                self.message.clone(),
                Some(
                    "Redpanda leaves out topics that are in kafka_nodelete_topics: they are not to be deleted"
                        .to_owned(),
                ),
            ),
            Cause::Unsupported => (
                format!("{endpoint} does not have this call: {}", self.message),
                Some("it may be too old for it, or something between us leaves it out".to_owned()),
            ),
            Cause::Transient | Cause::Invalid | Cause::Other => (self.message.clone(), None),
        };
        let told = Diagnostic::new(Kind::Service, message).on("kafka", object, call).may_pass(self.passes());
        match hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(code) => Self::code(code),
            None => Self::new(Cause::Other, error.to_string()),
        }
    }
}

/// Prints a code as librdkafka's text alone ("Broker: Topic already exists").
struct CodeText(RDKafkaErrorCode);

impl std::fmt::Display for CodeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = self.0.to_string();
        let text = whole.split_once('(').map_or(whole.as_str(), |(_, text)| text.trim_end_matches(')'));
        f.write_str(text)
    }
}

/// Knows both spellings: of librdkafka, and of the enum of its binding.
fn cause_of(name: &str) -> Cause {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    match plain.as_str() {
        // The last: since librdkafka 2.12, of a broker that has left the cluster's list meanwhile.
        "transport" | "brokertransportfailure" | "resolve" | "allbrokersdown" | "ssl" | "destroybroker" => {
            Cause::Unreachable
        }
        "authentication" | "saslauthenticationfailed" | "unsupportedsaslmechanism" | "illegalsaslstate" => {
            Cause::Authentication
        }
        "topicauthorizationfailed"
        | "groupauthorizationfailed"
        | "clusterauthorizationfailed"
        | "transactionalidauthorizationfailed" => Cause::Authorization,
        "securitydisabled" => Cause::SecurityDisabled,
        "timedout" | "timedoutqueue" | "operationtimedout" | "msgtimedout" | "requesttimedout" => Cause::TimedOut,
        "leadernotavailable"
        | "notleaderforpartition"
        | "notcontroller"
        | "brokernotavailable"
        | "networkexception"
        | "coordinatornotavailable"
        | "notcoordinator"
        | "notcoordinatorforgroup"
        | "groupcoordinatornotavailable"
        | "grouploadinprogress"
        | "coordinatorloadinprogress"
        | "throttlingquotaexceeded"
        | "reassignmentinprogress"
        | "preferredleadernotavailable" => Cause::Transient,
        "unknowntopicorpart" | "unknowntopicorpartition" | "unknowntopic" | "resourcenotfound" => Cause::Absent,
        "topicalreadyexists" => Cause::Exists,
        "policyviolation" => Cause::Policy,
        "unsupportedfeature" | "unsupportedversion" => Cause::Unsupported,
        "invalidreplicationfactor"
        | "invalidpartitions"
        | "invalidconfig"
        | "invalidrequest"
        | "invalidtopic"
        | "invalidtopicexception"
        | "topicexception"
        | "unacceptablecredential"
        | "topicdeletiondisabled" => Cause::Invalid,
        _ => Cause::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_leaves_the_cluster_is_tried_again() {
        for code in [RDKafkaErrorCode::DestroyBroker, RDKafkaErrorCode::BrokerTransportFailure] {
            assert!(Trouble::code(code).passes(), "{code:?}");
        }
        assert!(Trouble::named("_DESTROY_BROKER", "Broker handle destroyed without termination").passes());
        assert!(!Trouble::code(RDKafkaErrorCode::Authentication).passes());
    }

    #[test]
    fn an_answer_that_is_too_much_is_told_from_others() {
        let is = |said: &str| Trouble::named("_BAD_MSG", said).is_too_much();
        // rd_kafka_DescribeAclsResponse_parse, past 100,000 patterns.
        assert!(is("DescribeAcls response protocol parse failure: Local: Bad message format"));
        assert!(!is("Failed while waiting for response from broker: Local: Timed out"));
    }
}
