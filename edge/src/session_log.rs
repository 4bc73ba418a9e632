//! The session log: the records of closed sessions in a file of their own, by a thread of its own, since a disk may
//! take its time and health checks may not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::UNIX_EPOCH;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use rustix::fs::{Access, OFlags};
use rustix::io::Errno;

use crate::board::Board;
use crate::mailbox::Report;
use crate::{guard, limits};

/// Opens a file to append to it. Nothing else will do: a FIFO would wait for a reader, when it is opened and later
/// (fifo(7)).
///
/// # Errors
/// The system's; [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    regular(path, OpenOptions::new().append(true).create(true).mode(0o640))
}

/// Whether [`open`] would find a file or could make one; makes none.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    match regular(path, OpenOptions::new().append(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let to_make_files = Access::WRITE_OK | Access::EXEC_OK;
            Ok(rustix::fs::access(folder.unwrap_or(Path::new(".")), to_make_files)?)
        }
        other => other.map(drop),
    }
}

fn regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();
    let opened = options.custom_flags(flags).open(path);
    let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
    // What a FIFO without a reader, a socket, and a device without a driver answer (open(2)).
    let is_none = |error: &io::Error| Errno::from_io_error(error) == Some(Errno::NXIO);
    let file = opened.map_err(|error| if is_none(&error) { irregular() } else { error })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// The running thread, which reports if it ends by itself. Dropping it writes what is left and ends it, if the disk takes
/// it within [`limits::RECORDS_LAST`].
#[derive(Debug)]
pub(crate) struct Writer {
    thread: Option<JoinHandle<()>>,
    /// The file to go on in; one place.
    files: Option<Sender<Option<File>>>,
    /// Its other end, to take back what the thread has not taken.
    reopened: Receiver<Option<File>>,
    /// Nothing is ever sent; it is disconnected when the thread has ended.
    ended: Receiver<()>,
    board: Arc<Board>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(crate) fn start(
        board: &Arc<Board>,
        reports: Sender<Report>,
        file: Option<File>,
    ) -> io::Result<Self> {
        board.set_session_log(file.is_some());
        let (files, reopened) = bounded::<Option<File>>(1);
        let (ending, ended) = bounded(0);
        let next = reopened.clone();
        let mut log = Log { board: Arc::clone(board), file, failing: false };
        let work = move || {
            let _ending: Sender<()> = ending;
            loop {
                let next = next.recv_timeout(limits::RECORDS_INTERVAL);
                log.write();
                match next {
                    Ok(file) => (log.file, log.failing) = (file, false),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break None,
                }
            }
        };
        let thread = guard::spawn("segcast-records", Arc::clone(board), reports, work)?;
        let board = Arc::clone(board);
        Ok(Self { thread: Some(thread), files: Some(files), reopened, ended, board })
    }

    /// Goes on in another file, or in none, when what is being written is written. Waits for no disk: of files that
    /// the thread has not taken yet, the newest stays.
    pub(crate) fn reopen(&self, mut file: Option<File>) {
        self.board.set_session_log(file.is_some());
        let Some(files) = &self.files else { return };
        while let Err(TrySendError::Full(newest)) = files.try_send(file) {
            let _ = self.reopened.try_recv();
            file = newest;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.files = None;
        if self.ended.recv_timeout(limits::RECORDS_LAST) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the disk does not take the session log: its last records are lost");
            return;
        }
        // A panic was reported already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Debug)]
struct Log {
    board: Arc<Board>,
    file: Option<File>,
    /// The last write has failed, maybe within a line.
    failing: bool,
}

impl Log {
    /// Writes what is queued, all in one; what cannot be written is lost and counted.
    fn write(&mut self) {
        let now = UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64());
        let with_address = self.board.log_client_address();
        let mut lines = String::new();
        if self.failing {
            lines.push('\n');
        }
        let mut records = 0;
        for record in (0..limits::RECORDS).map_while(|_| self.board.take_record()) {
            lines += &record.line(now, with_address);
            records += 1;
        }
        let Some(file) = self.file.as_mut().filter(|_| records > 0) else { return };
        match file.write_all(lines.as_bytes()) {
            Ok(()) if self.failing => tracing::info!("the session log is written again"),
            Ok(()) => {}
            Err(error) => {
                self.board.add_unwritten(records);
                if !self.failing {
                    tracing::error!(%error, "the session log cannot be written: records are lost");
                }
                self.failing = true;
                return;
            }
        }
        self.failing = false;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::record::Closed;

    fn record(requests: u64) -> Closed {
        Closed {
            shard: 1,
            code: 32,
            reason: "CLIENT_DONE",
            token_id: [0, 1, 2, 3, 4, 5, 6, 255],
            by_client: true,
            client: ([192, 0, 2, 1], 4000).into(),
            duration: std::time::Duration::from_millis(1500),
            bytes_sent: 100,
            bytes_retransmitted: 7,
            datagrams_sent: 3,
            requests,
        }
    }

    fn start(board: &Arc<Board>, file: Option<File>) -> Writer {
        Writer::start(board, bounded(1).0, file).expect("a thread")
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).expect("the log");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// What `work` comes to; one that hangs fails.
    fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, result) = bounded(1);
        std::thread::spawn(move || sender.send(work()));
        result.recv_timeout(std::time::Duration::from_secs(60)).expect("it ends")
    }

