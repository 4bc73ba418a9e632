//! What all viewers of a thread share and never change, but for the count of segments that were checked and their memory.

use std::cell::Cell;

use segcast_client::connection::{ConnectionConfig, ConnectionError, begin};
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::session::client::ClientSession;
use segcast_proto::time::Instant;

use super::buffers::Buffers;
use super::segment::Segment;
use super::{RunConfig, Subject};
use crate::plan::{Pace, Plan};
use crate::record::Class;

/// Which segment a viewer wants next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The index of its title.
    pub(super) title: u16,
    pub(super) number: u32,
    /// Which of the viewing, from 0.
    pub(super) k: u32,
    pub(super) class: Class,
}

/// Plan, edge, keys and settings of a run.
pub(super) struct Setting<'a> {
    pub(super) plan: &'a Plan,
    pub(super) subject: &'a Subject<'a>,
    pub(super) config: &'a RunConfig,
    pub(super) connection: ConnectionConfig,
    /// When the run begins.
    pub(super) begin: Instant,
    /// Memory of segments that came.
    pub(super) buffers: Buffers,
    came: Cell<u32>,
}

impl<'a> Setting<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        subject: &'a Subject<'a>,
        config: &'a RunConfig,
        begin: Instant,
    ) -> Self {
        let connection = config.connection();
        let (buffers, came) = (Buffers::default(), Cell::new(0));
        Self { plan, subject, config, connection, begin, buffers, came }
    }

    /// Whether viewers ask by the clock, and not as fast as they are served.
    pub(super) fn is_paced(&self) -> bool {
        self.plan.workload.pace != Pace::Full
    }

    /// The manifest of a title.
    pub(super) fn manifest(&self, title: u16) -> &'a Manifest {
        &self.subject.manifests[usize::from(title)]
    }

    /// The phase in which `at` lies.
    pub(super) fn phase_at(&self, at: Instant) -> usize {
        self.plan.phase_at(at.saturating_since(self.begin))
    }

    /// A segment whose time is `intended`, which somebody who watches needs by `deadline`: it is waited for longer.
    pub(super) fn watched(&self, wanted: Wanted, intended: Instant, deadline: Instant) -> Segment {
        let give_up = deadline.max(intended) + self.plan.workload.timeout;
        Segment { deadline, ask_by: give_up, give_up, ..self.segment(wanted, intended) }
    }

    /// A segment whose time is `intended`.
    pub(super) fn segment(&self, wanted: Wanted, intended: Instant) -> Segment {
        let Wanted { title, number, k, class } = wanted;
        let index = usize::from(title);
        let known = &self.plan.titles[index];
        Segment {
            handle: known.handle,
            title,
            number,
            k,
            bytes: known.segment_bytes,
            class,
            phase: self.phase_at(intended),
            intended,
            deadline: intended + self.plan.deadline(index),
            ask_by: intended + self.plan.deadline(index),
            give_up: intended + self.plan.workload.timeout,
            asked: None,
            blocked: false,
        }
    }

    /// A new session of the viewer on `seat`.
    pub(super) fn session(&self, seat: u32, index: u32) -> Result<ClientSession, ConnectionError> {
        let access = &self.subject.access[seat as usize % self.subject.access.len()];
        begin(&self.subject.edge, index, access, &self.connection, None)
    }

    /// Whether a segment is what the manifest says, as far as it is looked at.
    pub(super) fn is_right(&self, segment: &Segment, bytes: &[u8]) -> bool {
        let came = self.came.get();
        self.came.set((came + 1) % self.plan.workload.verify_one_in);
        let manifest = self.manifest(segment.title);
        came != 0 || manifest.verify_segment(segment.number, bytes).is_ok()
    }
}
