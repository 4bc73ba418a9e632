//! The filter of the sink: what the device would send as a train is written down and dropped, before its pages are
//! copied; one train in so many, and every single frame, passes.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use super::instruction::{Instruction, Register};
use super::{Program, RingBuffer};
use crate::tap::Tap;

/// Bytes of a train's head that are written down: Ethernet, IPv4, UDP, the first datagram's clear header, and the
/// first 16 bytes of its ciphertext; rounded up to 4.
pub const HEAD_BYTES: usize = 76;

/// A record: three words and the head.
const RECORD_BYTES: usize = 12 + HEAD_BYTES;

// Fields of `struct __sk_buff` (linux/bpf.h).
const SKB_LEN: i16 = 0;
const SKB_GSO_SIZE: i16 = 176;

// Helpers (linux/bpf.h).
const GET_PRANDOM_U32: i32 = 7;
const SKB_LOAD_BYTES: i32 = 26;
const RINGBUF_RESERVE: i32 = 131;
const RINGBUF_SUBMIT: i32 = 132;
/// The reader polls: waking it would cost the server.
const NO_WAKEUP: i32 = 1;

/// A train that the device was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainRecord<'a> {
    /// Bytes of the whole frame, with headers.
    pub frame_bytes: u32,
    /// Payload bytes of each datagram but the last.
    pub datagram_bytes: u32,
    /// Whether the whole train passed.
    pub passed: bool,
    /// Its first bytes, from the Ethernet header on.
    pub head: &'a [u8; HEAD_BYTES],
}

/// The filter and what it writes down.
#[derive(Debug)]
pub struct TrainFilter {
    program: Program,
    records: RingBuffer,
}

impl TrainFilter {
    /// A filter that lets one train in `sample` pass (a power of two; 1: all), with room for `buffer_bytes` of records
    /// of 96 bytes (a power of two). When the room is used up, trains are dropped without a record.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; `InvalidInput` when `sample` is no power of two.
    pub fn new(sample: u32, buffer_bytes: u32) -> io::Result<Self> {
        if !sample.is_power_of_two() {
            let why = format!("one train in {sample} cannot pass: give a power of two");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let records = RingBuffer::new(buffer_bytes)?;
        let map = records.as_fd().as_raw_fd();
        let program = Program::load(&instructions(map, (sample - 1).cast_signed()))?;
        Ok(Self { program, records })
    }

    /// From now on `tap` gives every frame that it would send to this filter, and hashes none to choose a queue.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; those of [`Tap::set_filter`].
    pub fn attach(&self, tap: &Tap) -> io::Result<()> {
        tap.set_filter(&self.program)?;
        tap.set_steering(&Program::first_queue()?)
    }

    /// Gives the records so far, oldest first and at most `limit`, to `each`; returns how many there were.
    pub fn consume(&mut self, limit: usize, mut each: impl FnMut(TrainRecord<'_>)) -> usize {
        self.records.consume(limit, |bytes| {
            let (words, head) = bytes.split_at(RECORD_BYTES - HEAD_BYTES);
            // As instructions: little-endian machines are all that we support.
            let word = |at: usize| {
                u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]])
            };
            each(TrainRecord {
                frame_bytes: word(0),
                datagram_bytes: word(4),
                passed: word(8) == 0,
                head: head.first_chunk().expect("records have one length"),
            });
        })
    }
}

/// The program. What it returns is how many bytes of the frame go on: 0 drops it.
fn instructions(map: i32, sample_mask: i32) -> [Instruction; 31] {
    const R: [Register; 10] = [
        Register(0),
        Register(1),
        Register(2),
        Register(3),
        Register(4),
        Register(5),
        Register(6),
        Register(7),
        Register(8),
        Register(9),
    ];
    let [map_low, map_high] = Instruction::load_map(R[1], map);
    [
        Instruction::copy(R[6], R[1]),
        Instruction::load(R[7], R[6], SKB_LEN),
        Instruction::load(R[8], R[6], SKB_GSO_SIZE),
        // A single frame: to 29.
        Instruction::jump_if_zero(R[8], 25),
        Instruction::call(GET_PRANDOM_U32),
        Instruction::and(R[0], sample_mask),
        // 0: this one passes.
        Instruction::copy(R[9], R[0]),
        map_low,
        map_high,
        Instruction::set(R[2], RECORD_BYTES as i32),
        Instruction::set(R[3], 0),
        Instruction::call(RINGBUF_RESERVE),
        // No room: to 27.
        Instruction::jump_if_zero(R[0], 14),
        Instruction::store(R[0], 0, R[7]),
        Instruction::store(R[0], 4, R[8]),
        Instruction::store(R[0], 8, R[9]),
        Instruction::copy(R[8], R[0]),
        Instruction::copy(R[3], R[0]),
        Instruction::add(R[3], (RECORD_BYTES - HEAD_BYTES) as i32),
        Instruction::copy(R[1], R[6]),
        Instruction::set(R[2], 0),
        Instruction::set(R[4], HEAD_BYTES as i32),
        Instruction::call(SKB_LOAD_BYTES),
        Instruction::copy(R[1], R[8]),
        Instruction::set(R[2], NO_WAKEUP),
        Instruction::call(RINGBUF_SUBMIT),
        // The sample: to 29.
        Instruction::jump_if_zero(R[9], 2),
        Instruction::set(R[0], 0),
        Instruction::exit(),
        Instruction::copy(R[0], R[7]),
        Instruction::exit(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Namespace;

    #[test]
    fn the_verifier_takes_the_program_and_a_device_takes_the_filter() {
        let Ok(namespace) = Namespace::new() else {
            return crate::skip("namespaces (CAP_SYS_ADMIN)");
        };
        let tap = match namespace.run(|| Tap::create("lab0", true)).expect("entered") {
            Ok(tap) => tap,
            Err(error) => return crate::skip(&format!("TAP devices: {error}")),
        };
        let mut filter = match TrainFilter::new(64, 1 << 16) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return crate::skip("CAP_BPF");
            }
            filter => filter.expect("the verifier takes it"),
        };
        filter.attach(&tap).expect("attached");
        assert_eq!(filter.consume(10, |record| panic!("{record:?}")), 0);
    }

    #[test]
    fn a_sample_that_is_no_power_of_two_is_refused() {
        let error = TrainFilter::new(3, 4096).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