    /// Goes on in the file at `path`, and returns when the thread has taken it.
    fn reopen_and_wait(writer: &Writer, path: &Path) {
        writer.reopen(Some(open(path).expect("a file")));
        while !writer.reopened.is_empty() {
            std::thread::yield_now();
        }
    }

    /// A file that takes nothing more, as one whose disk does not answer: a full pipe, and its other end.
    fn stuck() -> (File, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut file = File::from(std::os::fd::OwnedFd::from(writer));
        rustix::io::ioctl_fionbio(&file, true).expect("FIONBIO");
        while file.write(&[0; 4096]).is_ok() {}
        rustix::io::ioctl_fionbio(&file, false).expect("FIONBIO");
        (file, reader)
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, 0o600.into(), 0).expect("a FIFO");
        let path = fifo.clone();
        let refused = ends(move || open(&path)).expect_err("nobody reads it");
        assert!(refused.to_string().contains("no regular file"), "{refused}");
        let both_ends = OpenOptions::new().read(true).write(true).open(&fifo).expect("both ends");
        let refused = ends(move || open(&fifo)).expect_err("somebody could read it");
        assert!(refused.to_string().contains("no regular file"), "{refused}");
        drop(both_ends);
        assert!(open(Path::new("/dev/null")).is_err() && open(folder.path()).is_err());
    }

    #[test]
    fn a_write_that_takes_its_time_holds_up_no_reload() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let board = Arc::new(Board::new(1));
        let (file, reader) = stuck();
        assert!(board.record(record(1)));
        let writer = start(&board, Some(file));
        let reopened = path.clone();
        let writer = ends(move || {
            (0..3).for_each(|_| writer.reopen(Some(open(&reopened).expect("a file"))));
            writer
        });
        drop(reader);
        (0..2).for_each(|_| reopen_and_wait(&writer, &path));
        assert!(board.record(record(2)));
        drop(writer);
        let lines = lines(&path);
        assert_eq!((lines.len(), lines[0]["requests"].as_u64()), (1, Some(2)));
        assert_eq!(board.unwritten(), 1);
    }

    #[test]
    fn a_write_that_never_ends_keeps_no_edge_from_ending() {
        let board = Arc::new(Board::new(1));
        let (file, reader) = stuck();
        assert!(board.record(record(1)));
        let writer = start(&board, Some(file));
        ends(move || drop(writer));
        drop(reader);
    }

    #[test]
    fn its_end_is_reported() {
        let (board, (reports, ended)) = (Arc::new(Board::new(1)), bounded(1));
        drop(Writer::start(&board, reports, None).expect("a thread"));
        let Ok(Report::Ended { thread, failure }) = ended.recv() else { panic!("no report") };
        assert_eq!((&*thread, failure), ("segcast-records", None));
    }

    #[test]
    fn each_closed_session_is_a_line_of_json_and_an_address_stands_there_only_when_it_may() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sessions.jsonl");
        let board = Arc::new(Board::new(1));
        for (requests, with_address) in [(1, false), (2, true)] {
            board.set_log_client_address(with_address);
            let file = open(&path).expect("a file");
            let writer = start(&board, Some(file));
            assert!(board.record(record(requests)));
            drop(writer);
        }
        let lines = lines(&path);
        assert_eq!(lines.len(), 2);
        for (line, client) in lines.iter().zip([None, Some("192.0.2.1:4000")]) {
            assert!(line["closed"].as_f64() > Some(1e9), "{line}");
            assert_eq!((line["shard"].as_u64(), line["code"].as_u64()), (Some(1), Some(32)));
            assert_eq!(
                (&line["reason"], &line["by_client"]),
                (&"CLIENT_DONE".into(), &true.into())
            );
            assert_eq!(line["token"], "00010203040506ff");
            assert_eq!(line.get("client").and_then(Value::as_str), client);
            assert_eq!((line["seconds"].as_f64(), line["bytes"].as_u64()), (Some(1.5), Some(100)));
            assert_eq!(line["bytes_retransmitted"].as_u64(), Some(7));
            assert_eq!(line["datagrams"].as_u64(), Some(3));
        }
        assert_eq!(
            (lines[0]["requests"].as_u64(), lines[1]["requests"].as_u64()),
            (Some(1), Some(2))
        );
    }

    #[test]
    fn a_moved_file_is_left_when_the_log_is_opened_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, moved] = ["log", "log.1"].map(|name| folder.path().join(name));
        let board = Arc::new(Board::new(1));
        let file = open(&path).expect("a file");
        let writer = start(&board, Some(file));
        assert!(board.record(record(1)));
        std::fs::rename(&path, &moved).expect("moved");
        // When the second is taken the first is in place, and the record written.
        (0..2).for_each(|_| reopen_and_wait(&writer, &path));
        assert!(board.record(record(2)));
        drop(writer);
        let all = (lines(&moved), lines(&path));
        let requests = |lines: &[Value]| -> Vec<u64> {
            lines.iter().filter_map(|line| line["requests"].as_u64()).collect()
        };
        assert_eq!((requests(&all.0), requests(&all.1)), (vec![1], vec![2]));
    }

    #[test]
    fn a_full_disk_and_a_full_queue_lose_records_that_are_counted() {
        let board = Arc::new(Board::new(1));
        assert!((0..limits::RECORDS).all(|_| board.record(record(1))));
        assert!(!board.record(record(1)), "the queue is bounded");
        let full = OpenOptions::new().append(true).open("/dev/full").expect("full(4)");
        drop(start(&board, Some(full)));
        assert_eq!(board.unwritten(), limits::RECORDS as u64);
    }
}
