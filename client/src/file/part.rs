//! The part file: verified segments go in at their places, a journal says which are there for good.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use segcast_sysio::file::is_without_locks;

use super::journal::{self, HEADER, Identity};
use super::{Bitmap, FileError, JOURNAL, NEW, PART, open, output, place, with_suffix};

/// A journal holds a record for each segment and those repeated after a resume; a longer one is damaged.
const JOURNAL_BYTES_MAX: u64 = 1 << 31;

/// A file that grows by verified segments. Dropped without [`PartFile::finish`], it stays resumable.
#[derive(Debug)]
pub struct PartFile {
    name: PathBuf,
    part: PathBuf,
    journal_path: PathBuf,
    identity: Identity,
    replace: bool,
    file: File,
    journal: File,
    /// Segments written since the last [`PartFile::sync`].
    unsynced: Vec<u32>,
}

impl PartFile {
    /// Where the bytes of `name` lie until the file is complete.
    #[must_use]
    pub fn path_of(name: &Path) -> PathBuf {
        with_suffix(name, PART)
    }

    /// Begins or continues `NAME.part`. The map says which segments its journal names.
    ///
    /// `replace` allows to replace an existing `NAME`, whose mode stays and whose links are followed, and to discard a part
    /// file that cannot be continued.
    ///
    /// # Errors
    /// When the name is taken, the part file is in use or not ours, or the system refuses.
    pub fn open(
        name: &Path,
        identity: Identity,
        replace: bool,
    ) -> Result<(Self, Bitmap), FileError> {
        let name = output::resolve(name, replace)?;
        let part = Self::path_of(&name);
        let journal_path = with_suffix(&name, JOURNAL);
        let had_part = part.symlink_metadata().is_ok();
        let file = open_part(&part)?;
        if let Some(replaced) = output::existing(&name)? {
            let mode = Permissions::from_mode(replaced.permissions().mode() & 0o777);
            file.set_permissions(mode)
                .map_err(|e| FileError::system("set the mode of", &part, e))?;
        }
        let map = match claimed(&part, &journal_path, had_part, &identity) {
            Err(FileError::Journal { .. } | FileError::PartWithoutJournal { .. }) if replace => {
                Bitmap::new(identity.segments)
            }
            other => other?,
        };
        let journal = write_journal(&journal_path, &identity, &map)?;
        file.set_len(identity.length).map_err(|e| FileError::system("resize", &part, e))?;
        let unsynced = Vec::new();
        let this = Self { name, part, journal_path, identity, replace, file, journal, unsynced };
        Ok((this, map))
    }

    /// What the file is part of.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where the bytes lie until the file is complete.
    #[must_use]
    pub fn part_path(&self) -> &Path {
        &self.part
    }

    /// Writes the plain bytes of `segment`, of which what lies beyond the true length is left out.
    ///
    /// # Errors
    /// Of the system.
    pub fn write(&mut self, segment: u32, plain: &[u8]) -> Result<(), FileError> {
        let len = self.identity.segment_len(segment).min(plain.len());
        let at = u64::from(segment) * u64::from(self.identity.segment_bytes);
        self.file
            .write_all_at(&plain[..len], at)
            .map_err(|e| FileError::system("write", &self.part, e))?;
        self.unsynced.push(segment);
        Ok(())
    }

    /// Reads `segment` back into `plain`, padded with zeros to the size of a segment.
    ///
    /// # Errors
    /// Of the system.
    pub fn read(&self, segment: u32, plain: &mut Vec<u8>) -> Result<(), FileError> {
        plain.clear();
        plain.resize(self.identity.segment_bytes as usize, 0);
        let len = self.identity.segment_len(segment);
        let at = u64::from(segment) * u64::from(self.identity.segment_bytes);
        self.file
            .read_exact_at(&mut plain[..len], at)
            .map_err(|e| FileError::system("read", &self.part, e))
    }

    /// Segments that a kill now would lose.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Makes everything written so far lasting: first the data, then the records that name it.
    ///
    /// # Errors
    /// Of the system.
    pub fn sync(&mut self) -> Result<(), FileError> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        self.file.sync_data().map_err(|e| FileError::system("sync", &self.part, e))?;
        let records: Vec<u8> =
            self.unsynced.iter().flat_map(|s| self.identity.record(*s)).collect();
        let path = &self.journal_path;
        self.journal.write_all(&records).map_err(|e| FileError::system("write", path, e))?;
        self.journal.sync_data().map_err(|e| FileError::system("sync", path, e))?;
        self.unsynced.clear();
        Ok(())
    }

    /// The title is complete: gives the file its name and takes the journal away.
    ///
    /// # Errors
    /// [`FileError::Exists`] when the name was taken meanwhile; else of the system. The part file stays.
    pub fn finish(mut self) -> Result<(), FileError> {
        self.sync()?;
        self.file.sync_all().map_err(|e| FileError::system("sync", &self.part, e))?;
        output::existing(&self.name)?;
        place::rename(&self.part, &self.name, self.replace)?;
        fs::remove_file(&self.journal_path)
            .map_err(|e| FileError::system("remove", &self.journal_path, e))
    }
}

