//! The settings of all servers: the files of `bench/peers`, checked in, or others in their place.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// The QUIC servers' file.
pub(super) const QUIC: &str = "quic.toml";
/// nginx's.
pub(super) const NGINX: &str = "nginx.conf";
/// The edge's.
pub(super) const EDGE: &str = "edge.toml";

/// The files as checked in.
const CHECKED_IN: [(&str, &str); 3] = [
    (QUIC, include_str!("../../peers/quic.toml")),
    (NGINX, include_str!("../../peers/nginx.conf")),
    (EDGE, include_str!("../../peers/edge.toml")),
];

/// Puts all files into `folder`: those of `instead`, if it is given and has them, else those that are checked in.
///
/// # Errors
/// When one cannot be read or written.
pub(super) fn put(folder: &Path, instead: Option<&Path>) -> anyhow::Result<()> {
    for (name, text) in CHECKED_IN {
        let own = instead.map(|instead| instead.join(name)).filter(|own| own.exists());
        let text = match own {
            Some(own) => {
                std::fs::read_to_string(&own).with_context(|| own.display().to_string())?
            }
            None => text.to_owned(),
        };
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The comparison's largest UDP payload: an Ethernet of 1500 bytes less IPv6, UDP, and 20 to spare as QUIC stacks do.
const DATAGRAM_LARGEST: u16 = 1452;

/// The QUIC servers' file; the file says what each means.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Largest UDP payload, bytes.
    pub(super) datagram_max: u16,
    /// Flow control windows, bytes.
    pub(super) window_bytes: u32,
    /// Socket buffers, bytes.
    pub(super) socket_buffer_bytes: usize,
    /// quinn's own.
    pub(super) quinn: Quinn,
    /// s2n-quic's own.
    pub(super) s2n_quic: S2nQuic,
}

/// quinn's own settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quinn {
    /// Bytes taken from the application for each connection.
    pub(super) send_window_bytes: u64,
    /// Congestion control.
    pub(super) congestion: Congestion,
    /// Packets for each acknowledgement.
    pub(super) ack_every: u32,
    /// Longest time without one, milliseconds.
    pub(super) ack_delay_ms: u64,
}

/// s2n-quic's own settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S2nQuic {
    /// Bytes taken from the application for each stream.
    pub(super) send_buffer_bytes: u32,
    /// Congestion control.
    pub(super) congestion: Congestion,
    /// Packets for each acknowledgement.
    pub(super) ack_every: u8,
    /// Longest time without one, milliseconds.
    pub(super) ack_delay_ms: u64,
}

/// Congestion control.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Congestion {
    /// CUBIC.
    Cubic,
    /// The library's BBR.
    Bbr,
}

impl Settings {
    /// Reads the QUIC servers' file in `folder`.
    ///
    /// # Errors
    /// When the file is not as expected; it names the line.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(QUIC);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let settings: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        anyhow::ensure!(
            (1200..=DATAGRAM_LARGEST).contains(&settings.datagram_max),
            "{}: datagram_max = {}: from 1200 to {DATAGRAM_LARGEST}",
            path.display(),
            settings.datagram_max
        );
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_files_are_as_expected_and_others_take_their_place() {
        let [folder, instead] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        put(folder.path(), None).unwrap();
        assert_eq!(Settings::read(folder.path()).unwrap().datagram_max, DATAGRAM_LARGEST);
        std::fs::write(instead.path().join(QUIC), "datagram_max = 1200\nother = 1\n").unwrap();
        put(folder.path(), Some(instead.path())).unwrap();
        let error = format!("{:#}", Settings::read(folder.path()).unwrap_err());
        assert!(error.contains("quic.toml") && error.contains("other"), "{error}");
        assert!(folder.path().join(NGINX).exists() && folder.path().join(EDGE).exists());
    }
}
