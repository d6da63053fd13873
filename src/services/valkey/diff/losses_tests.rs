use super::*;

fn holdings(keys: u64, size_bytes: u64, sampled: bool) -> Holdings {
    Holdings { keys: Some(keys), size_bytes: Some(size_bytes), sampled: Some(sampled), ..Holdings::default() }
}

#[test]
fn what_is_there_is_told_as_surely_as_it_is_known() {
    assert_eq!(in_words(&holdings(12_345, 3_600_000, false)).unwrap(), "12,345 keys, about 3.4 MiB");
    assert_eq!(in_words(&holdings(12_345, 3_600_000, true)).unwrap(), "about 12,000 keys, about 3.4 MiB (sampled)");
    assert_eq!(in_words(&holdings(1, 72, false)).unwrap(), "1 key, about 72 B");
    assert_eq!(in_words(&holdings(0, 0, false)).unwrap(), "no keys");
    assert_eq!(in_words(&holdings(0, 0, true)).unwrap(), "no keys in the part that was looked at (sampled)");
    assert_eq!(in_words(&Holdings { size_bytes: None, ..holdings(2, 0, false) }).unwrap(), "2 keys");
    assert_eq!(in_words(&Holdings::default()), None);
}

#[test]
fn an_estimate_has_two_digits() {
    assert_eq!([0, 7, 42, 999, 12_345, u64::MAX].map(round), [0, 7, 42, 990, 12_000, 18_000_000_000_000_000_000]);
}
