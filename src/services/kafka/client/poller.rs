//! Who waits for which answer, and the thread that hands the answers out.

use super::link::Link;
use super::trouble::{Cause, Trouble};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the thread may take to see that it shall stop.
const NAP: Duration = Duration::from_millis(50);

/// What comes out of the queue, with answers of type `E`.
pub enum Notice<E> {
    /// An error of a connection.
    Error(KafkaError, String),
    /// A line for a log: facility and text.
    Log(String, String),
    /// The answer to the request of this number.
    Answer(usize, E),
}

struct Waiting<E> {
    next: AtomicUsize,
    by_number: Mutex<HashMap<usize, oneshot::Sender<E>>>,
}

impl<E> Waiting<E> {
    fn leave(&self, number: usize) -> Option<oneshot::Sender<E>> {
        self.by_number.lock().ok()?.remove(&number)
    }
}

/// A request under way. Dropping it gives up waiting.
pub struct Ticket<E> {
    pub number: usize,
    answer: oneshot::Receiver<E>,
    waiting: Arc<Waiting<E>>,
}

impl<E> Ticket<E> {
    /// Waits for the answer, or for the connection to break.
    pub async fn wait(mut self, link: &Link) -> Result<E, Trouble> {
        tokio::select! {
            event = &mut self.answer => event.map_err(|_| Trouble::new(Cause::Unreachable, "the client was closed")),
            trouble = link.broken() => Err(trouble),
        }
    }
}

impl<E> Drop for Ticket<E> {
    fn drop(&mut self) {
        self.waiting.leave(self.number);
    }
}

/// The thread that polls the queue. It ends when this is dropped.
pub struct Poller<E> {
    stop: Arc<AtomicBool>,
    waiting: Arc<Waiting<E>>,
    thread: Option<JoinHandle<()>>,
}

impl<E: Send + 'static> Poller<E> {
    /// `next` waits so long for what comes next.
    pub fn start(
        next: impl Fn(Duration) -> Option<Notice<E>> + Send + 'static,
        link: Arc<Link>,
    ) -> Result<Self, Trouble> {
        let waiting = Waiting { next: AtomicUsize::new(1), by_number: Mutex::default() };
        let (stop, waiting) = (Arc::new(AtomicBool::new(false)), Arc::new(waiting));
        let (stopped, answers) = (stop.clone(), waiting.clone());
        let poll = move || {
            while !stopped.load(Ordering::Relaxed) {
                match next(NAP) {
                    Some(Notice::Error(error, reason)) => link.error(error, &reason),
                    Some(Notice::Answer(number, event)) => {
                        if let Some(waiter) = answers.leave(number) {
                            // Nobody may be waiting any more: then the event is freed here.
                            let _unheard = waiter.send(event);
                        }
                    }
                    Some(Notice::Log(facility, line)) => link.log(RDKafkaLogLevel::Info, &facility, &line),
                    None => {}
                }
            }
        };
        let thread = std::thread::Builder::new().name("kafka answers".to_owned()).spawn(poll);
        let thread = thread.map_err(|error| Trouble::new(Cause::Other, format!("no thread: {error}")))?;
        Ok(Self { stop, waiting, thread: Some(thread) })
    }

    /// A number for a new request, and the place where its answer will come.
    pub fn ticket(&self) -> Ticket<E> {
        let number = self.waiting.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        if let Ok(mut by_number) = self.waiting.by_number.lock() {
            by_number.insert(number, sender);
        }
        Ticket { number, answer, waiting: self.waiting.clone() }
    }
}

impl<E> Drop for Poller<E> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to stop.
            let _panicked = thread.join();
        }
    }
}
