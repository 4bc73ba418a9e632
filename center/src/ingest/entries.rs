//! Puts the entries of segments, which workers finish in any order, into the order of the manifest.

use std::collections::BTreeMap;

use segcast_proto::segment::digest::Entry;

/// Entries that wait for one before them.
#[derive(Default)]
pub(super) struct Entries {
    next: u32,
    waiting: BTreeMap<u32, Entry>,
}

impl Entries {
    /// Takes the entry of `segment`, and hands on all those whose turn has come.
    pub(super) fn add(&mut self, segment: u32, entry: Entry, mut push: impl FnMut(&Entry)) {
        self.waiting.insert(segment, entry);
        while let Some(entry) = self.waiting.remove(&self.next) {
            push(&entry);
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order() {
        let mut entries = Entries::default();
        let mut out = Vec::new();
        for segment in [2, 0, 1, 4, 5, 3_u8] {
            let entry = Entry::new(&[segment; 32], []);
            entries.add(segment.into(), entry, |entry| out.push(entry.digest()[0]));
        }
        assert_eq!(out, [0, 1, 2, 3, 4, 5]);
    }
}
