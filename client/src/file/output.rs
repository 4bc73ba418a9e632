//! Where a title may be put: looked at before anything is fetched, and again before it gets its name.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::open::{irregular, is_irregular};
use super::{FileError, JOURNAL, NEW};

/// The longest file name, bytes (`NAME_MAX`, limits.h(0p) and `linux/limits.h`).
const NAME_MAX: usize = 255;

/// The file that `name` stands for: itself, or what a link of this name leads to.
///
/// # Errors
/// [`FileError::Exists`] unless `replace`; [`FileError::Irregular`] when something is there that is no regular file, and
/// [`FileError::NameTooLong`].
pub fn resolve(name: &Path, replace: bool) -> Result<PathBuf, FileError> {
    let output = match fs::canonicalize(name) {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if name.symlink_metadata().is_ok() {
                return Err(irregular(name, "a symbolic link that leads nowhere"));
            }
            name.to_owned()
        }
        Err(error) => {
            check_length(name)?;
            return Err(FileError::system("look at", name, error));
        }
    };
    check_length(&output)?;
    let there = existing(&output)?;
    if there.is_some() && !replace {
        return Err(FileError::Exists { path: name.to_owned() });
    }
    Ok(output)
}

/// The regular file that is there already, if there is one.
pub(super) fn existing(output: &Path) -> Result<Option<Metadata>, FileError> {
    match output.symlink_metadata() {
        Ok(metadata) => match is_irregular(&metadata) {
            Some(what) => Err(irregular(output, what)),
            None => Ok(Some(metadata)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::system("look at", output, error)),
    }
}

fn check_length(output: &Path) -> Result<(), FileError> {
    let most = NAME_MAX - JOURNAL.len() - NEW.len();
    let length = output.file_name().map(OsStr::as_bytes).map_or(0, <[u8]>::len);
    if length > most {
        return Err(FileError::NameTooLong { path: output.to_owned(), length, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    #[test]
    fn links_are_followed_to_the_file_that_is_replaced() {
        let (_folder, path) = folder();
        fs::write(path.join("target"), "old").unwrap();
        symlink("target", path.join("link")).unwrap();
        let found = resolve(&path.join("link"), true).unwrap();
        assert_eq!(found, path.join("target"));
        assert!(matches!(resolve(&path.join("link"), false), Err(FileError::Exists { .. })));
    }

    #[test]
    fn what_is_no_regular_file_is_not_replaced_nor_proposed_to_be() {
        let (_folder, path) = folder();
        mknodat(CWD, path.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        symlink("nowhere", path.join("dangling")).unwrap();
        symlink("fifo", path.join("to-fifo")).unwrap();
        let all = ["fifo", "dangling", "to-fifo"].map(|name| path.join(name));
        for name in all.iter().map(PathBuf::as_path).chain([&*path, Path::new("/dev/null")]) {
            for replace in [false, true] {
                let refused = resolve(name, replace).unwrap_err();
                assert!(matches!(refused, FileError::Irregular { .. }), "{refused}");
            }
        }
    }

    #[test]
    fn a_name_that_leaves_no_room_for_the_journals_is_told_at_once() {
        let (_folder, path) = folder();
        assert!(resolve(&path.join("f".repeat(238)), false).is_ok());
        for long in [239, 300] {
            let refused = resolve(&path.join("f".repeat(long)), false).unwrap_err();
            let FileError::NameTooLong { length, most, .. } = refused else { panic!("{refused}") };
            assert_eq!((length, most), (long, 238));
        }
    }
}
