//! The objects that every server serves: files of one size in one folder, made from a seed, on disk and in the page cache.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use segcast_sysio::mapped::MappedFile;

/// Bytes of an object: Segcast's default segment, the multiple of 73 728 bytes next to 1 MiB.
pub(super) const OBJECT_BYTES: usize = 14 * 73_728;
/// How many there are: 268 MiB, more than caches hold.
pub(super) const OBJECTS: u32 = 272;
/// What their bytes come from.
const SEED: u64 = 0x7ee5;

/// Name of object `number` in its folder, which is also its path on an HTTP server.
#[must_use]
pub(super) fn name(number: u32) -> String {
    format!("{number:04}")
}

/// Makes all objects in `folder`, and at `title` the file that they make up one after another. All of it is on disk
/// when this returns, so that nothing is written back while others measure.
///
/// # Errors
/// When they cannot be written.
pub(super) fn make(folder: &Path, title: &Path) -> anyhow::Result<()> {
    let failed = |path: &Path| format!("could not write {}", path.display());
    std::fs::create_dir(folder).with_context(|| failed(folder))?;
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut whole = File::create_new(title).with_context(|| failed(title))?;
    let mut object = vec![0; OBJECT_BYTES];
    for number in 0..OBJECTS {
        random.fill_bytes(&mut object);
        let path = folder.join(name(number));
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(&object)?;
            file.sync_all()
        };
        write().with_context(|| failed(&path))?;
        whole.write_all(&object).with_context(|| failed(title))?;
    }
    Ok(())
}

/// All objects, mapped and in memory: what a server sends from and what a client compares with.
#[derive(Clone, Debug)]
pub(super) struct Objects(Vec<Bytes>);

struct Mapping(MappedFile);

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes(0..self.0.len())
    }
}

impl Objects {
    /// Maps the objects of `folder` and reads them in.
    ///
    /// # Errors
    /// When one is missing, cannot be read or has another length.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let open = |path: PathBuf| {
            let map = MappedFile::open(&path, OBJECT_BYTES as u64)?;
            map.populate(0..OBJECT_BYTES)?;
            Ok(Bytes::from_owner(Mapping(map)))
        };
        (0..OBJECTS)
            .map(|number| open(folder.join(name(number))))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The bytes of object `number`; `None` beyond the last.
    #[must_use]
    pub(super) fn bytes(&self, number: u32) -> Option<&[u8]> {
        self.0.get(usize::try_from(number).ok()?).map(AsRef::as_ref)
    }

    /// Object `number` to keep, without a copy; `None` beyond the last.
    #[must_use]
    pub(super) fn get(&self, number: u32) -> Option<Bytes> {
        self.0.get(usize::try_from(number).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_all_objects_in_order_and_they_differ() {
        let folder = tempfile::tempdir().unwrap();
        let (objects, title) = (folder.path().join("objects"), folder.path().join("title"));
        make(&objects, &title).unwrap();
        let whole = std::fs::read(&title).unwrap();
        let objects = Objects::open(&objects).unwrap();
        for (number, piece) in (0..).zip(whole.chunks(OBJECT_BYTES)) {
            assert_eq!(objects.get(number).unwrap(), piece);
        }
        assert_ne!(objects.get(0), objects.get(1));
        assert_eq!(objects.get(OBJECTS), None);
    }
}
