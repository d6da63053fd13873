//! Valkey's protocol by itself: whatever is sent reaches the server as it is, and its answer is seen as it is. A client
//! library would refuse, translate or repeat some of what an attacker sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a server answered, of protocol 2 or 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Number(i64),
    /// A string; bytes that are no UTF-8 are replaced.
    Text(String),
    Error(String),
    Many(Vec<Reply>),
}

impl Reply {
    /// Whether the server's access rules refused it, and not its arguments, its state or a bug of the test.
    pub fn is_denied(&self) -> bool {
        let Self::Error(error) = self else { return false };
        // Of SORT, of scripts, and of scripts on Redis 7.0.
        let said = ["insufficient ACL permissions", "ACL failure in script", "The user executing the script can't"];
        error.starts_with("NOPERM ") || said.iter().any(|words| error.contains(words))
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Error(text) => text,
            Self::Nothing | Self::Number(_) | Self::Many(_) => "",
        }
    }

    pub fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Nothing | Self::Text(_) | Self::Error(_) | Self::Many(_) => panic!("{self:?} is no number"),
        }
    }

    pub fn many(&self) -> &[Self] {
        match self {
            Self::Many(replies) => replies,
            Self::Nothing | Self::Number(_) | Self::Text(_) | Self::Error(_) => &[],
        }
    }
}

/// A connection to a server on this machine.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects and signs nobody in.
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(BufReader::new(stream))
    }

    /// Connects as somebody.
    pub fn sign_in(port: u16, user: &str, password: &str) -> Self {
        let mut this = Self::open(port);
        assert_eq!(this.say(&["AUTH", user, password]), Reply::Text("OK".to_owned()), "{user}");
        this
    }

    /// Sends a command, and reads one answer.
    pub fn say(&mut self, words: &[impl AsRef<[u8]>]) -> Reply {
        self.send(words);
        self.reply()
    }

    /// Sends a command, and reads nothing.
    pub fn send(&mut self, words: &[impl AsRef<[u8]>]) {
        let mut message = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            message.extend(format!("${}\r\n", word.as_ref().len()).into_bytes());
            message.extend(word.as_ref());
            message.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&message).expect("it is sent");
    }

    /// Sends a command as one writes it: see [`words`].
    pub fn run(&mut self, line: &str) -> Reply {
        self.say(&words(line))
    }

    /// Reads one more answer.
    pub fn reply(&mut self) -> Reply {
        let mut line = String::new();
        // Empty lines keep a replica awake until its data are there.
        while line.trim_end().is_empty() {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("an answer") > 0, "the server has closed the connection");
        }
        let line = line.trim_end_matches("\r\n");
        let (kind, rest) = line.split_at(1);
        let length = || rest.parse::<i64>().unwrap_or_else(|_| panic!("a length: {line}"));
        match kind {
            "+" | "," | "(" | "#" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(length()),
            "_" => Reply::Nothing,
            "$" | "=" => usize::try_from(length()).map_or(Reply::Nothing, |length| self.bytes(length)),
            "*" | "~" | ">" => usize::try_from(length()).map_or(Reply::Nothing, |count| self.array(count)),
            "%" => self.array(usize::try_from(length()).expect("a length") * 2),
            _ => panic!("an answer of an unknown kind: {line}"),
        }
    }

    fn array(&mut self, count: usize) -> Reply {
        Reply::Many((0..count).map(|_| self.reply()).collect())
    }

    fn bytes(&mut self, length: usize) -> Reply {
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).expect("all of an answer");
        bytes.truncate(length);
        Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Splits a line at blanks; what stands in braces `«...»` is one word, and `\xNN` is a byte.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('«') {
            Some(inner) => inner.split_once('»').expect("a closing brace"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(unescape(word));
        rest = after.trim_start();
    }
    words
}

fn unescape(word: &str) -> Vec<u8> {
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, after) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("two hexadecimal digits"));
        bytes.extend(after.as_bytes());
    }
    bytes
}
