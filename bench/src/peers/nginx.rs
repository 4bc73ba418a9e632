//! nginx from the system's packages, and a client for it: HTTP/1.1 over TLS 1.3, a thread for each connection.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::job::Job;
use super::objects::{self, OBJECT_BYTES, Objects};
use super::settings;
use super::tls::{Identity, SERVER_NAME};

/// The configuration with its words filled in.
const NGINX_FILLED: &str = "nginx.filled.conf";
/// What to do where it is missing.
const MISSING: &str = "nginx is not installed: apt-get install nginx-light";
/// A server that is silent for this long is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of an answer.
const HEAD_MAX: usize = 4096;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The version that `nginx -v` names.
///
/// # Errors
/// When it is not installed: the error says how to.
pub(super) fn version() -> anyhow::Result<String> {
    let output = Command::new("nginx").arg("-v").output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => anyhow::bail!(MISSING),
        other => other.context("could not run nginx")?,
    };
    // nginx version: nginx/1.22.1
    let said = String::from_utf8_lossy(&output.stderr);
    let version = said.trim().rsplit('/').next().unwrap_or_default();
    Ok(version.to_owned())
}

/// Fills in the configuration in `folder` and gives the arguments that start nginx with it.
///
/// # Errors
/// When it cannot be read or written.
pub(super) fn arguments(
    folder: &Path,
    objects: &Path,
    identity: &Identity,
    address: SocketAddr,
) -> anyhow::Result<Vec<PathBuf>> {
    let filled = [
        ("{folder}", folder),
        ("{objects}", objects),
        ("{certificate}", &identity.certificate),
        ("{key}", &identity.key),
    ];
    let path = folder.join(settings::NGINX);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let config = text.replace("{address}", &address.to_string());
    let config = filled
        .iter()
        .fold(config, |text, (word, path)| text.replace(word, &path.display().to_string()));
    let path = folder.join(NGINX_FILLED);
    std::fs::write(&path, config).with_context(|| path.display().to_string())?;
    Ok(vec!["-p".into(), folder.into(), "-e".into(), "stderr".into(), "-c".into(), path])
}

/// Does `job` with the server at `address`. Its threads have the calling thread's core and namespace.
///
/// # Errors
/// When the client cannot be configured. What fails later is the job's failure.
pub(super) fn fetch(
    job: &Arc<Job>,
    address: SocketAddr,
    identity: &Identity,
    source: &Objects,
) -> anyhow::Result<()> {
    let tls = Arc::new(identity.client(None)?);
    std::thread::scope(|scope| {
        for index in 0..job.connections {
            let tls = &tls;
            scope.spawn(move || {
                if let Err(error) = fetch_over(address, tls, index, job, source) {
                    job.fail(error.context(format!("nginx, connection {index}")));
                }
            });
        }
    });
    Ok(())
}

fn fetch_over(
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
    index: usize,
    job: &Job,
    source: &Objects,
) -> anyhow::Result<()> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let session = ClientConnection::new(Arc::clone(tls), ServerName::try_from(SERVER_NAME)?)?;
    let mut stream = StreamOwned::new(session, socket);
    stream.conn.complete_io(&mut stream.sock)?;
    job.opened();
    let mut body = vec![0; OBJECT_BYTES];
    for object in job.order(index) {
        if job.is_stopped() {
            break;
        }
        let path = objects::name(object);
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n")?;
        if !receive(&mut stream, &mut body, job)? {
            break;
        }
        job.completed();
        if job.claim(object) {
            job.compare(object, &body, source)?;
        }
    }
    Ok(())
}

/// Takes one answer with a body as long as `body`; false when the job ended in between.
fn receive(stream: &mut Tls, body: &mut [u8], job: &Job) -> anyhow::Result<bool> {
    let mut head = Vec::with_capacity(HEAD_MAX);
    let begun = loop {
        let mut buffer = [0; HEAD_MAX];
        let read = stream.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.split_off(end + 4);
        }
        anyhow::ensure!(read > 0 && head.len() < HEAD_MAX, "no answer but {} bytes", head.len());
    };
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let status = head.lines().next().unwrap_or_default();
    anyhow::ensure!(status.starts_with("http/1.1 200"), "the server answers {status:?}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("an answer without a length")?.trim().parse()?;
    anyhow::ensure!(length == body.len(), "an object of {length} bytes");
    anyhow::ensure!(begun.len() <= length, "more bytes than the answer has");
    body[..begun.len()].copy_from_slice(&begun);
    job.received(begun.len());
    let mut at = begun.len();
    while at < length {
        if job.is_stopped() {
            return Ok(false);
        }
        let read = stream.read(&mut body[at..])?;
        anyhow::ensure!(read > 0, "the answer ends after {at} of {length} bytes");
        job.received(read);
        at += read;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_in_braces_is_filled_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        settings::put(folder.path(), None).unwrap();
        let identity = Identity { certificate: path("c"), key: path("k") };
        let address = "127.0.0.1:4443".parse().unwrap();
        arguments(folder.path(), &path("objects"), &identity, address).unwrap();
        let written = std::fs::read_to_string(path(NGINX_FILLED)).unwrap();
        let left = written.lines().find(|line| {
            !line.trim_start().starts_with('#') && line.contains('{') && line.contains('}')
        });
        assert_eq!(left, None);
        assert!(written.contains("listen 127.0.0.1:4443 ssl"));
    }
}
