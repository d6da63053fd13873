//! What the runs do that are struck: together they have every kind of effect.

use common::Workspace;

/// The most that a scenario is struck in one cycle.
pub const MOST_ROUNDS: usize = 4;

/// In the order in which a workspace goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// The first apply of an app.
    Create,
    /// Nearly everything changes.
    Change,
    /// A database with its roles, and a user of Valkey, get other names.
    Rename,
    /// New passwords.
    Rotate,
    /// The state is lost, and everything is there.
    Adopt,
    /// Everything goes, with a dump, as was consented to.
    Destroy,
    /// The first apply, of a saved plan; it alone goes on.
    SavedCreate,
    /// Nearly everything changes and all passwords are new, by a saved plan that has the consent in it.
    SavedChange,
    /// Everything goes, by a saved plan that has the consent in it.
    SavedDestroy,
}

const FIRST: &str = r#"
app = "@a"
[services.postgres]
databases = ["@a_one", "@a_two"]
extensions = ["pgcrypto"]
settings = { statement_timeout = "30s" }
connection_limit = 20
readers = ["@r"]
[services.kv]
on_destroy = "purge-keys"
[services.events]
topics = ["@a.in", { name = "@a.out", partitions = 2, config = { "retention.ms" = "7d" } }]
"#;

/// The user of Kafka has another name, so that one login comes and one goes.
const SECOND: &str = r#"
app = "@a"
[services.postgres]
databases = ["@a_one", "@a_two"]
extensions = ["pgcrypto", "citext"]
settings = { statement_timeout = "40s" }
connection_limit = 21
writers = ["@r"]
[services.kv]
access = "queue"
on_destroy = "purge-keys"
[services.events]
user = "@a-events"
topics = ["@a.in", "@a.more", { name = "@a.out", partitions = 3, config = { "retention.ms" = "8d" } }]
"#;

/// What the app has from then on. The roles are called by the first database.
const MOVED: &str = r#"
specs = "specs"
moved = [
  { from = "postgres.database.@a_one", to = "postgres.database.@a_1st" },
  { from = "valkey.user.@a", to = "valkey.user.@a-kv" },
]
"#;

fn third() -> String {
    let renamed = SECOND.replace("@a_one", "@a_1st");
    renamed.replace("access = \"queue\"", "access = \"queue\"\nnamespace = \"@a\"\nuser = \"@a-kv\"")
}

/// An app that is there all the time: it reads the other one's databases, and loses nothing.
pub const NEIGHBOUR: &str = "app = \"@r\"\n[services.postgres]\n[services.kv]\n";

pub const APPLY: &[&str] =
    &["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all", "--lock-timeout", "20s"];

/// What goes on where a saved plan was struck: the same plan, without any consent but its own.
const SAVED: &[&str] = &["apply", "saved.json", "--lock-timeout", "20s"];

impl Scenario {
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Change,
        Self::Rename,
        Self::Rotate,
        Self::Adopt,
        Self::Destroy,
        Self::SavedCreate,
        Self::SavedChange,
        Self::SavedDestroy,
    ];

    /// What is done, by whatever plan.
    pub fn does(self) -> Self {
        match self {
            Self::SavedCreate => Self::Create,
            Self::SavedChange => Self::Change,
            Self::SavedDestroy => Self::Destroy,
            Self::Create | Self::Change | Self::Rename | Self::Rotate | Self::Adopt | Self::Destroy => self,
        }
    }

    /// How often it is struck in one cycle. What leaves everything as it is can be struck as often as one likes.
    pub fn rounds(self) -> usize {
        if matches!(self, Self::Rotate | Self::Adopt) { MOST_ROUNDS } else { 1 }
    }

    pub fn is_saved(self) -> bool {
        self.does() != self
    }

    /// Makes the workspace ready for the run.
    pub fn prepare(self, workspace: &Workspace) {
        match self.does() {
            Self::Create => workspace.spec("a", FIRST),
            Self::Change => workspace.spec("a", SECOND),
            Self::Rename => {
                workspace.write("nornplan.toml", MOVED);
                workspace.spec("a", &third());
            }
            Self::Adopt => std::fs::remove_dir_all(workspace.path("state")).expect("the state is lost"),
            Self::Destroy => {
                workspace.remove("specs/a.toml");
                workspace.write("nornplan.toml", "specs = \"specs\"\n");
            }
            Self::Rotate | Self::SavedCreate | Self::SavedChange | Self::SavedDestroy => {}
        }
        if self.is_saved() {
            let rotates: &[&str] = if self == Self::SavedChange { &["--rotate", "--app", "@a"] } else { &[] };
            let plan = ["plan", "--out", "saved.json", "--allow-destroy", "all", "--allow-interrupt", "all"];
            workspace.run(&[&plan, rotates].concat()).exits(0);
        }
    }

    /// The run that is struck.
    pub fn command(self) -> &'static [&'static str] {
        let rotate = &["rotate", "@a", "--auto-approve", "--allow-interrupt", "all"];
        if self == Self::Rotate { rotate } else { self.goes_on() }
    }

    /// What goes on, whatever became of that run.
    pub fn goes_on(self) -> &'static [&'static str] {
        if self.is_saved() { SAVED } else { APPLY }
    }
}
