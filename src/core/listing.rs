//! Lists that people read.

/// Characters of a name that somebody else has chosen: one name could fill a page, and hide what else stands there.
const NAME: usize = 80;
/// Characters of an item of a list.
const ITEM: usize = 500;

/// A name that somebody else has chosen, as it stands in a sentence: not all of it if it is very long.
pub fn shortened(name: &str) -> String {
    cut(name, NAME)
}

/// So many characters at most, the last of which says that there are more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The first of many, and how many more there are: `a, b and 3 more`.
pub fn some(items: impl IntoIterator<Item = impl ToString>, at_most: usize) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(at_most).map(|item| cut(&item.to_string(), ITEM)).collect();
    let (shown, more) = (shown.join(", "), items.count());
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::{ITEM, NAME, shortened, some};

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!((shortened("").as_str(), shortened("orders").as_str()), ("", "orders"));
        let long = "ü".repeat(NAME);
        assert_eq!(shortened(&long), long);
        assert_eq!(shortened(&"ü".repeat(30_000)), "ü".repeat(NAME - 1) + "…");
        assert_eq!(some(["x".repeat(30_000)], 3).chars().count(), ITEM);
    }

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        let list = |count: usize| some((0..count).map(|number| format!("t{number}")), 3);
        assert_eq!((list(0).as_str(), list(1).as_str(), list(3).as_str()), ("", "t0", "t0, t1, t2"));
        assert_eq!(list(1003), "t0, t1, t2 and 1000 more");
    }
}
