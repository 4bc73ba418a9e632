//! Flows over an emulated link: TCP as fast as it goes, UDP at a fixed rate, and echoes.
//!
//! Rates are what the receiver's application got, so headers and repeats do not count.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::net::emulator::End;

/// Bytes written at once by the TCP sender.
const TCP_WRITE: usize = 64 * 1024;
/// How long a receiver waits for the next bytes before it believes that they are lost.
const SILENCE: Duration = Duration::from_secs(1);

/// A TCP flow that sends as fast as it can until its time is over.
#[derive(Debug)]
pub struct TcpFlow {
    received: Arc<AtomicU64>,
    sender: JoinHandle<io::Result<io::Result<()>>>,
    receiver: JoinHandle<io::Result<io::Result<()>>>,
}

impl TcpFlow {
    /// Starts a flow between the ends over IPv4, under CUBIC. It sends for `duration`.
    ///
    /// # Errors
    /// When the listener or the threads cannot be made.
    pub fn start(from: &End, to: &End, port: u16, duration: Duration) -> io::Result<Self> {
        let address = SocketAddr::new(to.ipv4(), port);
        let listener = to.run(|| TcpListener::bind(address))??;
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let receiver = to.spawn(move || count(&listener, &counter))?;
        let sender = from.spawn(move || send_for(address, duration))?;
        Ok(TcpFlow { received, sender, receiver })
    }

    /// Bytes that the receiving application has had so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether it still sends.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.sender.is_finished()
    }

    /// Waits until the flow is over.
    ///
    /// # Errors
    /// What the sender's or the receiver's socket gave.
    pub fn finish(self) -> io::Result<u64> {
        for thread in [self.sender, self.receiver] {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))??;
        }
        Ok(self.received.load(Ordering::Relaxed))
    }
}

fn count(listener: &TcpListener, counter: &AtomicU64) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => counter.fetch_add(length as u64, Ordering::Relaxed),
        };
    }
}

fn send_for(address: SocketAddr, duration: Duration) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Not the machine's default everywhere, and a namespace may not make it its own default.
    socket.set_tcp_congestion(b"cubic")?;
    socket.connect(&address.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(SILENCE))?;
    let (data, end) = ([0; TCP_WRITE], Instant::now() + duration);
    while Instant::now() < end {
        match stream.write(&data) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What a paced UDP flow came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UdpOutcome {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received, doubled ones twice.
    pub received: u64,
    /// Datagrams that came behind one that was sent later.
    pub overtaken: u64,
    /// Bits of UDP payload per second between the first and the last arrival.
    pub rate: f64,
}

/// Sends `count` datagrams of `payload` bytes (at least 8) evenly over `duration`, and counts
/// what arrives.
///
/// # Errors
/// What a socket or thread gave.
pub fn udp_flow(
    from: &End,
    to: IpAddr,
    receiver: &End,
    (count, payload): (u64, usize),
    duration: Duration,
) -> io::Result<UdpOutcome> {
    let socket = receiver.run(|| UdpSocket::bind((to, 0)))??;
    let address = socket.local_addr()?;
    let listening = receiver.spawn(move || listen(&socket, payload))?;
    let sent = from.run(|| send_paced(address, count, payload, duration))??;
    let (received, overtaken, rate) =
        listening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))??;
    Ok(UdpOutcome { sent, received, overtaken, rate })
}

fn unspecified_for(peer: SocketAddr) -> &'static str {
    if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }
}

fn send_paced(to: SocketAddr, count: u64, payload: usize, duration: Duration) -> io::Result<u64> {
    let socket = UdpSocket::bind(unspecified_for(to))?;
    socket.connect(to)?;
    let mut datagram = vec![0; payload];
    let start = Instant::now();
    for number in 0..count {
        let due = start + duration.mul_f64(number as f64 / count as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        datagram[..8].copy_from_slice(&number.to_be_bytes());
        socket.send(&datagram)?;
    }
    Ok(count)
}

fn listen(socket: &UdpSocket, payload: usize) -> io::Result<(u64, u64, f64)> {
    socket.set_read_timeout(Some(SILENCE))?;
    let mut buffer = vec![0; 65_536];
    let (mut received, mut overtaken, mut highest) = (0, 0, 0);
    let mut times: Option<(Instant, Instant)> = None;
    loop {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        let Some(number) = buffer[..length].first_chunk().copied().map(u64::from_be_bytes) else {
            continue;
        };
        received += 1;
        overtaken += u64::from(number < highest);
        highest = highest.max(number);
        times = Some((times.map_or(now, |(first, _)| first), now));
    }
    // The first datagram begins the time, so its bytes are not in it.
    let seconds = times.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    let bits = (received.max(1) - 1) as f64 * payload as f64 * 8.0;
    Ok((received, overtaken, if seconds > 0.0 { bits / seconds } else { 0.0 }))
}

/// Round trips of `count` echoed datagrams, one at a time, sorted; those lost are left out.
///
/// # Errors
/// What a socket or thread gave.
pub fn round_trips(from: &End, to: IpAddr, echo: &End, count: u32) -> io::Result<Vec<Duration>> {
    let socket = echo.run(|| UdpSocket::bind((to, 0)))??;
    let address = socket.local_addr()?;
    let echoing = echo.spawn(move || echo_until_silence(&socket))?;
    let mut times = from.run(|| ping(address, count))??;
    echoing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))??;
    times.sort();
    Ok(times)
}

fn ping(to: SocketAddr, count: u32) -> io::Result<Vec<Duration>> {
    let socket = UdpSocket::bind(unspecified_for(to))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let mut times = Vec::new();
    for number in 0..count {
        let start = Instant::now();
        socket.send(&number.to_be_bytes())?;
        let mut answer = [0; 4];
        if socket.recv(&mut answer).is_ok() && answer == number.to_be_bytes() {
            times.push(start.elapsed());
        }
    }
    // An empty datagram ends the echo.
    socket.send(&[])?;
    Ok(times)
}

fn echo_until_silence(socket: &UdpSocket) -> io::Result<()> {
    socket.set_read_timeout(Some(2 * SILENCE))?;
    let mut buffer = [0; 2048];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((0, _)) => return Ok(()),
            Ok((length, from)) => socket.send_to(&buffer[..length], from)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
    }
}
