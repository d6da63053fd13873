//! Reads are asked again where a moment helps: coordinators and controllers move, and what was under way to a broker that
//! died is never answered. Only for calls that change nothing.

use super::link::Link;
use super::trouble::{Cause, Trouble};
use std::time::Duration;

/// Pauses between tries, 6 seconds in all: elections take about as long.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_500),
    Duration::from_millis(3_000),
];

/// Asks until the answer is no failure that passes. A time-out has taken long already: it is tried once more. A broker
/// that cannot be reached is no reason to give up while others can.
///
/// # Errors
/// That of the last try.
pub async fn again<T, F>(link: &Link, ask: impl Fn() -> F) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    with_pauses(PAUSES, || link.is_broken(), ask).await
}

async fn with_pauses<T, F>(
    pauses: impl IntoIterator<Item = Duration>,
    is_broken: impl Fn() -> bool,
    ask: impl Fn() -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let mut late = false;
    let mut pauses = pauses.into_iter();
    let passes =
        |trouble: &Trouble| trouble.cause == Cause::Transient || trouble.cause == Cause::Unreachable && !is_broken();
    loop {
        match ask().await {
            Err(trouble) if passes(&trouble) => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(trouble),
            },
            Err(trouble) if trouble.cause == Cause::TimedOut && !late => late = true,
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    async fn tries(causes: &[Cause]) -> (usize, Option<Cause>) {
        tries_while(causes, false).await
    }

    async fn tries_while(causes: &[Cause], is_broken: bool) -> (usize, Option<Cause>) {
        let count = Cell::new(0);
        let one_try = || {
            let cause = causes.get(count.replace(count.get() + 1));
            let answer = cause.map_or(Ok(()), |cause| Err(Trouble::new(*cause, "no")));
            async { answer }
        };
        let answer = with_pauses([Duration::ZERO; 3], || is_broken, one_try).await;
        let cause = answer.err().map(|trouble| trouble.cause);
        (count.get(), cause)
    }

    #[tokio::test]
    async fn what_passes_is_asked_again_and_nothing_else() {
        assert_eq!(tries(&[]).await, (1, None));
        assert_eq!(tries(&[Cause::Transient, Cause::Transient]).await, (3, None));
        assert_eq!(tries(&[Cause::Transient; 20]).await, (4, Some(Cause::Transient)));
        assert_eq!(tries(&[Cause::TimedOut, Cause::Transient]).await, (3, None));
        assert_eq!(tries(&[Cause::TimedOut; 3]).await, (2, Some(Cause::TimedOut)));
        assert_eq!(tries(&[Cause::Authorization]).await, (1, Some(Cause::Authorization)));
        // One broker died, or all have.
        assert_eq!(tries(&[Cause::Unreachable]).await, (2, None));
        assert_eq!(tries_while(&[Cause::Unreachable], true).await, (1, Some(Cause::Unreachable)));
    }
}
