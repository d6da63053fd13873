//! What librdkafka says of its connections while requests are under way: so that a refused connection or sign-in is
//! told at once and with its reason, not as a time-out.

use super::trouble::{Cause, Trouble};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;

/// After "all brokers are down" another address of the same host may still answer ("localhost" is two).
const GRACE: Duration = Duration::from_millis(900);

/// Hears of errors on connections. Nothing is printed: it would come in the middle of a plan.
pub struct Link {
    /// The last error of one connection, which is the reason of the next "all brokers are down".
    last: Mutex<Option<Trouble>>,
    broken: watch::Sender<Option<Trouble>>,
}

impl Default for Link {
    fn default() -> Self {
        Self { last: Mutex::new(None), broken: watch::channel(None).0 }
    }
}

impl Link {
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

    /// Gives a time-out the last error of a connection as its reason.
    pub fn explain(&self, mut trouble: Trouble) -> Trouble {
        let last = self.last.lock().ok().and_then(|last| last.clone());
        if let (Cause::TimedOut, Some(last)) = (trouble.cause, last) {
            trouble.message = format!("{} ({})", trouble.message, last.message);
        }
        trouble
    }
}

impl ClientContext for Link {
    /// A broker that hangs up (it wants a sign-in, or TLS) is told by a line alone: `[thrd:..]: address: reason`.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        let line = line.split_once("]: ").map_or(line, |(_, line)| line);
        if let ("FAIL", Ok(mut last)) = (facility, self.last.lock())
            && last.is_none()
        {
            *last = Some(Trouble::new(Cause::Unreachable, readable(line)));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let tls = error.rdkafka_error_code() == Some(RDKafkaErrorCode::SSL);
        let mut trouble = Trouble::from(error);
        trouble.message = readable(reason);
        let Ok(mut last) = self.last.lock() else { return };
        if all_down {
            let known = last.clone().unwrap_or(trouble);
            drop(last);
            self.broken.send_replace(Some(known));
            return;
        }
        *last = Some(trouble.clone());
        drop(last);
        if trouble.cause == Cause::Authentication || tls {
            self.broken.send_replace(Some(trouble));
        }
    }
}

/// Strips what librdkafka puts around the reason: `sasl_ssl://127.0.0.1:1/bootstrap: `, ` (after 0ms in state X)`.
fn readable(reason: &str) -> String {
    let reason = reason.split_once(" (after ").map_or(reason, |(reason, _)| reason);
    let reason = match reason.split_once(": ") {
        Some((front, rest)) if front.contains("://") || front.ends_with("/bootstrap") => rest,
        Some(_) | None => reason,
    };
    reason.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn the_reason_alone_is_left() {
        let raw = "sasl_plaintext://127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused \
                   (after 0ms in state CONNECT)";
        assert_eq!(readable(raw), "Connect to ipv4#127.0.0.1:1 failed: Connection refused");
        assert_eq!(readable("1/1 brokers are down"), "1/1 brokers are down");
    }
}
