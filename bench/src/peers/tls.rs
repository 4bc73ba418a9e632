//! One certificate for all servers with TLS, and TLS 1.3 with AES-128-GCM as the only cipher suite of clients and servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name in the certificate.
pub(super) const SERVER_NAME: &str = "peer.invalid";
/// What QUIC servers and clients here speak above QUIC: a stream begins with an object's number.
pub(super) const ALPN: &str = "objects";

/// A certificate that vouches for itself, and its key (ECDSA, P-256), as PEM files.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Identity {
    /// The certificate
    #[arg(long, value_name = "FILE")]
    pub(super) certificate: PathBuf,
    /// Its key
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
}

impl Identity {
    /// Makes both in `folder`.
    ///
    /// # Errors
    /// When they cannot be made or written.
    pub(super) fn make(folder: &Path) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
        let this = Self { certificate: folder.join("peer.crt"), key: folder.join("peer.key") };
        std::fs::write(&this.certificate, made.cert.pem())?;
        std::fs::write(&this.key, made.signing_key.serialize_pem())?;
        Ok(this)
    }

    /// A server's side.
    ///
    /// # Errors
    /// When the files cannot be read or do not belong together.
    pub(super) fn server(&self) -> anyhow::Result<ServerConfig> {
        let key = PrivateKeyDer::from_pem_file(&self.key).context("the key's file")?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let mut config = builder.with_no_client_auth().with_single_cert(vec![self.der()?], key)?;
        config.alpn_protocols = vec![ALPN.into()];
        Ok(config)
    }

    /// A client's side, which trusts this certificate alone; `alpn` for QUIC.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn client(&self, alpn: Option<&str>) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()?)?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.into_iter().map(Into::into).collect();
        Ok(config)
    }

    fn der(&self) -> anyhow::Result<CertificateDer<'static>> {
        CertificateDer::from_pem_file(&self.certificate).context("the certificate's file")
    }
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    Arc::new(provider)
}
