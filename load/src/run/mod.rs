//! Making the load: threads that drive sessions, and the one place where what they record comes together.

use crate::record::Interval;

/// Takes in what threads record, one second and one phase at a time, on the caller's thread and in no order between
/// threads. Showing, adding up and writing happen here, where they cost the threads nothing.
pub trait Observer {
    /// One thread's second. It is cleared and filled again after the call.
    fn interval(&mut self, interval: &Interval);
}

/// Several observers of one run.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn interval(&mut self, interval: &Interval) {
        self.0.interval(interval);
        self.1.interval(interval);
    }
}

impl<T: Observer + ?Sized> Observer for &mut T {
    fn interval(&mut self, interval: &Interval) {
        (**self).interval(interval);
    }
}
