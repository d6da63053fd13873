//! What `pg_restore --list` and the script of an archive say. Pure.

use std::collections::BTreeSet;

/// Types of two words and more that the list does not set apart from the schema after them.
const TYPES: [&str; 37] = [
    "ACCESS METHOD",
    "ACL LANGUAGE",
    "BLOB COMMENTS",
    "BLOB METADATA",
    "CHECK CONSTRAINT",
    "DATABASE PROPERTIES",
    "DEFAULT ACL",
    "DOMAIN CONSTRAINT",
    "EVENT TRIGGER",
    "EXTENDED STATISTICS",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN SERVER",
    "FOREIGN TABLE",
    "INDEX ATTACH",
    "LARGE OBJECT",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE",
    "ROW SECURITY",
    "SECURITY LABEL",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SHELL TYPE",
    "STATISTICS DATA",
    "SUBSCRIPTION TABLE",
    "TABLE ATTACH",
    "TABLE DATA",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "USER MAPPING",
];

/// One entry of the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Such as TABLE or FK CONSTRAINT.
    pub kind: String,
    pub schema: Option<String>,
    /// Its name; its owner, or nothing, stands behind it.
    name: String,
    line: String,
}

/// An archive by its table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// The database that was dumped.
    pub database: Option<String>,
    /// Of the server that it was dumped from, such as `15.18`.
    pub server: Option<String>,
    pub made: Option<String>,
    pub entries: Vec<Entry>,
}

impl Archive {
    /// Reads what `pg_restore --list` prints.
    pub fn parse(list: &str) -> Self {
        let mut archive = Self::default();
        for line in list.lines() {
            let Some(comment) = line.strip_prefix(';') else {
                archive.entries.extend(entry(line));
                continue;
            };
            let comment = comment.trim();
            let after = |start: &str| comment.strip_prefix(start).map(str::to_owned);
            archive.database = archive.database.or_else(|| after("dbname: "));
            archive.made = archive.made.or_else(|| after("Archive created at "));
            let server = after("Dumped from database version: ");
            archive.server = archive.server.or(server.and_then(|text| Some(text.split(' ').next()?.to_owned())));
        }
        archive
    }

    /// Names of the extensions that it makes.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.kind == "EXTENSION").map(|entry| entry.name.trim_end())
    }

    /// Whether a restore makes an object anew; a schema or large object lies in no schema. Of functions the arguments do
    /// not count.
    pub fn replaces(&self, selection: &Selection, schema: Option<&str>, name: &str) -> bool {
        let is_it = |entry: &Entry| {
            let plain = entry.plain_name();
            let plain = match entry.kind.as_str() {
                "FUNCTION" | "PROCEDURE" | "AGGREGATE" => plain.split('(').next().unwrap_or(plain),
                _ => plain,
            };
            // Comments and the like have a name of their own: `TABLE orders`.
            entry.schema.as_deref() == schema
                && plain == name
                && (schema.is_some() || entry.kind == "SCHEMA" || entry.kind.starts_with("BLOB"))
        };
        selection.covers(schema, name) && self.entries.iter().any(is_it)
    }

    /// The lines of a list for `--use-list`, of what an app's user can restore. `made` are extensions that are there
    /// and are left as they are; `script` is what the archive would run, which tells what belongs to a table.
    pub fn list(&self, selection: &Selection, made: &BTreeSet<String>, script: &str) -> Vec<&str> {
        let tables = selection.ids(script);
        let chosen = self.entries.iter().filter(|entry| {
            let is_made = entry.kind == "EXTENSION" && made.contains(entry.name.trim_end());
            // What only an administrator may say of an extension or of schema public is there already.
            let of_extension = entry.kind == "COMMENT" && entry.name.starts_with("EXTENSION ");
            let is_public = entry.schema.is_none()
                && (entry.kind == "SCHEMA" && is_word(&entry.name, "public")
                    || entry.kind == "COMMENT" && is_word(&entry.name, "SCHEMA public"));
            // Those are left to the next apply.
            let is_privilege = ["ACL", "ACL LANGUAGE", "DEFAULT ACL"].contains(&entry.kind.as_str());
            !(is_made || of_extension || is_public || is_privilege) && selection.takes(entry, &tables)
        });
        chosen.map(|entry| entry.line.as_str()).collect()
    }
}

