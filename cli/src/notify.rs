//! What a service manager is told: one datagram of `NAME=value` lines (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends `message` to the socket that `NOTIFY_SOCKET` names, if one is named.
///
/// # Errors
/// When there is no such socket, or nobody listens.
pub(crate) fn notify(message: &str) -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) if !socket.is_empty() => notify_at(&socket, message),
        _ => Ok(()),
    }
}

/// `@name` stands for an abstract socket (unix(7)), anything else is a path.
fn notify_at(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_are_told_and_nobody_is_no_panic() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).expect("a socket");
        let name = format!("segcast-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let by_name = UnixDatagram::bind_addr(&address).expect("a socket");
        for (socket, told) in
            [(path.into_os_string(), by_path), (format!("@{name}").into(), by_name)]
        {
            notify_at(&socket, "READY=1\n").expect("somebody listens");
            let mut bytes = [0; 64];
            let len = told.recv(&mut bytes).expect("a datagram");
            assert_eq!(&bytes[..len], b"READY=1\n", "{socket:?}");
            drop(told);
            assert!(notify_at(&socket, "READY=1\n").is_err(), "{socket:?}: nobody listens");
        }
    }
}
