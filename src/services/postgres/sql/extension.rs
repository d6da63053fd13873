//! Statements about extensions.

use super::assignment;
use crate::services::postgres::model::{Database, Extension};
use postgres_protocol::escape::{escape_identifier, escape_literal};

/// Makes an extension, updates it or moves it; nothing if it is there as wanted.
pub fn bring(name: &str, wanted: &Extension, there: Option<&Extension>) -> Vec<String> {
    let extension = escape_identifier(name);
    let schema = wanted.schema.as_deref().map(escape_identifier);
    let version = wanted.version.as_deref().map(escape_literal);
    let Some(there) = there else {
        let schema = schema.map(|schema| format!(" SCHEMA {schema}")).unwrap_or_default();
        let version = version.map(|version| format!(" VERSION {version}")).unwrap_or_default();
        return vec![format!("CREATE EXTENSION IF NOT EXISTS {extension}{schema}{version} CASCADE")];
    };
    let update = version.filter(|_| wanted.version != there.version);
    let update = update.map(|version| format!("ALTER EXTENSION {extension} UPDATE TO {version}"));
    let moves = schema.filter(|_| wanted.schema != there.schema);
    let moves = moves.map(|schema| format!("ALTER EXTENSION {extension} SET SCHEMA {schema}"));
    update.into_iter().chain(moves).collect()
}

/// Says for one transaction where an extension goes that names no schema: where the database's own objects go. Ours do
/// not look there, see `session.rs`.
pub fn search_path(database: &Database) -> String {
    let path = database.settings.get("search_path").map_or("public", String::as_str);
    format!("SET LOCAL {}", assignment("search_path", path))
}

/// Makes a schema for extensions. Whoever owns the database owns it too, now and later, and who may connect may use what
/// the extensions bring.
pub fn make_schema(schema: &str) -> String {
    let schema = escape_identifier(schema);
    format!("CREATE SCHEMA {schema} AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_without_a_schema_goes_where_the_database_says() {
        let mut database = Database::new("a", "o");
        assert_eq!(search_path(&database), "SET LOCAL \"search_path\" TO 'public'");
        database.settings.insert("search_path".to_owned(), "app, public".to_owned());
        assert_eq!(search_path(&database), "SET LOCAL \"search_path\" TO 'app', 'public'");
    }

    #[test]
    fn only_what_differs_is_done() {
        let extension = |version: Option<&str>, schema: Option<&str>| Extension {
            version: version.map(str::to_owned),
            schema: schema.map(str::to_owned),
        };
        let there = extension(Some("1.4"), Some("public"));
        let case = |wanted, there| bring("uuid-ossp", &wanted, there);
        assert_eq!(case(extension(None, None), None), ["CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" CASCADE"]);
        assert_eq!(
            case(extension(Some("1.1"), Some("ext")), None),
            ["CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" SCHEMA \"ext\" VERSION '1.1' CASCADE"]
        );
        assert_eq!(case(extension(None, None), Some(&there)), Vec::<String>::new());
        assert_eq!(case(there.clone(), Some(&there)), Vec::<String>::new());
        assert_eq!(
            case(extension(Some("1.8"), Some("ext")), Some(&there)),
            ["ALTER EXTENSION \"uuid-ossp\" UPDATE TO '1.8'", "ALTER EXTENSION \"uuid-ossp\" SET SCHEMA \"ext\""]
        );
    }
}
