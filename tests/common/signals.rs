//! Runs of nornplan that are sent signals, and programs in the place of PostgreSQL's that wait.

use super::{Ran, Workspace, real_program};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A run, what it has said so far, and when.
pub struct Running {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    gatherers: [JoinHandle<()>; 2],
}

fn gather(mut pipe: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, JoinHandle<()>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let gathered = said.clone();
    let gatherer = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            gathered.lock().expect("the text").extend(buffer.iter().take(read));
        }
    });
    (said, gatherer)
}

fn text(said: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&said.lock().expect("the text")).into_owned()
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let (out, of_out) = gather(child.stdout.take().expect("its standard output"));
        let (err, of_err) = gather(child.stderr.take().expect("its standard error"));
        Self { child, out, err, gatherers: [of_out, of_err] }
    }

    pub fn of(workspace: &Workspace, arguments: &[&str]) -> Self {
        Self::start(workspace.command(arguments))
    }

    /// At a terminal where nobody has typed anything yet.
    pub fn at_a_terminal(workspace: &Workspace, arguments: &[&str]) -> Self {
        let command = workspace.command(arguments);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &line.join(" "), "/dev/null"]).current_dir(workspace.path("")).env_clear();
        terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        terminal.stdin(Stdio::piped());
        Self::start(terminal)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            let ended = self.child.try_wait().expect("whether it ended");
            assert!(
                ended.is_none() && since.elapsed() < PATIENCE,
                "never {what}: {ended:?}\n{}\n{}",
                text(&self.out),
                text(&self.err)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it has said something.
    #[track_caller]
    pub fn until_it_says(&mut self, words: &str) {
        let (out, err) = (self.out.clone(), self.err.clone());
        self.until(words, || text(&out).contains(words) || text(&err).contains(words));
    }

    /// Waits until it has a file open whose name ends so.
    #[track_caller]
    pub fn until_it_opens(&mut self, name: &str) {
        let files = format!("/proc/{}/fd", self.pid());
        self.until(name, || {
            let links = std::fs::read_dir(&files).into_iter().flatten().flatten();
            links.filter_map(|link| std::fs::read_link(link.path()).ok()).any(|to| to.to_string_lossy().ends_with(name))
        });
    }

    /// Types at the terminal that it runs at.
    pub fn types(&mut self, keys: &[u8]) {
        let keyboard = self.child.stdin.as_mut().expect("a keyboard");
        keyboard.write_all(keys).and_then(|()| keyboard.flush()).expect("typed");
    }

    pub fn signal(&self, signal: i32) {
        send(signal, &self.pid().to_string());
    }

    /// Waits for its end, which must come soon.
    #[track_caller]
    pub fn ends_within(mut self, bound: Duration) -> Ran {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its end") {
                break status;
            }
            if since.elapsed() > bound {
                let said = format!("{}\n{}", text(&self.out), text(&self.err));
                drop(self.child.kill());
                panic!("it still runs after {bound:?}\n{said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        // What it has said last may be under way; what it has started may keep the pipes.
        let since = Instant::now();
        while !self.gatherers.iter().all(JoinHandle::is_finished) && since.elapsed() < LAST_WORDS {
            std::thread::sleep(Duration::from_millis(5));
        }
        let (stdout, stderr) = (text(&self.out).into_bytes(), text(&self.err).into_bytes());
        Ran::of(std::process::Output { status, stdout, stderr })
    }
}

/// Whether this process ignores a signal, and so what it starts.
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    (u64::from_str_radix(mask.trim(), 16).expect("a mask") >> (signal - 1)) & 1 == 1
}

/// Sends a signal to a process that this test has started.
pub fn send(signal: i32, pid: &str) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg("--").arg(pid).status();
    assert!(status.expect("kill runs").success(), "{pid}");
}

/// Programs of PostgreSQL's, of which one waits for ever when it is given `word`; it writes its process into `pid`.
pub fn waiting_programs(workspace: &Workspace, waits: &str, word: &str) -> String {
    let bin = workspace.path("bin");
    std::fs::create_dir_all(&bin).expect("bin/");
    for program in ["pg_dump", "pg_restore"] {
        let real = real_program(program);
        let wait = format!(
            "case \"$*\" in *{word}*) echo $$ > '{}'; exec sleep 600 ;; esac\n",
            workspace.path("pid").display()
        );
        let wait = if program == waits { wait } else { String::new() };
        let script = format!("#!/bin/sh\n{wait}exec '{}' \"$@\"\n", real.display());
        std::fs::write(bin.join(program), script).expect("a script");
        std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).expect("a program");
    }
    bin.display().to_string()
}
