//! Sets of bytes, and names and patterns of any bytes as text. Pure.

/// Stands before a byte that is no text, which follows as two hexadecimal digits.
const NO_TEXT: char = '\u{FFFD}';

/// Names and patterns on a server may be any bytes. Those that are no text stay different from one another, and from all
/// that nornplan sets.
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let escaped = |byte: &u8| format!("{NO_TEXT}{byte:02x}");
    for chunk in bytes.utf8_chunks() {
        for one in chunk.valid().chars() {
            match one {
                NO_TEXT => text.extend(one.to_string().as_bytes().iter().map(escaped)),
                _ => text.push(one),
            }
        }
        text.extend(chunk.invalid().iter().map(escaped));
    }
    text
}

/// The bytes that [`readable`] was given.
pub fn raw(text: &str) -> Vec<u8> {
    let mut raw = Vec::with_capacity(text.len());
    let mut parts = text.split(NO_TEXT);
    raw.extend(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        raw.extend(byte);
        raw.extend(part.get(2..).filter(|_| byte.is_some()).unwrap_or(part).as_bytes());
    }
    raw
}

/// One bit for each byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bytes([u64; 4]);

impl Bytes {
    pub fn none() -> Self {
        Self([0; 4])
    }

    /// And all from the first to the last.
    pub fn with(mut self, first: u8, last: u8) -> Self {
        for byte in first..=last {
            if let Some(word) = self.0.get_mut(usize::from(byte / 64)) {
                *word |= 1 << (byte % 64);
            }
        }
        self
    }

    pub fn has(self, byte: u8) -> bool {
        self.0.get(usize::from(byte / 64)).is_some_and(|word| word >> (byte % 64) & 1 == 1)
    }

    pub fn others(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    pub fn and(mut self, others: Self) -> Self {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word |= other);
        self
    }

    pub fn meets(self, others: Self) -> bool {
        self.0.iter().zip(others.0).any(|(word, other)| word & other != 0)
    }

    /// Bytes of which it has one, and not the byte before, or the other way round.
    pub fn changes(self) -> Self {
        let mut before = 0;
        Self(self.0.map(|word| {
            let changes = word ^ (word << 1 | before);
            before = word >> 63;
            changes
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_become_text_and_bytes_again() {
        for bytes in [&b"mail"[..], b"\xff", b"\xfe", "\u{FFFD}ff".as_bytes(), b"a\xc3", "Käse".as_bytes(), b""] {
            assert_eq!(raw(&readable(bytes)), bytes);
        }
        assert_ne!(readable(b"\xff"), readable("\u{FFFD}ff".as_bytes()));
        assert_eq!(readable("Käse".as_bytes()), "Käse");
    }

    #[test]
    fn bytes_are_told_apart_where_a_set_begins_and_ends() {
        let some = Bytes::none().with(60, 70).with(200, 200).with(255, 255);
        let changes: Vec<u8> = (0..=u8::MAX).filter(|byte| some.changes().has(*byte)).collect();
        assert_eq!(changes, [60, 71, 200, 201, 255]);
        assert!(some.has(64) && !some.others().has(64) && some.others().has(0));
        assert!(some.meets(Bytes::none().with(70, 80)) && !some.meets(Bytes::none().with(71, 199)));
    }
}
