//! What groups must know of a set: read from its manifest once, not at each request.

use segcast_proto::coalesce::SetFacts;
use segcast_proto::segment::geometry::{Geometry, LEAF};
use segcast_proto::segment::manifest::{Protection, Root};
use segcast_store::{Catalogue, SetInfo};

/// The facts of the set with index `index`, if groups could serve it: it is sealed and has parity. Whether its leaves are
/// there is asked apart from it.
pub(super) fn facts(catalogue: &Catalogue, index: u32) -> Option<SetFacts> {
    let info = catalogue.set(index)?;
    let root = Root::decode_unverified(catalogue.page(index, 0)?).ok()?;
    let description = root.description();
    let geometry = &description.geometry;
    let is_sealed = matches!(description.protection, Protection::Sealed { .. });
    let is_its = geometry.segments() == info.segments
        && geometry.segment_bytes() == info.segment_bytes
        && root.set() == info.set;
    if !is_sealed || !geometry.has_parity() || !is_its {
        return None;
    }
    let playing = description.running_time.checked_div(info.segments)?;
    Some(SetFacts {
        segments: info.segments,
        segment_bytes: info.segment_bytes,
        symbols: u16::try_from(geometry.source_symbols()).ok()?,
        parity: u16::try_from(geometry.parity_symbols()).ok()?,
        playing: Some(playing).filter(|time| !time.is_zero()),
    })
}

/// Whether the leaves of a set are there: as many as its segments have symbols.
pub(super) fn has_leaves(info: &SetInfo) -> bool {
    let geometry = Geometry::new(0, info.segment_bytes, true);
    geometry.is_ok_and(|geometry| {
        let symbols = geometry.source_symbols() + geometry.parity_symbols();
        info.leaves_bytes as usize == symbols as usize * LEAF
    })
}
