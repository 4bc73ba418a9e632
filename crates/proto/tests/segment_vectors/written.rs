//! The parity code written from section 12 alone: no transform, one multiplication for each element and coefficient.

use segcast_proto::limits::SYMBOL;

/// x^16 + x^5 + x^3 + x^2 + 1.
const POLYNOMIAL: u32 = 0x1_002D;
/// β_0 to β_15.
const BASIS: [u16; 16] = [
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72, 0xB900,
    0xFDB8, 0xFB34, 0xFF38, 0x991E,
];
/// Elements but 0.
const ORDER: usize = 0xFFFF;

/// GF(2^16) in numbers that stand for elements by [`BASIS`].
pub(crate) struct Field {
    /// The number of x to the power of the index.
    powers: Vec<u16>,
    /// The power of x that a number is.
    logarithms: Vec<usize>,
}

impl Field {
    pub(crate) fn new() -> Self {
        let mut number_of = vec![0; ORDER + 1];
        (0..=u16::MAX).for_each(|number| number_of[usize::from(element(number))] = number);
        let (mut powers, mut logarithms) = (vec![0; ORDER], vec![0; ORDER + 1]);
        let mut x: u32 = 1;
        for (power, number) in powers.iter_mut().enumerate() {
            *number = number_of[x as usize];
            logarithms[usize::from(*number)] = power;
            x <<= 1;
            if x > 0xFFFF {
                x ^= POLYNOMIAL;
            }
        }
        Self { powers, logarithms }
    }

    pub(crate) fn multiply(&self, a: u16, b: u16) -> u16 {
        if a == 0 || b == 0 {
            return 0;
        }
        let [a, b] = [a, b].map(|number| self.logarithms[usize::from(number)]);
        self.powers[(a + b) % ORDER]
    }

    pub(crate) fn divide(&self, a: u16, b: u16) -> u16 {
        assert_ne!(b, 0);
        let inverse = self.powers[(ORDER - self.logarithms[usize::from(b)]) % ORDER];
        self.multiply(a, inverse)
    }
}

/// φ: the polynomial that a number stands for.
fn element(number: u16) -> u16 {
    let bits = (0..16).filter(|bit| number >> bit & 1 == 1);
    bits.fold(0, |sum, bit| sum ^ BASIS[bit])
}

/// c: the least power of two that is not below m.
pub(crate) fn chunk(m: u32) -> u32 {
    m.next_power_of_two()
}

/// G(r, i).
pub(crate) fn coefficient(field: &Field, r: u32, i: u32, c: u32) -> u16 {
    field.divide((1 + i / c) as u16, (r ^ (c + i)) as u16)
}

/// The elements of a symbol: in each block of 64 bytes 32 low bytes, then 32 high ones.
pub(crate) fn words(symbol: &[u8]) -> Vec<u16> {
    let pair = |block: &[u8], j: usize| u16::from_le_bytes([block[j], block[32 + j]]);
    symbol.chunks_exact(64).flat_map(|block| (0..32).map(move |j| pair(block, j))).collect()
}

/// The other way round.
fn bytes(words: &[u16]) -> Vec<u8> {
    let blocks = words.chunks_exact(32).flat_map(|block| [(block, 0), (block, 1)]);
    blocks.flat_map(|(block, high)| block.iter().map(move |w| w.to_le_bytes()[high])).collect()
}

/// All m parity symbols of a segment, joined.
pub(crate) fn parity(field: &Field, segment: &[u8], m: u32) -> Vec<u8> {
    let source: Vec<_> = segment.chunks_exact(SYMBOL).map(words).collect();
    let symbol = |r: u32| {
        let mut sum = vec![0; SYMBOL / 2];
        for (i, symbol) in (0..).zip(&source) {
            let g = coefficient(field, r, i, chunk(m));
            sum.iter_mut().zip(symbol).for_each(|(sum, &s)| *sum ^= field.multiply(g, s));
        }
        bytes(&sum)
    };
    (0..m).flat_map(symbol).collect()
}
