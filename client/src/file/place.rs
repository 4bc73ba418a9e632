//! Gives a finished file its name, without replacing another one unless that was asked for.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};

use super::FileError;

/// Renames `part` to `name` and makes the change lasting.
pub(super) fn rename(part: &Path, name: &Path, replace: bool) -> Result<(), FileError> {
    if replace {
        fs::rename(part, name).map_err(|e| FileError::system("rename to", name, e))?;
    } else {
        rename_new(part, name)?;
    }
    sync_folder(name)
}

fn rename_new(part: &Path, name: &Path) -> Result<(), FileError> {
    use rustix::io::Errno;
    match rustix::fs::renameat_with(CWD, part, CWD, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(FileError::Exists { path: name.to_owned() }),
        // The file system cannot do it in one step (FUSE, NFS): look, then rename.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if name.symlink_metadata().is_ok() {
                return Err(FileError::Exists { path: name.to_owned() });
            }
            fs::rename(part, name).map_err(|e| FileError::system("rename to", name, e))
        }
        Err(errno) => Err(FileError::system("rename to", name, errno.into())),
    }
}

/// Makes changes of names in the folder of `path` lasting.
pub(super) fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| FileError::system("sync", folder, e))
}
