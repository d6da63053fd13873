//! A way to a Kafka broker on which answers get lost: the broker has done what it was asked for, and nobody hears of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is asked of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    CreateTopics,
    DeleteTopics,
    /// For all ACLs.
    DescribeAcls,
    /// For those of one principal.
    DescribeAclsOfOne,
    CreateAcls,
    DeleteAcls,
    CreatePartitions,
    IncrementalAlterConfigs,
    AlterUserScramCredentials,
}

impl Call {
    /// The number that stands at the front of each request (`apiKey` of Kafka's protocol).
    fn key(self) -> i16 {
        match self {
            Self::CreateTopics => 19,
            Self::DeleteTopics => 20,
            Self::DescribeAcls | Self::DescribeAclsOfOne => 29,
            Self::CreateAcls => 30,
            Self::DeleteAcls => 31,
            Self::CreatePartitions => 37,
            Self::IncrementalAlterConfigs => 44,
            Self::AlterUserScramCredentials => 51,
        }
    }

    /// Whether a request is one of these, and does not only try or ask something.
    fn is(self, request: &[u8]) -> bool {
        let has = |text: &[u8]| request.windows(text.len()).any(|part| part == text);
        let fits = match self {
            // Whether topics and partitions are only to be tried is their requests' last byte.
            Self::CreateTopics | Self::CreatePartitions => request.last() == Some(&0),
            Self::DescribeAcls => !has(b"User:"),
            Self::DescribeAclsOfOne => has(b"User:"),
            Self::DeleteAcls => !has(b"nornplan-asks"),
            Self::DeleteTopics | Self::CreateAcls | Self::IncrementalAlterConfigs | Self::AlterUserScramCredentials => {
                true
            }
        };
        fits && request.starts_with(&self.key().to_be_bytes())
    }
}

/// How an answer gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection ends instead.
    Cut,
    /// It just does not come.
    Silence,
    /// In its place comes that of a broker that refuses DescribeAcls (CLUSTER_AUTHORIZATION_FAILED).
    Refusal,
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
                Some((number, Loss::Refusal)) if send(&mut to, &refusal(number)) => {}
                Some((_, Loss::Refusal)) => break,
                None if send(&mut to, &frame) => {}
                None => break,
            }
        }
        close(&from, &to);
    });
}

/// Takes the loss that is meant for a request.
fn loss_of(request: &[u8], losses: &Losses) -> Option<Loss> {
    let mut losses = losses.lock().expect("the losses");
    let at = losses.iter().position(|(call, _)| call.is(request))?;
    Some(losses.remove(at).1)
}

/// DescribeAclsResponse of versions 0 and 1: throttle_time_ms, error_code, error_message, resources.
fn refusal(number: i32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0; 4], &31_i16.to_be_bytes(), &(-1_i16).to_be_bytes(), &[0; 4]].concat()
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
