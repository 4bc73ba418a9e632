//! The demo's title: a file, or a stream of pseudorandom bytes that can be made again to compare with.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_config::amount::rounded;

use crate::interrupt::Interrupt;

/// Its seed.
const SEED: u64 = 0x005E_6CA5;
/// Bytes compared at a time.
const CHUNK: usize = 1 << 20;

/// The title.
pub(super) enum Media {
    /// A file.
    File { path: PathBuf, length: u64 },
    /// The beginning of a seeded stream.
    Made { length: u64 },
}

impl Media {
    /// The file at `path`, or `made` bytes.
    pub(super) fn open(path: Option<&Path>, made: u64) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Made { length: made }) };
        let found = std::fs::metadata(path);
        let found = found.with_context(|| format!("could not read {}", path.display()))?;
        anyhow::ensure!(found.is_file(), "{}: not a regular file", path.display());
        Ok(Self::File { path: path.to_owned(), length: found.len() })
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } | Self::Made { length } => *length,
        }
    }

    pub(super) fn label(&self) -> &Path {
        match self {
            Self::File { path, .. } => path,
            Self::Made { .. } => Path::new("seeded stream"),
        }
    }

    pub(super) fn name(&self) -> String {
        let name = self.label().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The bytes from the start.
    pub(super) fn reader(&self) -> anyhow::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::File { path, .. } => {
                let file = File::open(path);
                Box::new(file.with_context(|| format!("could not open {}", path.display()))?)
            }
            Self::Made { length } => Box::new(Seeded::new(SEED).take(*length)),
        })
    }

    /// Compares the file at `copy` with this title, byte for byte.
    pub(super) fn compare(&self, copy: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
        let found = File::open(copy).context("could not open the fetched copy")?;
        let mut found = BufReader::with_capacity(CHUNK, found);
        let mut wanted = Stoppable::new(self.reader()?, interrupt);
        let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut offset = 0;
        loop {
            let left = fill(&mut wanted, &mut a).context("could not read the title")?;
            let right = fill(&mut found, &mut b).context("could not read the fetched copy")?;
            let same = a[..left].iter().zip(&b[..right]).take_while(|(a, b)| a == b).count();
            if left != right || same != left {
                anyhow::bail!("the fetched copy differs from the title at byte {}", offset + same);
            }
            if left == 0 {
                return Ok(());
            }
            offset += left;
        }
    }
}

/// Reads until `buffer` is full or the end has come.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match reader.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = rounded::size(self.length());
        match self {
            Self::File { path, .. } => write!(f, "{}, {length}", path.display()),
            Self::Made { .. } => write!(f, "{length} of pseudorandom bytes, seed {SEED:#x}"),
        }
    }
}

/// Pseudorandom bytes without end, the same for the same seed.
struct Seeded(ChaCha8Rng);

impl Seeded {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Read for Seeded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Whole words of the generator, so that the bytes do not depend on how they are read.
        let whole = buffer.len() / 4 * 4;
        if whole == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a read of fewer than 4 bytes"));
        }
        self.0.fill_bytes(&mut buffer[..whole]);
        Ok(whole)
    }
}

/// A reader that ends with an error once a signal has come.
pub(super) struct Stoppable<'a, R> {
    inner: R,
    interrupt: &'a Interrupt,
}

impl<'a, R> Stoppable<'a, R> {
    pub(super) fn new(inner: R, interrupt: &'a Interrupt) -> Self {
        Self { inner, interrupt }
    }
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupt.is_set() {
            return Err(io::Error::other("stopped by a signal"));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeded_title_is_always_the_same() {
        let mut long = vec![0; 4096];
        Seeded::new(1).read_exact(&mut long).unwrap();
        let mut pieces = Vec::new();
        let mut reader = Seeded::new(1);
        for len in [4, 1000, 92, 3000] {
            let mut piece = vec![0; len];
            reader.read_exact(&mut piece).unwrap();
            pieces.extend(piece);
        }
        assert_eq!(long, pieces);
        let mut other = vec![0; 4096];
        Seeded::new(2).read_exact(&mut other).unwrap();
        assert_ne!(long, other);
    }
}
