//! Certificates for tests of TLS, made by openssl.

use super::Ran;
use std::path::Path;
use std::process::Command;

/// What a certificate is made with that `authority` signs; the names that it is for come after it.
pub const SIGNED: [&str; 7] =
    ["-CA", "authority.crt", "-CAkey", "authority.key", "-addext", "basicConstraints=CA:FALSE", "-addext"];

/// Makes `<name>.key` and a certificate `<name>.crt` in a directory, signed by itself or as the arguments say.
pub fn certificate(directory: &Path, name: &str, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]).args(arguments);
    let made = Ran::of(command.output().expect("openssl runs"));
    assert_eq!(made.code, 0, "{}", made.stderr);
}

/// Makes a certificate that `authority` signs, for these names: `IP:127.0.0.1,DNS:localhost`.
pub fn signed(directory: &Path, name: &str, names: &str) {
    certificate(directory, name, &[&SIGNED[..], &[&format!("subjectAltName={names}")]].concat());
}