fn is_word(text: &str, word: &str) -> bool {
    text == word || text.strip_prefix(word).is_some_and(|rest| rest.starts_with(' '))
}

/// `3465; 0 0 SEQUENCE SET public my tab_id_seq postgres`
fn entry(line: &str) -> Option<Entry> {
    let (_, rest) = line.split_once("; ")?;
    let rest = rest.split_once(' ')?.1.split_once(' ')?.1;
    let long = TYPES.into_iter().find(|kind| rest.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')));
    let kind = long.or_else(|| rest.split(' ').next())?;
    let (schema, name) = rest.get(kind.len() + 1..)?.split_once(' ')?;
    Some(Entry {
        kind: kind.to_owned(),
        schema: Some(schema).filter(|schema| *schema != "-").map(str::to_owned),
        name: name.to_owned(),
        line: line.to_owned(),
    })
}

/// What is to be restored. Nothing named is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `table` (of any schema) or `schema.table`.
    pub tables: Vec<String>,
    pub schemas: Vec<String>,
}

impl Selection {
    pub fn is_everything(&self) -> bool {
        self.tables.is_empty() && self.schemas.is_empty()
    }

    fn covers(&self, schema: Option<&str>, name: &str) -> bool {
        let in_schema = self.schemas.iter().any(|wanted| wanted == schema.unwrap_or(name));
        let full = schema.map(|schema| format!("{schema}.{name}"));
        let as_table = full.is_some_and(|full| self.tables.iter().any(|wanted| is_table(&full, wanted)));
        self.is_everything() || in_schema || as_table
    }

    fn takes(&self, entry: &Entry, tables: &BTreeSet<String>) -> bool {
        let in_schema = |schema: &String| {
            entry.schema.as_ref() == Some(schema)
                || (entry.schema.is_none() && entry.kind == "SCHEMA" && is_word(&entry.name, schema))
        };
        self.is_everything() || self.schemas.iter().any(in_schema) || tables.contains(&entry.key())
    }

    /// Keys of the entries that belong to the selected tables: they, their data, indexes, constraints, defaults,
    /// sequences, triggers, policies and comments.
    fn ids(&self, script: &str) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        if self.tables.is_empty() {
            return keys;
        }
        for block in blocks(script) {
            let Some(table) = block.table() else { continue };
            if self.tables.iter().any(|wanted| is_table(&table, wanted)) {
                keys.insert(block.key());
                if block.kind == "TABLE" {
                    keys.insert(format!("TABLE DATA {} {}", block.schema, block.name));
                }
                if block.kind == "SEQUENCE OWNED BY" || block.kind == "SEQUENCE" {
                    keys.insert(format!("SEQUENCE {} {}", block.schema, block.name));
                    keys.insert(format!("SEQUENCE SET {} {}", block.schema, block.name));
                }
            }
        }
        keys
    }

    /// Tables that are named and that an archive does not have.
    pub fn missing<'a>(&'a self, archive: &Archive, script: &str) -> Vec<&'a str> {
        let tables: Vec<String> =
            blocks(script).filter(|block| block.kind == "TABLE").filter_map(|block| block.table()).collect();
        let no_table = self.tables.iter().filter(|wanted| !tables.iter().any(|table| is_table(table, wanted)));
        let has = |schema: &String| archive.entries.iter().any(|entry| entry.schema.as_ref() == Some(schema));
        let no_schema = self.schemas.iter().filter(|schema| !has(schema));
        no_table.chain(no_schema).map(String::as_str).collect()
    }
}

impl Entry {
    /// Without the owner, which is the last word.
    pub fn plain_name(&self) -> &str {
        self.name.rsplit_once(' ').map_or(self.name.as_str(), |(name, _)| name)
    }

