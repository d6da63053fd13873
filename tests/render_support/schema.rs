//! As much of JSON Schema 2020-12 as `plan.schema.json` uses. A keyword that it does not know fails the test.

use serde_json::Value;

/// What breaks the schema, with its place.
pub fn check(schema: &Value, value: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    visit(schema, schema, value, "$", &mut broken);
    broken
}

fn visit(root: &Value, schema: &Value, value: &Value, at: &str, broken: &mut Vec<String>) {
    let mut say = |text: String| broken.push(format!("{at}: {text}"));
    let mut inner: Vec<(&Value, &Value, String)> = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                inner.push((root.pointer(pointer).unwrap(), value, at.to_owned()));
            }
            "type" => {
                let named = |name: &Value| is_type(name.as_str().unwrap(), value);
                if !rule.as_array().map_or_else(|| named(rule), |names| names.iter().any(named)) {
                    say(format!("{value} is not of type {rule}"));
                }
            }
            "const" if rule != value => say(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => say(format!("{value} is none of {rule}")),
            "minimum" if value.as_f64() < rule.as_f64() => say(format!("{value} is below {rule}")),
            "const" | "enum" | "minimum" => {}
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        say(format!("{name} is missing"));
                    }
                }
            }
            "properties" | "additionalProperties" => {}
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    inner.push((rule, item, format!("{at}[{index}]")));
                }
            }
            unknown => panic!("{at}: the schema uses {unknown}, which this reader does not know"),
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match (schema.pointer(&format!("/properties/{name}")), schema.get("additionalProperties")) {
            (Some(rule), _) => inner.push((rule, member, format!("{at}.{name}"))),
            (None, Some(Value::Bool(false))) => say(format!("{name} is not known")),
            (None, Some(rule)) if rule.is_object() => inner.push((rule, member, format!("{at}.{name}"))),
            (None, _) => {}
        }
    }
    for (rule, value, at) in inner {
        visit(root, rule, value, &at, broken);
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("type {unknown} is not known"),
    }
}
