//! Parity of segments that groups are to be sent: computed here, as it takes a shard too long (some 0.5 ms a MiB).

use std::sync::Arc;

use segcast_proto::ids::ObjectNumber;
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::parity::ParityEncoder;
use segcast_store::{Catalogue, Stored};

/// One thread's encoder, which keeps its working space for segments of the same size.
#[derive(Default)]
pub(super) struct Parity {
    encoder: Option<(usize, ParityEncoder)>,
    symbols: Vec<u8>,
}

impl Parity {
    /// The parity symbols of a segment that is in memory, one after another.
    pub(super) fn of(
        &mut self,
        catalogue: &Catalogue,
        index: u32,
        segment: ObjectNumber,
    ) -> Option<Arc<[u8]>> {
        let Stored::Mapped(bytes) = catalogue.object(index, segment) else { return None };
        if self.encoder.as_ref().is_none_or(|(len, _)| *len != bytes.len()) {
            let geometry = Geometry::new(0, u32::try_from(bytes.len()).ok()?, true).ok()?;
            self.encoder = Some((bytes.len(), ParityEncoder::new(&geometry)));
        }
        let (_, encoder) = self.encoder.as_mut()?;
        encoder.encode(bytes, &mut self.symbols);
        Some(self.symbols.as_slice().into())
    }
}
