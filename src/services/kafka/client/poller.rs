//! Who waits for which answer, and the thread that hands the answers out.

use super::link::Link;
use super::trouble::{Cause, Trouble};
use crate::services::kafka::admin::{Event, Queue};
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

/// What comes out of the queue.
pub enum Notice {
    /// An error of a connection.
    Error(KafkaError, String),
    /// A line for a log: facility and text.
    Log(String, String),
    /// The answer to the request of this number.
    Answer(usize, Event),
}

#[derive(Default)]
struct Waiting {
    next: AtomicUsize,
    by_number: Mutex<HashMap<usize, oneshot::Sender<Event>>>,
}

impl Waiting {
    fn leave(&self, number: usize) -> Option<oneshot::Sender<Event>> {
        self.by_number.lock().ok()?.remove(&number)
    }
}

/// A request under way. Dropping it gives up waiting.
pub struct Ticket {
    pub number: usize,
    answer: oneshot::Receiver<Event>,
    waiting: Arc<Waiting>,
}

impl Ticket {
    /// Waits for the answer, or for the connection to break.
    pub async fn wait(mut self, link: &Link) -> Result<Event, Trouble> {
        tokio::select! {
            event = &mut self.answer => event.map_err(|_| Trouble::new(Cause::Unreachable, "the client was closed")),
            trouble = link.broken() => Err(trouble),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.leave(self.number);
    }
}

/// The thread that polls the queue. It ends when this is dropped.
pub struct Poller {
    stop: Arc<AtomicBool>,
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    pub fn start(queue: Arc<Queue>, link: Arc<Link>) -> Result<Self, Trouble> {
        let (stop, waiting) = (Arc::new(AtomicBool::new(false)), Arc::new(Waiting::default()));
        let (stopped, answers) = (stop.clone(), waiting.clone());
        let poll = move || {
            while !stopped.load(Ordering::Relaxed) {
                match queue.poll(NAP) {
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
    pub fn ticket(&self) -> Ticket {
        let number = self.waiting.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        if let Ok(mut by_number) = self.waiting.by_number.lock() {
            by_number.insert(number, sender);
        }
        Ticket { number, answer, waiting: self.waiting.clone() }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to stop.
            let _panicked = thread.join();
        }
    }
}
