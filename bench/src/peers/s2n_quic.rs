//! s2n-quic as a file server, and its own client. One endpoint (socket) for each of the client's connections.
//!
//! The server has the library's default TLS (s2n-tls): its packet protection seals in one pass, which the rustls provider
//! does not. The client offers AES-128-GCM alone, by rustls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use s2n_quic::client::Connect;
use s2n_quic::provider::congestion_controller::{Bbr, Cubic};
use s2n_quic::provider::io::tokio::{Builder as IoBuilder, Provider as Io};
use s2n_quic::provider::limits::Limits;
use s2n_quic::provider::tls;
use s2n_quic::stream::BidirectionalStream;
use s2n_quic::{Client, Connection, Server};

use super::job::Job;
use super::objects::Objects;
use super::settings::{Congestion, Settings};
use super::tls::{ALPN, Identity, SERVER_NAME};

/// s2n-quic counts the headers of IPv4 and UDP in.
const HEADERS: u16 = 28;

/// Serves `objects` on `address` until dropped; `started` gets the bound address.
///
/// # Errors
/// When the address cannot be bound or the configuration is refused.
pub(super) async fn serve(
    objects: Objects,
    address: SocketAddr,
    identity: &Identity,
    settings: &Settings,
    started: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let tls = tls::s2n_tls::Server::builder()
        .with_application_protocols([ALPN])?
        .with_certificate(identity.certificate.as_path(), identity.key.as_path())?
        .build()?;
    let builder = Server::builder()
        .with_io(io(address, settings)?)?
        .with_tls(tls)?
        .with_limits(limits(settings)?)?;
    let mut server = match settings.s2n_quic.congestion {
        Congestion::Cubic => builder.with_congestion_controller(Cubic::default())?.start()?,
        Congestion::Bbr => builder.with_congestion_controller(Bbr::default())?.start()?,
    };
    started(server.local_addr()?);
    while let Some(connection) = server.accept().await {
        tokio::spawn(serve_connection(connection, objects.clone()));
    }
    Ok(())
}

/// A connection's end is the client's wish; what went wrong it tells.
async fn serve_connection(mut connection: Connection, objects: Objects) {
    while let Ok(Some(stream)) = connection.accept_bidirectional_stream().await {
        tokio::spawn(serve_stream(stream, objects.clone()));
    }
}

/// Sends the object whose number the stream begins with.
async fn serve_stream(mut stream: BidirectionalStream, objects: Objects) {
    let mut number = Vec::new();
    while let Ok(Some(chunk)) = stream.receive().await {
        number.extend_from_slice(&chunk);
    }
    let Ok(number) = number.try_into() else { return };
    let Some(object) = objects.get(u32::from_be_bytes(number)) else { return };
    if stream.send(object).await.is_ok() {
        // It fails only when the client has gone.
        let _ = stream.close().await;
    }
}

/// Does `job` with the server at `address`.
///
/// # Errors
/// When no endpoint can be made. What fails later is the job's failure.
pub(super) async fn fetch(
    job: &Arc<Job>,
    address: SocketAddr,
    identity: &Identity,
    source: &Objects,
    settings: &Settings,
) -> anyhow::Result<()> {
    let tls = Arc::new(identity.client(Some(ALPN))?);
    job.run_connections("s2n-quic", |index| {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let client = Client::builder()
            .with_io(io(any, settings)?)?
            .with_tls(tls::rustls::Client::from(Arc::clone(&tls)))?
            .with_limits(limits(settings)?)?
            .start()?;
        let (job, source) = (Arc::clone(job), source.clone());
        Ok(async move { fetch_over(&client, address, index, &job, &source).await })
    })
    .await
}

async fn fetch_over(
    client: &Client,
    address: SocketAddr,
    index: usize,
    job: &Job,
    source: &Objects,
) -> anyhow::Result<()> {
    let server = Connect::new(address).with_server_name(SERVER_NAME);
    let mut connection = client.connect(server).await?;
    job.opened();
    for object in job.order(index) {
        if job.is_stopped() {
            break;
        }
        let mut stream = connection.open_bidirectional_stream().await?;
        stream.send(object.to_be_bytes().to_vec().into()).await?;
        stream.finish()?;
        let mut arrival = job.arriving(object);
        while let Some(chunk) = stream.receive().await? {
            arrival.take(&chunk);
            if job.is_stopped() {
                break;
            }
        }
        if job.is_stopped() {
            break;
        }
        arrival.complete(source)?;
    }
    connection.close(0_u8.into());
    Ok(())
}

fn io(address: SocketAddr, settings: &Settings) -> anyhow::Result<Io> {
    let mtu = settings.datagram_max + HEADERS;
    let builder = IoBuilder::default()
        .with_receive_address(address)?
        .with_max_mtu(mtu)?
        .with_initial_mtu(mtu)?
        .with_recv_buffer_size(settings.socket_buffer_bytes)?
        .with_send_buffer_size(settings.socket_buffer_bytes)?;
    Ok(builder.build()?)
}

fn limits(settings: &Settings) -> anyhow::Result<Limits> {
    let (own, window) = (&settings.s2n_quic, u64::from(settings.window_bytes));
    let limits = Limits::new()
        .with_data_window(window)?
        .with_bidirectional_local_data_window(window)?
        .with_bidirectional_remote_data_window(window)?
        .with_max_send_buffer_size(own.send_buffer_bytes)?
        .with_ack_elicitation_interval(own.ack_every)?
        .with_max_ack_delay(Duration::from_millis(own.ack_delay_ms))?;
    Ok(limits)
}
