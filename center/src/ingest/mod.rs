//! Ingest: a title is cut, encrypted, digested, stored and signed (docs/protocol, sections 12 and 13).
//!
//! Every run draws a fresh title id, salt and title key, so no key ever encrypts two things: a run that was
//! interrupted is started again as another set, and the store takes back what the first one left. Order of
//! effects: segments, then the title key's file, then the store's commit with the manifest, which makes the set
//! visible. So a visible set always has its key.
//!
//! Where keys are kept is [`Keeper`](ingest::Keeper)'s affair: a directory ([`KeyDir`](keys::KeyDir)), or the database
//! of a center.

mod entries;
mod pipeline;
mod source;

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use segcast_proto::crypto::hash::sha256;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::{SegmentCipher, TitleKey};
use segcast_proto::segment::geometry::{
    DEFAULT_SEGMENT, Geometry, GeometryError, segment_bytes_for,
};
use segcast_proto::segment::manifest::root::NAME_MAX;
use segcast_proto::segment::manifest::{Description, ManifestBuilder, Protection};
use segcast_proto::time::Duration;
use segcast_store::{SetWriter, Store, StoreError};

use self::entries::Entries;
use self::pipeline::{Done, Plan};
pub use self::source::SourceError;
use self::source::{Input, Source};
use crate::keys::{KeyDir, KeyDirError, TitleRecord, random};

/// Threads of a run at most: beyond them, reading and writing one file is the limit.
pub const WORKERS_MAX: usize = 16;

/// How to pack a title.
#[derive(Clone, Debug, Default)]
pub struct PackOptions {
    /// The segment size, bytes; none: from the running time, or the default near 1 MiB.
    pub segment_bytes: Option<u32>,
    /// The running time, if it is known.
    pub running_time: Option<Duration>,
    /// The title's name, at most 255 bytes.
    pub name: String,
    /// Whether the segments stay plain: unicast only, and whoever holds the store can read them.
    pub clear: bool,
    /// The version of the title.
    pub version: u32,
    /// The set's id, version included, where it was taken before; none: a fresh title.
    pub set: Option<SetId>,
    /// Threads that encrypt and digest; none: one for each core, at most [`WORKERS_MAX`]. Memory is about
    /// 3 segments for each, and 2 more.
    pub workers: Option<NonZeroUsize>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Segments stored.
    pub stored: u32,
    /// Segments of the title.
    pub segments: u32,
}

/// What a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackReport {
    /// The set, now in the store.
    pub set: SetId,
    /// How the title was cut.
    pub geometry: Geometry,
    /// Pages of the manifest, with the root.
    pub manifest_pages: u32,
    /// SHA-256 of the manifest's page 0.
    pub page0_digest: [u8; 32],
    /// Where the title key lies; none for a clear set, or one whose key lies in no file.
    pub title_key: Option<PathBuf>,
}

/// Who signs manifests, and keeps what a set was packed with.
pub trait Keeper {
    /// The key that signs manifests.
    ///
    /// # Errors
    /// [`KeyDirError`].
    fn signer(&self) -> Result<Arc<SigningKey>, KeyDirError>;

    /// Keeps what `set` was packed with, before it is visible; where its title key then lies, if in a file.
    ///
    /// # Errors
    /// [`KeyDirError`].
    fn keep(&self, set: SetId, record: TitleRecord) -> Result<Option<PathBuf>, KeyDirError>;
}

impl Keeper for KeyDir {
    fn signer(&self) -> Result<Arc<SigningKey>, KeyDirError> {
        self.center().map(Arc::new)
    }

    fn keep(&self, set: SetId, record: TitleRecord) -> Result<Option<PathBuf>, KeyDirError> {
        self.record_title(set, &record)?;
        Ok(matches!(record, TitleRecord::Sealed(_)).then(|| self.title_path(set)))
    }
}

/// Why a title could not be packed. The store then is as it was before; only when its commit failed, the title
/// key's file is left, since the set may yet turn out to be there after a restart.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The input.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The segment size.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyDirError),
    /// The store: full, or refused by the system.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name.
    #[error("the title's name has {0} bytes of UTF-8: at most {NAME_MAX} are allowed")]
    Name(usize),
}

/// Packs the file at `input` into `store`.
///
/// # Errors
/// [`PackError`]; also when the file changes while it is read.
pub fn pack(
    input: &Path,
    options: &PackOptions,
    keys: &impl Keeper,
    store: &Store,
    progress: impl FnMut(Progress),
) -> Result<PackReport, PackError> {
    let file = Input::open(input)?;
    let unchanged = || file.check_unchanged();
    Run::new(file.length(), options, keys)?.go(file.source(), unchanged, keys, store, progress)
}

