//! The folder of a center: small files, each written whole or not at all.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use segcast_proto::trust::CenterId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::RightsError;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The longest file, bytes.
const FILE_MAX: u64 = 64 << 10;
/// Names which center is asked.
const CURRENT: &str = "current";
/// Locked by who reads and then writes.
const LOCK: &str = "lock";

/// The folder of one center, locked while this lives.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    _lock: File,
}

fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> RightsError + use<> {
    let path = path.to_owned();
    move |source| RightsError::File { path, action, source }
}

/// Where all centers' folders are.
fn home() -> Result<PathBuf, RightsError> {
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    Ok(data.ok_or(RightsError::NoHome)?.join("segcast"))
}

fn make_folder(path: &Path) -> Result<(), RightsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(io(path, "make it"))?;
    check_mode(path, &fs::metadata(path).map_err(io(path, "read its mode"))?, FOLDER_MODE)
}

/// Refuses what others than its owner can read or write.
fn check_mode(path: &Path, metadata: &fs::Metadata, right: u32) -> Result<(), RightsError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(RightsError::Mode { path: path.to_owned(), mode, right })
}

impl Store {
    /// The folder of the center that was logged in to last. Waits while another command has it.
    pub(crate) fn current() -> Result<Self, RightsError> {
        let home = home()?;
        let Some(name) = read(&home.join(CURRENT))? else { return Err(RightsError::NoLogin) };
        let name = name.trim();
        let is_id = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            let reason = "it names no center".to_owned();
            return Err(RightsError::Content { path: home.join(CURRENT), reason });
        }
        Self::open(home.join(name))
    }

    /// The folder of `center`, which is the current one from now on.
    pub(crate) fn create(center: CenterId) -> Result<Self, RightsError> {
        let home = home()?;
        make_folder(&home)?;
        let folder = home.join(center.to_string());
        for name in ["", "tickets", "plays", "tokens", "pending"] {
            make_folder(&folder.join(name))?;
        }
        let store = Self::open(folder)?;
        write(&home.join(CURRENT), format!("{center}\n").as_bytes())?;
        Ok(store)
    }

    fn open(folder: PathBuf) -> Result<Self, RightsError> {
        check_mode(&folder, &fs::metadata(&folder).map_err(io(&folder, "open it"))?, FOLDER_MODE)?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(&path);
        let lock = lock.map_err(io(&path, "open it"))?;
        lock.lock().map_err(io(&path, "lock it"))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What was written under `name`, a path of our own making; none: nothing.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, RightsError> {
        let path = self.path(name);
        let Some(text) = read(&path)? else { return Ok(None) };
        let value = serde_json::from_str(&text);
        value.map(Some).map_err(|error| RightsError::Content { path, reason: error.to_string() })
    }

    /// Writes `value` under `name`, durably: after a crash there is what was there before, or all of this.
    pub(crate) fn put(&self, name: &str, value: &impl Serialize) -> Result<(), RightsError> {
        let text = Zeroizing::new(serde_json::to_string(value).expect("our own types become JSON"));
        write(&self.path(name), text.as_bytes())
    }

    /// Removes what is under `name`, if anything is.
    pub(crate) fn remove(&self, name: &str) -> Result<(), RightsError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io(&path, "remove it")(error))
            }
            _ => sync(&path),
        }
    }

    /// All of a folder, with their names.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        folder: &str,
    ) -> Result<Vec<(String, T)>, RightsError> {
        let path = self.path(folder);
        let entries = fs::read_dir(&path).map_err(io(&path, "read it"))?;
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(io(&path, "read it"))?.file_name();
            // What was being written when the machine stopped begins with a dot.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let name = format!("{folder}/{name}");
            if let Some(value) = self.get(&name)? {
                found.push((name, value));
            }
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, RightsError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io(path, "open it"))?,
    };
    check_mode(path, &file.metadata().map_err(io(path, "read its mode"))?, FILE_MODE)?;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_MAX).read_to_string(&mut text).map_err(io(path, "read it"))?;
    Ok(Some(text))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RightsError> {
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(folder)
        .map_err(io(path, "make it"))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io(path, "write it"))?;
    file.persist(path).map_err(|error| io(path, "name it")(error.error))?;
    sync(path)
}

/// Makes a name durable, or its end.
fn sync(path: &Path) -> Result<(), RightsError> {
    let folder = path.parent().unwrap_or(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(io(folder, "make its entries durable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> Store {
        make_folder(&folder.join("center/tickets")).unwrap();
        fs::set_permissions(folder.join("center"), Permissions::from_mode(0o700)).unwrap();
        Store::open(folder.join("center")).unwrap()
    }

    #[test]
    fn what_is_put_is_got_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        assert_eq!(store.get::<String>("tickets/b").unwrap(), None);
        for name in ["tickets/b", "tickets/a"] {
            store.put(name, &"old".to_owned()).unwrap();
            store.put(name, &name.to_owned()).unwrap();
        }
        fs::write(store.path("tickets/.new-x"), "half").unwrap();
        let listed: Vec<(String, String)> = store.list("tickets").unwrap();
        assert_eq!(listed, ["tickets/a", "tickets/b"].map(|name| (name.into(), name.into())));
        store.remove("tickets/a").unwrap();
        store.remove("tickets/a").unwrap();
        assert_eq!(store.list::<String>("tickets").unwrap().len(), 1);
        let mode = fs::metadata(store.path("tickets/b")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_others_can_read_is_refused_and_what_is_odd_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.put("session", &"secret".to_owned()).unwrap();
        fs::set_permissions(store.path("session"), Permissions::from_mode(0o640)).unwrap();
        let error = store.get::<String>("session").unwrap_err();
        assert!(error.to_string().contains("mode 0640"), "{error}");
        assert!(!error.to_string().contains("secret"));
        store.put("center", &7).unwrap();
        let error = store.get::<String>("center").unwrap_err().to_string();
        assert!(error.contains("/center/center: is not what segcast writes"), "{error}");
    }
}
