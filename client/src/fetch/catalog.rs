//! The first part of a fetch: the manifest. Nothing that follows is believed unless this vouches for it.

use segcast_proto::crypto::hash::sha256;
use segcast_proto::ids::{SetHandle, SetId};
use segcast_proto::limits::{MANIFEST_PAGE_MAX, MANIFEST_ROOT_MAX};
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::segment::manifest::{Manifest, Root};
use segcast_proto::time::Duration;

use super::edges::Edges;
use super::error::FetchError;
use super::pipeline::{Numbering, Pipeline};
use super::schedule::Schedule;
use super::title;
use crate::connection::Connections;

/// Longest wait in one turn: the stop flag is looked at this often.
pub(super) const TURN: Duration = Duration::from_millis(50);

/// Whose manifest, and what it must fit.
pub(super) struct Wanted<'a> {
    pub(super) set: SetId,
    pub(super) handle: SetHandle,
    pub(super) key: Option<&'a TitleKey>,
    pub(super) center_key: &'a [u8; 32],
    pub(super) root_digest: Option<[u8; 32]>,
    pub(super) window_bytes: u64,
}

/// Fetches and checks all pages. Also returns the SHA-256 of the root, which names this very manifest.
/// None: `stop` said so.
pub(super) fn fetch_manifest(
    edges: &mut Edges,
    wanted: &Wanted<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<(Manifest, [u8; 32])>, FetchError> {
    let Some((root, digest)) = fetch_root(edges, wanted, stop)? else { return Ok(None) };
    let mut manifest = Manifest::new(root);
    // Before more is fetched: is the key the right one?
    title::cipher(&manifest, wanted.key)?;
    let pages = manifest.root().geometry().pages();
    let numbering = Numbering::Pages { first: 1 };
    let accept = |number: u32, bytes: &[u8]| {
        let page = u16::try_from(number + 1).unwrap_or(u16::MAX);
        manifest.insert(page, bytes).map_err(|error| error.to_string())
    };
    let schedule = schedule(edges, pages, MANIFEST_PAGE_MAX, wanted);
    let mut pipeline = Pipeline::new(schedule, numbering, wanted.handle, edges);
    let done = collect(edges, &mut pipeline, accept, stop)?;
    Ok(done.then_some((manifest, digest)))
}

fn fetch_root(
    edges: &mut Edges,
    wanted: &Wanted<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<(Root, [u8; 32])>, FetchError> {
    let mut found = None;
    let mut reason = String::new();
    let schedule = schedule(edges, 1, MANIFEST_ROOT_MAX, wanted);
    let mut pipeline = Pipeline::new(schedule, Numbering::Pages { first: 0 }, wanted.handle, edges);
    let accept = |_, bytes: &[u8]| {
        let digest = sha256(&[bytes]);
        let root = Root::decode_and_verify(bytes, &[*wanted.center_key])
            .map_err(|error| error.to_string())
            .and_then(|root| {
                let set = root.set();
                let fits = set == wanted.set;
                fits.then_some(root).ok_or(format!("it is the manifest of set {set}"))
            })
            .and_then(|root| {
                let fits = wanted.root_digest.is_none_or(|wanted| wanted == digest);
                fits.then_some(root).ok_or("it is another than was told before".to_owned())
            });
        root.map(|root| found = Some((root, digest))).inspect_err(|e| reason.clone_from(e))
    };
    let done = collect(edges, &mut pipeline, accept, stop);
    match done {
        Err(FetchError::NoEdgeLeft { .. }) if !reason.is_empty() => {
            Err(FetchError::Manifest { set: wanted.set, reason })
        }
        other => Ok(other?.then_some(found).flatten()),
    }
}

fn schedule(edges: &Edges, numbers: u32, bytes: usize, wanted: &Wanted<'_>) -> Schedule {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Schedule::new(numbers, bytes, &edges.firsts(), wanted.window_bytes)
}

/// Runs `pipeline` until everything in it is accepted; false when stopped.
fn collect(
    edges: &mut Edges,
    pipeline: &mut Pipeline,
    mut accept: impl FnMut(u32, &[u8]) -> Result<(), String>,
    stop: &dyn Fn() -> bool,
) -> Result<bool, FetchError> {
    let mut events = Vec::new();
    while !pipeline.schedule.is_complete() {
        if stop() {
            return Ok(false);
        }
        pipeline.pump(edges);
        edges.turn(TURN, &mut events)?;
        for (index, event) in events.drain(..) {
            let Some(arrived) = pipeline.on_event(edges, index, event)? else { continue };
            match accept(arrived.number, &arrived.fetched.bytes) {
                Ok(()) => pipeline.schedule.verified(arrived.number),
                Err(reason) => {
                    let edge = address(edges.connections(), arrived.edge);
                    tracing::warn!(%edge, page = arrived.number, %reason, "manifest not accepted");
                    pipeline.on_wrong(edges, arrived.number)?;
                }
            }
        }
    }
    Ok(true)
}

fn address(connections: &Connections, index: usize) -> std::net::SocketAddr {
    connections.edge(index).address
}
