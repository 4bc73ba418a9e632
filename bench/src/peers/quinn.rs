//! quinn as a file server, and its own client. One endpoint (socket) for each of the client's connections.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Endpoint, EndpointConfig, Incoming, MtuDiscoveryConfig,
    RecvStream, SendStream, ServerConfig, TokioRuntime, TransportConfig,
};
use socket2::{Domain, Socket, Type};

use super::job::Job;
use super::objects::Objects;
use super::settings::{Congestion, Settings};
use super::tls::{ALPN, Identity, SERVER_NAME};

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
    let tls = QuicServerConfig::try_from(identity.server()?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport(settings)?));
    let endpoint = endpoint(address, settings, Some(config))?;
    started(endpoint.local_addr()?);
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(serve_connection(incoming, objects.clone()));
    }
    Ok(())
}

/// A connection's end is the client's wish; what went wrong it tells.
async fn serve_connection(incoming: Incoming, objects: Objects) {
    let Ok(connection) = incoming.await else { return };
    while let Ok((send, receive)) = connection.accept_bi().await {
        tokio::spawn(serve_stream(send, receive, objects.clone()));
    }
}

/// Sends the object whose number the stream begins with. A stream that asks for nothing is reset when dropped.
async fn serve_stream(mut send: SendStream, mut receive: RecvStream, objects: Objects) {
    let mut number = [0; 4];
    if receive.read_exact(&mut number).await.is_err() {
        return;
    }
    let Some(object) = objects.get(u32::from_be_bytes(number)) else { return };
    if send.write_chunk(object).await.is_ok() {
        let _ = send.finish();
        // Kept until the client has all of it, or has gone.
        let _ = send.stopped().await;
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
    let tls = QuicClientConfig::try_from(identity.client(Some(ALPN))?)?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport(settings)?));
    job.run_connections("quinn", |index| {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut endpoint = endpoint(any, settings, None)?;
        endpoint.set_default_client_config(config.clone());
        let (job, source) = (Arc::clone(job), source.clone());
        Ok(async move {
            let fetched = fetch_over(&endpoint, address, index, &job, &source).await;
            endpoint.close(0_u8.into(), b"done");
            endpoint.wait_idle().await;
            fetched
        })
    })
    .await
}

async fn fetch_over(
    endpoint: &Endpoint,
    address: SocketAddr,
    index: usize,
    job: &Job,
    source: &Objects,
) -> anyhow::Result<()> {
    let connection = endpoint.connect(address, SERVER_NAME)?.await?;
    job.opened();
    for object in job.order(index) {
        if job.is_stopped() {
            break;
        }
        let (mut send, mut receive) = connection.open_bi().await?;
        send.write_all(&object.to_be_bytes()).await?;
        send.finish()?;
        let mut arrival = job.arriving(object);
        while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
            arrival.take(&chunk.bytes);
            if job.is_stopped() {
                return Ok(());
            }
        }
        arrival.complete(source)?;
    }
    Ok(())
}

fn endpoint(
    address: SocketAddr,
    settings: &Settings,
    server: Option<ServerConfig>,
) -> anyhow::Result<Endpoint> {
    let socket = socket(address, settings).with_context(|| format!("could not bind {address}"))?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(settings.datagram_max)?;
    Ok(Endpoint::new(config, server, socket, Arc::new(TokioRuntime))?)
}

fn socket(address: SocketAddr, settings: &Settings) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(settings.socket_buffer_bytes)?;
    socket.set_send_buffer_size(settings.socket_buffer_bytes)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn transport(settings: &Settings) -> anyhow::Result<TransportConfig> {
    let own = &settings.quinn;
    let congestion: Arc<dyn ControllerFactory + Send + Sync> = match own.congestion {
        Congestion::Cubic => Arc::new(CubicConfig::default()),
        Congestion::Bbr => Arc::new(BbrConfig::default()),
    };
    let mut sizes = MtuDiscoveryConfig::default();
    sizes.upper_bound(settings.datagram_max);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(own.ack_every.into());
    acks.max_ack_delay(Some(Duration::from_millis(own.ack_delay_ms)));
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(settings.window_bytes.into())
        .receive_window(settings.window_bytes.into())
        .send_window(own.send_window_bytes)
        .initial_mtu(settings.datagram_max)
        .mtu_discovery_config(Some(sizes))
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(congestion);
    Ok(transport)
}
