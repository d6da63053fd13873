//! Encodings of databases, as PostgreSQL spells them.

use crate::core::suggest;

/// What a database can be in: `pg_encoding_to_char(n)` for n from 0 to 34, the same on 15 to 18.
const OF_SERVERS: [&str; 35] = [
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
];

/// What only clients can speak: 35 to 41.
const OF_CLIENTS: [&str; 7] = ["SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004"];

/// Other names, cleaned (PostgreSQL's `pg_encname_tbl`, without those that `windows` for `win` makes).
const ALIASES: [(&str, &str); 24] = [
    ("abc", "WIN1258"),
    ("alt", "WIN866"),
    ("iso88591", "LATIN1"),
    ("iso885910", "LATIN6"),
    ("iso885913", "LATIN7"),
    ("iso885914", "LATIN8"),
    ("iso885915", "LATIN9"),
    ("iso885916", "LATIN10"),
    ("iso88592", "LATIN2"),
    ("iso88593", "LATIN3"),
    ("iso88594", "LATIN4"),
    ("iso88599", "LATIN5"),
    ("koi8", "KOI8R"),
    ("mskanji", "SJIS"),
    ("shiftjis", "SJIS"),
    ("tcvn", "WIN1258"),
    ("tcvn5712", "WIN1258"),
    ("unicode", "UTF8"),
    ("vscii", "WIN1258"),
    ("win", "WIN1251"),
    ("win932", "SJIS"),
    ("win936", "GBK"),
    ("win949", "UHC"),
    ("win950", "BIG5"),
];

/// The encoding that a text names, in whatever spelling PostgreSQL takes: `utf-8` is `UTF8`.
///
/// # Errors
/// What is wrong, as the end of a sentence, and what to do next.
pub fn canonical(text: &str) -> Result<&'static str, (String, String)> {
    let cleaned = clean(text);
    let spelled = cleaned.replace("windows", "win");
    let alias = ALIASES.iter().find(|(from, _)| *from == spelled).map(|(_, to)| *to);
    let named = |known: &&&str| Some(**known) == alias || clean(known) == spelled;
    if let Some(known) = OF_SERVERS.iter().find(named) {
        return Ok(known);
    }
    if let Some(known) = OF_CLIENTS.iter().find(named) {
        let hint = format!("write \"UTF8\": clients that speak {known} are served from it");
        return Err((format!("is {known}, which only clients can speak"), hint));
    }
    let hint = match suggest::closest(&cleaned, OF_SERVERS) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "such as \"UTF8\"; table \"PostgreSQL Character Sets\" of its manual has them all".to_owned(),
    };
    Err(("is none that PostgreSQL knows".to_owned(), hint))
}

/// As PostgreSQL compares them: letters and digits alone, in lower case.
fn clean(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_postgresql_takes() {
        for (text, wanted) in [
            ("UTF8", "UTF8"),
            ("utf-8", "UTF8"),
            ("Utf_8", "UTF8"),
            ("unicode", "UTF8"),
            ("ISO-8859-1", "LATIN1"),
            ("iso_8859_5", "ISO_8859_5"),
            ("latin 9", "LATIN9"),
            ("windows-1252", "WIN1252"),
            ("KOI8", "KOI8R"),
            ("sql ascii", "SQL_ASCII"),
        ] {
            assert_eq!(canonical(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn others_are_told() {
        for (text, wanted) in [
            ("utf9", "did you mean \"UTF8\"?"),
            ("latin99", "did you mean \"LATIN9\"?"),
            ("Shift-JIS", "write \"UTF8\": clients that speak SJIS are served from it"),
            ("windows-936", "write \"UTF8\": clients that speak GBK are served from it"),
            ("", "such as \"UTF8\"; table \"PostgreSQL Character Sets\" of its manual has them all"),
        ] {
            assert_eq!(canonical(text).map_err(|(_, hint)| hint), Err(wanted.to_owned()), "{text}");
        }
    }
}