/// Packs `length` bytes of `reader` into `store`; `label` names it in errors.
///
/// # Errors
/// [`PackError`]; also when the reader has fewer bytes, or more.
pub fn pack_reader(
    reader: impl Read + Send,
    (label, length): (&Path, u64),
    options: &PackOptions,
    keys: &impl Keeper,
    store: &Store,
    progress: impl FnMut(Progress),
) -> Result<PackReport, PackError> {
    let source = Source::new(reader, label, length);
    Run::new(length, options, keys)?.go(source, || Ok(()), keys, store, progress)
}

/// One pack run, with everything that was drawn for it.
struct Run {
    description: Description,
    /// Title key and cipher; none for a clear set.
    sealed: Option<(TitleKey, SegmentCipher)>,
    center: Arc<SigningKey>,
    workers: usize,
}

impl Run {
    fn new(length: u64, options: &PackOptions, keys: &impl Keeper) -> Result<Self, PackError> {
        if options.name.len() > NAME_MAX {
            return Err(PackError::Name(options.name.len()));
        }
        let running_time = options.running_time.unwrap_or_default();
        let segment_bytes = options.segment_bytes.unwrap_or_else(|| {
            options.running_time.map_or(DEFAULT_SEGMENT, |time| segment_bytes_for(time, length))
        });
        // Parity and leaves serve multicast, which clear sets never have.
        let geometry = Geometry::new(length, segment_bytes, !options.clear)?;
        let set = match options.set {
            Some(set) => set,
            None => SetId::new(random()?, options.version),
        };
        let (protection, sealed) = if options.clear {
            (Protection::Clear, None)
        } else {
            let (key, salt) = (TitleKey::new(random()?), random()?);
            let cipher = SegmentCipher::new(&key, &salt, set);
            (Protection::Sealed { salt, commitment: cipher.commitment() }, Some((key, cipher)))
        };
        let name = options.name.clone();
        let description = Description { set, geometry, protection, running_time, name };
        let workers = options.workers.or_else(|| available_parallelism().ok());
        let workers = workers.map_or(1, NonZeroUsize::get).min(WORKERS_MAX);
        Ok(Self { description, sealed, center: keys.signer()?, workers })
    }

    fn go<R: Read + Send>(
        self,
        source: Source<R>,
        unchanged: impl Fn() -> Result<(), SourceError>,
        keys: &impl Keeper,
        store: &Store,
        progress: impl FnMut(Progress),
    ) -> Result<PackReport, PackError> {
        let Description { set, geometry, .. } = self.description;
        let mut writer = store.begin_set(set, geometry.segment_bytes(), geometry.segments())?;
        let mut builder = ManifestBuilder::new(self.description.clone())
            .map_err(|_| PackError::Name(self.description.name.len()))?;
        self.store_segments(source, &mut writer, &mut builder, progress)?;
        unchanged()?;
        let record = match self.sealed {
            Some((key, _)) => TitleRecord::Sealed(key),
            None => TitleRecord::Clear,
        };
        let title_key = keys.keep(set, record)?;
        let pages = builder.sign(&self.center);
        writer.commit(&pages)?;
        Ok(PackReport {
            set,
            geometry,
            manifest_pages: geometry.pages() + 1,
            page0_digest: sha256(&[pages.first().expect("a manifest has a page 0")]),
            title_key,
        })
    }

    fn store_segments<R: Read + Send>(
        &self,
        source: Source<R>,
        writer: &mut SetWriter,
        builder: &mut ManifestBuilder,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), PackError> {
        let Description { set, geometry, .. } = self.description;
        let cipher = self.sealed.as_ref().map(|(_, cipher)| cipher);
        let plan = Plan { set, geometry, cipher, workers: self.workers };
        let mut entries = Entries::default();
        let mut stored = 0;
        pipeline::run(source, &plan, |done: Done| {
            writer.write_segment(done.segment, &done.stored)?;
            if geometry.has_parity() {
                writer.write_leaves(done.segment, done.leaves.as_bytes())?;
            }
            entries.add(done.segment, done.entry, |entry| builder.push(entry));
            stored += 1;
            progress(Progress { stored, segments: geometry.segments() });
            Ok(done.stored)
        })
    }
}

#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod tests;
