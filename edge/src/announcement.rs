//! What an edge says on standard output once it serves, for whoever started it.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use segcast_keys::keytext::{self, KeyKind, KeyTextError};

use crate::limits::ANNOUNCEMENT_MAX;

const ADDRESS: &str = "listening on ";
const KEY: &str = "edge key ";

/// Where an edge serves, a line for each address, and its key, which is the last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Every address that is served, wildcards and ports resolved: at least one.
    pub addresses: Vec<SocketAddr>,
    /// The edge's public key, which clients must know.
    pub public_key: [u8; 32],
}

/// An edge does not say that it serves.
#[derive(Debug, thiserror::Error)]
pub enum AnnouncementError {
    /// Its output cannot be read.
    #[error("the edge's output cannot be read")]
    Unreadable(#[from] io::Error),
    /// Its output ended before the key.
    #[error("the edge did not start")]
    Ended,
    /// Nothing came in time.
    #[error("the edge does not begin to serve")]
    Late,
    /// The key came before any address.
    #[error("the edge named no address")]
    NoAddress,
    /// Not an IP address with a port.
    #[error("the edge named no address")]
    Address(#[from] AddrParseError),
    /// Not an edge's public key.
    #[error("the edge named no key")]
    Key(#[from] KeyTextError),
}

impl Announcement {
    /// Reads up to the key; lines that are neither an address nor a key are passed over.
    ///
    /// # Errors
    /// All but [`AnnouncementError::Late`].
    pub fn read(output: impl Read) -> Result<Self, AnnouncementError> {
        let mut addresses = Vec::new();
        for line in BufReader::new(output.take(ANNOUNCEMENT_MAX)).lines() {
            let line = line?;
            if let Some(address) = line.strip_prefix(ADDRESS) {
                addresses.push(address.parse()?);
            } else if let Some(key) = line.strip_prefix(KEY) {
                let public_key = *keytext::parse(KeyKind::EdgePublic, key)?;
                if addresses.is_empty() {
                    return Err(AnnouncementError::NoAddress);
                }
                return Ok(Self { addresses, public_key });
            }
        }
        Err(AnnouncementError::Ended)
    }

    /// The same, but waits for `patience` at most.
    ///
    /// # Errors
    /// [`AnnouncementError`].
    pub fn read_within(
        output: impl Read + Send + 'static,
        patience: Duration,
    ) -> Result<Self, AnnouncementError> {
        let (sender, announcement) = mpsc::channel();
        // A thread, since a pipe has no timeout; it ends with the edge. Nobody may wait for it any more.
        std::thread::spawn(move || sender.send(Self::read(output)));
        announcement.recv_timeout(patience).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(AnnouncementError::Late),
            RecvTimeoutError::Disconnected => Err(AnnouncementError::Ended),
        })
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addresses.iter().try_for_each(|address| writeln!(f, "{ADDRESS}{address}"))?;
        // With its line end.
        write!(f, "{KEY}{}", *keytext::format(KeyKind::EdgePublic, &self.public_key))
    }
}

impl FromStr for Announcement {
    type Err = AnnouncementError;

    fn from_str(text: &str) -> Result<Self, AnnouncementError> {
        Self::read(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "listening on 127.0.0.1:4870\nlistening on [::1]:4870\n\
        edge key segcast-edge-public:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

    #[test]
    fn it_is_read_as_it_is_written() {
        let announcement: Announcement = TEXT.parse().expect("well-formed");
        assert_eq!(announcement.to_string(), TEXT);
        assert_eq!(announcement.address(), "127.0.0.1:4870".parse().unwrap());
        assert_eq!((announcement.addresses.len(), announcement.public_key), (2, [0; 32]));
        let talkative = format!("a warning\n{TEXT}more\n");
        assert_eq!(talkative.parse::<Announcement>().unwrap(), announcement);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let error = |text: &str| text.parse::<Announcement>().unwrap_err();
        let (addresses, key) = TEXT.split_at(TEXT.find(KEY).expect("a key"));
        assert!(matches!(error(""), AnnouncementError::Ended));
        assert!(matches!(error(addresses), AnnouncementError::Ended));
        assert!(matches!(error(key), AnnouncementError::NoAddress));
        assert!(matches!(error("listening on port 1\n"), AnnouncementError::Address(_)));
        assert!(matches!(error("edge key none\n"), AnnouncementError::Key(_)));
        let endless = io::repeat(b'a');
        assert!(matches!(Announcement::read(endless), Err(AnnouncementError::Ended)));
    }

    #[test]
    fn a_silent_edge_is_not_waited_for_without_end() {
        let (silent, _open) = io::pipe().expect("a pipe");
        let read = Announcement::read_within(silent, Duration::from_millis(1));
        assert!(matches!(read, Err(AnnouncementError::Late)));
        let read = Announcement::read_within(TEXT.as_bytes(), Duration::from_secs(60));
        assert_eq!(read.expect("all of it is there").to_string(), TEXT);
    }
}
