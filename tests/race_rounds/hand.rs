//! What somebody changes by hand, and what has become of it.

use super::luck::Luck;
use common::held::Session;
use common::resp::Wire;
use common::{servers, service};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What can be changed; each once in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    RoleLimit,
    RoleSetting,
    DatabaseLimit,
    DatabaseSetting,
    Attribute,
    Public,
    Rule,
    /// Kafka has no way to learn what a change replaced: that is not judged.
    TopicConfig,
}

const ALL: [What; 8] = [
    What::RoleLimit,
    What::RoleSetting,
    What::DatabaseLimit,
    What::DatabaseSetting,
    What::Attribute,
    What::Public,
    What::Rule,
    What::TopicConfig,
];

/// Somebody with all rights, who changes things and remembers what.
pub struct Hand {
    prefix: String,
    kafka: bool,
    session: Session,
    wire: Wire,
    /// No value is ever set twice.
    counter: usize,
    done: Vec<(What, String)>,
}

impl Hand {
    pub fn new(prefix: &str, kafka: bool) -> Self {
        let port = service("NORNPLAN_VALKEY_PORT").parse().expect("a port");
        let wire = Wire::sign_in(port, "default", &service("NORNPLAN_VALKEY_PASSWORD"));
        Self { prefix: prefix.to_owned(), kafka, session: Session::of_admin(), wire, counter: 0, done: Vec::new() }
    }

    /// Changes this and that until the runs are over.
    pub fn play(&mut self, luck: &mut Luck, over: &AtomicBool) {
        self.done.clear();
        let mut left: Vec<What> = ALL.into_iter().filter(|what| self.kafka || *what != What::TopicConfig).collect();
        while !left.is_empty() && !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(luck.below(90) as u64));
            let what = left.swap_remove(luck.below(left.len()));
            self.counter += 1;
            if let Some(value) = self.change(what) {
                self.done.push((what, value));
            }
        }
    }

    /// The word by which it is known again; nothing if the server refused it, as somebody was faster.
    fn change(&mut self, what: What) -> Option<String> {
        let (prefix, number) = (&self.prefix, 100_003 + self.counter);
        let statement = match what {
            What::RoleLimit => format!("ALTER ROLE {prefix}a_user CONNECTION LIMIT {number}"),
            What::RoleSetting => format!("ALTER ROLE {prefix}a_user SET statement_timeout TO '{number}ms'"),
            What::DatabaseLimit => format!("ALTER DATABASE {prefix}a CONNECTION LIMIT {number}"),
            What::DatabaseSetting => format!("ALTER DATABASE {prefix}a SET work_mem TO '{number}kB'"),
            What::Attribute => format!("ALTER ROLE {prefix}a_user CREATEDB"),
            What::Public => format!("GRANT CREATE ON DATABASE {prefix}a TO PUBLIC"),
            What::Rule => {
                let rule = format!("~hand{number}:*");
                let answer = self.wire.say(&["ACL", "SETUSER", &format!("{prefix}a"), &rule]);
                assert!(!answer.is_error(), "{answer:?}");
                return Some(format!("hand{number}"));
            }
            What::TopicConfig => {
                set_retention(&format!("{prefix}a.t"), 1000 * number);
                return Some(number.to_string());
            }
        };
        self.session.tries(&statement).then(|| match what {
            What::Attribute => "CREATEDB".to_owned(),
            What::Public => "PUBLIC".to_owned(),
            What::RoleLimit
            | What::RoleSetting
            | What::DatabaseLimit
            | What::DatabaseSetting
            | What::Rule
            | What::TopicConfig => number.to_string(),
        })
    }

    fn is_there(&mut self, what: What, value: &str) -> bool {
        let prefix = &self.prefix;
        let (role, database) = (format!("rolname = '{prefix}a_user'"), format!("datname = '{prefix}a'"));
        let set = "SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) c WHERE";
        let query = match what {
            What::RoleLimit => format!("SELECT count(*) FROM pg_roles WHERE {role} AND rolconnlimit = {value}"),
            What::RoleSetting => format!("{set} setrole = '{prefix}a_user'::regrole AND c LIKE '%{value}%'"),
            What::DatabaseLimit => {
                format!("SELECT count(*) FROM pg_database WHERE {database} AND datconnlimit = {value}")
            }
            What::DatabaseSetting => {
                format!("{set} setdatabase = (SELECT oid FROM pg_database WHERE {database}) AND c LIKE '%{value}%'")
            }
            What::Attribute => format!("SELECT count(*) FROM pg_roles WHERE {role} AND rolcreatedb"),
            What::Public => {
                let acl = "aclexplode(datacl) a";
                format!(
                    "SELECT count(*) FROM pg_database, {acl} WHERE {database} AND grantee = 0 AND privilege_type = 'CREATE'"
                )
            }
            What::Rule => {
                return format!("{:?}", self.wire.say(&["ACL", "GETUSER", &format!("{prefix}a")])).contains(value);
            }
            What::TopicConfig => return true,
        };
        self.session.count(&query) > 0
    }

    /// Demands that every change is still there, or was shown by the plan of a run. How many there were, and are.
    pub fn judge(&mut self, plans: &[&str], told: &dyn Fn() -> String) -> (usize, usize) {
        let done = std::mem::take(&mut self.done);
        let mut kept = 0;
        for (what, value) in &done {
            let there = self.is_there(*what, value);
            kept += usize::from(there);
            let shown = plans.iter().any(|plan| plan.contains(value.as_str()));
            assert!(there || shown, "{what:?} {value} was overwritten unseen, of {done:?}\n{}", told());
        }
        (done.len(), kept)
    }
}

fn set_retention(topic: &str, milliseconds: usize) {
    use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
    servers::block_on(async {
        let admin: AdminClient<_> = servers::kafka_admin().create().expect("an admin");
        let value = milliseconds.to_string();
        let alter = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.ms", &value);
        admin.alter_configs(&[alter], &AdminOptions::new()).await.expect("altered")[0].as_ref().expect("altered");
    });
}
