//! Shared locks on single bytes of a file: many processes say in one file which things they use, and another sees whether
//! anybody uses one of them. Each is gone with its process, however that ends (`F_OFD_SETLK` of fcntl(2), Linux 3.15).
//!
//! The bytes need not be there, and a file that was opened for reading will do, also on a read-only mount.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The highest byte that can be locked: offsets are signed.
pub const BYTE_MAX: u64 = i64::MAX as u64;

/// Locks `byte`, beside all others who share it. The lock belongs to the opened file, not to the process: it is held until
/// [`unlock`], or until the last copy of the descriptor is closed. A second lock of the same byte changes nothing.
///
/// # Errors
/// `ENOLCK`, `EOPNOTSUPP` and the like where the file system has no locks; `EINVAL` above [`BYTE_MAX`].
pub fn share(file: &File, byte: u64) -> io::Result<()> {
    set(file, byte, libc::F_RDLCK, 1)
}

/// Undoes [`share`].
///
/// # Errors
/// As [`share`].
pub fn unlock(file: &File, byte: u64) -> io::Result<()> {
    set(file, byte, libc::F_UNLCK, 1)
}

/// Undoes [`share`] for all bytes, although copies of the descriptor may be open: a process that another thread is just
/// starting has one until its exec.
///
/// # Errors
/// As [`share`].
pub fn unlock_all(file: &File) -> io::Result<()> {
    // Length 0: to the end, however far that is (fcntl(2)).
    set(file, 0, libc::F_UNLCK, 0)
}

/// Whether anybody shares `byte` through another opening of the file.
///
/// # Errors
/// As [`share`].
pub fn is_shared(file: &File, byte: u64) -> io::Result<bool> {
    let mut lock = description(byte, libc::F_WRLCK, 1)?;
    // SAFETY: F_OFD_GETLK reads and writes one `flock`, which is ours for the call; the descriptor is borrowed for it.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    if result == 0 {
        return Ok(i32::from(lock.l_type) != libc::F_UNLCK);
    }
    Err(io::Error::last_os_error())
}

fn set(file: &File, byte: u64, kind: i32, bytes: libc::off_t) -> io::Result<()> {
    let lock = description(byte, kind, bytes)?;
    // SAFETY: F_OFD_SETLK reads one `flock`, which lives for the call; the descriptor is borrowed for it.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn description(byte: u64, kind: i32, bytes: libc::off_t) -> io::Result<libc::flock> {
    let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
    if byte > BYTE_MAX {
        return Err(invalid(()));
    }
    Ok(libc::flock {
        l_type: libc::c_short::try_from(kind).map_err(|_| invalid(()))?,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: bytes,
        // Must be 0 for locks of open files.
        l_pid: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_shared_until_the_last_who_shares_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "short").unwrap();
        let open = || File::open(&path).unwrap();
        let (one, two, asks) = (open(), open(), open());
        // Far beyond the end of the file.
        let byte = BYTE_MAX;
        share(&one, byte).unwrap();
        share(&two, byte).unwrap();
        assert!(is_shared(&asks, byte).unwrap());
        assert!(!is_shared(&asks, byte - 1).unwrap());
        unlock(&one, byte).unwrap();
        assert!(is_shared(&asks, byte).unwrap(), "the other one still does");
        drop(two);
        assert!(!is_shared(&asks, byte).unwrap());
        share(&one, byte).unwrap();
        assert!(!is_shared(&one, byte).unwrap(), "one's own does not count");
        share(&one, byte + 1).unwrap_err();
        share(&one, 7).unwrap();
        let _inherited = one.try_clone().unwrap();
        unlock_all(&one).unwrap();
        assert!(!is_shared(&asks, byte).unwrap() && !is_shared(&asks, 7).unwrap());
    }
}
