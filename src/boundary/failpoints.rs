//! What happens at boundaries, as the environment says:
//!
//! - `NORNPLAN_FAILPOINTS_RECORD=FILE`: the name of every boundary that is passed is appended to the file, one a line.
//! - `NORNPLAN_FAILPOINT=MODE:N:NAME`: at the Nth time that this boundary is reached (from 1), MODE happens:
//!   `abort` ends the process with nothing flushed or tidied; `error` fails the call for good; `transient` fails it with an
//!   error that may pass; `cut` has the proxy cut all connections to the service; `lose` has it let requests through and
//!   cut the connection in the place of the next answer; `kill` has it let a request through and kill this process.
//! - `NORNPLAN_FAILPOINT=twice`: of every step the first answer is lost, so that it is carried out again.
//! - `NORNPLAN_FAILPOINT_PROXY=SOCKET`: where the proxy hears `MODE SERVICE PROCESS`, and answers with a line.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A call that a failpoint has failed.
#[derive(Debug)]
pub struct Broken {
    /// Whether it may pass by itself.
    pub passes: bool,
}

impl Broken {
    /// How errors say it.
    pub fn words(&self) -> String {
        let passes = if self.passes { ", which may pass" } else { "" };
        format!("a failpoint has failed it{passes}")
    }
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        // Neither is tried again by anybody.
        Self::from(if broken.passes { io::ErrorKind::Other } else { io::ErrorKind::StorageFull })
    }
}

struct Point {
    mode: String,
    hit: usize,
    name: String,
}

static POINT: LazyLock<Option<Point>> = LazyLock::new(|| {
    let said = std::env::var("NORNPLAN_FAILPOINT").ok()?;
    let mut parts = said.splitn(3, ':');
    let (mode, hit, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Point { mode: mode.to_owned(), hit: hit.parse().ok()?, name: name.to_owned() })
});
static HITS: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// A boundary at which nothing can fail.
pub fn pass(name: impl FnOnce() -> String) {
    // A failpoint that fails it is for those that can.
    drop(reach(&name()));
}

/// A boundary in the work on a file.
///
/// # Errors
/// What a failpoint says.
pub fn file(name: impl FnOnce() -> String) -> io::Result<()> {
    Ok(reach(&name())?)
}

/// One boundary of a call.
///
/// # Errors
/// What a failpoint says.
pub fn call<E: From<Broken>>(name: &str) -> Result<(), E> {
    Ok(reach(name)?)
}

/// The boundaries before and after a call that changes something.
///
/// # Errors
/// Those of the call, and what a failpoint says.
pub async fn around<T, E: From<Broken>>(
    name: impl Fn() -> String,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let name = name();
    call(&format!("before {name}"))?;
    let done = work.await?;
    call(&format!("after {name}"))?;
    Ok(done)
}

/// Whether every step is to be carried out twice.
pub fn twice() -> bool {
    std::env::var("NORNPLAN_FAILPOINT").is_ok_and(|said| said == "twice")
}

fn reach(name: &str) -> Result<(), Broken> {
    let hit = {
        let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
        record(name);
        let hit = hits.entry(name.to_owned()).or_default();
        *hit += 1;
        *hit
    };
    let Some(point) = POINT.as_ref().filter(|point| point.name == name && point.hit == hit) else { return Ok(()) };
    match point.mode.as_str() {
        "abort" => std::process::abort(),
        "error" => Err(Broken { passes: false }),
        "transient" => Err(Broken { passes: true }),
        cut => {
            // The test notices if its proxy was not told.
            drop(tell_proxy(cut, name));
            Ok(())
        }
    }
}

fn record(name: &str) {
    let Some(file) = std::env::var_os("NORNPLAN_FAILPOINTS_RECORD") else { return };
    let opened = OpenOptions::new().create(true).append(true).open(file);
    // The test notices what is missing.
    drop(opened.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes())));
}

/// Waits until the proxy has done it.
fn tell_proxy(what: &str, name: &str) -> io::Result<()> {
    let socket = std::env::var_os("NORNPLAN_FAILPOINT_PROXY").ok_or(io::ErrorKind::NotFound)?;
    let service = name.split(' ').nth(1).unwrap_or_default();
    let mut proxy = UnixStream::connect(socket)?;
    proxy.write_all(format!("{what} {service} {}\n", std::process::id()).as_bytes())?;
    BufReader::new(proxy).read_line(&mut String::new()).map(drop)
}
