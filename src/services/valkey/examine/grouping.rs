//! What is the same on several nodes is told once.

use crate::core::listing::some;
use crate::services::Check;

/// Nodes that are named in one line; more are counted.
const NAMES_SHOWN: usize = 3;

/// The checks of all nodes, each with the nodes that it is of: `on all 3 nodes: ...`, or their names. Where there is one
/// node, it goes without saying. `all` is how many there are, with those that could not be asked; `what` is what they are
/// called, as many.
pub fn grouped(nodes: Vec<(String, Vec<Check>)>, all: usize, what: &str) -> Vec<Check> {
    let mut groups: Vec<(Check, Vec<String>)> = Vec::new();
    for (node, checks) in nodes {
        for check in checks {
            match groups.iter_mut().find(|(known, _)| *known == check) {
                Some((_, names)) => names.push(node.clone()),
                None => groups.push((check, vec![node.clone()])),
            }
        }
    }
    let told = groups.into_iter().map(|(check, names)| match names.len() {
        _ if all == 1 => check,
        some if some == all => Check { what: format!("on all {all} {what}: {}", check.what), ..check },
        _ => Check { what: format!("{}: {}", some(&names, NAMES_SHOWN), check.what), ..check },
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_on_several_nodes_is_told_once() {
        let check = |what: &str| Check::good(what);
        let told = |nodes: Vec<(&str, Vec<Check>)>| -> Vec<String> {
            let all = nodes.len();
            let nodes = nodes.into_iter().map(|(node, checks)| (node.to_owned(), checks)).collect();
            grouped(nodes, all, "nodes").into_iter().map(|check| check.what).collect()
        };
        assert_eq!(told(vec![("a", vec![check("x"), check("y")])]), ["x", "y"]);
        let warning = Check::warning("x", "do this");
        let nodes = vec![
            ("a", vec![check("role a"), check("x"), warning.clone()]),
            ("b", vec![check("role b"), check("x")]),
            ("c", vec![check("role c"), check("x"), warning]),
        ];
        assert_eq!(told(nodes), ["a: role a", "on all 3 nodes: x", "a, c: x", "b: role b", "c: role c"]);
    }
}
