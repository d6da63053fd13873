//! TLS as the configuration's files say: what signs a server's certificate, and the client's own.

use crate::config::Tls;
use crate::error::{Diagnostic, Kind, Result};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A client's configuration. `table` is the table of the workspace file that names the files.
///
/// # Errors
/// A file that cannot be read or does not fit.
pub fn client(files: &Tls, table: &str) -> Result<ClientConfig> {
    let wrong = |file: Option<&Path>, message: String| {
        let error = Diagnostic::new(Kind::Config, message).hint(format!("check the TLS files under [{table}]"));
        if let Some(file) = file { error.in_file(file) } else { error }
    };
    let read = |file: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        all.map_err(|error| wrong(Some(file), format!("no certificates can be read: {error}")))
    };
    let mut roots = RootCertStore::empty();
    let trusted = match &files.ca_file {
        Some(file) => read(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(trusted);
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(None, error.to_string()))?
        .with_root_certificates(roots);
    match (&files.cert_file, &files.key_file) {
        (Some(cert), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| wrong(Some(key), format!("no private key can be read: {error}")))?;
            builder.with_client_auth_cert(read(cert)?, private).map_err(|error| wrong(Some(cert), error.to_string()))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(_), None) | (None, Some(_)) => {
            Err(wrong(None, "a client certificate needs both cert_file and key_file".to_owned()))
        }
    }
}
