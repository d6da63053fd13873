//! Values as people write them.

use crate::spec::units::Unit;

const DURATIONS: [(i64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
const SIZES: [(i64, &str); 5] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];

/// A stored value in the largest unit that counts it without a rest: `7d`, `1GiB`.
pub fn told(name: &str, value: &str) -> String {
    let units = match Unit::of(name) {
        Unit::Milliseconds => &DURATIONS,
        Unit::Bytes => &SIZES,
        Unit::None => return value.to_owned(),
    };
    let Ok(number) = value.parse::<i64>() else { return value.to_owned() };
    let fits = units.iter().find(|(unit, _)| number >= *unit && number % unit == 0);
    fits.map_or_else(|| value.to_owned(), |(unit, name)| format!("{}{name}", number / unit))
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn the_largest_unit_without_a_rest() {
        for (name, value, text) in [
            ("retention.ms", "604800000", "7d"),
            ("retention.ms", "90000", "90s"),
            ("retention.ms", "1", "1ms"),
            ("retention.ms", "0", "0"),
            ("retention.ms", "-1", "-1"),
            ("segment.bytes", "1073741824", "1GiB"),
            ("segment.bytes", "1000", "1000B"),
            ("cleanup.policy", "compact", "compact"),
        ] {
            assert_eq!(told(name, value), text);
        }
    }
}
