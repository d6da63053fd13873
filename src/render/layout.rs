//! How text is laid out in lines and columns.

use super::clean_lines;

/// Columns that a text takes, near enough: one for each character.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Breaks a list into lines of at most `width` columns, never inside an item.
pub(super) fn wrap(items: &[String], separator: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for (index, item) in items.iter().enumerate() {
        let last = index + 1 == items.len();
        let piece = if last { item.clone() } else { format!("{item}{}", separator.trim_end()) };
        if !line.is_empty() {
            if columns(&line) + 1 + columns(&piece) > width {
                lines.push(std::mem::take(&mut line));
            } else {
                line.push(' ');
            }
        }
        line.push_str(&piece);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Columns of `code` that are never broken, however narrow the text is: it is there to be pasted.
const PASTED: usize = 1_000;

/// Breaks a sentence into lines of at most `width` columns, between words and neither inside `code` nor between a flag of
/// consent and what it takes.
pub(super) fn wrap_words(text: &str, width: usize) -> Vec<String> {
    let is_flag = |word: &str| word.starts_with("--allow-") && !word.contains(' ');
    let mut words: Vec<String> = Vec::new();
    let mut in_code = false;
    for piece in text.split(' ') {
        let longest = if in_code { PASTED } else { width };
        match words.last_mut().filter(|last| (in_code || is_flag(last)) && columns(last) + columns(piece) < longest) {
            Some(code) => *code = format!("{code} {piece}"),
            None => words.push(piece.to_owned()),
        }
        in_code ^= piece.matches('`').count() % 2 == 1;
    }
    wrap(&words, "", width)
}

/// The lines of a text that may have several, wrapped and [`clean`]. Each stays as far in as it begins, and what is
/// broken off goes further in.
pub(super) fn wrap_lines(text: &str, width: usize) -> Vec<String> {
    const HANGING: usize = 2;
    let mut lines = Vec::new();
    for line in clean_lines(text) {
        let words = line.trim_start_matches(' ');
        let indent = columns(&line) - columns(words);
        let wrapped = wrap_words(words, width.saturating_sub(indent + HANGING).max(30));
        lines.extend(wrapped.iter().enumerate().map(|(index, words)| {
            let indent = if index == 0 { indent } else { indent + HANGING };
            format!("{}{words}", " ".repeat(indent))
        }));
    }
    lines
}

/// Columns of equal width, with no blanks at the ends of lines.
pub(super) fn table<const N: usize>(rows: &[[String; N]], indent: &str) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = columns(cell).max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| pad(cell, width)).collect();
        format!("{indent}{}", cells.join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Blanks up to a width.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}
