//! A way to a Kafka broker on which answers get lost: the broker has done what it was asked for, and nobody hears of it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Calls by the number that stands at the front of each request (`apiKey` of Kafka's protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Call {
    CreateTopics = 19,
    DeleteTopics = 20,
    CreateAcls = 30,
    DeleteAcls = 31,
    CreatePartitions = 37,
    IncrementalAlterConfigs = 44,
    AlterUserScramCredentials = 51,
}

/// How an answer gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection ends instead.
    Cut,
    /// It just does not come.
    Silence,
}

/// What is to be lost, each once.
type Losses = Arc<Mutex<Vec<(Call, Loss)>>>;

/// Forwards connections. It ends with the test's process.
pub struct Lossy(Losses);

impl Lossy {
    /// From a port of 127.0.0.1 to another.
    pub fn start(from: u16, to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", from)).expect("a port");
        let losses = Losses::default();
        let known = losses.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(broker) = TcpStream::connect(("127.0.0.1", to)) {
                    forward(client, broker, &known);
                }
            }
        });
        Self(losses)
    }

    /// Has the next answer to each of these calls get lost.
    pub fn lose(&self, calls: &[(Call, Loss)]) {
        self.0.lock().expect("the losses").extend(calls);
    }

    /// What was not asked for since.
    pub fn left(&self) -> Vec<Call> {
        self.0.lock().expect("the losses").iter().map(|(call, _)| *call).collect()
    }
}

fn forward(client: TcpStream, broker: TcpStream, losses: &Losses) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    // Numbers of requests whose answers get lost.
    let (lost, losses) = (Arc::new(Mutex::new(Vec::<(i32, Loss)>::new())), losses.clone());
    let (mut from, mut to, noted) = (copy(&client), copy(&broker), lost.clone());
    std::thread::spawn(move || {
        while let Some(frame) = frame(&mut from) {
            if let (Some(loss), Some(number)) = (loss_of(&frame, &losses), number(&frame, 4)) {
                noted.lock().expect("the numbers").push((number, loss));
            }
            if !send(&mut to, &frame) {
                break;
            }
        }
        close(&from, &to);
    });
    let (mut from, mut to) = (broker, client);
    std::thread::spawn(move || {
        while let Some(frame) = frame(&mut from) {
            let answered = number(&frame, 0);
            let loss = lost.lock().expect("the numbers").iter().find(|(number, _)| Some(*number) == answered).copied();
            match loss {
                Some((_, Loss::Cut)) => break,
                Some((_, Loss::Silence)) => {}
                None if send(&mut to, &frame) => {}
                None => break,
            }
        }
        close(&from, &to);
    });
}

/// Takes the loss that is meant for a request, unless it only tries or asks something.
fn loss_of(frame: &[u8], losses: &Losses) -> Option<Loss> {
    let key = i16::from_be_bytes(frame.get(..2)?.try_into().ok()?);
    let mut losses = losses.lock().expect("the losses");
    let at = losses.iter().position(|(call, _)| *call as i16 == key)?;
    // Whether topics and partitions are only to be tried is their requests' last byte.
    let tries = [Call::CreateTopics, Call::CreatePartitions].contains(&losses.get(at)?.0) && frame.last() != Some(&0);
    let asks = frame.windows(13).any(|part| part == b"nornplan-asks");
    (!tries && !asks).then(|| losses.remove(at).1)
}

fn number(frame: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

/// One request or answer, without the length that stands before it.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).ok()?];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn send(stream: &mut TcpStream, frame: &[u8]) -> bool {
    let length = i32::try_from(frame.len()).expect("less than 2 GB").to_be_bytes();
    stream.write_all(&[&length, frame].concat()).is_ok()
}

fn close(one: &TcpStream, other: &TcpStream) {
    for stream in [one, other] {
        // It may be closed already.
        let _closed = stream.shutdown(Shutdown::Both);
    }
}
