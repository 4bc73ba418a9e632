//! Asking for memory before it is needed.

/// Bytes that come from memory together on the processors we support.
const LINE: usize = 64;

/// Asks the processor to bring `bytes` into its nearest cache, and does not wait. Nothing on processors without such an
/// instruction in std.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: PREFETCHT0 (SSE, part of x86-64) is a hint: it neither faults nor changes anything that a program can
        // see, whatever the address; this one lies in a borrowed slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, LINE);
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_slice_may_be_asked_for() {
        for length in [0, 1, 64, 65, 1000] {
            let bytes = vec![7_u8; length];
            super::prefetch(&bytes);
            assert!(bytes.iter().all(|&byte| byte == 7));
        }
    }
}
