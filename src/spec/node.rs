//! One small tree for both notations, in which every key and value knows where it stands.

use crate::spec::source::Spot;
use std::collections::BTreeMap;

/// Something and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    pub value: T,
    pub spot: Spot,
}

impl<T> Located<T> {
    pub fn new(value: T, spot: Spot) -> Self {
        Self { value, spot }
    }
}

/// A value and where it starts.
pub type Node = Located<Value>;

/// Keys in order; each with its own place and its value.
pub type Table = BTreeMap<String, (Spot, Node)>;

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
    /// A date or time of TOML, which nothing here takes.
    Date,
}

impl Value {
    /// As an error names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a point",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Date => "a date",
        }
    }
}

/// Lays a table over another: tables merge, everything else replaces. What is laid over keeps its own places.
pub fn merge(base: &mut Table, over: Table) {
    for (key, (spot, node)) in over {
        match (base.get_mut(&key), node) {
            (Some((_, Located { value: Value::Table(below), .. })), Located { value: Value::Table(above), .. }) => {
                merge(below, above);
            }
            (_, node) => {
                base.insert(key, (spot, node));
            }
        }
    }
}
