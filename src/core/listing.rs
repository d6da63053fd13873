//! Lists that people read.

/// The first of many, and how many more there are: `a, b and 3 more`.
pub fn some(items: impl IntoIterator<Item = impl ToString>, at_most: usize) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(at_most).map(|item| item.to_string()).collect();
    let (shown, more) = (shown.join(", "), items.count());
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::some;

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        let list = |count: usize| some((0..count).map(|number| format!("t{number}")), 3);
        assert_eq!((list(0).as_str(), list(1).as_str(), list(3).as_str()), ("", "t0", "t0, t1, t2"));
        assert_eq!(list(1003), "t0, t1, t2 and 1000 more");
    }
}
