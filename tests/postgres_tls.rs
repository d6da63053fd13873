//! TLS to PostgreSQL: wanted, refused, and certificates that do not fit.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "it says why it tests nothing")]

use common::own_postgres::{OwnPostgres, as_owner};
use common::{Ran, Workspace};
use std::path::Path;
use std::process::Command;

/// Makes `<name>.key` and a certificate `<name>.crt`, signed by itself or by another, in a directory.
fn certificate(directory: &Path, name: &str, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]).args(arguments);
    let made = Ran::of(command.output().expect("openssl runs"));
    assert_eq!(made.code, 0, "{}", made.stderr);
}

/// Has the server show a certificate from now on.
fn show(server: &OwnPostgres, directory: &Path, name: &str) {
    let data = server.data();
    let owner = std::fs::metadata(&data).unwrap();
    for (from, to) in [(name, "server.crt"), (name, "server.key"), ("authority", "root.crt")] {
        // Written by the server's user: nobody else may read a key that the server takes.
        let mut write = as_owner(Command::new("sh"), &owner);
        write.args(["-c", "umask 077; printf %s \"$TEXT\" >\"$FILE\""]).env("FILE", data.join(to));
        let end = to.rsplit('.').next().unwrap();
        write.env("TEXT", std::fs::read_to_string(directory.join(format!("{from}.{end}"))).unwrap());
        assert!(write.status().unwrap().success());
    }
    server.run("postgres", "ALTER SYSTEM SET ssl = on; ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
    server.reload();
}

#[test]
fn what_does_not_fit_is_told() {
    let server = OwnPostgres::start();
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path();
    let plan = |variables: &[(&str, &str)]| {
        let mut workspace = Workspace::new();
        workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
        server.serve(&mut workspace);
        for (name, value) in variables {
            workspace.set(&format!("NORNPLAN_POSTGRES_{name}"), value);
        }
        workspace.run(&["-vvv", "plan"]).hides(&server.password)
    };
    let line = |kind: &str, more: &str| server.let_in(&format!("{kind} all all 127.0.0.1/32 scram-sha-256 {more}\n"));
    let authority = |mode: &'static str, name: &str| {
        [("SSLMODE", mode.to_owned()), ("CA_FILE", files.join(format!("{name}.crt")).display().to_string())]
    };
    let checked = |mode: &'static str, name: &str| {
        let variables = authority(mode, name);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        plan(&variables)
    };

    plan(&[("SSLMODE", "require")]).exits(1).complains("the server offers no TLS").complains("sslmode = \"prefer\"");

    let built = server.value("postgres", "SELECT setting FROM pg_config WHERE name = 'CONFIGURE'").unwrap();
    if !built.contains("openssl") {
        eprintln!("this PostgreSQL was built without TLS: nothing more is tested");
        return;
    }
    certificate(files, "authority", &[]);
    certificate(files, "stranger", &[]);
    let signed = ["-CA", "authority.crt", "-CAkey", "authority.key", "-addext", "basicConstraints=CA:FALSE", "-addext"];
    certificate(files, "elsewhere", &[&signed[..], &["subjectAltName=DNS:db.internal"]].concat());
    certificate(files, "here", &[&signed[..], &["subjectAltName=IP:127.0.0.1"]].concat());

    show(&server, files, "authority");
    plan(&[("SSLMODE", "require")]).exits(0);
    checked("verify-ca", "authority").exits(1).complains("an authority's own").complains("basicConstraints=CA:FALSE");
    show(&server, files, "elsewhere");
    plan(&[("SSLMODE", "require")]).exits(0);
    checked("verify-ca", "stranger").exits(1).complains("not signed by an authority").complains("ca_file");
    checked("verify-ca", "authority").exits(0);
    checked("verify-full", "authority").exits(1).complains("for another host name").complains("verify-ca");
    show(&server, files, "here");
    checked("verify-full", "authority").exits(0);

    line("hostssl", "");
    plan(&[("SSLMODE", "disable")]).exits(1).complains("without encryption").complains("sslmode = \"require\"");
    plan(&[("SSLMODE", "require")]).exits(0);
    plan(&[]).exits(0);
    line("hostnossl", "");
    plan(&[("SSLMODE", "require")]).exits(1).complains("with TLS").complains("sslmode = \"disable\"");
    plan(&[("SSLMODE", "disable")]).exits(0);
    line("hostssl", "clientcert=verify-ca");
    plan(&[]).exits(1).complains("client certificate").complains("cert_file and key_file");
    certificate(files, "client", &[&signed[..], &["subjectAltName=DNS:client"]].concat());
    let file = |name: &str| files.join(name).display().to_string();
    plan(&[("CERT_FILE", &file("client.crt")), ("KEY_FILE", &file("client.key"))]).exits(0);
}
