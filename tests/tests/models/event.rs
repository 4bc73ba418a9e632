//! eventfd(2), as far as it is used: a counter that a write raises and that a waiter waits for.

use loom::sync::{Condvar, Mutex};

/// The counter.
pub(crate) struct Event {
    count: Mutex<u64>,
    written: Condvar,
}

impl Event {
    pub(crate) fn new() -> Self {
        Self { count: Mutex::new(0), written: Condvar::new() }
    }

    /// write(2) of 1.
    pub(crate) fn write(&self) {
        *self.count.lock().expect("no panic") += 1;
        self.written.notify_all();
    }

    /// poll(2) without an end, and read(2) of all that was written.
    pub(crate) fn wait(&self) {
        let mut count = self.count.lock().expect("no panic");
        while *count == 0 {
            count = self.written.wait(count).expect("no panic");
        }
        *count = 0;
    }

    /// The same with `EFD_SEMAPHORE`: read(2) takes one.
    pub(crate) fn wait_for_one(&self) {
        let mut count = self.count.lock().expect("no panic");
        while *count == 0 {
            count = self.written.wait(count).expect("no panic");
        }
        *count -= 1;
    }

    /// read(2) of what there is, without waiting.
    pub(crate) fn drain(&self) {
        *self.count.lock().expect("no panic") = 0;
    }
}
