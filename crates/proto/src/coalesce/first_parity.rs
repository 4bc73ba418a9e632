//! How many parity symbols follow a segment at once, learned from what members lacked after the last ones.

use super::note::SetFacts;

/// Lacks of one send of which the median is taken.
const LACKS_MAX: usize = 64;
/// More than one of so many members asks: there is too little parity.
const MEMBERS_PER_ASKER: u32 = 100;
/// After so many sends of which nobody lacked anything there is a sixteenth less.
const QUIET_SENDS: u8 = 16;

/// The first parity of one channel.
#[derive(Debug, Default)]
pub(super) struct FirstParity {
    symbols: u16,
    /// What members lacked since the last send ended.
    lacks: Vec<u16>,
    asked: u32,
    quiet: u8,
}

impl FirstParity {
    /// Symbols.
    pub(super) fn symbols(&self) -> u16 {
        self.symbols
    }

    /// A member lacks so many symbols.
    pub(super) fn on_lack(&mut self, symbols: u16) {
        self.asked = self.asked.saturating_add(1);
        if self.lacks.len() < LACKS_MAX {
            self.lacks.push(symbols);
        }
    }

    /// A send ended. What was lacked meanwhile, was lacked of the one before: who lacks something asks within half a
    /// second, less than a send takes.
    pub(super) fn on_sent(&mut self, facts: &SetFacts, members: u32) {
        self.lacks.sort_unstable();
        let median = self.lacks.get(self.lacks.len() / 2).copied();
        let most = facts.parity / 2;
        if let Some(median) = median {
            self.quiet = 0;
            if self.asked > members / MEMBERS_PER_ASKER {
                self.symbols = self.symbols.saturating_add(median).min(most);
            }
        } else {
            self.quiet += 1;
            if self.quiet >= QUIET_SENDS {
                self.quiet = 0;
                self.symbols = self.symbols.saturating_sub((self.symbols / 16).max(1));
            }
        }
        self.lacks.clear();
        self.asked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: SetFacts = SetFacts {
        segments: 9,
        segment_bytes: 1_843_200,
        symbols: 1600,
        parity: 400,
        playing: None,
    };

    fn after(first: &mut FirstParity, members: u32, lacks: &[u16]) -> u16 {
        lacks.iter().for_each(|symbols| first.on_lack(*symbols));
        first.on_sent(&FACTS, members);
        first.symbols()
    }

    #[test]
    fn it_grows_by_what_more_than_one_in_a_hundred_lack_and_shrinks_when_nobody_does() {
        let mut first = FirstParity::default();
        assert_eq!(after(&mut first, 300, &[30, 20, 40]), 0, "three of 300");
        assert_eq!(after(&mut first, 300, &[30, 20, 40, 35]), 35);
        assert_eq!(after(&mut first, 3, &[9]), 44, "one of three");
        for _ in 1..QUIET_SENDS {
            assert_eq!(after(&mut first, 300, &[]), 44);
        }
        assert_eq!(after(&mut first, 300, &[]), 42);
        assert_eq!(after(&mut first, 1, &[u16::MAX]), 200, "never more than half of what there is");
        assert_eq!(after(&mut first, 1, &[0; 1000]), 200);
        let sends = (0..10_000).take_while(|_| after(&mut first, 1, &[]) > 0).count();
        assert!((16..9_999).contains(&sends), "{sends}");
    }
}
