//! A connection as thin as can be: hundreds of thousands of questions go through it.

use super::variable;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Questions in one round trip: their answers fit into the buffers of a socket.
const AT_ONCE: usize = 500;

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Text(String),
    Error(String),
    Number(i64),
    List(Vec<Answer>),
    Nothing,
}

impl Answer {
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Error(text) => text,
            Self::Number(_) | Self::List(_) | Self::Nothing => "",
        }
    }

    pub fn is_ok(&self) -> bool {
        self.text() == "OK"
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Text(_) | Self::Error(_) | Self::Number(_) | Self::Nothing => &[],
        }
    }

    pub fn number(&self) -> i64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }
}

pub struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Signs in as the admin, who is in database 0.
    pub fn admin() -> Self {
        let address = (variable("NORNPLAN_VALKEY_HOST"), variable("NORNPLAN_VALKEY_PORT").parse().unwrap());
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self(BufReader::new(stream));
        let password = std::env::var("NORNPLAN_VALKEY_PASSWORD").unwrap_or_default();
        if !password.is_empty() {
            assert_eq!(wire.ask(&["AUTH", &password]), Answer::Text("OK".to_owned()));
        }
        wire
    }

    pub fn ask<S: AsRef<str>>(&mut self, words: &[S]) -> Answer {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        self.ask_all(&[words]).remove(0)
    }

    pub fn ask_all<S: AsRef<str>>(&mut self, questions: &[Vec<S>]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(questions.len());
        for some in questions.chunks(AT_ONCE) {
            let mut text = Vec::new();
            for words in some {
                write!(text, "*{}\r\n", words.len()).unwrap();
                for word in words {
                    let word = word.as_ref();
                    write!(text, "${}\r\n{word}\r\n", word.len()).unwrap();
                }
            }
            self.0.get_mut().write_all(&text).unwrap();
            answers.extend(some.iter().map(|_| self.read()));
        }
        answers
    }

    fn read(&mut self) -> Answer {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let (sort, rest) = line.split_at(1);
        let count = || rest.parse::<i64>().unwrap();
        match sort {
            "+" => Answer::Text(rest.to_owned()),
            "-" => Answer::Error(rest.to_owned()),
            ":" => Answer::Number(count()),
            "$" if count() >= 0 => {
                let mut bytes = vec![0; usize::try_from(count()).unwrap() + 2];
                self.0.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Answer::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" if count() >= 0 => Answer::List((0..count()).map(|_| self.read()).collect()),
            "$" | "*" => Answer::Nothing,
            other => panic!("{other:?}"),
        }
    }
}