/// Opens or makes the part file and locks it, so that two fetches never write one file. Where the file system has no
/// locks that is for the user to see to, and the log says so.
fn open_part(part: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    let file = open::regular(part, options.read(true).write(true).create(true).truncate(false))?;
    judge_lock(file.try_lock(), part)?;
    Ok(file)
}

fn judge_lock(locked: Result<(), TryLockError>, part: &Path) -> Result<(), FileError> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(FileError::InUse { path: part.to_owned() }),
        Err(TryLockError::Error(e)) if e.raw_os_error().is_some_and(is_without_locks) => {
            tracing::warn!(file = %part.display(), "no locks here: see that no other fetch writes to it");
            Ok(())
        }
        Err(TryLockError::Error(e)) => Err(FileError::system("lock", part, e)),
    }
}

/// What the journal says is in the part file.
fn claimed(
    part: &Path,
    path: &Path,
    had_part: bool,
    identity: &Identity,
) -> Result<Bitmap, FileError> {
    let file = match open::regular(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(FileError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let empty = !had_part || part.metadata().is_ok_and(|m| m.len() == 0);
            if empty {
                return Ok(Bitmap::new(identity.segments));
            }
            return Err(FileError::PartWithoutJournal {
                part: part.to_owned(),
                journal: path.to_owned(),
            });
        }
        Err(error) => return Err(error),
    };
    if !had_part {
        // The data is gone: whatever this journal names, nothing of it is there.
        return Ok(Bitmap::new(identity.segments));
    }
    let mut bytes = Vec::new();
    file.take(JOURNAL_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|e| FileError::system("read", path, e))?;
    journal::read(&bytes, identity)
        .map_err(|reason| FileError::Journal { path: path.to_owned(), reason })
}

