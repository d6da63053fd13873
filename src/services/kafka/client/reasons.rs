//! What librdkafka says when a connection fails, and what that means to people: pure.

use super::trouble::{Cause, Trouble};
use rdkafka::config::ClientConfig;

/// By which nornplan can sign in, the better first.
const MECHANISMS: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

/// How a client comes in, as far as the meaning of a reason depends on it.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// `host:port` of the brokers that were named, which tell it of all others.
    bootstrap: Vec<String>,
    tls: bool,
    /// Of the sign-in, if there is one.
    mechanism: Option<String>,
    /// Whether it shows a certificate.
    certificate: bool,
    principal: String,
}

impl Way {
    pub fn of(settings: &ClientConfig) -> Self {
        let get = |key: &str| settings.get(key).unwrap_or_default();
        let principal = match (settings.get("sasl.username"), settings.get("ssl.certificate.location")) {
            (Some(user), _) => user,
            (None, Some(_)) => "<the subject of kafka.cert_file>",
            (None, None) => "ANONYMOUS",
        };
        Self {
            bootstrap: get("bootstrap.servers").split(',').map(str::to_owned).collect(),
            tls: get("security.protocol").ends_with("SSL"),
            mechanism: settings.get("sasl.mechanism").map(str::to_owned),
            certificate: settings.get("ssl.certificate.location").is_some(),
            principal: format!("User:{principal}"),
        }
    }

    /// Whom the broker takes the client for, as ACLs name it.
    pub fn principal(&self) -> &str {
        &self.principal
    }
}

/// A line of librdkafka's about one connection: `sasl_ssl://127.0.0.1:1/2: reason (after 0ms in state CONNECT)`.
struct Line<'a> {
    address: &'a str,
    /// Its id, once the cluster has told it; none for the brokers that were named.
    broker: Option<&'a str>,
    reason: &'a str,
    state: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.strip_prefix("[thrd:").and_then(|line| Some(line.split_once("]: ")?.1)).unwrap_or(line);
        let (line, after) = line.split_once(" (after ").unwrap_or((line, ""));
        let state = after.split_once("in state ").map_or("", |(_, state)| state);
        let state = state.split([',', ')']).next().unwrap_or_default();
        let (front, reason) = match line.split_once(": ") {
            Some((front, reason)) if front.contains('/') => (front, reason),
            Some(_) | None => ("", line),
        };
        let name = front.split_once("://").map_or(front, |(_, name)| name);
        let (address, broker) = name.rsplit_once('/').unwrap_or((name, ""));
        let broker = Some(broker).filter(|id| !id.is_empty() && *id != "bootstrap");
        Self { address, broker, reason: reason.trim(), state }
    }
}

/// What a connection fails for: where, and in words for people where the reason is one that is known. `cause` is what
/// librdkafka's code says, if it gave one.
pub fn explain(way: &Way, line: &str, cause: Cause) -> (String, Trouble) {
    let line = Line::read(line);
    let mut trouble = known(way, &line).unwrap_or_else(|| Trouble::new(cause, line.reason));
    if let Some(broker) = line.broker
        && trouble.cause == Cause::Unreachable
        && !way.bootstrap.iter().any(|named| named == line.address)
    {
        trouble.message =
            format!("the cluster sends clients on to {} for broker {broker}, and {}", line.address, trouble.message);
        trouble.next = Some(
            "set that broker's advertised.listeners to an address that is reached from here (and from the apps), or run \
             nornplan where this one is"
                .to_owned(),
        );
    }
    (line.address.to_owned(), trouble)
}

