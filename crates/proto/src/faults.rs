//! Faults that can be planted to see whether the simulator finds them. Without the feature `planted-faults`
//! `planted` is a constant `false`, and nothing of them is left in the program.
//!
//! With the feature, a fault is chosen for the calling thread by `plant`, and every sealed packet's key and nonce are
//! remembered for that thread, so that a nonce that is used twice is noticed at once (`nonce_reused`).

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Fault {
    /// The replay window takes every packet for a new one.
    ReplayWindowOff,
    /// Both ends draw the same handshake randomness again after a restart: keys repeat, numbers begin at 0.
    RandomnessRepeats,
    /// Now and then a sequence number is used twice.
    SequenceStalls,
    /// The client forgets to ask again for what was lost.
    RepairForgotten,
    /// A lost REQUEST is never repeated.
    RequestNotRepeated,
    /// The receiver does not follow the sender into the next epoch.
    NextEpochRefused,
    /// The sender writes the wrong epoch into the header after the first change of keys.
    EpochByteWrong,
    /// Reports of skipped numbers are believed.
    SkipsNotChecked,
    /// A new address is believed without proof.
    AddressNotProven,
    /// The last byte of a range is not sent.
    RangeCutShort,
    /// The client puts what is not at the beginning of an object a byte too early.
    OffsetWrong,
    /// STATUS describes each request as its neighbour.
    StatusShifted,
    /// The client's reports close gaps of one packet.
    ReportGapsClosed,
    /// Requests that wait for an object are not told when it is there.
    WaitersForgotten,
    /// No cookie is ever valid.
    CookieRefused,
    /// A request for what does not exist is dropped without a REFUSE.
    RefusalDropped,
    /// A request that is held for a group forgets its timer.
    HoldForgotten,
    /// A segment is said to begin, and nothing of it is sent to the group.
    BegunNotSent,
    /// A symbol of a group is stored that is not what its leaf says.
    SymbolUnverified,
    /// A probe that says that a segment was sent keeps it from being asked for.
    ProbeCancels,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
    /// Those that only members of a group can notice.
    pub const OF_GROUPS: &'static [Self] =
        &[Self::BegunNotSent, Self::SymbolUnverified, Self::ProbeCancels];
}

#[cfg(not(feature = "planted-faults"))]
mod switch {
    use super::Fault;

    /// Whether `fault` is planted: never.
    #[inline]
    pub(crate) const fn planted(_fault: Fault) -> bool {
        false
    }

    /// Nothing is watched.
    #[inline]
    pub(crate) const fn observe(_key: &[u8; 32], _nonce: &[u8; 12]) {}
}

#[cfg(feature = "planted-faults")]
mod switch {
    use core::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    use super::Fault;

    std::thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
        static NONCES: RefCell<BTreeSet<([u8; 32], [u8; 12])>> = const { RefCell::new(BTreeSet::new()) };
        static REUSED: Cell<bool> = const { Cell::new(false) };
    }

    /// Plants `fault` for this thread from now on, or none, and forgets all nonces.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
        NONCES.with_borrow_mut(BTreeSet::clear);
        REUSED.set(false);
    }

    /// Whether this thread has sealed two packets with one key and one nonce since [`plant`].
    #[must_use]
    pub fn nonce_reused() -> bool {
        REUSED.get()
    }

    /// Whether `fault` is planted.
    pub(crate) fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// A packet is sealed with this key and nonce.
    pub(crate) fn observe(key: &[u8; 32], nonce: &[u8; 12]) {
        let fresh = NONCES.with_borrow_mut(|nonces| nonces.insert((*key, *nonce)));
        REUSED.set(REUSED.get() || !fresh);
    }
}

#[cfg(feature = "planted-faults")]
pub use switch::{nonce_reused, plant};
pub(crate) use switch::{observe, planted};
