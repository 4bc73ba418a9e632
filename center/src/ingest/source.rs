//! The bytes of a title, read one segment after another, with the promise of their number kept in sight.
//!
//! The store must know the number of segments before the first one comes, so the length is fixed beforehand;
//! a source that turns out longer or shorter, or changes meanwhile, is an error and nothing is published.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why the bytes of a title cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system refused.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The input.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A directory, a pipe or a device: its length is not known beforehand.
    #[error("{}: is not a regular file; copy the title to a file first", .path.display())]
    NotAFile {
        /// The input.
        path: PathBuf,
    },
    /// Other bytes than there were at the start.
    #[error("{}: changed while it was read ({what}); pack it again when it is at rest", .path.display())]
    Changed {
        /// The input.
        path: PathBuf,
        /// What changed.
        what: String,
    },
}

/// A title's bytes: `length` of them.
pub(super) struct Source<R> {
    reader: R,
    path: PathBuf,
    left: u64,
    length: u64,
}

impl<R: Read> Source<R> {
    /// `length` bytes of `reader`; `path` names them in errors.
    pub(super) fn new(reader: R, path: &Path, length: u64) -> Self {
        Self { reader, path: path.to_owned(), left: length, length }
    }

    /// Fills `segment` with the next bytes, and with zeros after the last one.
    pub(super) fn fill(&mut self, segment: &mut [u8]) -> Result<(), SourceError> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(segment.len());
        let (data, padding) = segment.split_at_mut(wanted);
        self.reader.read_exact(data).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.changed("it became shorter"),
            _ => self.io("read it", source),
        })?;
        padding.fill(0);
        self.left -= wanted as u64;
        Ok(())
    }

    /// Checks that nothing follows the last byte.
    pub(super) fn finish(&mut self) -> Result<(), SourceError> {
        debug_assert_eq!(self.left, 0, "all segments were read");
        let mut rest = Vec::new();
        match (&mut self.reader).take(1).read_to_end(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.changed("it became longer")),
            Err(source) => Err(self.io("read it", source)),
        }
    }

    fn changed(&self, what: &str) -> SourceError {
        let what = format!("{what} than {} bytes", self.length);
        SourceError::Changed { path: self.path.clone(), what }
    }

    fn io(&self, action: &'static str, source: io::Error) -> SourceError {
        SourceError::Io { path: self.path.clone(), action, source }
    }
}

/// A regular file, and what it was like when it was opened.
pub(super) struct Input {
    file: File,
    path: PathBuf,
    before: Metadata,
}

impl Input {
    /// Opens `path`.
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let io = |action, source| SourceError::Io { path: path.to_owned(), action, source };
        // Asked first: opening a pipe would wait for its writer.
        let kind = std::fs::metadata(path).map_err(|error| io("open it", error))?;
        if !kind.is_file() {
            return Err(SourceError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(|error| io("open it", error))?;
        let before = file.metadata().map_err(|error| io("read its length", error))?;
        if !before.is_file() {
            return Err(SourceError::NotAFile { path: path.to_owned() });
        }
        Ok(Self { file, path: path.to_owned(), before })
    }

    /// The file's length, bytes.
    pub(super) fn length(&self) -> u64 {
        self.before.len()
    }

    /// The bytes of the file.
    pub(super) fn source(&self) -> Source<&File> {
        Source::new(&self.file, &self.path, self.length())
    }

    /// Checks that nobody wrote to the file since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), SourceError> {
        let now = self.file.metadata().map_err(|source| SourceError::Io {
            path: self.path.clone(),
            action: "read its length",
            source,
        })?;
        let stamp = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
        if stamp(&now) == stamp(&self.before) {
            return Ok(());
        }
        let what = "its length or its time of change".to_owned();
        Err(SourceError::Changed { path: self.path.clone(), what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8], length: u64) -> Source<&[u8]> {
        Source::new(bytes, Path::new("title"), length)
    }

    #[test]
    fn the_last_segment_is_padded_with_zeros() {
        let mut source = source(&[7; 12], 12);
        let mut segment = [9; 8];
        source.fill(&mut segment).unwrap();
        assert_eq!(segment, [7; 8]);
        source.fill(&mut segment).unwrap();
        assert_eq!(segment, [7, 7, 7, 7, 0, 0, 0, 0]);
        source.finish().unwrap();
    }

    #[test]
    fn other_lengths_than_promised_are_errors() {
        let mut short = source(&[7; 12], 13);
        let mut segment = [0; 13];
        let error = short.fill(&mut segment).unwrap_err().to_string();
        assert!(error.contains("title: changed") && error.contains("shorter than 13"), "{error}");
        let mut long = source(&[7; 12], 11);
        long.fill(&mut segment).unwrap();
        assert!(matches!(long.finish(), Err(SourceError::Changed { .. })));
    }

    #[test]
    fn only_regular_files_are_titles() {
        let folder = tempfile::tempdir().unwrap();
        let error = Input::open(folder.path()).err().unwrap();
        assert!(matches!(error, SourceError::NotAFile { .. }));
        let missing = Input::open(&folder.path().join("gone")).err().unwrap();
        assert!(missing.to_string().contains("gone: cannot open it"), "{missing}");
    }

    #[test]
    fn a_file_that_is_written_to_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("title");
        std::fs::write(&path, [1; 100]).unwrap();
        let input = Input::open(&path).unwrap();
        input.check_unchanged().unwrap();
        std::fs::write(&path, [1; 101]).unwrap();
        assert!(matches!(input.check_unchanged(), Err(SourceError::Changed { .. })));
    }
}
