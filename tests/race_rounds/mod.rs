//! Rounds at random: some applies at once, of different infraspecs, while somebody changes what they manage by hand.
//!
//! `NORNPLAN_ROUNDS` says how many rounds, and `NORNPLAN_SEED` begins them as a failure has said.

mod hand;
mod luck;

use common::signals::Running;
use common::state_database::StateDatabase;
use common::{Ran, Workspace, servers};
use hand::Hand;
use luck::Luck;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Rounds that are played side by side, each in a workspace of its own.
const SIDE_BY_SIDE: usize = 4;
/// Every so many rounds has Kafka in it.
const WITH_KAFKA: usize = 10;
/// Every so many of the others has its state in PostgreSQL.
const IN_DATABASE: usize = 4;
const BOUND: Duration = Duration::from_secs(120);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Plays all rounds.
pub fn play() {
    let rounds = usize::try_from(number("NORNPLAN_ROUNDS").unwrap_or(200)).expect("a count");
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = number("NORNPLAN_SEED").unwrap_or_else(clock);
    let (next, failed, told) = (AtomicUsize::new(0), AtomicBool::new(false), Told::default());
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                let mut places = [None, None, None];
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let _guard = Guard { seed, round, failed: &failed };
                    let kind = match (round % WITH_KAFKA, round % IN_DATABASE) {
                        (0, _) => Kind::WithKafka,
                        (_, 0) => Kind::StateInDatabase,
                        (_, _) => Kind::Plain,
                    };
                    let place = places[kind as usize].get_or_insert_with(|| Place::new(kind));
                    place.round(&mut Luck::new(seed.wrapping_add(round as u64)), &told);
                }
            });
        }
    });
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    println!(
        "{rounds} rounds in {:?}: {} applies, of which {} named a holder and {} refused something; {} changes by hand, of \
         which {} were still there",
        since.elapsed(),
        of(&told.applies),
        of(&told.locked),
        of(&told.refused),
        of(&told.by_hand),
        of(&told.kept)
    );
    assert!(rounds < 100 || (of(&told.locked) > 0 && of(&told.refused) > 0 && of(&told.kept) > 0), "nothing ever met");
}

/// What happened in all rounds.
#[derive(Default)]
struct Told {
    applies: AtomicUsize,
    locked: AtomicUsize,
    refused: AtomicUsize,
    by_hand: AtomicUsize,
    kept: AtomicUsize,
}

/// Says how to play a round again that has failed.
struct Guard<'a> {
    seed: u64,
    round: usize,
    failed: &'a AtomicBool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed.store(true, Ordering::Relaxed);
            eprintln!("round {} failed: NORNPLAN_SEED={} plays it again", self.round, self.seed);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    WithKafka,
    StateInDatabase,
}

/// Where rounds are played one after another.
struct Place {
    /// Cleans up before the workspace does.
    database: Option<StateDatabase>,
    workspace: Workspace,
    kafka: bool,
    hand: Hand,
}

impl Place {
    fn new(kind: Kind) -> Self {
        let mut workspace = Workspace::new();
        let database = (kind == Kind::StateInDatabase).then(|| StateDatabase::of(&mut workspace));
        let kafka = kind == Kind::WithKafka;
        let place = Self { hand: Hand::new(&workspace.prefix, kafka), database, workspace, kafka };
        place.wish("specs", &mut Luck::new(0));
        place.workspace.converge();
        place
    }

    /// Writes an infraspec at random.
    fn wish(&self, directory: &str, luck: &mut Luck) {
        std::fs::create_dir_all(self.workspace.path(directory)).expect("a directory");
        let access = ["readwrite", "readonly", "queue"][luck.below(3)];
        let mut text = format!(
            "app = \"@a\"\n[services.postgres]\nconnection_limit = {}\nsettings = {{ statement_timeout = \"{}s\" }}\n\
             database = {{ connection_limit = {}, settings = {{ work_mem = \"{}MB\" }} }}\n[services.kv]\naccess = \"{access}\"\n",
            5 + luck.below(20),
            20 + luck.below(4),
            50 + luck.below(4),
            8 + luck.below(4),
        );
        if self.kafka {
            let days = 1 + luck.below(6);
            text += &format!(
                "[services.events]\ntopics = [{{ name = \"@a.t\", config = {{ \"retention.ms\" = \"{days}d\" }} }}]\n"
            );
        }
        self.workspace.write(&format!("{directory}/a.toml"), &text);
    }

    fn serial(&self) -> u64 {
        if let Some(database) = &self.database {
            return database.value("SELECT serial::text FROM nornplan.document").parse().expect("a serial");
        }
        let state: serde_json::Value = serde_json::from_str(&self.workspace.read("state/default.json")).expect("JSON");
        state["serial"].as_u64().expect("a serial")
    }

