//! Mapped files: residency, truncation beneath the map, and foreign faults (in a child process).

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::ptr;

use super::*;

const PAGES: usize = 16;

fn file_of_sevens() -> (tempfile::TempDir, PathBuf, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map");
    let length = PAGES * page_bytes();
    std::fs::File::create(&path).unwrap().write_all(&vec![7; length]).unwrap();
    (folder, path, length)
}

fn shrink(path: &Path, pages: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((pages * page_bytes()) as u64).unwrap();
}

#[test]
fn bytes_populate_residency_and_locks() {
    let (_folder, path, length) = file_of_sevens();
    let file = MappedFile::open(&path, length as u64).unwrap();
    file.advise(0..length, Advice::Sequential).unwrap();
    file.populate(5000..length).unwrap();
    file.touch(0..length).unwrap();
    assert!(file.is_resident(0..length));
    assert_eq!(file.bytes(4000..4003), [7, 7, 7]);
    assert_eq!(file.bytes(3..3), []);
    if file.lock(1..page_bytes() + 1).is_ok() {
        file.unlock(1..page_bytes() + 1).unwrap();
    }
    assert!(!file.faulted() && !file.faulted_in(0..length));
}

#[test]
fn another_length_is_refused_with_both_lengths() {
    let (_folder, path, length) = file_of_sevens();
    let error = MappedFile::open(&path, length as u64 + 1).unwrap_err().to_string();
    assert!(error.contains(&length.to_string()) && error.contains(&(length + 1).to_string()));
    assert!(MappedFile::open(&path.with_extension("gone"), 1).is_err());
}

#[test]
fn writes_to_the_file_are_seen_through_the_map() {
    let (_folder, path, length) = file_of_sevens();
    let mapped = MappedFile::open(&path, length as u64).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    crate::file::write_at(&file, b"new", 10_000).unwrap();
    assert_eq!(mapped.bytes(9_999..10_003), b"\x07new");
}

#[test]
fn a_file_that_shrinks_reads_zeros_and_only_its_pages_are_marked() {
    let (_folder, path, length) = file_of_sevens();
    let page = page_bytes();
    let file = MappedFile::open(&path, length as u64).unwrap();
    let other = MappedFile::open(&path, length as u64).unwrap();
    let before = file.fault_mark();
    shrink(&path, 8);
    assert_eq!(file.bytes(0..1), [7], "pages before the new end are still there");
    assert_eq!(file.fault_mark(), before);
    assert_eq!(file.bytes(9 * page - 1..9 * page + 1), [0, 0]);
    assert_eq!(file.fault_mark(), before + 2, "two pages were touched");
    assert!(file.faulted_in(8 * page..9 * page));
    assert!(file.faulted_in(9 * page + 5..9 * page + 6));
    assert!(!file.faulted_in(0..8 * page));
    assert!(!file.faulted_in(10 * page..length), "not read, so not replaced");
    assert!(!file.faulted_in(9 * page..9 * page), "an empty range has no pages");
    assert!(!other.faulted(), "another map of the same file did not fault");
    let error = other.populate(0..length).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EFAULT), "populating reports, it does not fault: {error}");
    assert!(other.touch(0..length).is_err(), "touching finds the marks");
    assert!(other.faulted_in(15 * page..16 * page));
}

#[test]
fn many_threads_and_remapped_addresses() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..20 {
                    let (_folder, path, length) = file_of_sevens();
                    let file = MappedFile::open(&path, length as u64).unwrap();
                    shrink(&path, 0);
                    assert!(file.bytes(0..length).iter().all(|&byte| byte == 0));
                    assert_eq!(file.fault_mark(), PAGES as u64);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// What the child process shall do; run by the tests below through this very test binary.
const CHILD: &str = "SEGCAST_SIGBUS_CHILD";

fn run_child(task: &str) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mapped::tests::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, task)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

extern "C" fn exit_42(_: i32) {
    // SAFETY: _exit is async-signal-safe and does not return.
    unsafe { libc::_exit(42) }
}

/// Not a test by itself: does nothing unless a test below started it.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (_folder, path, length) = file_of_sevens();
    if task == "foreign handler" {
        let handler = exit_42 as *const () as usize;
        // SAFETY: `exit_42` is a valid handler.
        unsafe { libc::signal(libc::SIGBUS, handler) };
    } else {
        // SAFETY: SIG_DFL is a valid action.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
    }
    let ours = MappedFile::open(&path, length as u64).unwrap();
    // A map that the table does not know.
    let file = File::open(&path).unwrap();
    // SAFETY: read only below, where the fault is the point.
    let foreign = unsafe { MmapOptions::new().map(&file) }.unwrap();
    shrink(&path, 0);
    assert_eq!(ours.bytes(0..1), [0]);
    if task == "sent" {
        // SAFETY: raise has no preconditions.
        unsafe { libc::raise(libc::SIGBUS) };
    }
    // SAFETY: the address is mapped; the load raises SIGBUS, which ends this process.
    let value = unsafe { ptr::read_volatile(foreign.as_ptr()) };
    unreachable!("read {value} beyond the end of a file");
}

#[test]
fn a_foreign_fault_goes_to_the_previous_handler() {
    assert_eq!(run_child("foreign handler").code(), Some(42));
}

#[test]
fn a_foreign_fault_without_a_handler_ends_the_process_with_sigbus() {
    assert_eq!(run_child("default").signal(), Some(libc::SIGBUS));
    assert_eq!(run_child("sent").signal(), Some(libc::SIGBUS));
}
