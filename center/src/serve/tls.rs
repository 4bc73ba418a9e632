//! TLS: the operator's certificate, or one that is made at the first start.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Certificates of a chain at most.
const CHAIN_MAX: usize = 16;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{}: cannot {action}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Not what it should be.
    #[error("{}: {reason}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key together.
    #[error("tls_certificate and tls_key do not go together: {0}")]
    Pair(rustls::Error),
    /// A certificate of its own could not be made.
    #[error("no certificate could be made: {0}")]
    Make(rcgen::Error),
}

/// Reads certificate and key; TLS 1.3, HTTP/1.1.
pub(super) fn load(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let text = read(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).take(CHAIN_MAX).collect();
    let content = |path: &Path, reason: String| TlsError::Content { path: path.to_owned(), reason };
    let chain = chain.map_err(|error| content(certificate, format!("no PEM: {error}")))?;
    if chain.is_empty() {
        return Err(content(
            certificate,
            "holds no certificate: PEM is expected, the server's first".into(),
        ));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| content(key, format!("holds no private key in PEM: {error}")))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes a certificate for localhost and the addresses served, unless one of the two files is there.
pub(super) fn make_missing(
    certificate: &Path,
    key: &Path,
    listen: &[SocketAddr],
) -> Result<(), TlsError> {
    if certificate.exists() || key.exists() {
        return Ok(());
    }
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1])];
    let addresses =
        listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    let names = loopback.into_iter().chain(addresses).map(|ip| ip.to_string());
    let names: Vec<_> = std::iter::once("localhost".to_owned()).chain(names).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(TlsError::Make)?;
    // The key first: a certificate that is there has one.
    create(key, 0o600, &made.signing_key.serialize_pem())?;
    create(certificate, 0o644, &made.cert.pem())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        action: "read it",
        source,
    })
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let mut file = OpenOptions::new();
    let file = file.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| TlsError::File { path: path.to_owned(), action: "make it", source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_certificate_of_its_own_is_made_once_and_loads() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
        let listen = ["192.0.2.1:4880".parse().unwrap()];
        make_missing(&certificate, &key, &listen).unwrap();
        let first = std::fs::read(&certificate).unwrap();
        make_missing(&certificate, &key, &listen).unwrap();
        assert_eq!(std::fs::read(&certificate).unwrap(), first);
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(load(&certificate, &key).is_ok());
        let error = load(&key, &certificate).err().unwrap().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
        std::fs::remove_file(&certificate).unwrap();
        make_missing(&certificate, &key, &listen).unwrap();
        assert!(load(&certificate, &key).is_err(), "a key that is there is not thrown away");
    }
}
