//! A title whose bytes follow from a seed, so that any of them can be told without keeping them.

use std::io::{self, Read};

/// The content of a title: endless, the same for the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Title {
    seed: u64,
}

impl Title {
    /// The title of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Writes the bytes from `at` on.
    pub fn fill(self, at: u64, out: &mut [u8]) {
        let skip = (at % 8) as usize;
        let mut word = at / 8;
        let (head, body) = out.split_at_mut(((8 - skip) % 8).min(out.len()));
        if !head.is_empty() {
            head.copy_from_slice(&self.word(word)[skip..skip + head.len()]);
            word += 1;
        }
        for chunk in body.chunks_mut(8) {
            chunk.copy_from_slice(&self.word(word)[..chunk.len()]);
            word += 1;
        }
    }

    /// Where `bytes`, taken from `at` on, first differ from the title.
    #[must_use]
    pub fn first_difference(self, at: u64, bytes: &[u8]) -> Option<u64> {
        let mut expected = [0; 1024];
        let mut from = at;
        for chunk in bytes.chunks(expected.len()) {
            let expected = &mut expected[..chunk.len()];
            self.fill(from, expected);
            if chunk != expected {
                let same = chunk.iter().zip(expected).take_while(|(a, b)| **a == **b).count();
                return Some(from + same as u64);
            }
            from += chunk.len() as u64;
        }
        None
    }

    /// Its first `length` bytes as a file would give them.
    #[must_use]
    pub fn reader(self, length: u64) -> TitleReader {
        TitleReader { title: self, at: 0, length }
    }

    /// Eight bytes: SplitMix64 (Steele, Lea, Flood 2014) of their number.
    fn word(self, number: u64) -> [u8; 8] {
        let mut z = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    }
}

/// Reads a title.
#[derive(Debug)]
pub struct TitleReader {
    title: Title,
    at: u64,
    length: u64,
}

impl Read for TitleReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
        let len = left.min(out.len());
        self.title.fill(self.at, &mut out[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_the_piece_of_the_whole() {
        let title = Title::new(5);
        let mut whole = Vec::new();
        title.reader(3000).read_to_end(&mut whole).unwrap();
        assert_eq!(whole.len(), 3000);
        for (at, len) in [(0, 0), (0, 1), (1, 3), (5, 8), (7, 1000), (8, 16), (13, 2987), (2999, 1)]
        {
            let mut piece = vec![0; len];
            title.fill(at as u64, &mut piece);
            assert_eq!(piece, whole[at..at + len], "{len} bytes from {at}");
            assert_eq!(title.first_difference(at as u64, &piece), None);
        }
        whole[2500] ^= 1;
        assert_eq!(title.first_difference(100, &whole[100..]), Some(2500));
        assert_ne!(Title::new(6).word(1), title.word(1));
    }
}