    /// As the script's blocks are named.
    fn key(&self) -> String {
        format!("{} {} {}", self.kind, self.schema.as_deref().unwrap_or("-"), self.plain_name())
    }
}

/// One statement of the script, under the comment that names its entry.
struct Block<'a> {
    kind: &'a str,
    schema: &'a str,
    name: &'a str,
    statement: &'a str,
}

/// `-- Name: o_t_idx; Type: INDEX; Schema: app; Owner: postgres`, then what it says.
fn blocks(script: &str) -> impl Iterator<Item = Block<'_>> {
    script.split("\n-- Name: ").skip(1).filter_map(|text| {
        let (head, statement) = text.split_once('\n')?;
        let (name, rest) = head.split_once("; Type: ")?;
        let (kind, rest) = rest.split_once("; Schema: ")?;
        let (schema, _) = rest.split_once("; Owner: ")?;
        Some(Block { kind, schema, name, statement: statement.trim_start_matches(['-', '\n']) })
    })
}

impl Block<'_> {
    fn key(&self) -> String {
        format!("{} {} {}", self.kind, self.schema, self.name)
    }

    /// The table that it belongs to, as the statement writes it: `public."my tab"`.
    fn table(&self) -> Option<String> {
        let after = |words: &str| self.statement.find(words).and_then(|at| self.statement.get(at + words.len()..));
        let text = match self.kind {
            "TABLE" => after("TABLE ")?,
            "SEQUENCE OWNED BY" => return identifiers(after(" OWNED BY ")?, 2),
            "SEQUENCE" => self.statement.strip_prefix("ALTER TABLE ")?,
            "DEFAULT" | "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" | "TABLE ATTACH" | "ROW SECURITY" => {
                after("ALTER TABLE ")?
            }
            "INDEX" | "TRIGGER" | "POLICY" => after(" ON ")?,
            "RULE" => after(" TO ")?,
            "COMMENT" if self.name.starts_with("TABLE ") || self.name.starts_with("COLUMN ") => {
                after(" ON TABLE ").or_else(|| after(" ON COLUMN "))?
            }
            _ => return None,
        };
        identifiers(text.strip_prefix("ONLY ").unwrap_or(text), 2)
    }
}

/// The first identifiers of a text, joined by dots, without quotes.
fn identifiers(text: &str, count: usize) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < count {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut end = quoted.find('"')?;
                while quoted.get(end + 1..)?.starts_with('"') {
                    end += 2 + quoted.get(end + 2..)?.find('"')?;
                }
                (quoted.get(..end)?.replace("\"\"", "\""), quoted.get(end + 1..)?)
            }
            None => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
                (rest.get(..end)?.to_owned(), rest.get(end..)?)
            }
        };
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    Some(parts.join("."))
}

fn is_table(table: &str, wanted: &str) -> bool {
    table == wanted || table.split_once('.').is_some_and(|(_, name)| name == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
;
; Archive created at 2026-11-21 12:05:45 UTC
;     dbname: shop
;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)
;
; Selected TOC Entries:
;
7; 2615 16851 SCHEMA - app owner
5; 2615 2200 SCHEMA - public owner
3470; 0 0 COMMENT - SCHEMA public owner
2; 3079 16862 EXTENSION - citext \n\
3461; 0 0 COMMENT - EXTENSION citext \n\
219; 1259 16853 TABLE app o owner
3462; 0 0 COMMENT app TABLE o owner
218; 1259 16852 SEQUENCE app o_i_seq owner
217; 1259 16843 TABLE public my tab owner
3454; 0 16853 TABLE DATA app o owner
3464; 0 0 SEQUENCE SET app o_i_seq owner
3304; 2606 16850 CONSTRAINT public my tab my tab_pkey owner
3305; 1259 16861 INDEX app o_t_idx owner
3306; 2606 16856 FK CONSTRAINT app o o_t_fkey owner
3450; 3256 16971 POLICY app o p owner
3471; 0 0 ACL app TABLE o owner
";

    const SCRIPT: &str = "\
--
-- Name: o; Type: TABLE; Schema: app; Owner: owner
--

CREATE TABLE app.o (
    i integer NOT NULL
);

--
-- Name: o_i_seq; Type: SEQUENCE; Schema: app; Owner: owner
--

ALTER TABLE app.o ALTER COLUMN i ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME app.o_i_seq
);

