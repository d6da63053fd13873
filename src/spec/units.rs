//! Durations and sizes as people write them, in the form that a server stores.

/// In milliseconds.
const DURATIONS: [(&str, i64); 7] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// In bytes.
const SIZES: [(&str, i64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// What a Kafka config counts in, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Bytes,
    /// The value is taken as it is.
    None,
}

impl Unit {
    pub fn of(config: &str) -> Self {
        if config.ends_with(".ms") {
            Self::Milliseconds
        } else if config.ends_with(".bytes") {
            Self::Bytes
        } else {
            Self::None
        }
    }

    /// The canonical value: "7d" is "604800000" in milliseconds. A bare number is one already.
    ///
    /// # Errors
    /// A sentence about what may stand there.
    pub fn canonical(self, text: &str) -> Result<String, String> {
        let (units, example): (&[(&str, i64)], &str) = match self {
            Self::Milliseconds => (&DURATIONS, "a duration such as \"7d\", \"12h\", \"30s\" or \"500ms\""),
            Self::Bytes => (&SIZES, "a size such as \"1GiB\", \"512MiB\" or \"100kB\""),
            Self::None => return Ok(text.to_owned()),
        };
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.trim();
        let wrong = || format!("{text:?} is not {example}");
        let number: i64 = number.parse().map_err(|_| wrong())?;
        if unit.is_empty() {
            return Ok(number.to_string());
        }
        let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if number < 0 {
            return Err(wrong());
        }
        let value = number.checked_mul(*factor).ok_or_else(|| format!("{text:?} is more than Kafka can count"))?;
        Ok(value.to_string())
    }
}

/// A PostgreSQL setting's value: PostgreSQL counts in 1024 and spells it kB, MB, GB, TB.
pub fn setting(text: &str) -> String {
    let spelled = [("KiB", "kB"), ("MiB", "MB"), ("GiB", "GB"), ("TiB", "TB")];
    for (ours, theirs) in spelled {
        if let Some(number) = text.strip_suffix(ours)
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
        {
            return format!("{number}{theirs}");
        }
    }
    match text {
        "true" => "on".to_owned(),
        "false" => "off".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        for (text, wanted) in
            [("7d", "604800000"), ("30s", "30000"), ("-1", "-1"), ("86400000", "86400000"), ("1 w", "604800000")]
        {
            assert_eq!(Unit::Milliseconds.canonical(text).as_deref(), Ok(wanted), "{text}");
        }
        for (text, wanted) in [("1GiB", "1073741824"), ("1GB", "1000000000"), ("10", "10"), ("-1", "-1")] {
            assert_eq!(Unit::Bytes.canonical(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in ["", "d", "7 days", "1.5h", "-7d", "7dd", "9223372036854775807d", "1-2"] {
            assert!(Unit::Milliseconds.canonical(text).is_err(), "{text}");
        }
        assert!(Unit::Bytes.canonical("7d").is_err());
        assert_eq!(Unit::None.canonical("compact").as_deref(), Ok("compact"));
    }

    #[test]
    fn settings_as_postgresql_spells_them() {
        assert_eq!(setting("64MiB"), "64MB");
        assert_eq!(setting("true"), "on");
        assert_eq!(setting("30s"), "30s");
        assert_eq!(setting("MiB"), "MiB");
    }
}
