//! What dropping a database would lose, and whom it would meet, in words. Pure.

use crate::core::address::Address;
use crate::services::postgres::model::Holdings;
use crate::services::postgres::model::belongings::several;

/// Since this version every table remembers when it was last read.
const REMEMBERS_READS: u32 = 160_000;

/// The notes of a step that drops a database.
/// `server` is its version (150018 for 15.18; 0 is unknown).
pub fn notes(address: &Address, holdings: &Holdings, server: u32) -> Vec<String> {
    let Holdings { sessions, tables, last_used, users, unread, .. } = holdings;
    let mut holds: Vec<String> = what_is_in(holdings).into_iter().collect();
    let forgets = server != 0 && server < REMEMBERS_READS && tables.is_some();
    holds.extend(match last_used {
        Some(day) => Some(format!("last used {day}")),
        None => forgets.then(|| format!("last use unknown (PostgreSQL {} does not remember it)", server / 10_000)),
    });
    holds.extend(sessions.map(|count| {
        let users = users.as_ref().map(|users| format!(" ({users})")).unwrap_or_default();
        format!("{}{users}", several(count, "session"))
    }));
    let holds = joined(&holds, "; ");
    let mut notes = Vec::new();
    if !holds.is_empty() {
        notes.push(format!("holds {holds}"));
    }
    notes.extend(unread.as_ref().map(|why| format!("what is in it cannot be read: {why}")));
    if is_in_use(holdings) {
        notes.push(format!(
            "sessions are in the way: stop the app first, or have them ended by --allow-interrupt {address}"
        ));
    }
    notes
}

/// How much there is: `12.3 MB in 4 tables, about 5000 rows`.
pub fn what_is_in(holdings: &Holdings) -> Option<String> {
    let mut what: Vec<String> = holdings.size_bytes.map(size).into_iter().collect();
    what.extend(holdings.tables.map(|count| match count {
        0 => "in no tables".to_owned(),
        _ => format!("in {}", several(count, "table")),
    }));
    let mut parts = vec![what.join(" ")];
    parts.extend(rows(holdings.rows, holdings.unknown_rows));
    Some(joined(&parts, ", ")).filter(|words| !words.is_empty())
}

/// Whether anybody but us is connected.
pub fn is_in_use(holdings: &Holdings) -> bool {
    holdings.sessions.is_some_and(|count| count > 0)
}

/// The texts that say something, joined.
fn joined(texts: &[String], with: &str) -> String {
    let filled: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    filled.join(with)
}

/// Rows as the statistics estimate them, and how many tables they say nothing of.
pub fn rows(rows: Option<u64>, unknown: Option<u64>) -> Option<String> {
    Some(match (rows?, unknown.unwrap_or_default()) {
        (0, 0) => return None,
        (0, _) => "never analysed, so nobody knows how many rows".to_owned(),
        (rows, 0) => about(rows),
        (rows, unknown) => format!("{} and unknown ones in {}", about(rows), several(unknown, "table")),
    })
}

fn about(rows: u64) -> String {
    match rows {
        1_000_000_000.. => format!("about {} billion rows", tenths(rows, 100_000_000)),
        1_000_000.. => format!("about {} million rows", tenths(rows, 100_000)),
        1 => "about 1 row".to_owned(),
        _ => format!("about {rows} rows"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{} GB", tenths(bytes, 100_000_000)),
        _ => format!("{} MB", tenths(bytes, 100_000)),
    }
}

/// A number with one decimal, out of tenths of its unit.
fn tenths(number: u64, tenth: u64) -> String {
    let tenths = number / tenth;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_estimated_in_words() {
        assert_eq!(rows(Some(1_234_567), Some(0)).unwrap(), "about 1.2 million rows");
        assert_eq!(rows(Some(7), Some(2)).unwrap(), "about 7 rows and unknown ones in 2 tables");
        assert_eq!(rows(Some(0), Some(1)).unwrap(), "never analysed, so nobody knows how many rows");
        assert_eq!((rows(Some(0), Some(0)), rows(None, None)), (None, None));
        assert_eq!((size(12_345_678), size(2_500_000_000)), ("12.3 MB".to_owned(), "2.5 GB".to_owned()));
    }
}
