//! How answers are waited for and read.

use super::{Admin, Client, Link, Parts, Reply, To, items, unanswered};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// After how long a call that waits has librdkafka ask who is up; and how long it pauses at most until it asks again.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Most calls go to the broker that a broker named last when it was asked for the controller, which with KRaft is any
/// that is thought to be alive: for as long as it is not known to be dead, a dead one is named as often as another.
/// librdkafka asks again after 10 seconds. After a connection has failed, this has it ask soon, for as long as it is
/// polled; it never ends.
pub(super) async fn who_is_up(client: &Arc<Client>) -> Infallible {
    let mut pause = FIRST_LOOK;
    loop {
        tokio::time::sleep(pause).await;
        if !client.context().has_failed() {
            continue;
        }
        let client = Arc::clone(client);
        // Whatever comes of it is noted by librdkafka. It asks for all topics; it can be told no other way.
        let look = move || drop(client.fetch_metadata(None, LAST_LOOK));
        let _canceled = tokio::task::spawn_blocking(look).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

impl Admin {
    pub(super) fn link(&self) -> &Link {
        self.client.context()
    }

    /// Asks, and reads every item of the answer.
    pub(super) fn ask_list<W, X, R>(
        &self,
        call: impl FnOnce(To),
        parts: Parts<W, X>,
        read: impl Fn(&X) -> R,
    ) -> impl Future<Output = Reply<Vec<R>>> {
        let items = self.ask_items(call, parts, read);
        async { Ok(items.await?.into_iter().flatten().collect()) }
    }

    /// The same for an answer that has an item for each thing that was asked for, in that order.
    pub(super) fn ask_each<W, X, R>(
        &self,
        count: usize,
        call: impl FnOnce(To),
        parts: Parts<W, X>,
        read: impl Fn(&X) -> Reply<R>,
    ) -> impl Future<Output = Reply<Vec<Reply<R>>>> {
        let items = self.ask_items(call, parts, read);
        async move {
            let mut items = items.await?;
            items.resize_with(count, || None);
            Ok(items.into_iter().map(|item| item.unwrap_or_else(|| Err(unanswered()))).collect())
        }
    }

    /// The same, with `None` for what the broker left out: librdkafka leaves a hole in its place.
    fn ask_items<W, X, R>(
        &self,
        call: impl FnOnce(To),
        (whole, all): Parts<W, X>,
        read: impl Fn(&X) -> R,
    ) -> impl Future<Output = Reply<Vec<Option<R>>>> {
        self.ask(call, move |event| Ok(items(event.answer(whole)?, all).map(|one| one.map(&read)).collect()))
    }
}
