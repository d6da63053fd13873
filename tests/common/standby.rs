//! A second server that follows the first one, as a streaming standby.
#![allow(clippy::print_stderr, reason = "it says why it tests nothing")]

use super::own_postgres::{OwnPostgres, as_owner, free_port};
use std::fs::Metadata;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A running standby. It is stopped when this is dropped; its data are removed.
pub struct Standby {
    directory: tempfile::TempDir,
    owner: Metadata,
    pg_ctl: PathBuf,
    pub port: u16,
}

impl Standby {
    /// Copies a server and follows it; `None` where PostgreSQL came without the program for it.
    pub fn of(primary: &OwnPostgres) -> Option<Self> {
        let Some(mut copy) = primary.program("pg_basebackup") else {
            eprintln!("this PostgreSQL has no pg_basebackup: nothing is tested");
            return None;
        };
        let pg_ctl = PathBuf::from(primary.program("pg_ctl").expect("pg_ctl").get_program());
        let directory = tempfile::Builder::new().prefix("np").tempdir().expect("a temporary directory");
        let owner = std::fs::metadata(primary.data()).expect("the server's data");
        let mut open = Command::new("chmod");
        assert!(open.arg("777").arg(directory.path()).status().expect("chmod").success());
        let this = Self { directory, owner, pg_ctl, port: free_port() };
        copy.args(["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync", "--pgdata"]);
        copy.arg(this.data()).arg("--dbname").arg(primary.admin_url("postgres"));
        quietly(copy);
        let mut start = this.pg_ctl("start");
        let options = format!("-c port={} -c listen_addresses=127.0.0.1 -c unix_socket_directories= ", this.port);
        start.arg("--options").arg(options + "-c max_connections=200 -c fsync=off");
        start.arg("--log").arg(this.directory.path().join("log"));
        quietly(start);
        Some(this)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn pg_ctl(&self, what: &str) -> Command {
        let mut command = as_owner(Command::new(&self.pg_ctl), &self.owner);
        command.args([what, "--wait", "--pgdata"]).arg(self.data());
        command
    }

    /// Makes it a primary.
    pub fn promote(&self) {
        quietly(self.pg_ctl("promote"));
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let mut stop = self.pg_ctl("stop");
        stop.arg("--mode=immediate");
        quietly(stop);
        // They are the server's user's, in a directory of ours.
        drop(std::fs::remove_dir_all(self.data()));
    }
}

/// Ends a server at once, as a machine does that loses its power.
pub fn kill(server: &OwnPostgres) {
    let mut stop = server.program("pg_ctl").expect("pg_ctl");
    stop.args(["stop", "--wait", "--mode=immediate", "--pgdata"]).arg(server.data());
    quietly(stop);
}

#[track_caller]
fn quietly(mut command: Command) {
    // A server that is started would hold a pipe open.
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
    assert!(status.success(), "{:?}: {status}", command.get_program());
}