--
-- Name: my tab; Type: TABLE; Schema: public; Owner: owner
--

CREATE TABLE public.\"my tab\" (
    id integer NOT NULL
);

--
-- Name: my tab my tab_pkey; Type: CONSTRAINT; Schema: public; Owner: owner
--

ALTER TABLE ONLY public.\"my tab\"
    ADD CONSTRAINT \"my tab_pkey\" PRIMARY KEY (id);

--
-- Name: o_t_idx; Type: INDEX; Schema: app; Owner: owner
--

CREATE INDEX o_t_idx ON app.o USING btree (t);

--
-- Name: o o_t_fkey; Type: FK CONSTRAINT; Schema: app; Owner: owner
--

ALTER TABLE ONLY app.o
    ADD CONSTRAINT o_t_fkey FOREIGN KEY (t) REFERENCES public.\"my tab\"(id);
";

    fn ids(selection: &Selection, made: &[&str]) -> Vec<String> {
        let made = made.iter().map(|name| (*name).to_owned()).collect();
        let archive = Archive::parse(LIST);
        let lines = archive.list(selection, &made, SCRIPT);
        lines.iter().filter_map(|line| Some(line.split_once(';')?.0.to_owned())).collect()
    }

    fn selection(tables: &[&str], schemas: &[&str]) -> Selection {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Selection { tables: own(tables), schemas: own(schemas) }
    }

    #[test]
    fn a_list_is_read() {
        let archive = Archive::parse(LIST);
        assert_eq!(archive.database.as_deref(), Some("shop"));
        assert_eq!(archive.server.as_deref(), Some("15.18"));
        assert_eq!(archive.extensions().collect::<Vec<_>>(), ["citext"]);
        let entry = archive.entries.iter().find(|entry| entry.kind == "FK CONSTRAINT").unwrap();
        assert_eq!((entry.schema.as_deref(), entry.plain_name()), (Some("app"), "o o_t_fkey"));
        assert_eq!(archive.entries.len(), 16);
        assert_eq!(Archive::parse("nonsense; a\n7;\n; dbname\n"), Archive::default());
    }

    #[test]
    fn what_only_an_administrator_can_do_is_left_out() {
        let all = ids(&Selection::default(), &["citext"]);
        assert_eq!(all.len(), 11, "{all:?}");
        assert!(["5", "3470", "2", "3461"].iter().all(|id| !all.iter().any(|there| there == id)), "{all:?}");
        // A trusted one that is not there is made by the app's user.
        assert!(ids(&Selection::default(), &[]).contains(&"2".to_owned()));
    }

    #[test]
    fn a_table_comes_with_all_that_belongs_to_it() {
        let expected = ["219", "218", "3454", "3464", "3305", "3306"];
        assert_eq!(ids(&selection(&["app.o"], &[]), &[]), expected);
        assert_eq!(ids(&selection(&["o"], &[]), &[]), expected);
        assert_eq!(ids(&selection(&["my tab"], &[]), &[]), ["217", "3304"]);
        assert_eq!(ids(&selection(&["tab"], &["public"]), &[]), ["217", "3304"]);
        let nothing = selection(&["x.o", "o"], &["y", "app"]);
        assert_eq!(nothing.missing(&Archive::parse(LIST), SCRIPT), ["x.o", "y"]);
    }

    #[test]
    fn identifiers_are_read_out_of_quotes() {
        assert_eq!(identifiers("a.b.c", 2).unwrap(), "a.b");
        assert_eq!(identifiers("\"a.\"\"b\".\"c d\" (x)", 2).unwrap(), "a.\"b.c d");
        assert_eq!(identifiers("\"open", 2), None);
    }
}
