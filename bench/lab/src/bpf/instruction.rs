//! eBPF instructions (RFC 9669): opcode, registers, offset, immediate, 8 bytes each.

/// One instruction as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the low, source in the high 4 bits; for little-endian machines, as all that we support.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A register: r0 results and return value, r1–r5 arguments (lost by calls), r6–r9 kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Register(pub(super) u8);

// Opcodes: RFC 9669, section 4 (arithmetic and jumps, 64 bits) and section 5 (memory).
const MOVE_REGISTER: u8 = 0xbf;
const MOVE_CONSTANT: u8 = 0xb7;
const ADD_CONSTANT: u8 = 0x07;
const AND_CONSTANT: u8 = 0x57;
const JUMP_IF_EQUAL_CONSTANT: u8 = 0x15;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const LOAD_WORD: u8 = 0x61;
const STORE_WORD: u8 = 0x63;
const LOAD_CONSTANT_64: u8 = 0x18;
/// Source of a 64-bit constant: the address of the map with this descriptor.
const PSEUDO_MAP_FD: u8 = 1;

impl Instruction {
    const fn new(code: u8, to: Register, from: u8, offset: i16, immediate: i32) -> Self {
        Self { code, registers: to.0 | from << 4, offset, immediate }
    }

    pub(super) const fn copy(to: Register, from: Register) -> Self {
        Self::new(MOVE_REGISTER, to, from.0, 0, 0)
    }

    pub(super) const fn set(to: Register, value: i32) -> Self {
        Self::new(MOVE_CONSTANT, to, 0, 0, value)
    }

    pub(super) const fn add(to: Register, value: i32) -> Self {
        Self::new(ADD_CONSTANT, to, 0, 0, value)
    }

    pub(super) const fn and(to: Register, value: i32) -> Self {
        Self::new(AND_CONSTANT, to, 0, 0, value)
    }

    /// Skips `over` instructions when the register is 0.
    pub(super) const fn jump_if_zero(register: Register, over: i16) -> Self {
        Self::new(JUMP_IF_EQUAL_CONSTANT, register, 0, over, 0)
    }

    /// Reads 32 bits at `address + offset`.
    pub(super) const fn load(to: Register, address: Register, offset: i16) -> Self {
        Self::new(LOAD_WORD, to, address.0, offset, 0)
    }

    /// Writes 32 bits at `address + offset`.
    pub(super) const fn store(address: Register, offset: i16, from: Register) -> Self {
        Self::new(STORE_WORD, address, from.0, offset, 0)
    }

    /// The map with descriptor `fd`: two instructions.
    pub(super) const fn load_map(to: Register, fd: i32) -> [Self; 2] {
        [Self::new(LOAD_CONSTANT_64, to, PSEUDO_MAP_FD, 0, fd), Self::new(0, Register(0), 0, 0, 0)]
    }

    /// Calls a helper of the kernel by its number (linux/bpf.h, `__BPF_FUNC_MAPPER`).
    pub(super) const fn call(helper: i32) -> Self {
        Self::new(CALL, Register(0), 0, 0, helper)
    }

    pub(super) const fn exit() -> Self {
        Self::new(EXIT, Register(0), 0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_share_a_byte_and_jumps_have_their_offset() {
        let load = Instruction::load(Register(7), Register(6), 176);
        assert_eq!((load.code, load.registers, load.offset), (0x61, 0x67, 176));
        let jump = Instruction::jump_if_zero(Register(8), 23);
        assert_eq!((jump.code, jump.registers, jump.offset, jump.immediate), (0x15, 8, 23, 0));
        let [first, second] = Instruction::load_map(Register(1), 5);
        assert_eq!((first.code, first.registers, first.immediate), (0x18, 0x11, 5));
        assert_eq!(second, Instruction::new(0, Register(0), 0, 0, 0));
    }
}
