//! Loading a program, and what the kernel's verifier says when it refuses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::instruction::{Instruction, Register};
use super::{Attributes, BPF_PROG_LOAD, bpf};

/// BPF_PROG_TYPE_SOCKET_FILTER.
const SOCKET_FILTER: u32 = 1;
/// Room for what the verifier says.
const LOG_BYTES: usize = 64 * 1024;
/// The helpers in use are free for all, but the kernel asks.
const LICENSE: &std::ffi::CStr = c"Dual MIT/GPL";

/// The first fields of `union bpf_attr` for BPF_PROG_LOAD; the kernel takes what is missing as zeros.
#[derive(Default)]
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

// SAFETY: the fields are those of BPF_PROG_LOAD in their order, and fill 40 bytes without padding. `Program::load` is the
// only one that makes a value, and its three addresses are those of live buffers with the lengths that are given; the
// kernel writes to the last one alone.
unsafe impl Attributes for Load {}

/// A program in the kernel, of the kind that filters frames. It goes when this and everything it is attached to are gone.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// Loads a socket filter.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; what the verifier says of a program that it refuses.
    pub(super) fn load(instructions: &[Instruction]) -> io::Result<Self> {
        let mut log = vec![0_u8; LOG_BYTES];
        let mut attributes = Load {
            program_type: SOCKET_FILTER,
            instruction_count: u32::try_from(instructions.len()).map_err(io::Error::other)?,
            instructions: instructions.as_ptr() as u64,
            license: LICENSE.as_ptr() as u64,
            ..Load::default()
        };
        let refused = match bpf(BPF_PROG_LOAD, &mut attributes) {
            Ok(fd) => return Ok(Self(fd)),
            Err(error) => error,
        };
        // Once more, for the reason.
        attributes.log_level = 1;
        attributes.log_size = LOG_BYTES as u32;
        attributes.log = log.as_mut_ptr() as u64;
        if let Ok(fd) = bpf(BPF_PROG_LOAD, &mut attributes) {
            return Ok(Self(fd));
        }
        let said = log.split(|&byte| byte == 0).next().unwrap_or_default();
        let said = String::from_utf8_lossy(said);
        Err(io::Error::new(refused.kind(), format!("the filter was refused: {refused}\n{said}")))
    }

    /// A program that chooses the first queue for every frame ([`Tap::set_steering`](crate::tap::Tap::set_steering)).
    ///
    /// # Errors
    /// EPERM without CAP_BPF.
    pub fn first_queue() -> io::Result<Self> {
        Self::load(&[Instruction::set(Register(0), 0), Instruction::exit()])
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction::Register;
    use super::*;

    #[test]
    fn a_program_that_returns_nothing_is_refused_with_the_verifiers_words() {
        let good = [Instruction::set(Register(0), 0), Instruction::exit()];
        if let Err(error) = Program::load(&good) {
            return crate::skip(&format!("CAP_BPF: {error}"));
        }
        let error = Program::load(&[Instruction::exit()]).expect_err("r0 was never set");
        assert!(error.to_string().contains("R0"), "{error}");
    }
}
