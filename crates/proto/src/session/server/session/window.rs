//! Which requests a session has seen: the window of request ids.

use crate::ids::RequestId;

/// Which request ids were received and which are finished: STATUS (section 7.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestWindow {
    /// Highest id received.
    pub(super) highest: RequestId,
    /// Bit i: id `highest − i` was received.
    pub(super) received: u64,
    /// Bit i: id `highest − i` is finished.
    pub(super) finished: u64,
}

/// Whether a REQUEST is work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    Repeated,
    /// Below the window: long finished.
    Old,
}

impl RequestWindow {
    /// Takes in a request id.
    pub(super) fn receive(&mut self, id: RequestId) -> Arrival {
        if id > self.highest {
            let shift = |map| self.highest.shift_to(id, map);
            (self.received, self.finished) = (shift(self.received) | 1, shift(self.finished));
            self.highest = id;
            return Arrival::New;
        }
        match self.highest.bit_of(id) {
            None => Arrival::Old,
            Some(bit) if self.received & bit != 0 => Arrival::Repeated,
            Some(bit) => {
                self.received |= bit;
                Arrival::New
            }
        }
    }

    /// Whether a request with this id would push one out of the window that is not finished.
    pub(super) fn would_lose(&self, id: RequestId) -> bool {
        let unfinished = self.received & !self.finished;
        // Of `u64::BITS` ids that are looked at, so many stay.
        let kept = u64::BITS.saturating_sub(id.0.saturating_sub(self.highest.0));
        unfinished.checked_shr(kept).unwrap_or(0) != 0
    }

    /// Marks a request finished.
    pub(super) fn finish(&mut self, id: RequestId) {
        if let Some(bit) = self.highest.bit_of(id) {
            self.finished |= bit;
        }
    }

    /// Marks a request received and finished, whether it came or not.
    pub(super) fn cancel(&mut self, id: RequestId) {
        if id != RequestId::NONE {
            self.receive(id);
            self.finish(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_tells_new_repeated_and_old_ids_apart() {
        let mut window = RequestWindow::default();
        assert_eq!(window.receive(RequestId(3)), Arrival::New);
        assert_eq!(window.receive(RequestId(1)), Arrival::New);
        assert_eq!(window.receive(RequestId(3)), Arrival::Repeated);
        window.finish(RequestId(1));
        assert_eq!((window.received, window.finished), (0b101, 0b100));
        assert_eq!(window.receive(RequestId(70)), Arrival::New);
        assert_eq!(window.receive(RequestId(3)), Arrival::Old);
        assert_eq!(window.receive(RequestId(u32::MAX)), Arrival::New);
        assert_eq!(window.received, 1);
    }

    #[test]
    fn a_request_that_its_cancel_overtook_is_not_new() {
        let mut window = RequestWindow::default();
        window.cancel(RequestId(0));
        assert_eq!(window.highest, RequestId::NONE);
        window.cancel(RequestId(2));
        assert_eq!((window.highest, window.received, window.finished), (RequestId(2), 0b1, 0b1));
        assert_eq!(window.receive(RequestId(2)), Arrival::Repeated);
        assert_eq!(window.receive(RequestId(1)), Arrival::New);
    }

    #[test]
    fn an_id_that_would_push_out_an_unfinished_one_is_known() {
        let mut window = RequestWindow::default();
        assert!(!window.would_lose(RequestId(u32::MAX)), "nothing to lose");
        window.receive(RequestId(3));
        window.receive(RequestId(5));
        let lose =
            |window: &RequestWindow, ids: [u32; 4]| ids.map(|id| window.would_lose(RequestId(id)));
        assert_eq!(lose(&window, [1, 5, 66, 67]), [false, false, false, true]);
        assert_eq!(lose(&window, [69, 70, 1000, u32::MAX]), [true; 4]);
        window.finish(RequestId(3));
        assert_eq!(lose(&window, [66, 67, 68, 69]), [false, false, false, true]);
        window.finish(RequestId(5));
        assert!(!window.would_lose(RequestId(u32::MAX)));
    }
}
