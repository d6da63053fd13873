//! A real PgBouncer in front of a PostgreSQL of a test's own.
#![allow(clippy::print_stderr, reason = "it says why it tests nothing")]

use super::own_postgres::{OwnPostgres, as_owner, free_port};
use std::path::PathBuf;
use std::process::{Child, Command};

/// A running PgBouncer, which ends when this is dropped.
pub struct PgBouncer {
    child: Child,
    pub port: u16,
    password: String,
    _directory: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one, if there is one here. `more` are further lines of its configuration.
    pub fn in_front_of(server: &OwnPostgres, more: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"].map(PathBuf::from);
        let Some(program) = program.into_iter().find(|path| path.exists()) else {
            eprintln!("there is no pgbouncer here: nothing is tested (apt-get install pgbouncer)");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("np").tempdir().expect("a pooler");
        let owner = std::fs::metadata(server.data()).expect("a pooler");
        let port = free_port();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("users"), format!("\"postgres\" \"{}\"\n", server.password)).expect("a pooler");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n{more}\n",
            server.port,
            path("users"),
        );
        std::fs::write(path("ini"), text).expect("a pooler");
        // Of whom it runs as.
        assert!(Command::new("chmod").args(["-R", "a+rX", &path("")]).status().expect("a pooler").success());
        let mut command = as_owner(Command::new(program), &owner);
        let child = command.args(["--quiet", &path("ini")]).spawn().expect("a pooler");
        let this = Self { child, port, password: server.password.clone(), _directory: directory };
        let up = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "pgbouncer did not start");
        Some(this)
    }

    /// psql, as another client of the pooler.
    pub fn asks(&self, server: &OwnPostgres, query: &str) -> String {
        let mut psql = server.program("psql").expect("psql");
        psql.args(["-XAtqc", query, "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "postgres"]);
        String::from_utf8(psql.env("PGPASSWORD", &self.password).output().expect("a pooler").stdout)
            .expect("a pooler")
            .trim()
            .to_owned()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}
