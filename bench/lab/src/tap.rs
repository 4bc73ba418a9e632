//! TAP devices: an Ethernet interface whose cable is a file descriptor (tuntap.rst).
//!
//! Without `virtio_header` the kernel cuts offloaded trains into single frames before they come
//! out, so each read is one datagram as a wire would carry it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::netns::check;

/// Offload flags of TUNSETOFFLOAD (linux/if_tun.h) that `libc` may not have: checksum, TCP
/// segmentation for IPv4 and IPv6, UDP segmentation for IPv4 and IPv6.
const OFFLOAD_ALL: libc::c_ulong = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;

/// `_IOR('T', 224, int)` of linux/if_tun.h.
const TUNSETSTEERINGEBPF: libc::c_ulong = 0x8004_54e0;
/// `_IOR('T', 225, int)` of linux/if_tun.h.
const TUNSETFILTEREBPF: libc::c_ulong = 0x8004_54e1;

/// A TAP device, gone when dropped.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
}

impl Tap {
    /// Makes the device `name` (1 to 15 bytes) in the network namespace of the calling thread.
    /// It is down and has no address. Reads and writes do not block.
    ///
    /// With `virtio_header` each frame is preceded by 10 bytes of `virtio_net_hdr`, and checksums
    /// and segmentation are left to the reader, as a card with offloads would have it.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN, EBUSY when the name is taken, ENOENT or EACCES on /dev/net/tun,
    /// EINVAL for a name that is empty or too long, or offloads that the kernel does not know.
    pub fn create(name: &str, virtio_header: bool) -> io::Result<Self> {
        let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
        if virtio_header {
            flags |= libc::IFF_VNET_HDR;
        }
        let mut request = interface_request(name, flags)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        // SAFETY: TUNSETIFF reads and writes one `ifreq` (linux/if_tun.h); `request` is one, is
        // initialised, and outlives the call.
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
        if virtio_header {
            // SAFETY: TUNSETOFFLOAD takes its flags by value and no pointer.
            check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD as _, OFFLOAD_ALL) })?;
        }
        Ok(Tap { file, name: name.to_owned() })
    }

    /// From now on `program` sees every frame that the interface sends, before its pages are copied, and says how many of
    /// its bytes go on: 0 drops it, and the device counts it as dropped (TUNSETFILTEREBPF, linux/if_tun.h).
    ///
    /// # Errors
    /// Those of the ioctl: EINVAL for a program that is no socket filter.
    pub fn set_filter(&self, program: impl AsFd) -> io::Result<()> {
        let fd: libc::c_int = program.as_fd().as_raw_fd();
        // SAFETY: TUNSETFILTEREBPF reads one `int` by address; `fd` is one and outlives the call.
        check(unsafe { libc::ioctl(self.file.as_raw_fd(), TUNSETFILTEREBPF as _, &raw const fd) })
    }

    /// From now on `program` chooses the queue of a frame (TUNSETSTEERINGEBPF), and the kernel no longer hashes each frame
    /// to remember its flow, which it does once any device of the machine ever had RPS and no network card asks of it.
    ///
    /// # Errors
    /// Those of the ioctl: EINVAL for a program that is no socket filter.
    pub fn set_steering(&self, program: impl AsFd) -> io::Result<()> {
        let fd: libc::c_int = program.as_fd().as_raw_fd();
        let file = self.file.as_raw_fd();
        // SAFETY: TUNSETSTEERINGEBPF reads one `int` by address; `fd` is one and outlives the call.
        check(unsafe { libc::ioctl(file, TUNSETSTEERINGEBPF as _, &raw const fd) })
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next frame that the interface sent; returns its length. A frame longer than
    /// `buffer` is cut.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; EIO while the interface is down.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Gives one whole frame to the interface, which receives it before this returns.
    ///
    /// # Errors
    /// EIO while the interface is down, EINVAL for a frame shorter than an Ethernet header.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let written = (&self.file).write(frame)?;
        if written == frame.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn interface_request(name: &str, flags: libc::c_int) -> io::Result<libc::ifreq> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || bytes.contains(&0) {
        let why = format!("interface name {name:?}: must have 1 to 15 bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    let flags = i16::try_from(flags).map_err(io::Error::other)?;
    Ok(libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Namespace;

    #[test]
    fn names_that_do_not_fit_are_errors() {
        for name in ["", "sixteen-bytes-xx", "a\0b"] {
            let error = interface_request(name, 0).err().map(|e| e.kind());
            assert_eq!(error, Some(io::ErrorKind::InvalidInput), "{name:?}");
        }
        assert!(interface_request("fifteen-bytes-x", 0).is_ok());
    }

    #[test]
    fn a_device_appears_in_the_namespace_of_its_maker_and_goes_when_dropped() {
        let Ok(namespace) = Namespace::new() else {
            return crate::skip("namespaces (CAP_SYS_ADMIN)");
        };
        let names = || std::fs::read_to_string("/proc/thread-self/net/dev").expect("/proc");
        for virtio_header in [false, true] {
            let create = || Tap::create("lab0", virtio_header);
            let tap = match namespace.run(create).expect("entered") {
                Ok(tap) => tap,
                Err(error) => {
                    return crate::skip(&format!("TAP devices: {error}"));
                }
            };
            assert_eq!(tap.name(), "lab0");
            assert!(!names().contains("lab0"));
            assert!(namespace.run(names).expect("entered").contains("lab0"));
            // The interface is down: neither direction works, and neither blocks.
            assert!(tap.receive(&mut [0; 64]).is_err());
            assert!(tap.send(&[0; 64]).is_err());
            drop(tap);
            assert!(!namespace.run(names).expect("entered").contains("lab0"));
        }
    }
}
