//! What the doctor found, service by service.

use super::layout::wrap_words;
use super::{Ink, Style, clean, clean_lines, count};
use crate::services::{Check, Verdict};

/// A title, where it is, and what was found there.
pub type Section = (&'static str, String, Vec<Check>);

/// Every check with its mark, and below it what to do; the last line counts them.
pub fn text(services: &[Section], style: &Style) -> String {
    let style = *style;
    let mut blocks: Vec<String> = services
        .iter()
        .map(|(title, endpoint, checks)| {
            let head = format!("{}  {}", style.paint(Ink::Bold, title), style.paint(Ink::Faint, &clean(endpoint)));
            let mut lines = vec![head.trim_end().to_owned()];
            lines.extend(checks.iter().flat_map(|check| check_lines(check, style)));
            lines.join("\n")
        })
        .collect();
    blocks.push(style.paint(Ink::Bold, &verdict(services)));
    blocks.join("\n\n") + "\n"
}

fn check_lines(check: &Check, style: Style) -> Vec<String> {
    let (ink, mark) = match check.verdict {
        Verdict::Good => (Ink::Good, "✓"),
        Verdict::Warning => (Ink::Change, "!"),
        Verdict::Bad => (Ink::Danger, "✗"),
        Verdict::NotUsed => (Ink::Faint, "–"),
    };
    let mut lines: Vec<String> = clean_lines(&check.what);
    if let Some(first) = lines.first_mut() {
        *first = format!("  {} {first}", style.paint(ink, mark));
    }
    for line in lines.iter_mut().skip(1) {
        *line = format!("    {line}");
    }
    let room = style.width.saturating_sub(7).max(30);
    let hints = check.hint.iter().flat_map(|hint| clean_lines(hint));
    let wrapped: Vec<String> = hints.flat_map(|line| wrap_words(&line, room)).collect();
    lines.extend(wrapped.iter().enumerate().map(|(index, line)| {
        let lead = if index == 0 { "->" } else { "  " };
        format!("    {} {line}", style.paint(Ink::Faint, lead))
    }));
    lines
}

fn verdict(services: &[Section]) -> String {
    let number =
        |verdict| services.iter().flat_map(|(_, _, checks)| checks).filter(|check| check.verdict == verdict).count();
    let (bad, warnings) = (number(Verdict::Bad), number(Verdict::Warning));
    match (bad, warnings) {
        (0, 0) => "All is well.".to_owned(),
        (0, _) => format!("{}.", count(warnings, "warning", "warnings")),
        (_, 0) => format!("{}.", count(bad, "problem", "problems")),
        _ => format!("{}, {}.", count(bad, "problem", "problems"), count(warnings, "warning", "warnings")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdict: Verdict, what: &str, hint: Option<&str>) -> Check {
        Check { verdict, what: what.to_owned(), hint: hint.map(str::to_owned), may_pass: false }
    }

    #[test]
    fn marks_read_well_without_colour() {
        let services = [
            (
                "PostgreSQL",
                "127.0.0.1:5432".to_owned(),
                vec![
                    check(Verdict::Good, "reachable: PostgreSQL 18.6", None),
                    check(
                        Verdict::Bad,
                        "accepts a wrong password",
                        Some("set scram-sha-256 in pg_hba.conf, then reload"),
                    ),
                ],
            ),
            ("Kafka", "127.0.0.1:19092".to_owned(), vec![check(Verdict::NotUsed, "not used", None)]),
        ];
        let expected = "PostgreSQL  127.0.0.1:5432\n  ✓ reachable: PostgreSQL 18.6\n  ✗ accepts a wrong password\n    \
                        -> set scram-sha-256 in pg_hba.conf, then reload\n\nKafka  127.0.0.1:19092\n  – not used\n\n1 problem.\n";
        assert_eq!(text(&services, &Style::PLAIN), expected);
        assert!(text(&services, &Style { color: true, ..Style::PLAIN }).contains('\u{1b}'));
    }
}
