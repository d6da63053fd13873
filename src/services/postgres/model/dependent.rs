//! What depends on a role, so that it cannot be dropped.

use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};

/// How something depends on a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tie {
    #[serde(rename = "o")]
    Owned,
    /// The role gives privileges on what it will make.
    #[serde(rename = "d")]
    ByDefault,
    #[serde(rename = "a")]
    Privilege,
    #[serde(rename = "r")]
    Policy,
    #[serde(other, rename = "?")]
    Other,
}

/// Where the things lie that depend on a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// So many of them, in this database. What they are can only be read there.
    Inside { database: String, count: u64 },
    /// The database itself.
    Database(String),
    /// Something that all databases share, in the server's words: `tablespace fast`.
    Shared(String),
}

/// What depends on a role in one way, in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dependent {
    pub place: Place,
    pub tie: Tie,
}

impl Dependent {
    /// The name under which they travel among the facts of a role.
    pub const FACT: &str = "dependents";

    /// Such as `owns 12 objects in database shop_db`.
    pub fn words(&self) -> String {
        let objects = |count: &u64| if *count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
        let what = match &self.place {
            Place::Inside { database, count } if self.tie == Tie::Policy => match count {
                1 => format!("1 policy in database {database}"),
                _ => format!("{count} policies in database {database}"),
            },
            Place::Inside { database, .. } if self.tie == Tie::ByDefault => {
                format!("future objects in database {database}")
            }
            Place::Inside { database, count } => format!("{} in database {database}", objects(count)),
            Place::Database(database) => format!("database {database}"),
            Place::Shared(what) => what.clone(),
        };
        match self.tie {
            Tie::Owned => format!("owns {what}"),
            Tie::ByDefault => format!("gives privileges on {what}"),
            Tie::Privilege if what.starts_with("membership of ") => format!("granted the {what}"),
            Tie::Privilege => format!("has privileges on {what}"),
            Tie::Policy => format!("is named by {what}"),
            Tie::Other => format!("is mentioned by {what}"),
        }
    }
}

/// What to run, and where, so that the role can be dropped: a phrase for each place. Nothing is lost where what it owns
/// is given to its heir first; databases before all else, as REASSIGN OWNED gives away those as well, wherever it runs.
pub fn solutions(role: &str, heir: impl Fn(&Place) -> Option<String>, dependents: &[Dependent]) -> Vec<String> {
    let role = escape_identifier(role);
    let heir = |place| heir(place).map_or_else(|| "<its new owner>".to_owned(), |heir| escape_identifier(&heir));
    let mut sorted: Vec<&Dependent> = dependents.iter().collect();
    sorted.sort_by_key(|dependent| match &dependent.place {
        Place::Database(_) => 0,
        Place::Inside { .. } => 1,
        Place::Shared(_) => 2,
    });
    let mut solutions = Vec::new();
    for dependent in sorted {
        let place = &dependent.place;
        let solution = match place {
            Place::Inside { database, .. } => {
                let owns = dependents.iter().any(|other| {
                    other.tie == Tie::Owned
                        && matches!(&other.place, Place::Inside { database: d, .. } if d == database)
                });
                let give = if owns { format!("REASSIGN OWNED BY {role} TO {}; ", heir(place)) } else { String::new() };
                format!("in database {database}: {give}DROP OWNED BY {role}")
            }
            Place::Database(database) if dependent.tie == Tie::Owned => {
                format!("ALTER DATABASE {} OWNER TO {}", escape_identifier(database), heir(place))
            }
            Place::Database(database) => {
                format!("REVOKE ALL ON DATABASE {} FROM {role}", escape_identifier(database))
            }
            Place::Shared(_) if dependent.tie == Tie::Owned => {
                format!("in any database: REASSIGN OWNED BY {role} TO {}", heir(place))
            }
            Place::Shared(what) => format!("REVOKE what it was given, or gave, on {what}"),
        };
        if !solutions.contains(&solution) {
            solutions.push(solution);
        }
    }
    solutions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(tie: Tie, count: u64) -> Dependent {
        Dependent { place: Place::Inside { database: "shop_db".to_owned(), count }, tie }
    }

    #[test]
    fn each_is_told_in_words() {
        assert_eq!(inside(Tie::Owned, 12).words(), "owns 12 objects in database shop_db");
        assert_eq!(inside(Tie::Privilege, 1).words(), "has privileges on 1 object in database shop_db");
        assert_eq!(inside(Tie::Policy, 2).words(), "is named by 2 policies in database shop_db");
        let gave = Dependent { place: Place::Shared("membership of role a in role b".to_owned()), tie: Tie::Privilege };
        assert_eq!(gave.words(), "granted the membership of role a in role b");
    }

    #[test]
    fn what_is_owned_is_given_away_before_anything_is_dropped() {
        let both = [inside(Tie::Owned, 12), inside(Tie::Privilege, 1)];
        let expected = "in database shop_db: REASSIGN OWNED BY \"old\" TO \"new\"; DROP OWNED BY \"old\"";
        assert_eq!(solutions("old", |_| Some("new".to_owned()), &both), [expected]);
        assert_eq!(solutions("o\"d", |_| None, &both[1..]), ["in database shop_db: DROP OWNED BY \"o\"\"d\""]);
    }

    #[test]
    fn a_database_has_its_heir_before_reassigning_would_give_it_to_another() {
        let heir =
            |place: &Place| Some(if matches!(place, Place::Inside { .. }) { "login" } else { "boss" }.to_owned());
        let owned = Dependent { place: Place::Database("shop_db".to_owned()), tie: Tie::Owned };
        let told = solutions("old", heir, &[inside(Tie::Owned, 1), owned]);
        let expected = [
            "ALTER DATABASE \"shop_db\" OWNER TO \"boss\"",
            "in database shop_db: REASSIGN OWNED BY \"old\" TO \"login\"; DROP OWNED BY \"old\"",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn they_travel_as_json() {
        let told = r#"[{"place": {"inside": {"database": "x", "count": 3}}, "tie": "o"},
            {"place": {"database": "x"}, "tie": "a"}, {"place": {"shared": "tablespace t"}, "tie": "i"}]"#;
        let read: Vec<Dependent> = serde_json::from_str(told).unwrap();
        let words: Vec<String> = read.iter().map(Dependent::words).collect();
        assert_eq!(
            words,
            ["owns 3 objects in database x", "has privileges on database x", "is mentioned by tablespace t"]
        );
        let again: Vec<Dependent> = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }
}
