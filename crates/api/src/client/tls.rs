//! Whom the client believes that it speaks to the center.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::ClientError;

/// Trusts the certificates of `ca`, or the public ones.
pub(super) fn config(ca: Option<&str>) -> Result<TlsConfig, ClientError> {
    let roots = match ca {
        Some(ca) => RootCerts::new_with_certs(&certificates(ca)?),
        None => RootCerts::WebPki,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
}

fn certificates(ca: &str) -> Result<Vec<Certificate<'static>>, ClientError> {
    let mut certificates = Vec::new();
    for item in parse_pem(ca.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            // A file may hold its key too.
            Ok(_) => {}
            Err(error) => return Err(ClientError::Certificates(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(ClientError::Certificates("there is none in PEM (RFC 7468)".to_owned()));
    }
    Ok(certificates)
}