/// The reasons that were met on real brokers.
fn known(way: &Way, line: &Line<'_>) -> Option<Trouble> {
    let Line { address, reason, state, .. } = line;
    let has = |part: &str| reason.contains(part);
    let hung_up = has("Disconnected") || has("Connection reset by peer") || has("Broken pipe");
    let told =
        |cause, what: String, next: &str| Some(Trouble { next: Some(next.to_owned()), ..Trouble::new(cause, what) });
    if let Some((_, offered)) = reason.split_once("Unsupported SASL mechanism: broker's supported mechanisms: ") {
        return Some(other_mechanism(way, address, offered));
    }
    if has("not valid in current SASL state") {
        return told(
            Cause::Invalid,
            format!("{address} lets everybody in without a sign-in, and nornplan was to sign in"),
            "name the port of a listener with SASL, or set kafka.mechanism = \"none\": then topics are made, and no users \
             and ACLs",
        );
    }
    // What was under way when the connection broke; librdkafka takes it for a refusal.
    if (has("SASL authentication error") || has("mechanism handshake failed")) && has("Broker transport failure") {
        return told(
            Cause::Unreachable,
            format!("{address} hung up during the sign-in"),
            "it may have stopped just then: try again, and look into its log if it always does so",
        );
    }
    if has("SASL authentication error") || has("Authentication failed") {
        let mechanism = way.mechanism.as_deref().unwrap_or("SASL");
        return told(
            Cause::Authentication,
            format!("{address} does not accept this user name and password ({mechanism}): {}", last_part(reason)),
            "check kafka.user and NORNPLAN_KAFKA_PASSWORD (else KAFKA_PASSWORD), or password_file or password_command; a \
             user may have a password for another mechanism only (kafka.mechanism)",
        );
    }
    if has("Invalid response size") || has("Bad message format") {
        return told(
            Cause::Invalid,
            format!("what answers at {address} is no Kafka"),
            "check kafka.brokers: another program listens there, or it wants TLS (kafka.tls)",
        );
    }
    if has("Required feature not supported by broker") {
        return told(
            Cause::Invalid,
            format!("{address} is the port of a controller, which serves no clients"),
            "name the port of a broker's listener for clients in kafka.brokers",
        );
    }
    if has("Failed to resolve") {
        return told(
            Cause::Unreachable,
            format!("the host name in {address} is not known"),
            "check the host in kafka.brokers",
        );
    }
    if has("Connection refused") {
        return told(
            Cause::Unreachable,
            format!("nothing listens at {address} (connection refused)"),
            "start the broker (--wait 60s waits for one that is starting), or check host and port in kafka.brokers",
        );
    }
    if has("No route to host") || has("Network is unreachable") || (has("timed out") && *state == "CONNECT") {
        return told(
            Cause::Unreachable,
            format!("{address} cannot be reached: {}", last_part(reason)),
            "check host and port in kafka.brokers, and what lies between: a firewall may drop what is sent there",
        );
    }
    if has("timed out") {
        return told(
            Cause::Unreachable,
            format!("{address} takes connections and says nothing"),
            "check host and port in kafka.brokers: it may be no Kafka, or one that is overloaded",
        );
    }
    if let Some(trouble) = certificates(way, line) {
        return Some(trouble);
    }
    // librdkafka takes a hang-up for that too, if the broker says nothing before.
    if has("connecting to a PLAINTEXT broker listener") || (hung_up && *state == "SSL_HANDSHAKE") {
        return told(
            Cause::Unreachable,
            format!("{address} speaks no TLS here, and nornplan does"),
            "set kafka.tls = false (and leave out its files), or name the port of a listener with TLS; one that has TLS may be \
             starting just now",
        );
    }
    if hung_up && *state == "APIVERSION_QUERY" && !way.tls {
        return told(
            Cause::Unreachable,
            format!("{address} hung up at the first word: it may speak TLS here, and nornplan does not"),
            "set kafka.tls = true (and kafka.ca_file), or name the port of a listener without TLS; if neither, it is no Kafka",
        );
    }
    if hung_up && way.mechanism.is_none() {
        return told(
            Cause::Unreachable,
            format!("{address} hung up on a request without a sign-in: it wants one"),
            "set kafka.mechanism to what its listener offers (SCRAM-SHA-512), kafka.user and NORNPLAN_KAFKA_PASSWORD",
        );
    }
    if hung_up {
        return told(
            Cause::Unreachable,
            format!("{address} broke the connection off"),
            "is the broker stopping? its log says more",
        );
    }
    None
}

/// TLS that is spoken by both, and certificates that do not fit.
fn certificates(way: &Way, line: &Line<'_>) -> Option<Trouble> {
    let Line { address, reason, .. } = line;
    let has = |part: &str| reason.contains(part);
    let told =
        |what: String, next: &str| Some(Trouble { next: Some(next.to_owned()), ..Trouble::new(Cause::Invalid, what) });
    if has("certificate has expired") {
        return told(format!("the certificate of {address} has expired"), "have it renewed");
    }
    if has("certificate verify failed") {
        return told(
            format!("the certificate of {address} {NOT_TRUSTED}"),
            "set kafka.ca_file to the authority's certificate; without it those of this system count",
        );
    }
    if has("alert") && (has("certificate") || has("unknown ca") || has("handshake failure")) {
        let (what, next) = if way.certificate {
            (
                "does not accept our client certificate",
                "kafka.cert_file must be signed by an authority in the broker's ssl.truststore",
            )
        } else {
            ("wants a client certificate", "set kafka.cert_file and kafka.key_file")
        };
        return told(format!("{address} {what}"), next);
    }
    None
}

