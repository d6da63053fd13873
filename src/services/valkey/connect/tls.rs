//! TLS as the configuration's files say.

use crate::config::Tls;
use crate::error::{Diagnostic, Kind, Result};
use fred::rustls::pki_types::pem::PemObject;
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use fred::rustls::{ClientConfig, RootCertStore, crypto};
use fred::types::config::TlsConnector;
use std::path::Path;
use std::sync::Arc;

/// What signs the server's certificate, and the client's own.
///
/// # Errors
/// A file that cannot be read or does not fit.
pub fn connector(files: &Tls) -> Result<TlsConnector> {
    let wrong = |file: Option<&Path>, message: String| {
        let error = Diagnostic::new(Kind::Config, message).hint("check the TLS files under [valkey]");
        if let Some(file) = file { error.in_file(file) } else { error }
    };
    let read = |file: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        all.map_err(|error| wrong(Some(file), format!("no certificates can be read: {error}")))
    };
    let mut roots = RootCertStore::empty();
    let trusted = match &files.ca_file {
        Some(file) => read(file)?,
        None => fred::rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(trusted);
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(None, error.to_string()))?
        .with_root_certificates(roots);
    let config = match (&files.cert_file, &files.key_file) {
        (Some(cert), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| wrong(Some(key), format!("no private key can be read: {error}")))?;
            builder.with_client_auth_cert(read(cert)?, private).map_err(|error| wrong(Some(cert), error.to_string()))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) | (None, Some(_)) => {
            return Err(wrong(None, "a client certificate needs both cert_file and key_file".to_owned()));
        }
    };
    Ok(config.into())
}
