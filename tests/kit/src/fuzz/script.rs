//! A fuzzer's bytes read as decisions, and the same written by the generator of seeds.
//!
//! Not `arbitrary`: its way from bytes to values cannot be gone backwards, and seeds are written from real values here.

/// Reads decisions one after another. Past the end every number is 0 and every slice empty.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// Begins at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all was read.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether the next byte is odd.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of 1 byte.
    pub fn byte(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// A number of 2 bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A number of 4 bytes.
    pub fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// A number of 8 bytes.
    pub fn wide(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// One byte as an index below `count`; 0 when there is nothing to choose from.
    pub fn choose(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// A number whose size is chosen too: small ones are likely, and every one can be said.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..0xF0 => u64::from(small),
            0xF0..0xF6 => u64::from(self.short()),
            0xF6..0xFC => u64::from(self.long()),
            _ => self.wide(),
        }
    }

    /// `N` bytes, zeros where they end.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let bytes = self.bytes(N);
        out[..bytes.len()].copy_from_slice(bytes);
        out
    }

    /// The next `count` bytes, fewer where they end.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// Bytes after their length in 1 byte.
    pub fn counted(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        self.bytes(count)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Flips bits at places of `bytes` that are chosen; says whether they differ now.
    pub fn patch(&mut self, bytes: &mut [u8]) -> bool {
        let before = bytes.to_vec();
        for _ in 0..self.byte() % 8 {
            let (at, mask) = (usize::from(self.short()), self.byte());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        before != bytes
    }
}

/// Writes what [`Script`] reads.
#[derive(Clone, Debug, Default)]
pub struct Steps(Vec<u8>);

impl Steps {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// For [`Script::byte`], `flag` and `choose`.
    #[must_use]
    pub fn byte(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    /// For [`Script::short`].
    #[must_use]
    pub fn short(self, number: u16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// For [`Script::long`].
    #[must_use]
    pub fn long(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// For [`Script::wide`].
    #[must_use]
    pub fn wide(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// For [`Script::number`].
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        match u8::try_from(number) {
            Ok(small @ 0..0xF0) => self.byte(small),
            _ => self.byte(0xFF).wide(number),
        }
    }

    /// For [`Script::bytes`], `array` and `rest`.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// For [`Script::counted`]; at most 255 bytes.
    ///
    /// # Panics
    /// For more.
    #[must_use]
    pub fn counted(self, bytes: &[u8]) -> Self {
        let count = u8::try_from(bytes.len()).expect("at most 255 bytes");
        self.byte(count).bytes(bytes)
    }

    /// For [`Script::patch`]: flips `mask` at each place.
    #[must_use]
    pub fn patch(self, places: &[(u16, u8)]) -> Self {
        let count = u8::try_from(places.len() % 8).expect("below 8");
        let places = &places[..places.len() % 8];
        places.iter().fold(self.byte(count), |steps, &(at, mask)| steps.short(at).byte(mask))
    }

    /// The bytes.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let steps = Steps::new().byte(7).short(300).number(9).number(1 << 40).counted(b"ab");
        let bytes = steps.patch(&[(1, 0x80)]).long(5).wide(6).bytes(b"xyz").done();
        let mut script = Script::new(&bytes);
        assert_eq!((script.byte(), script.short()), (7, 300));
        assert_eq!((script.number(), script.number()), (9, 1 << 40));
        assert_eq!(script.counted(), b"ab");
        let mut patched = [0; 2];
        assert!(script.patch(&mut patched) && patched == [0, 0x80]);
        assert_eq!((script.long(), script.wide()), (5, 6));
        assert_eq!(script.rest(), b"xyz");
        assert!(script.is_over() && script.wide() == 0 && script.counted().is_empty());
    }
}
