//! What was written, renamed or removed and is not durable, and which of it may reach the disk next.

use core::ops::Range;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segcast_sysio::file::Inode;

/// Writes are cut where pages of the page cache end: each page reaches the disk by itself.
const PAGE: u64 = 4096;
/// A disk writes this much whole or not at all.
const SECTOR: usize = 512;

/// A small generator of numbers that follow from a seed (SplitMix64; Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `0..bound`. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let number = self.next() % (bound as u64);
        usize::try_from(number).unwrap_or(0)
    }
}

/// Part of a write within one page, or a new length.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) inode: Inode,
    file: Arc<File>,
    offset: u64,
    /// Empty for a new length, which is then `offset`.
    bytes: Vec<u8>,
}

impl Piece {
    /// A write, cut at the ends of pages.
    pub(super) fn cut(
        file: &Arc<File>,
        inode: Inode,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Vec<Self> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let room = usize::try_from(PAGE - offset % PAGE).expect("at most a page");
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            pieces.push(Self { inode, file: Arc::clone(file), offset, bytes: head.to_vec() });
            offset += head.len() as u64;
            bytes = rest;
        }
        pieces
    }

    /// The file grows to `bytes`.
    pub(super) fn length(file: &Arc<File>, inode: Inode, bytes: u64) -> Self {
        Self { inode, file: Arc::clone(file), offset: bytes, bytes: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes a part of the piece, or the new length.
    pub(super) fn apply(&self, part: Range<usize>) -> io::Result<()> {
        if self.bytes.is_empty() {
            if self.file.metadata()?.len() < self.offset {
                self.file.set_len(self.offset)?;
            }
            return Ok(());
        }
        self.file.write_all_at(&self.bytes[part.clone()], self.offset + part.start as u64)
    }

    /// Writes the sectors before or after a random one, or nothing.
    pub(super) fn tear(&self, random: &mut Random) {
        // The first sector's end, counted from the piece's start.
        let into_sector = usize::try_from(self.offset % SECTOR as u64).expect("below a sector");
        let first = SECTOR - into_sector;
        let cuts = self.len().saturating_sub(first).div_ceil(SECTOR);
        if self.bytes.is_empty() || cuts == 0 {
            return;
        }
        let cut = first + random.below(cuts) * SECTOR;
        match random.below(3) {
            0 => {}
            1 => drop(self.apply(0..cut)),
            _ => drop(self.apply(cut..self.len())),
        }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.range(), other.range());
        self.inode == other.inode && a.start < b.end && b.start < a.end
    }

    pub(super) fn lies_in(&self, range: &Range<u64>) -> bool {
        !self.bytes.is_empty() && range.start <= self.offset && self.range().end <= range.end
    }

    fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len() as u64
    }
}

/// A change of names in a folder.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// From, to; both in one folder.
    Renamed(PathBuf, PathBuf),
    /// It is gone.
    Removed(PathBuf),
}

impl Name {
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Renamed(_, path) | Self::Removed(path) => path.parent(),
        }
    }

    fn paths(&self) -> [&Path; 2] {
        match self {
            Self::Renamed(from, to) => [from, to],
            Self::Removed(path) => [path, path],
        }
    }

    pub(super) fn conflicts(&self, other: &Self) -> bool {
        self.paths().iter().any(|path| other.paths().contains(path))
    }

    /// Makes the change; a name that is gone already stays so.
    pub(super) fn apply(&self) -> io::Result<()> {
        match self {
            Self::Renamed(from, to) => std::fs::rename(from, to),
            Self::Removed(path) => match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// Takes one at random of those with no earlier one that it conflicts with.
pub(super) fn pick_legal<T>(
    list: &mut Vec<T>,
    random: &mut Random,
    conflict: impl Fn(&T, &T) -> bool,
) -> Option<T> {
    if list.is_empty() {
        return None;
    }
    let mut chosen = random.below(list.len());
    while let Some(earlier) =
        list[..chosen].iter().position(|earlier| conflict(earlier, &list[chosen]))
    {
        chosen = earlier;
    }
    Some(list.remove(chosen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_conflicts_keeps_its_order_and_the_rest_does_not() {
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut list = vec![(0, 'a'), (1, 'b'), (2, 'a'), (3, 'c')];
            let mut order = Vec::new();
            while let Some((number, _)) = pick_legal(&mut list, &mut random, |a, b| a.1 == b.1) {
                order.push(number);
            }
            let place = |wanted| order.iter().position(|number| *number == wanted).unwrap();
            assert!(place(0) < place(2), "{order:?}");
            orders.insert(order);
        }
        assert_eq!(orders.len(), 12, "4! orders, of which half are legal");
    }

    #[test]
    fn writes_are_cut_at_pages_and_torn_at_sectors() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let inode = Inode::of(&file).unwrap();
        let pieces = Piece::cut(&file, inode, 4000, &[7; 5000]);
        let lengths: Vec<usize> = pieces.iter().map(Piece::len).collect();
        assert_eq!(lengths, [96, 4096, 808]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            file.set_len(0).unwrap();
            file.set_len(16_384).unwrap();
            pieces[1].tear(&mut Random::new(seed));
            let mut bytes = [0; 16_384];
            file.read_exact_at(&mut bytes, 0).unwrap();
            let changed = bytes.iter().filter(|byte| **byte == 7).count();
            assert!(changed.is_multiple_of(512) && changed < 4096, "{changed}");
            seen.insert(changed);
        }
        assert_eq!(seen.len(), 8, "{seen:?}");
    }
}
