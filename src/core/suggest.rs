//! "Did you mean".

/// The candidate that a mistyped name most likely stands for.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// The candidates that are spelled most like a name, the nearest first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>, at_most: usize) -> Vec<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
    let mut sorted: Vec<(usize, &str)> =
        candidates.into_iter().map(|candidate| (distance(candidate), candidate)).collect();
    sorted.sort_unstable();
    sorted.into_iter().take(at_most).map(|(_, candidate)| candidate).collect()
}

/// A hint for an unknown name: the likely one (also for one with more words: `replication_factor`), else all.
pub fn hint(name: &str, candidates: &[&str]) -> String {
    let begins = |candidate: &&str| name.strip_prefix(candidate).is_some_and(|rest| rest.starts_with(['_', '-', '.']));
    match closest(name, candidates.iter().copied()).or_else(|| candidates.iter().copied().find(begins)) {
        Some(candidate) => format!("did you mean {candidate:?}?"),
        None => format!("known here: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_alike_comes_first() {
        let names = ["citext", "cube", "hstore", "pgcrypto"];
        assert_eq!(nearest("PgCryptp", names, 2), ["pgcrypto", "citext"]);
        assert_eq!(nearest("x", names, 9).len(), 4);
        assert_eq!(hint("cube_size", &names), "did you mean \"cube\"?");
        assert_eq!(hint("cubes.x", &names), "known here: citext, cube, hstore, pgcrypto");
        assert_eq!((closest("hstor", names), closest("postgis", names)), (Some("hstore"), None));
    }
}