/// Writes a journal of what `map` holds, and puts it in the old one's place in one step.
fn write_journal(path: &Path, identity: &Identity, map: &Bitmap) -> Result<File, FileError> {
    let fresh = with_suffix(path, NEW);
    let mut bytes = Vec::with_capacity(HEADER + map.count() as usize * journal::RECORD);
    bytes.extend(identity.encode());
    map.iter().for_each(|segment| bytes.extend(identity.record(segment)));
    let mut file = open::fresh(&fresh)?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(|e| FileError::system("write", &fresh, e))?;
    fs::rename(&fresh, path).map_err(|e| FileError::system("rename to", path, e))?;
    place::sync_folder(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use segcast_proto::ids::SetId;

    use super::*;
    use crate::file::JournalError;

    const SEGMENT: usize = 73_728;

    fn identity() -> Identity {
        Identity {
            set: SetId([1; 16]),
            root_digest: [2; 32],
            segments: 3,
            segment_bytes: SEGMENT as u32,
            length: 2 * SEGMENT as u64 + 5,
        }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("film");
        (folder, name)
    }

    #[test]
    fn a_lock_that_is_held_is_respected_and_one_that_cannot_be_had_is_gone_without() {
        let of_system = |errno: Errno| Err(TryLockError::Error(errno.into()));
        let judge = |locked| judge_lock(locked, Path::new("film.part"));
        judge(Ok(())).unwrap();
        assert!(matches!(judge(Err(TryLockError::WouldBlock)), Err(FileError::InUse { .. })));
        for without in [Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOLCK] {
            judge(of_system(without)).unwrap();
        }
        assert!(matches!(judge(of_system(Errno::IO)), Err(FileError::System { .. })));
    }

    #[test]
    fn a_finished_file_has_its_true_length_and_nothing_beside_it() {
        let (folder, name) = folder();
        let (mut part, map) = PartFile::open(&name, identity(), false).unwrap();
        assert_eq!(map.count(), 0);
        for segment in [2, 0, 1] {
            part.write(segment, &[segment as u8 + 1; SEGMENT]).unwrap();
        }
        part.finish().unwrap();
        let bytes = fs::read(&name).unwrap();
        assert_eq!(bytes.len() as u64, identity().length);
        assert_eq!((bytes[0], bytes[SEGMENT], bytes[2 * SEGMENT + 4]), (1, 2, 3));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_what_was_synced_is_claimed_after_a_kill() {
        let (_folder, name) = folder();
        let (mut part, _) = PartFile::open(&name, identity(), false).unwrap();
        part.write(1, &[9; SEGMENT]).unwrap();
        part.sync().unwrap();
        part.write(0, &[8; SEGMENT]).unwrap();
        drop(part);
        let (part, map) = PartFile::open(&name, identity(), false).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [1]);
        let mut plain = Vec::new();
        part.read(1, &mut plain).unwrap();
        assert_eq!(plain, [9; SEGMENT]);
        part.read(2, &mut plain).unwrap();
        assert_eq!(plain.len(), SEGMENT);
    }

    #[test]
    fn records_follow_a_resumed_journal() {
        let (_folder, name) = folder();
        for segment in [0, 1, 2] {
            let (mut part, map) = PartFile::open(&name, identity(), false).unwrap();
            assert_eq!(map.count(), segment);
            part.write(segment, &[0; SEGMENT]).unwrap();
            part.sync().unwrap();
        }
    }

    #[test]
    fn an_existing_file_is_replaced_only_when_asked() {
        let (_folder, name) = folder();
        fs::write(&name, "mine").unwrap();
        let refused = PartFile::open(&name, identity(), false).unwrap_err();
        assert!(matches!(refused, FileError::Exists { .. }));
        let (part, _) = PartFile::open(&name, identity(), true).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"mine");
        part.finish().unwrap();
        assert_eq!(fs::metadata(&name).unwrap().len(), identity().length);
    }

    #[test]
    fn the_mode_of_what_is_replaced_stays_from_the_first_byte_on() {
        let (_folder, name) = folder();
        fs::write(&name, "mine").unwrap();
        fs::set_permissions(&name, Permissions::from_mode(0o640)).unwrap();
        let (part, _) = PartFile::open(&name, identity(), true).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(part.part_path()), 0o640);
        part.finish().unwrap();
        assert_eq!(mode(&name), 0o640);
    }

    /// What others may have put where a fetch writes, and what must not happen to their targets.
    #[test]
    fn no_planted_link_is_written_through() {
        for suffix in [PART, JOURNAL, ".part.journal.new"] {
            for hard in [false, true] {
                let (folder, name) = folder();
                let victim = folder.path().join("victim");
                fs::write(&victim, "precious").unwrap();
                let planted = with_suffix(&name, suffix);
                if hard {
                    fs::hard_link(&victim, &planted).unwrap();
                } else {
                    std::os::unix::fs::symlink(&victim, &planted).unwrap();
                }
                match PartFile::open(&name, identity(), true) {
                    Ok(_) => assert_eq!(suffix, ".part.journal.new", "it is made anew"),
                    Err(error) => assert!(matches!(error, FileError::Irregular { .. }), "{error}"),
                }
                assert_eq!(fs::read(&victim).unwrap(), b"precious", "{suffix}, hard: {hard}");
            }
        }
    }

    #[test]
    fn no_planted_fifo_is_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        for suffix in [PART, JOURNAL] {
            let (_folder, name) = folder();
            let mode = Mode::from_raw_mode(0o600);
            mknodat(CWD, with_suffix(&name, suffix), FileType::Fifo, mode, 0).unwrap();
            let refused = PartFile::open(&name, identity(), true).unwrap_err();
            assert!(matches!(refused, FileError::Irregular { what: "a FIFO", .. }), "{refused}");
        }
    }

    #[test]
    fn a_name_taken_meanwhile_is_not_replaced() {
        let (_folder, name) = folder();
        let (part, _) = PartFile::open(&name, identity(), false).unwrap();
        fs::write(&name, "mine").unwrap();
        assert!(matches!(part.finish(), Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&name).unwrap(), b"mine");
    }

    #[test]
    fn two_fetches_never_share_a_part_file() {
        let (_folder, name) = folder();
        let _held = PartFile::open(&name, identity(), false).unwrap();
        let second = PartFile::open(&name, identity(), true);
        assert!(matches!(second, Err(FileError::InUse { .. })));
    }

    #[test]
    fn foreign_part_files_are_refused_and_kept_unless_forced() {
        let (_folder, name) = folder();
        drop(PartFile::open(&name, identity(), false).unwrap());
        let other = Identity { set: SetId([5; 16]), ..identity() };
        let refused = PartFile::open(&name, other, false).unwrap_err();
        let FileError::Journal { reason, .. } = refused else { panic!("{refused}") };
        assert!(matches!(reason, JournalError::OtherSet { .. }));
        assert!(PartFile::open(&name, identity(), false).is_ok());
        assert!(PartFile::open(&name, other, true).is_ok());
    }

    #[test]
    fn a_part_file_without_a_journal_is_someone_elses() {
        let (_folder, name) = folder();
        fs::write(with_suffix(&name, ".part"), "half a download of another program").unwrap();
        let refused = PartFile::open(&name, identity(), false).unwrap_err();
        assert!(matches!(refused, FileError::PartWithoutJournal { .. }));
    }

    #[test]
    fn a_journal_without_its_part_file_claims_nothing() {
        let (_folder, name) = folder();
        let (mut part, _) = PartFile::open(&name, identity(), false).unwrap();
        part.write(1, &[9; SEGMENT]).unwrap();
        part.sync().unwrap();
        drop(part);
        fs::remove_file(with_suffix(&name, ".part")).unwrap();
        assert_eq!(PartFile::open(&name, identity(), false).unwrap().1.count(), 0);
    }
}
