//! Asking for memory before it is needed.

/// Bytes that come from memory together on the processors we support.
const LINE: usize = 64;

/// Asks the processor to bring `bytes` into its nearest cache, and does not wait. Nothing on processors without such an
/// instruction in std.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    prefetch_lines(bytes.as_ptr(), bytes.len());
}

/// The same for the bytes of `value`, not for what it points to.
#[inline]
pub fn prefetch_value<T>(value: &T) {
    prefetch_lines(std::ptr::from_ref(value).cast(), size_of::<T>());
}

#[inline]
fn prefetch_lines(start: *const u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..bytes).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: PREFETCHT0 (SSE, part of x86-64) is a hint: it neither faults nor changes anything that a program can
        // see, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes, LINE);
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_value_may_be_asked_for() {
        super::prefetch_value(&());
        let values = vec![[3_u64; 100]; 2];
        values.iter().for_each(super::prefetch_value);
        assert_eq!(values, [[3; 100]; 2]);
    }

    #[test]
    fn any_slice_may_be_asked_for() {
        for length in [0, 1, 64, 65, 1000] {
            let bytes = vec![7_u8; length];
            super::prefetch(&bytes);
            assert!(bytes.iter().all(|&byte| byte == 7));
        }
    }
}
