//! Fetching a whole title: manifest, segments, verification, decryption, output.
//!
//! The caller's thread drives the sessions; a second one verifies, decrypts and writes. An edge that
//! dies, lies or lags costs time, never a wrong byte: what is written was digested against the signed
//! manifest first.

mod catalog;
mod edges;
mod error;
mod hearing;
/// How fast an edge is.
pub mod meter;
mod patience;
mod pipeline;
/// A play-out model: somebody watches a title while it comes.
pub mod playout;
mod report;
/// What is asked of whom.
pub mod schedule;
mod segments;
mod silence;
mod times;
/// A title's manifest and key.
pub mod title;
/// Verifying, decrypting and writing on a thread of its own.
pub mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog::Wanted;
use edges::Edges;
pub use error::{FetchError, Reason};
pub use playout::{PlayConfig, PlayReport};
pub use report::{EdgeShare, Heard, Phase, Progress, Report};
use schedule::EDGES_MAX;
use segcast_proto::ids::{SetHandle, SetId};
use segcast_proto::rate::Rate;
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::time::{Duration, Instant};
use segments::Segments;
pub use times::{Quantiles, Times};
use title::Title;

use crate::access::{Access, EdgeAddress};
use crate::connection::{ConnectionConfig, Connections, now};
use crate::file::{Identity, PartFile, output};

/// Settings of a fetch.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Sessions.
    pub connection: ConnectionConfig,
    /// Segments in memory at once, bytes; two segments at least.
    pub window_bytes: u64,
    /// Gives up when less than 1 KiB a second has come for this long, of time in which the process ran.
    pub patience: Duration,
    /// Believes the journal of an earlier fetch without reading its segments back.
    pub trust_part: bool,
    /// SHA-256 of the manifest's page 0, where it is known: another manifest is not accepted, whoever signed it.
    pub root_digest: Option<[u8; 32]>,
    /// Replaces an existing output, and discards a part file that cannot be continued.
    pub replace: bool,
    /// How often progress is told; zero: at every turn.
    pub progress_every: Duration,
    /// Somebody watches the title while it comes: segments are asked for by when they play. None: as fast as they come.
    pub play: Option<PlayConfig>,
    /// What may come by groups, UDP payload. Who does not watch, or whose connection has no interface for groups, hears none.
    pub group_rate: Rate,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            connection: ConnectionConfig::default(),
            window_bytes: 64 << 20,
            patience: Duration::from_secs(30),
            trust_part: false,
            root_digest: None,
            replace: false,
            progress_every: Duration::from_millis(100),
            play: None,
            group_rate: Rate::ZERO,
        }
    }
}

/// One title on its way to a file.
pub struct Fetch {
    edges: Edges,
    access: Access,
    set: SetId,
    handle: SetHandle,
    output: PathBuf,
    config: FetchConfig,
    begun: Instant,
}

impl Fetch {
    /// Checks what can be checked without the network, and begins sessions with all `edges`, each given by the addresses of
    /// its name, the preferred one first. `set`: which title, where the grant names several.
    ///
    /// # Errors
    /// [`FetchError::Access`], [`FetchError::File`], [`FetchError::Edges`], [`FetchError::Connection`].
    pub fn start(
        edges: &[Vec<EdgeAddress>],
        access: Access,
        set: Option<SetId>,
        output: PathBuf,
        config: FetchConfig,
    ) -> Result<Self, FetchError> {
        let addresses = edges.concat();
        if !(1..=EDGES_MAX).contains(&addresses.len()) {
            return Err(FetchError::Edges(addresses.len()));
        }
        let (handle, title) = access.title(set)?;
        let set = title.set;
        let output = output::resolve(&output, config.replace)?;
        let begun = now();
        let connections = Connections::open(&addresses, access.clone(), config.connection.clone())?;
        let edges = Edges::new(connections, edges.iter().map(Vec::len), config.patience);
        Ok(Self { edges, access, set, handle, output, config, begun })
    }

    /// Where the bytes lie until the title is complete.
    #[must_use]
    pub fn part_path(&self) -> PathBuf {
        PartFile::path_of(&self.output)
    }

    /// Fetches until the file has its name. `progress` is called a few times a second; `stop`, once set,
    /// ends the fetch with what has come kept in the part file.
    ///
    /// # Errors
    /// [`FetchError`]. What was verified stays in the part file.
    pub fn run(
        mut self,
        progress: &mut dyn FnMut(&Progress),
        stop: &AtomicBool,
    ) -> Result<Report, FetchError> {
        let stopped = || stop.load(Ordering::Relaxed);
        let result = self.fetch(progress, &stopped);
        self.edges.connections().close();
        result
    }

    fn fetch(
        &mut self,
        progress: &mut dyn FnMut(&Progress),
        stop: &dyn Fn() -> bool,
    ) -> Result<Report, FetchError> {
        let phase = Phase::Connecting;
        progress(&Progress { phase, bytes: 0, come: 0, total: 0, edges_open: 0, rechecking: 0 });
        let (_, granted) = self.access.title(Some(self.set))?;
        let wanted = Wanted {
            set: self.set,
            handle: self.handle,
            key: granted.key.as_ref(),
            center_key: self.access.center_key(),
            root_digest: self.config.root_digest,
            window_bytes: self.config.window_bytes,
        };
        let found = catalog::fetch_manifest(&mut self.edges, &wanted, stop)?;
        let (manifest, root_digest) = found.ok_or(FetchError::Stopped { have: 0, segments: 0 })?;
        let title = Arc::new(Title::new(manifest, wanted.key)?);
        let geometry = *title.manifest().root().geometry();
        let identity = Identity {
            set: self.set,
            root_digest,
            segments: geometry.segments(),
            segment_bytes: geometry.segment_bytes(),
            length: geometry.true_length(),
        };
        let (part, claimed) = PartFile::open(&self.output, identity, self.config.replace)?;
        let mut segments = Segments::begin(self, &title, part, &claimed)?;
        segments.run(&mut self.edges, progress, stop)?;
        let part = segments.end()?;
        progress(&segments.progress(Phase::Finishing, &mut self.edges));
        part.finish()?;
        Ok(segments.report(&mut self.edges, &title, self.begun))
    }
}

/// Fetches the manifest of `set`, or of the only title of `access`, from one edge, checked with the center's key; for those
/// who want segments without a file. Gives also which of the edge's addresses answered.
///
/// # Errors
/// [`FetchError`].
pub fn manifest(
    edge: &[EdgeAddress],
    access: &Access,
    set: Option<SetId>,
    connection: ConnectionConfig,
    stop: &AtomicBool,
) -> Result<(Manifest, EdgeAddress), FetchError> {
    let config = FetchConfig::default();
    let (handle, title) = access.title(set)?;
    let connections = Connections::open(edge, access.clone(), connection)?;
    let mut edges = Edges::new(connections, [edge.len()], config.patience);
    let wanted = Wanted {
        set: title.set,
        handle,
        key: title.key.as_ref(),
        center_key: access.center_key(),
        root_digest: None,
        window_bytes: config.window_bytes,
    };
    let found = catalog::fetch_manifest(&mut edges, &wanted, &|| stop.load(Ordering::Relaxed));
    let answered = (0..edge.len()).find(|index| edges.is_open(*index)).unwrap_or(0);
    edges.connections().close();
    let (manifest, _) = found?.ok_or(FetchError::Stopped { have: 0, segments: 0 })?;
    Ok((manifest, edge[answered]))
}

#[cfg(test)]
mod tests;
