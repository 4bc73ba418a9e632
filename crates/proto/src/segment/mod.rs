//! Segments of a title: geometry, encryption, digests, parity and the signed manifest (sections 12, 13).
//!
//! What edges and peers hold is the *stored* segment (ciphertext, or the plain bytes of a clear set); digests,
//! parity and leaves are computed from that.

/// Encryption of stored segments.
pub mod cipher;
/// What the manifest says of one segment.
pub mod digest;
/// The cut: counts, sizes and their bounds.
pub mod geometry;
/// Short digests of symbols.
pub mod leaves;
/// The signed manifest.
pub mod manifest;
/// Reed–Solomon parity.
pub mod parity;
