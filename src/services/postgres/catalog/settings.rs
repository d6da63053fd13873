//! Settings of roles and databases, which apps write in whatever encoding their own database has.

use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;

/// One `name=value` in hexadecimal digits, byte for byte. All databases share these texts, and nobody checks their bytes:
/// what a database in WIN1252 set cannot be answered as text, nor taken apart, in one in UTF8 (22021). Escape format takes
/// every byte but the backslash for itself.
pub const SETTING: &str = "encode(decode(replace(c, chr(92), chr(92) || chr(92)), 'escape'), 'hex')";

/// Settings by name; what is no UTF-8 has a replacement character there.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let settings = Vec::<String>::deserialize(deserializer)?;
    let named = settings.iter().map(|hex| {
        let text = text(hex).ok_or_else(|| de::Error::custom("a setting is not in hexadecimal digits"))?;
        let (name, value) = text.split_once('=').unwrap_or((text.as_str(), ""));
        Ok((name.to_owned(), value.to_owned()))
    });
    named.collect()
}

fn text(hex: &str) -> Option<String> {
    let digits = hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_bytes_a_setting_has_it_is_read() {
        let read = |hex: &[&str]| super::read(json!(hex)).map_err(|error| error.to_string());
        let name = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(read(&["613d62"]), Ok(name("a", "b")));
        assert_eq!(read(&["613d623d63"]), Ok(name("a", "b=c")));
        assert_eq!(read(&["613d636166e9"]), Ok(name("a", "caf\u{fffd}")));
        assert_eq!(read(&["613dc3a9"]), Ok(name("a", "é")));
        assert_eq!(read(&[]), Ok(BTreeMap::new()));
        assert!(read(&["613"]).is_err() && read(&["xy"]).is_err());
    }
}