    fn has_journal(&self) -> bool {
        self.database.as_ref().map_or_else(
            || self.workspace.path("state/default.journal").exists(),
            |database| database.value("SELECT count(*)::text FROM nornplan.journal") != "0",
        )
    }

    fn round(&mut self, luck: &mut Luck, told: &Told) {
        let runs = 2 + luck.below(2);
        let before = self.serial();
        let mut commands = Vec::new();
        for run in 0..runs {
            let directory = format!("wish{run}");
            self.wish(&directory, luck);
            commands.push(self.command(run, &directory, luck));
        }
        let mut running = Vec::new();
        for command in commands {
            std::thread::sleep(Duration::from_millis(luck.below(30) as u64));
            running.push(Running::start(command));
        }
        let over = AtomicBool::new(false);
        let hand = &mut self.hand;
        let ran: Vec<Ran> = std::thread::scope(|scope| {
            let changing = scope.spawn(|| hand.play(luck, &over));
            let ran = running.into_iter().map(|one| one.ends_within(BOUND)).collect();
            over.store(true, Ordering::Relaxed);
            changing.join().expect("the hand");
            ran
        });
        let told_all = || {
            let one = |ran: &Ran| format!("--- exit {}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
            ran.iter().map(one).collect::<Vec<_>>().join("\n")
        };
        for one in &ran {
            told.applies.fetch_add(1, Ordering::Relaxed);
            told.judge(one);
        }
        // One writer after another: no serial is lost, none is used twice, and nothing is left of a run.
        let after = self.serial();
        let wrote = ran.iter().filter(|one| !one.stderr.contains("is locked by")).count() as u64;
        assert!(after >= before && after - before <= wrote, "serial {before}, then {after}\n{}", told_all());
        assert!(!self.has_journal(), "a journal is left\n{}", told_all());
        let plans: Vec<&str> = ran.iter().map(|one| plan_of(&one.stdout)).collect();
        let (all, kept) = self.hand.judge(&plans, &told_all);
        told.by_hand.fetch_add(all, Ordering::Relaxed);
        told.kept.fetch_add(kept, Ordering::Relaxed);
        // In quiet, one apply brings everything there.
        self.wish("specs", luck);
        self.workspace.converge();
        servers::works(&self.workspace.published("@a", "DATABASE_URL"), "SELECT 1");
        let key = format!("{}a:k", self.workspace.prefix);
        servers::valkey_at(&self.workspace.published("@a", "VALKEY_URL"), &["EXISTS", &key]).expect("the app signs in");
    }

    /// An apply of an infraspec, or of a plan that was saved of it.
    fn command(&self, run: usize, directory: &str, luck: &mut Luck) -> std::process::Command {
        let timeout = ["0s", "1s", "60s", "60s"][luck.below(4)];
        let parallelism = (1 + luck.below(8)).to_string();
        let mut words = vec!["apply", "--auto-approve", "--lock-timeout", timeout, "--parallelism", &parallelism];
        let file = format!("saved{run}.json");
        if luck.below(4) == 0 {
            let mut plan = self.workspace.command(&["plan", "--out", &file]);
            let saved = Ran::of(plan.env("NORNPLAN_SPECS", directory).output().expect("nornplan runs")).exits(0);
            drop(saved);
            words.insert(1, &file);
        }
        let mut command = self.workspace.command(&words);
        command.env("NORNPLAN_SPECS", directory);
        command
    }
}

/// The plan that a run has shown before it wrote anything.
fn plan_of(stdout: &str) -> &str {
    let end = stdout.find("\nPlan: ").or_else(|| stdout.find("\nNo changes.")).unwrap_or(stdout.len());
    &stdout[..end]
}

impl Told {
    /// Demands that a run ended as documented.
    fn judge(&self, ran: &Ran) {
        let told = format!("exit {}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{told}");
        let locked = ran.stderr.contains("the state is locked by");
        let refused = ran.stdout.contains(" refused");
        // Changed again, between the write and the look whether it has arrived.
        let again = ran.stdout.contains("did not become as wanted");
        let failed = ran.stdout.contains(" failed") && !again;
        assert!(!failed, "{told}");
        match ran.code {
            0 => assert!(!locked && !refused, "{told}"),
            1 => assert!(locked || refused || again, "{told}"),
            _ => panic!("{told}"),
        }
        assert!(!locked || ran.stderr.contains("(process "), "{told}");
        self.locked.fetch_add(usize::from(locked), Ordering::Relaxed);
        self.refused.fetch_add(usize::from(refused), Ordering::Relaxed);
    }
}