/// What is said of a certificate that does not fit, until more is known.
pub const NOT_TRUSTED: &str = "is not signed by an authority that is trusted here";

/// The same trouble, if the authority is trusted after all.
pub fn other_host(trouble: &Trouble) -> Trouble {
    let next = "name the brokers, in their advertised.listeners too, by a host that their certificates have among their \
                subjectAltName, or have the certificates made anew";
    let message = trouble.message.replace(NOT_TRUSTED, "is for another host name");
    Trouble { message, next: Some(next.to_owned()), ..trouble.clone() }
}

fn other_mechanism(way: &Way, address: &str, offered: &str) -> Trouble {
    let wanted = way.mechanism.as_deref().unwrap_or_default();
    let offered: Vec<&str> = offered.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let what = if offered.is_empty() {
        format!("{address} does not offer {wanted}")
    } else {
        format!("{address} does not offer {wanted}; it offers {}", offered.join(", "))
    };
    let next = match MECHANISMS.iter().find(|ours| offered.contains(*ours)) {
        Some(&"PLAIN") => {
            "add SCRAM-SHA-512 to sasl.enabled.mechanisms of this listener, or set kafka.mechanism = \"PLAIN\"; \
                           PLAIN alone is often the port between brokers or of a controller: is it the right one?"
                .to_owned()
        }
        Some(ours) => {
            format!("set kafka.mechanism = \"{ours}\", or add {wanted} to sasl.enabled.mechanisms of this listener")
        }
        None => format!("add {wanted} to sasl.enabled.mechanisms of this listener, or name the port of another"),
    };
    Trouble { next: Some(next), ..Trouble::new(Cause::Invalid, what) }
}

/// After the last colon: the reason without where it was met.
fn last_part(reason: &str) -> &str {
    reason.rsplit(": ").next().unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = Line::read(
            "[thrd:sasl_ssl://10.0.0.1:9092/bootstrap]: sasl_ssl://10.0.0.1:9092/bootstrap: Disconnected: closed (after 1ms in \
             state SSL_HANDSHAKE, 1 identical error(s) suppressed)",
        );
        assert_eq!((line.address, line.broker, line.state), ("10.0.0.1:9092", None, "SSL_HANDSHAKE"));
        assert_eq!(line.reason, "Disconnected: closed");
        let line = Line::read(
            "[::1]:9092/3: Connect to ipv6#[::1]:9092 failed: Connection refused (after 0ms in state CONNECT)",
        );
        assert_eq!((line.address, line.broker, line.state), ("[::1]:9092", Some("3"), "CONNECT"));
        let line = Line::read("1/1 brokers are down");
        assert_eq!((line.address, line.reason), ("", "1/1 brokers are down"));
    }

    #[test]
    fn an_address_that_nobody_named_is_an_advertised_one() {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", "a:1,b:1");
        let way = Way::of(&settings);
        let said = |line: &str| explain(&way, line, Cause::Other).1.message;
        assert_eq!(said("a:1/1: Connection refused"), "nothing listens at a:1 (connection refused)");
        assert_eq!(
            said("c:1/3: Failed to resolve 'c:1'"),
            "the cluster sends clients on to c:1 for broker 3, and the host name in c:1 is not known"
        );
        assert_eq!(said("a:1/1: something new"), "something new");
    }

    #[test]
    fn a_broker_that_stops_during_a_sign_in_refused_nobody() {
        let way = Way::of(&ClientConfig::new());
        let cause = |said: &str| {
            let line =
                format!("sasl_plaintext://a:1/1: SASL authentication error: {said} (after 2ms in state AUTH_REQ)");
            explain(&way, &line, Cause::Authentication).1.cause
        };
        assert_eq!(cause("Broker transport failure"), Cause::Unreachable);
        let handshake = "sasl_plaintext://a:1/1: SASL SCRAM-SHA-512 mechanism handshake failed: Local: Broker transport \
                         failure: broker's supported mechanisms: (n/a)";
        assert_eq!(explain(&way, handshake, Cause::Authentication).1.cause, Cause::Unreachable);
        assert_eq!(cause("Authentication failed due to invalid credentials"), Cause::Authentication);
    }
}
