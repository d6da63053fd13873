//! What librdkafka says of its connections while requests are under way: so that a refused connection or sign-in is
//! told at once and with its reason, not as a time-out.

use super::reasons::{Way, explain};
use super::trouble::{Cause, Trouble};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After "all brokers are down" another address of the same host may still answer ("localhost" is two).
const GRACE: Duration = Duration::from_millis(900);

/// How long a failed connection explains what comes after it. librdkafka says the same of a connection every 30 seconds
/// only, and never that one is well again.
const RECENT: Duration = Duration::from_secs(40);

/// Reasons that are told at most: of clusters with many brokers the first ones say enough.
const REASONS: usize = 3;

/// Hears of errors on connections. Nothing is printed: it would come in the middle of a plan.
pub struct Link {
    way: Way,
    /// When and why the last connection to each address failed, which is the reason of the next "all brokers are down".
    failed: Mutex<BTreeMap<String, (Instant, Trouble)>>,
    broken: watch::Sender<Option<Trouble>>,
}

impl Link {
    /// For a client with these settings.
    pub fn of(settings: &ClientConfig) -> Self {
        Self { way: Way::of(settings), failed: Mutex::default(), broken: watch::channel(None).0 }
    }

    /// Whom the broker takes the client for, as ACLs name it.
    pub fn principal(&self) -> &str {
        self.way.principal()
    }

    /// Returns once nothing can work any more, with the reason; never while the connection is well.
    pub async fn broken(&self) -> Trouble {
        let mut listener = self.broken.subscribe();
        let trouble = match listener.wait_for(Option::is_some).await {
            Ok(trouble) => trouble.clone(),
            Err(_) => None,
        };
        let trouble = trouble.unwrap_or_else(|| Trouble::new(Cause::Unreachable, "the client was closed"));
        if trouble.cause == Cause::Unreachable {
            tokio::time::sleep(GRACE).await;
        }
        trouble
    }

    /// Whether the connection is known to be broken.
    pub fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// Whether a connection has failed at some time: some broker may be dead.
    pub fn has_failed(&self) -> bool {
        self.failed.lock().is_ok_and(|failed| !failed.is_empty())
    }

    /// Gives a time-out the failed connections of the last moments as its reason.
    pub fn explain(&self, mut trouble: Trouble) -> Trouble {
        if let (Cause::TimedOut, Some(reason)) = (trouble.cause, self.reason(Instant::now())) {
            trouble.message = format!("{} ({})", trouble.message, reason.message);
            trouble.next = reason.next;
        }
        trouble
    }

    /// Why connections failed, if any did lately.
    fn reason(&self, now: Instant) -> Option<Trouble> {
        let failed = self.failed.lock().ok()?;
        let mut reasons: Vec<&Trouble> = Vec::new();
        for (_, trouble) in failed.values().filter(|(at, _)| now.saturating_duration_since(*at) < RECENT) {
            if !reasons.iter().any(|known| known.message == trouble.message) {
                reasons.push(trouble);
            }
        }
        let first = (*reasons.first()?).clone();
        let told = reasons.iter().take(REASONS).map(|one| one.message.as_str()).collect::<Vec<_>>().join("; ");
        Some(Trouble { message: told, ..first })
    }

    fn note(&self, address: String, trouble: Trouble) {
        if let Ok(mut failed) = self.failed.lock() {
            failed.insert(address, (Instant::now(), trouble));
        }
    }
}

impl ClientContext for Link {
    /// A broker that hangs up (it wants a sign-in, or TLS) and a controller are told by a line alone.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        let (address, trouble) = explain(&self.way, line, Cause::Unreachable);
        match facility {
            "FAIL" => self.note(address, trouble),
            "METADATA" if trouble.cause == Cause::Invalid => drop(self.broken.send_replace(Some(trouble))),
            _ => {}
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let (address, trouble) = explain(&self.way, reason, Trouble::from(error).cause);
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.broken.send_replace(Some(self.reason(Instant::now()).unwrap_or(trouble)));
            return;
        }
        self.note(address, trouble.clone());
        // Of other errors it recovers, or other brokers serve.
        let is_final = matches!(trouble.cause, Cause::Authentication | Cause::Invalid);
        if is_final || code == Some(RDKafkaErrorCode::SSL) {
            self.broken.send_replace(Some(trouble));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(link: &Link) {
        let line = "[thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1: Disconnected (after 5ms in state UP)";
        link.log(RDKafkaLogLevel::Info, "FAIL", line);
    }

    #[test]
    fn what_failed_long_ago_explains_nothing() {
        let link = Link::of(&ClientConfig::new());
        let late = || link.explain(Trouble::new(Cause::TimedOut, "it took too long")).message;
        assert_eq!(late(), "it took too long");
        failed(&link);
        assert!(late().contains("Disconnected") || late().contains("127.0.0.1:9092"), "{}", late());
        assert!(link.reason(Instant::now()).is_some());
        assert!(link.reason(Instant::now() + RECENT).is_none());
    }

    #[test]
    fn what_a_connection_recovers_from_breaks_no_client() {
        let breaks = |code: RDKafkaErrorCode| {
            let link = Link::of(&ClientConfig::new());
            link.error(KafkaError::Global(code), "127.0.0.1:9092/1: something (after 5ms in state UP)");
            link.is_broken()
        };
        for code in [
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::OperationTimedOut,
            RDKafkaErrorCode::Resolve,
            RDKafkaErrorCode::UnsupportedFeature,
            RDKafkaErrorCode::Unknown,
        ] {
            assert!(!breaks(code), "{code:?}");
        }
        for code in [RDKafkaErrorCode::Authentication, RDKafkaErrorCode::SSL, RDKafkaErrorCode::AllBrokersDown] {
            assert!(breaks(code), "{code:?}");
        }
    }
}
