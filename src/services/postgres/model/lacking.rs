//! Present objects on which a role has not all that it should have. Pure.

use serde::{Deserialize, Serialize};

/// So many objects are named.
const NAMED: usize = 3;

/// Some of the objects, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    named: Vec<String>,
    more: usize,
}

impl Lacking {
    /// The name under which it travels among the facts of a grant.
    pub const FACT: &str = "lacking";

    /// Of these objects, the most important ones first.
    pub fn of(objects: impl IntoIterator<Item = String>) -> Self {
        let mut objects = objects.into_iter();
        let named = objects.by_ref().take(NAMED).collect();
        Self { named, more: objects.count() }
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Such as "public.orders, public.items and 3 more".
    pub fn words(&self) -> String {
        let named = self.named.join(", ");
        if self.more == 0 { named } else { format!("{named} and {} more", self.more) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        let words = |count: usize| Lacking::of((0..count).map(|number| format!("app.t{number}"))).words();
        assert_eq!((words(1).as_str(), words(3).as_str()), ("app.t0", "app.t0, app.t1, app.t2"));
        assert_eq!(words(1003), "app.t0, app.t1, app.t2 and 1000 more");
        assert!(Lacking::of([]).is_empty());
    }
}
