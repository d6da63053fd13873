//! What listens where a connection could not be made: it may speak TLS where none was spoken, or the other way round,
//! and neither says so.

use fred::rustls::pki_types::ServerName;
use fred::rustls::{ClientConfig, ClientConnection, RootCertStore, crypto};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whoever takes longer has shown that it waits for something else.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a record of TLS begins: an alert, or a part of the handshake.
const RECORDS: [u8; 2] = [0x15, 0x16];

/// Whether TLS is what is wrong, in a sentence and with what to do. `with_tls` is how it was tried.
pub async fn mismatch(host: &str, port: u16, with_tls: bool) -> Option<(&'static str, &'static str)> {
    if with_tls {
        // A sign-in is asked for, or there is an answer.
        let is_answer = |first: u8| first == b'+' || first == b'-';
        return first_byte(host, port, b"PING\r\n").await.is_some_and(is_answer).then_some((
            "the server speaks no TLS here, and nornplan does",
            "set tls = false under [valkey] (redis:// in a url) and leave ca_file, cert_file and key_file out, or name the \
             port that has TLS (tls-port in the server's configuration)",
        ));
    }
    let is_record = |first: u8| RECORDS.contains(&first);
    first_byte(host, port, &greeting()?).await.is_some_and(is_record).then_some((
        "the server speaks TLS here, and nornplan does not",
        "set tls = true under [valkey] (rediss:// in a url), and ca_file if this machine does not trust the server's \
         authority",
    ))
}

/// How a client of TLS begins.
fn greeting() -> Option<Vec<u8>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").ok()?).ok()?;
    let mut greeting = Vec::new();
    connection.write_tls(&mut greeting).ok()?;
    Some(greeting)
}

/// What an answer to this begins with; `None` if there is none.
async fn first_byte(host: &str, port: u16, says: &[u8]) -> Option<u8> {
    let asked = async {
        let mut stream = TcpStream::connect((host, port)).await.ok()?;
        stream.write_all(says).await.ok()?;
        stream.read_u8().await.ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}
